#!/usr/bin/env python3
"""Writes some blocks of gpt-oss-20b's shape as a checkpoint with seeded random weights, as the model is published: experts in
MXFP4 (OCP Microscaling Formats 1.0; all 4-bit codes and two exponents, equally likely), everything else in BF16, sinks and
windows included. With --measure, compresses it with experts kept in MXFP4 and with 4-bit blocks, exports the same bytes as
GGUF, and measures Furl and llama.cpp on them in turns. numpy alone is needed.

    gpt_oss_slice.py FOLDER [--blocks 2] [--config .../Configurations/gpt-oss-20b.json]
    gpt_oss_slice.py FOLDER --measure --furl .build/release/furl --llama FOLDER_OF_LLAMA_BENCH [--rounds 3]
"""

import argparse
import json
import os
import pathlib
import struct
import subprocess
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = HERE.parents[1] / "Sources/FurlCheckpoint/Synthesis/Configurations/gpt-oss-20b.json"


def bf16(rng, shape, width, middle=0.0):
    """Even draws around a middle, as the upper halves of FP32 numbers."""
    numbers = (middle + width * (2 * rng.random(shape, dtype=np.float32) - 1)).astype(np.float32)
    return (numbers.view(np.uint32) >> 16).astype(np.uint16)


def tensors(config, blocks):
    """(name, type, shape, maker of its numbers) in the order of the file."""
    hidden, head, size = config["hidden_size"], config["head_dim"], config["intermediate_size"]
    heads, kv, experts = (config[k] for k in ("num_attention_heads", "num_key_value_heads", "num_local_experts"))
    wide = (3 / hidden) ** 0.5

    def plain(name, shape, width, middle=0.0):
        return name, "BF16", shape, lambda rng: bf16(rng, shape, width, middle)

    def codes(name, rows, columns):
        shape = (experts, rows, columns // 32, 16)
        yield name + "_blocks", "U8", shape, lambda rng: rng.integers(0, 256, shape, dtype=np.uint8)
        yield name + "_scales", "U8", shape[:3], lambda rng: rng.integers(119, 121, shape[:3], dtype=np.uint8)
        yield plain(name + "_bias", (experts, rows), 0.02)

    yield plain("model.embed_tokens.weight", (config["vocab_size"], hidden), 1.0)
    for block in range(blocks):
        prefix = f"model.layers.{block}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield plain(prefix + name + ".weight", (hidden,), 0.3, 1.0)
        for name, rows, columns in (("q", heads * head, hidden), ("k", kv * head, hidden), ("v", kv * head, hidden),
                                    ("o", hidden, heads * head)):
            yield plain(f"{prefix}self_attn.{name}_proj.weight", (rows, columns), wide)
            yield plain(f"{prefix}self_attn.{name}_proj.bias", (rows,), 0.02)
        yield plain(prefix + "self_attn.sinks", (heads,), 1.0)
        yield plain(prefix + "mlp.router.weight", (experts, hidden), wide)
        yield plain(prefix + "mlp.router.bias", (experts,), 0.02)
        yield from codes(prefix + "mlp.experts.gate_up_proj", 2 * size, hidden)
        yield from codes(prefix + "mlp.experts.down_proj", hidden, size)
    yield plain("model.norm.weight", (hidden,), 0.3, 1.0)
    yield plain("lm_head.weight", (config["vocab_size"], hidden), wide)


def tokenizer():
    """All bytes, as GPT-2 writes them, two special tokens, and one merge, for llama.cpp takes no tokenizer without."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [byte for byte in range(256) if byte not in plain]
    letters = [chr(byte) for byte in plain] + [chr(256 + index) for index in range(len(other))]
    special = ["<|startoftext|>", "<|return|>"]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [{"id": 256 + i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for i, t in enumerate(special)],
        "pre_tokenizer": level, "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "vocab": {t: i for i, t in enumerate(letters + special + ["er"])}, "merges": ["e r"]}}


def write(folder, config, blocks):
    config = json.loads(config.read_text())
    config["num_hidden_layers"] = blocks
    config["layer_types"] = config["layer_types"][:blocks]
    config["eos_token_id"], config["pad_token_id"] = 257, 256
    config["quantization_config"] = {
        "quant_method": "mxfp4", "modules_to_not_convert": [
            "model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()) + "\n")
    all = list(tensors(config, blocks))
    header, offset = {}, 0
    for name, kind, shape, _ in all:
        size = int(np.prod(shape)) * (2 if kind == "BF16" else 1)
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(20)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, _, _, make in all:
            make(rng).tofile(file)
    print(f"{folder}: {offset / 1e9:.2f} GB")


RECIPES = {
    # What is in MXFP4 stays so, bit for bit; what is in BF16 becomes 8 bits.
    "mxfp4": "steps:\n  - quantize:\n      weights: int8\n      embeddings: int8\n      overrides:\n"
             + "".join(f"        - match: mlp.{role}\n          weights: mxfp4\n" for role in ("gate", "up", "down"))
             + "storage: mapped\n",
    "int4": "steps:\n  - quantize: {weights: int4, block: 32, embeddings: int4}\nstorage: mapped\n",
}


def run(command):
    """Seconds, peak resident bytes and output of a command."""
    start = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {status}: {text[-400:]}")
    return time.monotonic() - start, usage.ru_maxrss * 1024, text


def measure(folder, furl, llama, rounds, threads):
    source = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    files = {}
    for name, body in RECIPES.items():
        recipe, artifact, gguf = (folder.parent / (f"{folder.name}-{name}" + end) for end in (".yaml", ".furl", ".gguf"))
        recipe.write_text(f"furl: 1\nrecipe: slice-{name}\ndescription: A slice of gpt-oss.\n" + body)
        keep = ["--keep-codes"] if name == "mxfp4" else []
        seconds, peak, _ = run([furl, "compress", folder, *keep, "--recipe", recipe, "--output", artifact, "--json"])
        print(f"{name}: compressed in {seconds:.1f} s, {source / seconds / 1e9:.2f} GB/s of source, peak {peak / 1e6:.0f} MB, "
              f"{artifact.stat().st_size / 1e9:.2f} GB", flush=True)
        run([furl, "export", artifact, "--format", "gguf", "--output", gguf])
        print(f"{name}: {gguf.stat().st_size / 1e9:.2f} GB as GGUF", flush=True)
        files[name] = (artifact, gguf)
    for count in threads:
        for name, (artifact, gguf) in files.items():
            rates = {"furl": [], "llama": []}
            for _ in range(rounds):
                text = run([furl, "bench", artifact, "--threads", count, "--rounds", 1, "--repeats", 1, "--idle", 0,
                            "--prompt-tokens", 512, "--decode-tokens", 32, "--json"])[2]
                row = json.loads(text)["results"][0]
                rates["furl"].append((row["prefill_tokens_per_second"], row["decode_tokens_per_second"]))
                text = run([llama / "llama-bench", "-m", gguf, "-t", count, "-p", 512, "-n", 32, "-r", 1, "-o", "json"])[2]
                rows = {row["n_prompt"] > 0: row["avg_ts"] for row in json.loads(text)}
                rates["llama"].append((rows[True], rows[False]))
            print(f"{name}, {count} threads: prefill and decode, tokens/s: {rates}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--config", type=pathlib.Path, default=CONFIG)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--furl", type=pathlib.Path)
    parser.add_argument("--llama", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    options = parser.parse_args()
    if options.measure:
        measure(options.folder, options.furl, options.llama, options.rounds, options.threads)
    else:
        write(options.folder, options.config, options.blocks)


if __name__ == "__main__":
    main()
