#!/usr/bin/env python3
"""K-quants by Furl beside those of llama-quantize with an importance matrix: KL divergence, as llama.cpp itself measures it.

    python3 Benchmarks/Quality/kquants.py --furl .build/release/furl --llama FOLDER_OF_LLAMA_CPP_BINARIES \
        --checkpoint checkpoints/minipy --calibration checkpoints/minipy/calibration.txt \
        --text checkpoints/minipy/validation.txt --folder /path/with/room [--mix q4_k_m ...] [--context 256] [--json out.json]

Everything is made from one F32 GGUF file that Furl exports. For every mix there are four files of the same bytes of weights:
llama-quantize without and with an importance matrix over the calibration text, and Furl's mix without a calibration and with
errors fed back over the same text, exported with its blocks as they are. `llama-perplexity --kl-divergence` runs all of them
against the F32 file's logits on the held-out text. Seconds are wall-clock and CPU seconds of making the file.
"""
import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time

MIXES = ["q4_k_m", "q4_k_s", "q5_k_m", "q6_k", "q3_k_m", "iq4_xs"]

RECIPE = """furl: 1
recipe: bench
description: A mix of llama.cpp's, for a comparison.
steps:
  - quantize:
      mix: {mix}
{method}{calibration}"""

CALIBRATION = """calibration:
  text: {text}
  samples: {samples}
  length: {length}
  seed: 0
"""


def run(command, **arguments):
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, time.monotonic() - start, cpu


def divergence(text):
    """The mean over all chunks: the last row of the table that llama-perplexity prints as it goes."""
    rows = re.findall(r"^ *\d+ +(?:[-\d.]+ ± +[-\d.]+ +){2}([-\d.]+) ± +[-\d.]+ +[-\d.]+ ± +[-\d.]+ % +([-\d.]+) ±", text, re.M)
    if not rows:
        sys.exit(f"llama-perplexity gives no divergence:\n{text[-2000:]}")
    return {"kl_divergence": float(rows[-1][0]), "same_top": float(rows[-1][1])}


class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = options.folder
        os.makedirs(self.folder, exist_ok=True)
        self.float = os.path.join(self.folder, "f32.gguf")
        self.logits = os.path.join(self.folder, "f32.logits")
        self.matrix = os.path.join(self.folder, "imatrix.gguf")

    def tool(self, name):
        return os.path.join(self.options.imatrix if name == "llama-imatrix" and self.options.imatrix
                            else os.path.join(self.options.llama, name))

    def prepare(self):
        o = self.options
        run([o.furl, "export", o.checkpoint, "--format", "gguf", "--dtype", "f32", "--output", self.float])
        run([self.tool("llama-imatrix"), "-m", self.float, "-f", o.calibration, "-o", self.matrix, "-c",
             str(o.context), "--threads", str(o.threads), "--no-ppl"])
        run([self.tool("llama-perplexity"), "-m", self.float, "-f", o.text, "-c", str(o.context), "--threads",
             str(o.threads), "--kl-divergence-base", self.logits])

    def measure(self, path):
        o = self.options
        text, _, _ = run([self.tool("llama-perplexity"), "-m", path, "-f", o.text, "-c", str(o.context), "--threads",
                          str(o.threads), "--kl-divergence-base", self.logits, "--kl-divergence"])
        return {**divergence(text), "bytes": os.path.getsize(path)}

    def llama(self, mix, has_matrix):
        path = os.path.join(self.folder, f"llama-{mix}{'-imatrix' if has_matrix else ''}.gguf")
        command = [self.tool("llama-quantize")] + (["--imatrix", self.matrix] if has_matrix else [])
        _, seconds, cpu = run(command + [self.float, path, mix.upper(), str(self.options.threads)])
        return {**self.measure(path), "seconds": seconds, "cpu_seconds": cpu}

    def furl(self, mix, has_feedback):
        o, name = self.options, f"furl-{mix}{'-gptq' if has_feedback else ''}"
        recipe, artifact, path = (os.path.join(self.folder, name + end) for end in (".yaml", ".furl", ".gguf"))
        calibration = CALIBRATION.format(text=os.path.abspath(o.calibration), samples=o.samples, length=o.context)
        with open(recipe, "w", encoding="utf-8") as file:
            file.write(RECIPE.format(mix=mix, method="      method: gptq\n" if has_feedback else "",
                                     calibration=calibration if has_feedback else ""))
        for old in (artifact, path):
            if os.path.exists(old):
                os.remove(old)
        _, seconds, cpu = run([o.furl, "compress", o.checkpoint, "--recipe", recipe, "--output", artifact, "--threads",
                               str(o.threads)])
        run([o.furl, "export", artifact, "--format", "gguf", "--output", path])
        return {**self.measure(path), "seconds": seconds, "cpu_seconds": cpu}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("furl", "llama", "checkpoint", "calibration", "text", "folder"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--imatrix", help="llama-imatrix, where it lies elsewhere")
    parser.add_argument("--mix", action="append")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json")
    options = parser.parse_args()
    bench = Bench(options)
    bench.prepare()
    rows = []
    print("| mix | who | bytes | KL divergence | of imatrix | same top | CPU seconds |\n|---|---|---:|---:|---:|---:|---:|")
    for mix in options.mix or MIXES:
        made = {"llama-quantize": bench.llama(mix, False), "llama-quantize --imatrix": bench.llama(mix, True),
                "furl": bench.furl(mix, False), "furl, errors fed back": bench.furl(mix, True)}
        against = made["llama-quantize --imatrix"]["kl_divergence"]
        for who, row in made.items():
            rows.append({"mix": mix, "who": who, **row})
            print(f"| {mix} | {who} | {row['bytes']} | {row['kl_divergence']:.6f} | {row['kl_divergence'] / against:.2f} | "
                  f"{row['same_top']:.2f} % | {row['cpu_seconds']:.1f} |", flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
