#!/usr/bin/env python3
"""What a model adds to the resident memory of the runner.

Compares each model with the same program holding a model of no blocks and a tiny vocabulary, which this script
makes, so that code and libraries do not count. Prints a Markdown table; every figure is the median of five loads.

    python3 Benchmarks/Memory/memory.py .build/release/furl checkpoints/minipy a.furl b.furl
"""
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile


def tiny_checkpoint(folder):
    """A GPT-2 of no blocks: an embedding of 8 tokens, positions, the last norm."""
    shapes = {"wte.weight": [8, 32], "wpe.weight": [512, 32], "ln_f.weight": [32], "ln_f.bias": [32]}
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header["transformer." + name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    with open(f"{folder}/model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + bytes(offset))
    config = {"model_type": "gpt2", "vocab_size": 8, "n_positions": 512, "n_embd": 32, "n_layer": 0, "n_head": 1}
    tokenizer = {
        "version": "1.0", "added_tokens": [], "normalizer": None, "post_processor": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": {c: i for i, c in enumerate("abcdefgh")}, "merges": []},
    }
    json.dump(config, open(f"{folder}/config.json", "w"))
    json.dump(tokenizer, open(f"{folder}/tokenizer.json", "w"))


def loaded(furl, path):
    command = [furl, "measure", "--threads", "2", "--prompt-tokens", "1", "--decode-tokens", "1", "--repeats", "1", path]
    samples = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(5)]
    return statistics.median(s["loaded_rss_bytes"] for s in samples), statistics.median(s["peak_rss_bytes"] for s in samples)


def main():
    furl, *paths = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        tiny_checkpoint(folder)
        recipe = f"{folder}/tiny.yaml"
        open(recipe, "w").write("furl: 1\nrecipe: tiny\nsteps:\n  - quantize: {weights: int8, block: 32}\n")
        subprocess.run([furl, "compress", folder, "--recipe", recipe, "--output", f"{folder}/tiny.furl"], check=True, capture_output=True)
        # A checkpoint is compared with a checkpoint, an artifact with an artifact.
        base = {False: loaded(furl, folder), True: loaded(furl, f"{folder}/tiny.furl")}
    rows = [(path, *loaded(furl, path)) for path in paths]
    nets = [after - base[path.endswith(".furl")][0] for path, after, _ in rows]
    print("| model | resident after loading | of that the model | share of the first | peak |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for (path, after, peak), net in zip(rows, nets):
        print(f"| {os.path.basename(path)} | {after / 1e6:.2f} MB | {net / 1e6:.2f} MB | {net / nets[0]:.3f} | {peak / 1e6:.2f} MB |")
    print(f"\nWith the tiny model: {base[False][0] / 1e6:.2f} MB as a checkpoint, {base[True][0] / 1e6:.2f} MB as an artifact.")


main()
