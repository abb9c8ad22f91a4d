#!/usr/bin/env python3
"""Furl's speed beside llama.cpp's, ONNX Runtime's and PyTorch's: the same shapes and weights, the same threads, in turns.

    python3 Benchmarks/Models/models.py --furl .build/release/furl --folder /path/with/room \
        [--llama ~/llama.cpp/build/bin] [--shape codegpt ...] [--threads 1 2] [--rounds 5] [--json out.json]

Makes checkpoints of published shapes with `furl synth`, artifacts and the same weights in GGUF, and measures in rounds:
every program once, in a process of its own, then all again. Medians and their ratios are printed as Markdown. Peers that
are not installed (--llama; the packages onnxruntime, onnx and torch) are left out, with a sentence. With --busy-limit
(0.1) nothing is reported while other processes take more than that share of the CPU.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import peers

SHAPES = ["codegpt", "smollm2", "starcoder2-3b"]
PROMPT, CONTEXT, DECODE = 512, 128, 64


def steady():
    allowed = subprocess.run(["chrt", "-f", "5", "true"], capture_output=True).returncode == 0
    return ["chrt", "-f", "5"] if allowed else []


LINES = []


def say(text):
    """A line of the report, which is printed when the machine was quiet; and at once for who watches."""
    LINES.append(text)
    print(text, file=sys.stderr, flush=True)


class CPUTime:
    """The share of the machine's CPU time that others take while something runs."""

    @staticmethod
    def now():
        with open("/proc/stat") as file:
            times = [int(word) for word in file.readline().split()[1:9]]
        idle = times[3] + times[4]
        used = os.times()
        return sum(times), sum(times) - idle, (used.children_user + used.children_system) * os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        self.start = self.now()
        return self

    def __exit__(self, *_):
        total, busy, own = (b - a for a, b in zip(self.start, self.now()))
        self.share = max(0.0, busy - own) / max(1, total)


class Models:
    """Checkpoints, artifacts and GGUF files, made once."""

    def __init__(self, options):
        self.options = options
        os.makedirs(options.folder, exist_ok=True)

    def path(self, name):
        return f"{self.options.folder}/{name}"

    def furl(self, *words):
        peers.run([self.options.furl, *words])

    def checkpoint(self, shape):
        path = self.path(shape)
        if not os.path.exists(path):
            self.furl("synth", "--model", shape, "--output", path)
        return path

    def artifact(self, shape, weights):
        path = self.path(f"{shape}-{weights}.furl")
        if not os.path.exists(path):
            recipe = self.path(f"{shape}-{weights}.yaml")
            with open(recipe, "w") as file:
                file.write(RECIPES[weights].format(name=f"{shape}-{weights}"))
            self.furl("compress", self.checkpoint(shape), "--recipe", recipe, "--output", path)
        return path

    def gguf(self, shape, weights):
        """The artifact's weights; F32 as they are in the checkpoint."""
        path = self.path(f"{shape}-{weights}.gguf")
        if not os.path.exists(path):
            if weights == "f32":
                self.furl("export", self.checkpoint(shape), "--format", "gguf", "--dtype", "f32", "--output", path)
            else:
                self.furl("export", self.artifact(shape, weights), "--format", "gguf", "--output", path)
        return path


# Q8_0 and Q4_0 have the same blocks of 32 and FP16 scales; the head is 8 bits wide in both, as llama-quantize's Q4_0
# keeps it at more than four.
RECIPES = {
    "int8": """furl: 1
recipe: {name}
steps:
  - quantize: {{weights: int8, block: 32}}
storage: mapped
""",
    "int4": """furl: 1
recipe: {name}
steps:
  - quantize: {{weights: int4, zero: symmetric, block: 32, embeddings: int8}}
storage: mapped
""",
}
PEER = {"int8": "Q8_0", "int4": "Q4_0"}


def measure_furl(options, path, threads, *words):
    text = peers.run([
        *steady(), options.furl, "bench", path, "--json", "--rounds", "1", "--repeats", "2", "--threads", str(threads),
        "--prompt-tokens", str(PROMPT), "--decode-tokens", str(DECODE), "--decode-context", str(CONTEXT), *words])
    row = json.loads(text)["results"][0]
    return {"prefill": row["prefill_tokens_per_second"], "decode": row["decode_tokens_per_second"],
            "batched": row["batched_tokens_per_second"], "peak": row["peak_rss_bytes"], "weights": row["weight_bytes"]}


def speed_table(options, models, shapes):
    """Prefill and decode of every shape, weights, number of threads and program."""
    say(f"Prefill of {PROMPT} tokens; decode of {DECODE} tokens after {CONTEXT}; tokens a second, medians of "
          f"{options.rounds} rounds.\n")
    say("| shape | weights | threads | prefill: Furl | llama.cpp | ratio | decode: Furl | llama.cpp | ratio | "
          "share of the read limit |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    results = []
    for shape in shapes:
        for threads in options.threads:
            jobs = {}
            for weights in options.weights:
                jobs[weights, "furl"] = models.checkpoint(shape) if weights == "fp32" else models.artifact(shape, weights)
                if options.llama and weights in PEER:
                    jobs[weights, "llama"] = models.gguf(shape, weights)
            samples = {job: [] for job in jobs}
            limits = []
            for _ in range(options.rounds):
                limits.append(read_limit(options, threads))
                for (weights, program), path in jobs.items():
                    result = (measure_furl(options, path, threads) if program == "furl" else
                              peers.llama_bench(options.llama, path, threads, PROMPT, CONTEXT, DECODE, steady()))
                    samples[weights, program].append(result)
            for weights in options.weights:
                row = {"shape": shape, "weights": weights, "threads": threads, "read_limit": statistics.median(limits)}
                for program in ("furl", "llama"):
                    for key in ("prefill", "decode"):
                        found = [s[key] for s in samples.get((weights, program), [])]
                        row[f"{program}_{key}"] = statistics.median(found) if found else None
                        row[f"{program}_{key}_samples"] = found
                row["bytes_per_token"] = bytes_per_token(samples[weights, "furl"][0], models.checkpoint(shape), weights)
                row["limit_share"] = row["furl_decode"] * row["bytes_per_token"] / row["read_limit"]
                results.append(row)
                say("| " + " | ".join([
                    shape, weights, str(threads), rate(row["furl_prefill"]), rate(row["llama_prefill"]),
                    ratio(row["furl_prefill"], row["llama_prefill"]), rate(row["furl_decode"]),
                    rate(row["llama_decode"]), ratio(row["furl_decode"], row["llama_decode"]),
                    f"{row['limit_share']:.0%}"]) + " |")
    return results


def bytes_per_token(measured, checkpoint, weights):
    """All weights but an embedding that is only looked up: its share of the parameters, with its own width."""
    config = json.load(open(f"{checkpoint}/config.json"))
    hidden = config.get("hidden_size", config.get("n_embd"))
    looked_up = 0
    if "n_positions" in config:
        looked_up += config["n_positions"] * hidden
    if not config.get("tie_word_embeddings", True):
        looked_up += config["vocab_size"] * hidden
    return measured["weights"] - looked_up * (4 if weights == "fp32" else 1 + 2 / 32)


def read_limit(options, threads):
    """Bytes a second of plainly reading memory, measured now."""
    return float(peers.run([*steady(), options.read_limit, str(threads)]))


def batch_table(options, models, shape="codegpt", sequences=164, prompt=150, new=128):
    say(f"\nGreedy generation, {shape} shape, int8: {sequences} prompts of {prompt} tokens, {new} new tokens each; new "
          "tokens a second.\n\n| threads | Furl, one by one | Furl, batched | ratio | llama-batched-bench, best batch | ratio |"
          "\n| ---: | ---: | ---: | ---: | ---: | ---: |")
    results = []
    for threads in options.threads:
        samples = {"one": [], "batched": [], "llama": []}
        for _ in range(options.rounds):
            for name, slots, count in (("one", 1, 12), ("batched", options.slots, sequences)):
                text = peers.run([
                    *steady(), options.furl, "bench", models.artifact(shape, "int8"), "--json", "--rounds", "1",
                    "--repeats", "1", "--threads", str(threads), "--prompt-tokens", str(prompt), "--decode-tokens",
                    str(new), "--sequences", str(count), "--slots", str(slots)])
                samples[name].append(json.loads(text)["results"][0]["batched_tokens_per_second"])
            if options.llama:
                found = peers.llama_batched(options.llama, models.gguf(shape, "int8"), threads, prompt, new, steady())
                if found:
                    samples["llama"].append(max(found.values()))
        row = {name: statistics.median(found) if found else None for name, found in samples.items()}
        results.append({"threads": threads, **row, "samples": samples})
        say(f"| {threads} | {rate(row['one'])} | {rate(row['batched'])} | {ratio(row['batched'], row['one'])} | "
              f"{rate(row['llama'])} | {ratio(row['batched'], row['llama'])} |")
    return results


def completion_table(options, models, shape="codegpt", prompt=1000, new=2):
    """Samples a second as the poster counted them: a prompt of about 1,000 tokens and two new ones."""
    say(f"\nCompletions of {prompt} prompt tokens and {new} new ones ({shape} shape), a second.\n\n| threads | Furl int8 | "
          "ONNX Runtime, dynamic int8 | ratio | ONNX Runtime FP32 | ratio | PyTorch FP32 | ratio |\n"
          "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    results = []
    for threads in options.threads:
        samples = {"furl": [], "onnx-int8": [], "onnx-fp32": [], "torch": []}
        for _ in range(options.rounds):
            text = peers.run([
                *steady(), options.furl, "bench", models.artifact(shape, "int8"), "--json", "--rounds", "1", "--repeats",
                "1", "--threads", str(threads), "--prompt-tokens", str(prompt), "--decode-tokens", str(new),
                "--sequences", "4", "--slots", "1"])
            samples["furl"].append(json.loads(text)["results"][0]["batched_tokens_per_second"] / new)
            for name in ("onnx-int8", "onnx-fp32", "torch"):
                found = peers.completions(options.python, name, models, shape, threads, prompt, new, steady())
                if found:
                    samples[name].append(found)
        row = {name: statistics.median(found) if found else None for name, found in samples.items()}
        results.append({"threads": threads, **row, "samples": samples})
        say(f"| {threads} | {rate(row['furl'])} | " + " | ".join(
            f"{rate(row[name])} | {ratio(row['furl'], row[name])}" for name in ("onnx-int8", "onnx-fp32", "torch"))
            + " |")
    return results


def rate(value):
    return "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratio(ours, theirs):
    return "-" if not ours or not theirs else f"{ours / theirs:.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--furl", default=".build/release/furl")
    parser.add_argument("--folder", required=True, help="for models; 20 GB for all shapes")
    parser.add_argument("--llama", help="the folder of llama.cpp's programs")
    parser.add_argument("--python", default=sys.executable, help="a Python with onnxruntime, onnx and torch")
    parser.add_argument("--shape", nargs="+", choices=SHAPES, default=SHAPES)
    parser.add_argument("--weights", nargs="+", choices=["fp32", "int8", "int4"], default=["fp32", "int8", "int4"])
    parser.add_argument("--table", nargs="+", choices=["speed", "batch", "completions"],
                        default=["speed", "batch", "completions"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json")
    parser.add_argument("--busy-limit", type=float, default=0.1)
    options = parser.parse_args()
    options.furl = os.path.abspath(options.furl)
    models = Models(options)
    options.read_limit = peers.build_read_limit(options.folder)
    tables = {"speed": lambda: speed_table(options, models, options.shape),
              "batch": lambda: batch_table(options, models), "completions": lambda: completion_table(options, models)}
    document = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    with CPUTime() as cpu:
        for name in options.table:
            document[name] = tables[name]()
    document["competing_cpu_share"] = cpu.share
    say(f"\nOther processes took {cpu.share:.0%} of the CPU meanwhile.")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(document, file, indent=2)
    if cpu.share > options.busy_limit:
        sys.exit(f"more than {options.busy_limit:.0%}: this machine was too busy for these figures to mean anything")
    print("\n".join(LINES))


main()
