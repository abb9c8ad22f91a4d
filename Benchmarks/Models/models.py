#!/usr/bin/env python3
"""Furl's speed beside the machine's limits and beside llama.cpp's, OpenVINO's, ONNX Runtime's and PyTorch's: the same
weights, the same threads, in turns.

    python3 Benchmarks/Models/models.py --furl .build/release/furl --folder /path/with/room \
        [--llama ~/llama.cpp/build/bin] [--openvino python] [--isa avx512-vnni] [--shape minipy codegpt ...] \
        [--threads 1 2] [--rounds 5] [--json out.json]

Takes the bundled model and checkpoints of published shapes, which `furl synth` makes, compresses them, exports the same
weights as GGUF, and measures in rounds: every program once, in a process of its own, then all again. Medians and their
ratios are printed as one Markdown table. Peers that are not installed (--llama, --openvino; the packages onnxruntime, onnx
and torch) are left out, with a sentence. OpenVINO's int8 and int4 are NNCF's, of models of Llama's kind. With --busy-limit
(0.1) nothing is reported while other processes take more than that share
of the CPU.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import peers

SHAPES = ["minipy", "codegpt", "smollm2", "starcoder2-3b"]
BUNDLED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../checkpoints/minipy")
PROMPT, CONTEXT, DECODE = 512, 128, 64


def steady():
    allowed = subprocess.run(["chrt", "-f", "5", "true"], capture_output=True).returncode == 0
    return ["chrt", "-f", "5"] if allowed else []


class Table:
    """What was measured: a row for each figure, as JSON and as Markdown."""

    def __init__(self):
        self.rows = []

    def add(self, what, model, weights, threads, furl, peer=None, theirs=None, share=None, **more):
        """Samples of Furl's rate, a peer's of the same, and the share of a limit that was reached."""
        ours, theirs = statistics.median(furl), statistics.median(theirs) if theirs else None
        row = {"what": what, "model": model, "weights": weights, "threads": threads, "furl": ours, "peer": peer,
               "theirs": theirs, "ratio": ours / theirs if theirs else None, "share_of_limit": share,
               "samples": furl, **more}
        self.rows.append(row)
        print(self.line(row), file=sys.stderr, flush=True)

    @staticmethod
    def line(row):
        share = "" if row["share_of_limit"] is None else f"{row['share_of_limit']:.0%}"
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        return (f"| {row['what']} | {row['model']} | {row['weights']} | {row['threads']} | {rate(row['furl'])} | "
                f"{row['peer'] or ''} | {'' if row['theirs'] is None else rate(row['theirs'])} | {ratio} | {share} |")

    def markdown(self):
        return "\n".join([
            "| what | model | weights | threads | Furl | peer | its rate | ratio | share of the limit |",
            "| --- | --- | --- | ---: | ---: | --- | ---: | ---: | ---: |", *map(self.line, self.rows)])


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
        if shape == "minipy":
            return BUNDLED
        path = self.path(shape)
        if not os.path.exists(path):
            self.furl("synth", "--model", shape, "--output", path)
        return path

    def artifact(self, shape, weights):
        path = self.path(f"{shape}-{weights}.furl")
        if not os.path.exists(path):
            recipe = self.path(f"{shape}-{weights}.yaml")
            with open(recipe, "w") as file:
                file.write(RECIPE.format(name=f"{shape}-{weights}", step=STEPS[weights][0]))
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


RECIPE = """furl: 1
recipe: {name}
steps:
  - quantize: {{{step}}}
storage: mapped
"""
# What is quantized how, and the bytes of a number in embeddings, scales included.
STEPS = {
    # Q8_0 and Q4_0 have the same blocks of 32 and FP16 scales; the head is 8 bits wide in both, as llama-quantize's
    # Q4_0 keeps it at more than four.
    "int8": ("weights: int8, block: 32", 1 + 2 / 32),
    "int4": ("weights: int4, zero: symmetric, block: 32, embeddings: int8", 1 + 2 / 32),
    # As `llama-quantize --pure` has it.
    "int4-head": ("weights: int4, zero: symmetric, block: 32, embeddings: int4", 1 / 2 + 2 / 32),
    # As recipes/small4.yaml has it; its KL divergence is below Q4_0's (Benchmarks/NOTES.md). llama.cpp has no such
    # blocks; beside it stand those of int4-head.
    "small4": ("weights: int4, zero: symmetric, block: 64, scales: u8, embeddings: int4", 1 / 2 + 1 / 64),
}
PEER = {"int8": "Q8_0", "int4": "Q4_0", "int4-head": "Q4_0 --pure", "small4": "Q4_0 --pure"}
PEER_WEIGHTS = {"small4": "int4-head"}


def measure_furl(options, path, threads, *words, isa=None):
    text = peers.run([
        *steady(), options.furl, "bench", path, "--json", "--rounds", "1", "--repeats", "2", "--threads", str(threads),
        *words], isa and {"FURL_ISA": isa})
    return json.loads(text)["results"][0]


def measure_speed(options, models, table):
    """Prefill and decode of every shape, weights, number of threads and program; decode beside Furl's own FP32 too."""
    lengths = {"minipy": (256, 64, 64)}
    for shape in options.shape:
        prompt, context, decode = lengths.get(shape, (PROMPT, CONTEXT, DECODE))
        for threads in options.threads:
            jobs = []
            for weights in options.weights:
                jobs += [(weights, "furl"), *((weights, isa) for isa in options.isa)]
                if options.llama and weights in PEER:
                    jobs += [(weights, words) for words in LLAMA]
                if weights in ("int8", "int4") and openvino_reads(options, models.checkpoint(shape)):
                    jobs += [(weights, precision) for precision in OPENVINO]
            samples = {job: [] for job in jobs}
            limits = []
            for _ in range(options.rounds):
                limits.append(read_limit(options, threads))
                for weights, program in jobs:
                    if program in LLAMA:
                        path = models.gguf(shape, PEER_WEIGHTS.get(weights, weights))
                        result = peers.llama_bench(options.llama, path, threads, prompt, context, decode, steady(),
                                                   program.split()[1:])
                    elif program in OPENVINO:
                        result = peers.openvino(
                            options.openvino, weights, models, shape, threads, prompt, context, decode, steady(),
                            OPENVINO[program])
                    else:
                        path = models.checkpoint(shape) if weights == "fp32" else models.artifact(shape, weights)
                        row = measure_furl(
                            options, path, threads, "--prompt-tokens", str(prompt), "--decode-tokens", str(decode),
                            "--decode-context", str(context), isa=None if program == "furl" else program)
                        result = {"prefill": row["prefill_tokens_per_second"], "decode": row["decode_tokens_per_second"],
                                  "weights": row["weight_bytes"], "peak": row["peak_rss_bytes"]}
                    if result:
                        samples[weights, program].append(result)
            limit = statistics.median(limits)
            for weights in options.weights:
                ours = samples[weights, "furl"]
                bytes_read = bytes_per_token(ours[0]["weights"], models.checkpoint(shape), weights)
                share = statistics.median(s["decode"] for s in ours) * bytes_read / limit
                others = [(name_of(weights, program), found) for (other, program), found in samples.items()
                          if other == weights and program != "furl" and found]
                for key, words in (("prefill", f"prefill of {prompt}"), ("decode", f"decode after {context}")):
                    for peer, theirs in others or [(None, None)]:
                        table.add(f"{words}, tokens/s", shape, weights, threads, [s[key] for s in ours], peer,
                                  theirs and [s[key] for s in theirs], share if key == "decode" else None,
                                  read_limit=limit, bytes_per_token=bytes_read,
                                  peak_rss_bytes=max(s["peak"] for s in ours))
                if weights != "fp32" and "fp32" in options.weights:
                    table.add("decode beside FP32, tokens/s", shape, weights, threads, [s["decode"] for s in ours],
                              "Furl FP32", [s["decode"] for s in samples["fp32", "furl"]])


# llama-bench as it is, without flash attention (which is slower here where there is some context), and with weights as they
# lie in the file, without AMX.
LLAMA = ["llama.cpp", "llama.cpp -fa 0", "llama.cpp --repack 0"]
# OpenVINO's choice of a precision to compute in (BF16 where there is AMX), and others.
OPENVINO = {"OpenVINO": [], "OpenVINO, f16": ["INFERENCE_PRECISION_HINT=f16"],
            "OpenVINO, f32": ["INFERENCE_PRECISION_HINT=f32"]}


def openvino_reads(options, checkpoint):
    return options.openvino and json.load(open(f"{checkpoint}/config.json"))["model_type"] == "llama"


def name_of(weights, program):
    if program in LLAMA:
        return program.replace("llama.cpp", f"llama.cpp {PEER[weights]}")
    return program if program in OPENVINO else f"Furl, {program}"


def bytes_per_token(weight_bytes, checkpoint, weights):
    """All weights but an embedding that is only looked up: its share of the parameters, with its own width."""
    config = json.load(open(f"{checkpoint}/config.json"))
    hidden = config.get("hidden_size", config.get("n_embd"))
    looked_up = 0
    if "n_positions" in config:
        looked_up += config["n_positions"] * hidden
    if not config.get("tie_word_embeddings", True):
        looked_up += config["vocab_size"] * hidden
    return weight_bytes - looked_up * (4 if weights == "fp32" else STEPS[weights][1])


def read_limit(options, threads):
    """Bytes a second of plainly reading memory, measured now."""
    return float(peers.run([*steady(), options.read_limit, str(threads)]))


def measure_kernels(options, _, table):
    """Single kernels on matrices that do not fit the cache: one row's share of the read limit, many rows' products."""
    text = peers.run([f"{peers.HERE}/../Kernels/run.sh", "", "", "4096x4096x16x1"])
    for line in text.splitlines()[2:]:
        name, shape, _, _, threads, count, _, _, share, _, products = line.split()
        if int(threads) in options.threads:
            one = count == "1"
            table.add(f"kernel, {count} row{'' if one else 's'}, GMAC/s", shape, name, int(threads), [float(products)],
                      share=float(share) / 100 if one else None)


def measure_batches(options, models, table, shape="codegpt", sequences=164, prompt=150, new=128):
    """Greedy generation of many completions, new tokens a second, reading the prompts included."""
    for threads in options.threads:
        samples = {"one": [], "batched": [], "llama": []}
        for _ in range(options.rounds):
            for name, slots, count in (("one", 1, 12), ("batched", options.slots, sequences)):
                row = measure_furl(
                    options, models.artifact(shape, "int8"), threads, "--prompt-tokens", str(prompt), "--decode-tokens",
                    str(new), "--sequences", str(count), "--slots", str(slots))
                samples[name].append(row["batched_tokens_per_second"])
            if options.llama:
                found = peers.llama_batched(options.llama, models.gguf(shape, "int8"), threads, prompt, new, steady())
                if found:
                    samples["llama"].append(max(found.values()))
        what = f"{sequences} x {prompt} + {new} tokens, {options.slots} at once, new tokens/s"
        table.add(what, shape, "int8", threads, samples["batched"], "Furl, one by one", samples["one"])
        if samples["llama"]:
            table.add(what, shape, "int8", threads, samples["batched"], "llama-batched-bench, its best", samples["llama"])


def measure_completions(options, models, table, shape="codegpt", prompt=1000, new=2):
    """Samples a second as the CodeGPT study counted them: a prompt of about 1,000 tokens and two new ones."""
    for threads in options.threads:
        samples = {"furl": [], "onnx-int8": [], "onnx-fp32": [], "torch": []}
        for _ in range(options.rounds):
            row = measure_furl(
                options, models.artifact(shape, "int8"), threads, "--prompt-tokens", str(prompt), "--decode-tokens",
                str(new), "--sequences", "4", "--slots", "1")
            samples["furl"].append(row["batched_tokens_per_second"] / new)
            for name in ("onnx-int8", "onnx-fp32", "torch"):
                found = peers.completions(options.python, name, models, shape, threads, prompt, new, steady())
                if found:
                    samples[name].append(found)
        names = {"onnx-int8": "ONNX Runtime, dynamic int8", "onnx-fp32": "ONNX Runtime FP32", "torch": "PyTorch FP32"}
        for name in names:
            table.add(f"{prompt} + {new} tokens, completions/s", shape, "int8", threads, samples["furl"],
                      names[name] if samples[name] else None, samples[name])


def rate(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


MEASURES = {"kernels": measure_kernels, "speed": measure_speed, "batches": measure_batches,
            "completions": measure_completions}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--furl", default=".build/release/furl")
    parser.add_argument("--folder", required=True, help="for models; 30 GB for all shapes")
    parser.add_argument("--llama", help="the folder of llama.cpp's programs")
    parser.add_argument("--python", default=sys.executable, help="a Python with onnxruntime, onnx and torch")
    parser.add_argument("--openvino", help="a Python with openvino and optimum-intel")
    parser.add_argument("--isa", nargs="+", default=[], help="other kernels of Furl's to measure beside its choice")
    parser.add_argument("--shape", nargs="+", default=SHAPES, help="of furl synth, or checkpoints in --folder")
    parser.add_argument("--weights", nargs="+", choices=["fp32", *STEPS], default=["fp32", *STEPS])
    parser.add_argument("--measure", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json")
    parser.add_argument("--busy-limit", type=float, default=0.1)
    options = parser.parse_args()
    options.furl = os.path.abspath(options.furl)
    if options.llama and not os.path.exists(f"{options.llama}/llama-bench"):
        print(f"left out: llama.cpp (no {options.llama}/llama-bench; Benchmarks/Models/setup.sh builds it)",
              file=sys.stderr)
        options.llama = None
    models = Models(options)
    options.read_limit = peers.build_read_limit(options.folder)
    table = Table()
    with CPUTime() as cpu:
        for name in options.measure:
            MEASURES[name](options, models, table)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "rounds": options.rounds,
                       "competing_cpu_share": cpu.share, "rows": table.rows}, file, indent=2)
    if cpu.share > options.busy_limit:
        sys.exit(f"other processes took {cpu.share:.0%} of the CPU, more than {options.busy_limit:.0%}: these figures "
                 "mean nothing")
    print(table.markdown())
    print(f"\nMedians of {options.rounds} rounds; other processes took {cpu.share:.0%} of the CPU.")


main()
