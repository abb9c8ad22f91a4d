#!/usr/bin/env python3
"""Times greedy evaluation on HumanEval+ beside transformers: the same model, prompts, stop strings, limits and threads.

Furl's time is that of the whole command, from opening the artifact to the last program's verdict; transformers' is
generating alone, in FP32, with the model loaded and warm: what it would take to execute the programs is not counted.
Batches of transformers are padded on the left, in order of length, and end when every sequence has ended; a sequence ends
with the model's end of text, with a stop string in its last tokens, or at the limit.

    python3 Benchmarks/Evaluation/evaluation.py .build/release/furl ARTIFACT CHECKPOINT --card suites/humaneval-plus.yaml \
        --problems suites/data/HumanEvalPlus.jsonl.gz --python .build/peers/venv/bin/python --limit 16
"""
import argparse
import gzip
import json
import re
import subprocess
import sys
import time


def stops_of(card):
    """The stop strings and the limit of a suite card; both stand on lines of their own."""
    text = open(card).read()
    limit = int(re.search(r"max_tokens: (\d+)", text).group(1))
    return json.loads(re.search(r"stop: (\[.*\])", text).group(1)), limit


def generate(checkpoint, card, problems, limit, batch, threads):
    """Runs in a process of its own."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteria, StoppingCriteriaList

    torch.set_num_threads(threads)
    stops, most = stops_of(card)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    with gzip.open(problems, "rt") as lines:
        prompts = [json.loads(line)["prompt"].strip() + "\n" for line in lines][:limit]

    class Ended(StoppingCriteria):
        def __init__(self, begin):
            self.begin = begin

        def __call__(self, ids, scores, **_):
            tails = tokenizer.batch_decode(ids[:, max(self.begin, ids.shape[1] - 12):])
            return torch.tensor([any(stop in tail for stop in stops) for tail in tails])

    def run(some, most):
        inputs = tokenizer(some, return_tensors="pt", padding=True, add_special_tokens=False)
        begin = inputs["input_ids"].shape[1]
        with torch.no_grad():
            out = model.generate(
                **inputs, max_new_tokens=most, do_sample=False, pad_token_id=tokenizer.pad_token_id,
                stopping_criteria=StoppingCriteriaList([Ended(begin)]))
        return int((out[:, begin:] != tokenizer.pad_token_id).sum())

    run(prompts[:1], 8)
    prompts.sort(key=len)
    start, tokens = time.perf_counter(), 0
    for first in range(0, len(prompts), batch):
        tokens += run(prompts[first:first + batch], most)
    print(json.dumps({"seconds": time.perf_counter() - start, "tokens": tokens, "problems": len(prompts)}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("furl")
    parser.add_argument("artifact")
    parser.add_argument("checkpoint")
    parser.add_argument("--card", required=True)
    parser.add_argument("--problems", required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--limit", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--generate", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.generate:
        generate(
            options.checkpoint, options.card, options.problems, options.limit, options.generate, options.threads)
        return

    def furl():
        start = time.perf_counter()
        subprocess.run(
            [options.furl, "eval", options.artifact, "--suite", options.card, "--limit", str(options.limit),
             "--threads", str(options.threads), "--json"], check=True, capture_output=True)
        return time.perf_counter() - start

    times = [furl()]
    best = None
    for batch in options.batches:
        command = [
            options.python, __file__, options.furl, options.artifact, options.checkpoint, "--card", options.card,
            "--problems", options.problems, "--limit", str(options.limit), "--threads", str(options.threads),
            "--generate", str(batch)]
        result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"transformers FP32, batch {batch:2}: {result['seconds']:.1f} s, {result['tokens']} tokens", flush=True)
        best = min(best or result["seconds"], result["seconds"])
        times.append(furl())
    times.sort()
    median = times[len(times) // 2]
    print(f"furl {options.artifact}: {median:.1f} s ({times[0]:.1f} to {times[-1]:.1f}); {best / median:.2f} times as fast")


if __name__ == "__main__":
    main()
