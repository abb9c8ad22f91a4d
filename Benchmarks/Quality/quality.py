#!/usr/bin/env python3
"""What compressed weights cost in quality at a size: Furl beside llama.cpp and bitsandbytes, from the same weights.

    python3 Benchmarks/Quality/quality.py --furl .build/release/furl --folder /path/with/room \
        --checkpoint checkpoints/minipy --card checkpoints/minipy/validation.yaml \
        --calibration checkpoints/minipy/calibration.txt \
        [--llama FOLDER/llama.cpp/bin] [--python PYTHON_WITH_BITSANDBYTES] [--only REGEX] [--json out.json] [--svg out.svg]

Every row is a file that is scored by `furl eval --baseline CHECKPOINT` on the same text: mean KL divergence from the FP32
model, share of positions with the same likeliest token, perplexity. Furl's artifacts run as they always do, with 8-bit
activations. What the others made is read back as a checkpoint, so its weights are exactly theirs and activations FP32,
which is kinder to them than their own runtimes. Files that are there already are used again.

A peer that is not installed is left out, with a sentence. See README.md beside this file.
"""
import argparse
import json
import os
import re
import subprocess
import sys

import bits_and_bytes
import drawing

LLAMA = ["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS", "Q4_0", "Q3_K_M"]
BITS_AND_BYTES = ["nf4", "int8"]


def step(*lines, calibrated=True):
    """A recipe of one quantize step."""
    text = "steps:\n  - quantize:\n" + "".join(f"      {line}\n" for line in lines)
    return text + ("calibration:\n  text: {calibration}\n  samples: {samples}\n  length: 256\n" if calibrated else "")


def coded(bits, embedding_bits):
    return step("goal: disk", f"bits: {bits}", f"embedding_bits: {embedding_bits}", "method: gptq")


def budget(goal, value, *lines):
    return step(*lines) + f"budget: {{{{{goal}: {value}}}}}\n"


ROW_EMBEDDINGS = ["overrides:", "  - {{match: embedding, weights: int8, block: row}}"]
FURL = {
    "int8 row": step("weights: int8", "block: row", calibrated=False),
    "int8 b32": step("weights: int8", "block: 32", calibrated=False),
    "int4 b32 nearest": step("weights: int4", "block: 32", "embeddings: int8", calibrated=False),
    "int4 b32 search": step("weights: int4", "block: 32", "search: true", "embeddings: int8"),
    "int4 b32 awq": step("weights: int4", "block: 32", "method: awq", "embeddings: int8"),
    "int4 b32 gptq": step("weights: int4", "block: 32", "method: gptq", "embeddings: int8"),
    "int4 b64 gptq": step("weights: int4", "block: 64", "method: gptq", "embeddings: int8", *ROW_EMBEDDINGS),
    "int4 b32 minimum gptq": step("weights: int4", "zero: minimum", "block: 32", "method: gptq", "embeddings: int8"),
    "disk nearest 4/5": step("goal: disk", "bits: 4", "embedding_bits: 5", calibrated=False),
    **{f"disk gptq {bits}/{outside}": coded(bits, outside)
       for bits, outside in [(2.5, 3.5), (3, 4), (3.5, 4.5), (4, 5), (5, 6), (6, 7)]},
}
CODED = ["goal: disk", "method: gptq"]
FIXED = ["weights: int4", "block: 64", "method: gptq", "choices:", "  - {{weights: int4, block: 32}}",
         "  - {{weights: int8, block: row}}"]


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.rows = []
        os.makedirs(arguments.folder, exist_ok=True)

    def path(self, name):
        return os.path.join(self.arguments.folder, name)

    def furl(self, *command):
        output = subprocess.run([self.arguments.furl, *command, "--json"], stdout=subprocess.PIPE, check=True)
        return json.loads(output.stdout)

    def add(self, tool, scheme, path, **sizes):
        """Scores a file or a folder; sizes may come from elsewhere."""
        figures = self.furl("eval", path, "--suite", self.arguments.card, "--baseline", self.arguments.checkpoint)
        row = {"tool": tool, "scheme": scheme, "file_bytes": sizes.get("file_bytes") or os.path.getsize(path),
               "weight_bytes": sizes["weight_bytes"], "kl_divergence": figures["kl_divergence"],
               "same_top": (figures.get("comparison") or {}).get("same_top"), "perplexity": figures["perplexity"], "tokens": figures["tokens"]}
        self.rows.append(row)
        print(drawing.line(row), file=sys.stderr, flush=True)
        return row

    def wants(self, tool, scheme):
        return re.search(self.arguments.only, f"{tool} {scheme}") is not None

    def compress(self, name, text):
        """An artifact of a recipe; nil when this version of Furl refuses the recipe."""
        name = re.sub(r"[^a-zA-Z0-9.]+", "-", name)
        recipe, output = self.path(name + ".yaml"), self.path(name + ".furl")
        text = text.format(calibration=os.path.abspath(self.arguments.calibration), samples=self.arguments.samples)
        text = f"furl: 1\nrecipe: {name}\n" + text
        if os.path.exists(output) and os.path.exists(recipe) and open(recipe).read() == text:
            return output
        with open(recipe, "w") as file:
            file.write(text)
        done = subprocess.run([self.arguments.furl, "compress", self.arguments.checkpoint, "--recipe", recipe, "--output",
                               output], stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            print(f"note: without {name}, which this furl refuses", file=sys.stderr)
        return output if done.returncode == 0 else None

    def run_furl(self, recipes):
        for scheme, text in recipes.items():
            if not self.wants("furl", scheme):
                continue
            output = self.compress(scheme, text)
            if output:
                self.add("furl", scheme, output, weight_bytes=self.furl("inspect", output)["weight_bytes"])

    # llama.cpp

    def run_llama(self):
        """Its types with an importance matrix of the same text."""
        if not any(self.wants("llama.cpp", scheme) for scheme in LLAMA):
            return
        binaries = self.arguments.llama
        if not binaries or not os.path.exists(os.path.join(binaries, "llama-quantize")):
            print("note: without llama.cpp (--llama FOLDER/llama.cpp/bin)", file=sys.stderr)
            return
        plain, matrix = self.path("f32.gguf"), self.path("imatrix.gguf")
        if not os.path.exists(plain):
            self.furl("export", self.arguments.checkpoint, "--format", "gguf", "--dtype", "f32", "--output", plain)
        if not os.path.exists(matrix):
            self.quietly([os.path.join(binaries, "llama-imatrix"), "-m", plain, "-f", self.arguments.calibration, "-o", matrix,
                          "-c", "512", "--chunks", str(max(1, self.arguments.samples // 2)), "-t", "2"])
        for scheme in LLAMA:
            if not self.wants("llama.cpp", scheme):
                continue
            path = self.path(scheme + ".gguf")
            if not os.path.exists(path):
                self.quietly([os.path.join(binaries, "llama-quantize"), "--imatrix", matrix, plain, path, scheme, "2"])
            weights = self.furl("inspect", path, "--tensors")["tensors"]
            self.add("llama.cpp", scheme, path, weight_bytes=sum(tensor["disk_bytes"] for tensor in weights))

    def quietly(self, command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit(f"{command[0]} failed:\n{done.stdout[-2000:]}")

    # bitsandbytes

    def run_bits_and_bytes(self):
        schemes = [scheme for scheme in BITS_AND_BYTES if self.wants("bitsandbytes", scheme)]
        if not schemes:
            return
        source = self.path("f32")
        if not os.path.exists(source):
            self.furl("export", self.arguments.checkpoint, "--format", "safetensors", "--output", source)
        for scheme in schemes:
            target = self.path("bitsandbytes-" + scheme)
            if not os.path.exists(os.path.join(target, "sizes.json")):
                done = subprocess.run([self.arguments.python, bits_and_bytes.__file__, source, target, scheme])
                if done.returncode != 0:
                    print("note: without bitsandbytes (--python with torch, safetensors and bitsandbytes)", file=sys.stderr)
                    return
            with open(os.path.join(target, "sizes.json")) as file:
                self.add("bitsandbytes", scheme, target, **json.load(file))

    def find(self, tool, scheme):
        return next((row for row in self.rows if (row["tool"], row["scheme"]) == (tool, scheme)), None)

    def run_budgets(self):
        """Furl at the bytes that are asked of it: shares of the peers' files, the peers' weights."""
        recipes = {f"budget {bits} bits": budget("bits_per_weight", bits, *CODED) for bits in (3, 3.5, 4, 5)}
        for scheme, share in [("Q4_K_M", 0.55), ("Q4_K_M", 0.75), ("Q6_K", 0.8)]:
            if row := self.find("llama.cpp", scheme):
                recipes[f"budget disk {share} {scheme}"] = budget("disk", int(share * row["file_bytes"]), *CODED)
        if row := self.find("llama.cpp", "IQ4_XS"):
            recipes["budget memory IQ4_XS"] = budget("memory", row["weight_bytes"], *FIXED)
        if row := self.find("bitsandbytes", "nf4"):
            recipes["budget memory nf4"] = budget("memory", row["weight_bytes"], *FIXED)
        self.run_furl(recipes)

    def bars(self):
        """What is to hold, and whether it does: (sentence, figure, bound)."""
        bars = []
        artifacts = [row for row in self.rows if row["tool"] == "furl"]

        def least(scheme, key, bound):
            peer = self.find("llama.cpp", scheme)
            fit = [row for row in artifacts if peer and row["kl_divergence"] <= peer["kl_divergence"]]
            if fit:
                best = min(fit, key=lambda row: row[key])
                bars.append((f"file at {scheme}'s KL divergence ({best['scheme']}), of its bytes",
                             best[key] / peer[key], bound))

        def quality(tool, scheme, key, bound):
            peer = self.find(tool, scheme)
            fit = [row for row in artifacts if peer and row[key] <= peer[key]]
            if fit:
                best = min(fit, key=lambda row: row["kl_divergence"])
                bars.append((f"KL divergence within {tool}'s {scheme} {key.replace('_', ' ')} ({best['scheme']}), of its",
                             best["kl_divergence"] / peer["kl_divergence"], bound))

        def against(scheme, other, bound):
            mine, plain = self.find("furl", scheme), self.find("furl", other)
            if mine and plain:
                bars.append((f"KL divergence of {scheme}, of that of {other}",
                             mine["kl_divergence"] / plain["kl_divergence"], bound))

        against("int4 b32 gptq", "int4 b32 nearest", 0.5)
        against("int4 b32 gptq", "int4 b32 search", 0.6)
        least("Q4_K_M", "file_bytes", 0.75)
        least("Q6_K", "file_bytes", 0.8)
        quality("llama.cpp", "IQ4_XS", "weight_bytes", 0.7)
        quality("bitsandbytes", "nf4", "weight_bytes", 0.5)
        return bars


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--furl", required=True)
    parser.add_argument("--folder", required=True, help="for what is made")
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--card", required=True, help="a suite card of kind text")
    parser.add_argument("--calibration", required=True)
    parser.add_argument("--samples", type=int, default=128, help="sequences of 256 tokens to calibrate on")
    parser.add_argument("--llama")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--only", default="", help="rows whose tool and scheme match")
    parser.add_argument("--title", default="")
    parser.add_argument("--json")
    parser.add_argument("--svg")
    bench = Bench(parser.parse_args())
    bench.run_llama()
    bench.run_bits_and_bytes()
    bench.run_furl(FURL)
    bench.run_budgets()
    print(drawing.table(bench.rows))
    bars = bench.bars()
    for sentence, figure, bound in bars:
        print(f"- {sentence}: {figure:.3f} (at most {bound}: {'holds' if figure <= bound else 'DOES NOT HOLD'})")
    if bench.arguments.json:
        with open(bench.arguments.json, "w") as file:
            json.dump({"rows": bench.rows,
                       "bars": [dict(zip(("what", "figure", "bound"), bar)) for bar in bars]}, file, indent=1)
    if bench.arguments.svg:
        with open(bench.arguments.svg, "w") as file:
            file.write(drawing.plot(bench.rows, bench.arguments.title))


if __name__ == "__main__":
    main()
