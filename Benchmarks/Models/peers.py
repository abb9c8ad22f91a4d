"""The programs that Furl is measured beside, and the memory's read rate."""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def run(command, environment=None):
    """What a command prints; ends this program with what it says when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


# MARK: llama.cpp

def llama_bench(folder, path, threads, prompt, context, decode, steady, settings=()):
    """Tokens a second of reading a prompt, and of decoding after some context."""
    rates = {}
    for name, words in (("prefill", ["-p", str(prompt), "-n", "0"]),
                        ("decode", ["-p", "0", "-n", str(decode), "-d", str(context)])):
        text = run([*steady, f"{folder}/llama-bench", "-m", path, "-t", str(threads), *words, *settings, "-r", "2", "-o", "json"],
                   {"LD_LIBRARY_PATH": folder})
        rates[name] = sorted(json.loads(text)[0]["samples_ts"])[-1]
    return rates


def llama_batched(folder, path, threads, prompt, new, steady, batches=(8, 16, 32, 64)):
    """New tokens a second, reading the prompts included, for each size of a batch, with and without flash attention, what is
    faster; None if the program is not there."""
    program = f"{folder}/llama-batched-bench"
    if not os.path.exists(program):
        return None
    rates = {}
    for batch in batches:
        for flash in ("auto", "off"):
            text = run([*steady, program, "-m", path, "-t", str(threads), "-tb", str(threads), "-c",
                        str(batch * (prompt + new)), "-b", "2048", "-ub", "512", "-npp", str(prompt), "-ntg", str(new),
                        "-npl", str(batch), "-fa", flash, "--output-format", "jsonl"], {"LD_LIBRARY_PATH": folder})
            for line in re.findall(r"^\{.*\}$", text, re.M):
                row = json.loads(line)
                rates[batch] = max(rates.get(batch, 0), batch * new / row["t"])
    return rates


# MARK: ONNX Runtime and PyTorch

def completions(python, program, models, shape, threads, prompt, new, steady):
    """Completions a second of transformers' GPT-2 with the weights of a checkpoint; None where packages are missing."""
    text = subprocess.run(
        [*steady, python, f"{HERE}/completions.py", program, models.checkpoint(shape), models.path(shape), str(threads),
         str(prompt), str(new)], capture_output=True, text=True)
    if text.returncode == 3:
        print(f"left out: {program} ({text.stderr.strip().splitlines()[-1]})", file=sys.stderr)
        return None
    if text.returncode != 0:
        sys.exit(text.stderr[-2000:])
    return float(text.stdout.strip().splitlines()[-1])


# MARK: OpenVINO

def openvino(python, weights, models, shape, threads, prompt, context, decode, steady, settings):
    """Tokens a second of reading a prompt, and of decoding after some context; None where packages are missing."""
    command = [python, f"{HERE}/openvino_speed.py", weights, models.checkpoint(shape), models.path(shape), str(threads),
               str(prompt), str(context), str(decode), *settings]
    if not os.path.exists(models.path(f"{shape}-openvino-{weights}")):
        subprocess.run(command, capture_output=True)  # exports, which takes minutes
    text = subprocess.run([*steady, *command], capture_output=True, text=True)
    if text.returncode == 3:
        print(f"left out: OpenVINO ({text.stderr.strip().splitlines()[-1]})", file=sys.stderr)
        return None
    if text.returncode != 0:
        sys.exit(text.stderr[-2000:])
    return json.loads(text.stdout.strip().splitlines()[-1])


# MARK: Memory

def build_read_limit(folder):
    """A program that prints how many bytes a second some threads read from memory."""
    path = f"{folder}/read-limit"
    subprocess.run([os.environ.get("CC", "clang"), "-O2", "-march=native", f"{HERE}/read_limit.c", "-o", path, "-lpthread"],
                   check=True)
    return path
