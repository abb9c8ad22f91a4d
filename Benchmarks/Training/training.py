#!/usr/bin/env python3
"""Times a step of training beside PyTorch's: the same checkpoint, batch, tokens, optimizer and number of threads.

Both programs run in turns, each as a process of its own, so that drift of the machine hits both and peaks of memory are
each one's own. The median step counts, the first one of a process is left out. Losses of the same steps are printed
beside each other: both do the same work.

    .build/release/furl synth --model codegpt --output .build/codegpt
    python3 Benchmarks/Training/training.py .build/release/furl .build/codegpt --python .build/peers/venv/bin/python
"""
import argparse
import json
import resource
import statistics
import subprocess
import sys
import time


def torch_steps(path, sequences, length, steps, threads):
    """Runs in a process of its own: the steps' seconds, losses and the peak."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.01)
    vocabulary = model.config.vocab_size
    rows = sequences * length
    ids = [i * 40503 % 65536 % vocabulary for i in range(rows + 1)]
    inputs = torch.tensor(ids[:-1]).view(sequences, length)
    targets = torch.tensor(ids[1:])
    seconds, cpu, losses = [], [], []
    for _ in range(steps):
        start, start_of_cpu = time.perf_counter(), time.process_time()
        optimizer.zero_grad(set_to_none=True)
        logits = model(inputs, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.view(rows, -1), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_of_cpu)
        losses.append(loss.item())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"step_seconds": seconds, "step_cpu_seconds": cpu, "losses": losses, "peak_rss_bytes": peak}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("furl")
    parser.add_argument("checkpoint")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--torch", action="store_true", help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.torch:
        return torch_steps(o.checkpoint, o.sequences, o.length, o.steps, o.threads)
    sizes = ["--sequences", str(o.sequences), "--length", str(o.length), "--steps", str(o.steps), "--threads", str(o.threads)]
    commands = {
        "Furl": [o.furl, "measure-training", o.checkpoint, *sizes],
        "PyTorch": [o.python, __file__, o.furl, o.checkpoint, *sizes, "--torch"],
    }
    seconds = {name: [] for name in commands}
    cpu = {name: [] for name in commands}
    peaks = {name: [] for name in commands}
    losses = {}
    for _ in range(o.rounds):
        for name, command in commands.items():
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"{name}: {done.stderr[-2000:]}")
            result = json.loads(done.stdout[done.stdout.index("{"):])
            seconds[name] += result["step_seconds"][1:]
            cpu[name] += result["step_cpu_seconds"][1:]
            peaks[name].append(result["peak_rss_bytes"])
            losses[name] = result["losses"]
    median = {name: statistics.median(values) for name, values in seconds.items()}
    fastest = {name: min(values) for name, values in seconds.items()}
    print(f"{o.sequences} x {o.length} tokens, {o.threads} threads, {len(seconds['Furl'])} steps each\n")
    print("| program | step, median | step, fastest | CPU time, fastest | peak memory | losses |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for name in commands:
        text = " ".join(f"{x:.4f}" for x in losses[name])
        print(f"| {name} | {median[name]:.3f} s | {fastest[name]:.3f} s | {min(cpu[name]):.3f} s | {max(peaks[name]) / 1e9:.3f} GB | {text} |")
    print(f"\nFurl's speed: {median['PyTorch'] / median['Furl']:.2f} of PyTorch's by medians, "
          f"{fastest['PyTorch'] / fastest['Furl']:.2f} by the fastest steps, {min(cpu['PyTorch']) / min(cpu['Furl']):.2f} by CPU time; its memory: "
          f"{max(peaks['Furl']) / max(peaks['PyTorch']):.2f} of PyTorch's.")


main()
