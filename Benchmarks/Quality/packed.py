#!/usr/bin/env python3
"""Four bits by Furl beside those of llm-compressor and AutoRound: KL divergence, as transformers computes it.

    FOLDER/venv/bin/python Benchmarks/Quality/packed.py --furl .build/release/furl --checkpoint checkpoints/NAME \\
        --calibration some-code.txt --text other-code.txt --folder /path/with/room [--block 64] [--rounds 200] [--json out.json]

The checkpoint (a folder or a GGUF file) is exported in FP32 once. From that folder everybody makes 4-bit symmetric codes of the
blocks' linear layers in groups of --block (`row`: one scale for a whole row), embedding and head as they are: Furl by nearest
codes, gptq and two-sided, and with --tune STEPS tuned after it, exported as compressed-tensors; llm-compressor by its GPTQModifier
(scheme W4A16), saved as compressed-tensors; AutoRound with --rounds steps a block. All of them calibrate on the same sequences of
the same text, which Furl's recipe draws and this program draws again. Each folder is loaded by transformers in FP32, and the mean
KL divergence of its predictions from the FP32 folder's is taken over every position (the first --positions) of the held-out text,
cut into pieces of --context tokens. A folder that is there already is measured as it is. Needed: torch, transformers,
llmcompressor; auto-round.
"""
import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import time

RECIPE = """furl: 1
recipe: bench
description: 4-bit groups, for a comparison.
steps:
  - quantize:
      weights: int4
      zero: symmetric
      block: {block}
      method: {method}
      embeddings: fp32
{tune}{calibration}"""

TUNE = """  - tune:
      train:
        text: {calibration}
        steps: {tune}
        batch: {batch}
        length: {length}
        rate: {rate}
"""

CALIBRATION = """calibration:
  text: {text}
  samples: {samples}
  length: {length}
  seed: 0
"""


def furl(options, *words, text=None):
    done = subprocess.run([options.furl, *words], input=text, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"furl {' '.join(words)}\n{done.stderr.strip()}")
    return done.stdout


def tokens(options, path):
    with open(path, encoding="utf-8") as file:
        return json.loads(furl(options, "tokenize", options.float, "--json", text=file.read()))["ids"]


def drawn(some, count):
    """What a recipe with seed 0 draws of `count` sequences: SplitMix64 and a shuffle of the first ones."""
    mask, state, order = 2**64 - 1, 0, list(range(count))
    for index in range(some):
        state = (state + 0x9E3779B97F4A7C15) & mask
        word = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & mask
        place = index + ((word ^ (word >> 31)) * (count - index) >> 64)
        order[index], order[place] = order[place], order[index]
    return sorted(order[:some])


def sequences(options):
    ids, length = tokens(options, options.calibration), options.length
    return [ids[at * length:(at + 1) * length] for at in drawn(options.samples, len(ids) // length)]


def load(folder):
    import torch
    from transformers import AutoModelForCausalLM
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def by_furl(options, method, folder, is_tuned=False):
    calibration = "" if method == "nearest" else CALIBRATION.format(
        text=options.calibration, samples=options.samples, length=options.length)
    recipe, artifact = folder + ".yaml", folder + ".furl"
    with open(recipe, "w", encoding="utf-8") as file:
        tune = TUNE.format(**vars(options)) if is_tuned else ""
        file.write(RECIPE.format(block=options.block, method=method, tune=tune, calibration=calibration))
    furl(options, "compress", options.float, "--recipe", recipe, "--output", artifact)
    furl(options, "export", artifact, "--format", "compressed-tensors", "--output", folder)


def turn(model, kind, other):
    """Puts layers of another kind in the place of those of one kind, with their matrices the other way round: GPT-2 has Conv1D,
    which no quantizer targets, for what Linear does. Returns their names."""
    names = [name for name, module in model.named_modules() if type(module) is kind and name != "lm_head"]
    for name in names:
        old, (parent, _, last) = model.get_submodule(name), name.rpartition(".")
        # Both are made from the lengths of the other's matrix, as it lies.
        new = other(*old.weight.shape)
        new.weight.data, new.bias.data = old.weight.data.T.contiguous(), old.bias.data
        setattr(model.get_submodule(parent), last, new)
    return names


def by_llm_compressor(options, arguments, folder):
    import torch
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.modifiers.gptq import GPTQModifier
    from transformers import PreTrainedTokenizerFast
    from transformers.pytorch_utils import Conv1D

    layout = {"strategy": "channel"} if options.block == "row" else {"strategy": "group", "group_size": int(options.block)}
    weights = QuantizationArgs(num_bits=4, type="int", symmetric=True, **layout, **arguments)
    model, texts = load(options.float), sequences(options)
    changed = turn(model, Conv1D, torch.nn.Linear)
    rows = Dataset.from_dict({"input_ids": texts, "attention_mask": [[1] * len(text) for text in texts]})
    modifier = GPTQModifier(
        config_groups={"group_0": QuantizationScheme(targets=["Linear"], weights=weights)}, ignore=["lm_head"])
    # It wants a tokenizer for what is tokens already.
    reader = PreTrainedTokenizerFast(tokenizer_file=os.path.join(options.float, "tokenizer.json"))
    oneshot(model=model, processor=reader, dataset=rows, recipe=[modifier], max_seq_length=options.length,
            num_calibration_samples=options.samples)
    if changed:
        # compressed-tensors knows no layers that are turned: what the codes stand for is saved, which it leaves as weights.
        check_grid(model, changed, options)
        turn(model, torch.nn.Linear, Conv1D)
        plain = load(options.float)
        wanted = plain.state_dict()
        plain.load_state_dict({name: value for name, value in model.state_dict().items() if name in wanted})
        plain.save_pretrained(folder)
    else:
        model.save_pretrained(folder, save_compressed=True)


def check_grid(model, names, options):
    """That weights are what 16 codes of their group stand for: no more than 16 values in each."""
    for name in names:
        weight = model.get_submodule(name).weight
        size = weight.shape[1] if options.block == "row" else int(options.block)
        for row in weight[:8]:
            for group in row.split(size):
                assert len({round(float(x), 9) for x in group}) <= 16, f"{name} is not quantized"


def by_auto_round(options, folder):
    """Saved as plain numbers: the weights that its codes stand for."""
    import torch
    from auto_round import AutoRound
    from transformers import AutoTokenizer

    rows = [{"input_ids": torch.tensor([text]), "attention_mask": torch.ones(1, len(text), dtype=torch.long)}
            for text in sequences(options)]
    size = -1 if options.block == "row" else int(options.block)
    made = AutoRound(
        load(options.float), AutoTokenizer.from_pretrained(options.float), bits=4, group_size=size, sym=True,
        iters=options.rounds, nsamples=options.samples, seqlen=options.length, dataset=rows, device_map="cpu",
        batch_size=8, amp=False, enable_torch_compile=False)
    made.quantize_and_save(folder + "-saved", format="fake")
    # It puts them into a folder that it names itself.
    os.rename(os.path.join(folder + "-saved", os.listdir(folder + "-saved")[0]), folder)
    os.rmdir(folder + "-saved")


def divergences(options, folders):
    """Of each folder: the mean over all positions, in nats, and the share whose most probable token stays."""
    import torch

    true, others, ids = load(options.float), [load(folder) for folder in folders], tokens(options, options.text)
    sums, same, count = [0.0] * len(others), [0] * len(others), 0
    with torch.inference_mode():
        for at in range(0, min(len(ids), options.positions) - 1, options.context):
            piece = torch.tensor([ids[at:at + options.context]])
            wanted = torch.log_softmax(true(piece).logits[0].double(), -1)
            weights, best = wanted.exp(), wanted.argmax(-1)
            count += piece.shape[1]
            for index, other in enumerate(others):
                given = torch.log_softmax(other(piece).logits[0].double(), -1)
                sums[index] += float((weights * (wanted - given)).sum())
                same[index] += int((best == given.argmax(-1)).sum())
    return [{"kl_divergence": total / count, "same_top": 100 * hits / count, "positions": count}
            for total, hits in zip(sums, same)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("furl", "checkpoint", "calibration", "text", "folder"):
        parser.add_argument("--" + name, required=True)
    for name, default in (("samples", 128), ("length", 256), ("context", 512), ("rounds", 0), ("tune", 0), ("batch", 8),
                          ("positions", 1 << 30)):
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--block", default="64")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--only", action="append", help="one of the rows alone, as it is named in the table")
    parser.add_argument("--json")
    options = parser.parse_args()
    options.calibration = os.path.abspath(options.calibration)
    os.makedirs(options.folder, exist_ok=True)
    options.float = os.path.join(options.folder, "fp32")
    if not os.path.isdir(options.float):
        furl(options, "export", options.checkpoint, "--format", "safetensors", "--output", options.float)
    # Its own settings, which order columns by their inputs; and with the search for scales that it has, too.
    makers = {"llm-compressor GPTQ": lambda folder: by_llm_compressor(options, {}, folder),
              "llm-compressor GPTQ, observer mse": lambda folder: by_llm_compressor(options, {"observer": "mse"}, folder),
              "furl nearest": lambda folder: by_furl(options, "nearest", folder),
              "furl gptq": lambda folder: by_furl(options, "gptq", folder),
              "furl two-sided": lambda folder: by_furl(options, "two-sided", folder)}
    if options.tune:
        makers[f"furl two-sided, tuned {options.tune} steps"] = lambda folder: by_furl(options, "two-sided", folder, True)
    if options.rounds:
        makers[f"auto-round, {options.rounds} steps"] = lambda folder: by_auto_round(options, folder)
    for name in ("torch", "transformers", "llmcompressor", "compressed-tensors", "auto-round"):
        try:
            print(f"{name} {importlib.metadata.version(name)}", file=sys.stderr)
        except importlib.metadata.PackageNotFoundError:
            print(f"{name} is not installed", file=sys.stderr)
    rows = []
    for who, make in makers.items():
        if options.only and who not in options.only:
            continue
        folder = os.path.join(options.folder, f"{who}-{options.block}".replace(", ", "-").replace(" ", "-"))
        start = time.monotonic()
        if not os.path.isdir(folder):
            if os.path.exists(folder + ".furl"):
                os.remove(folder + ".furl")
            make(folder)
        rows.append({"who": who, "block": options.block, "folder": folder, "seconds": time.monotonic() - start})
        print(f"{who}: {rows[-1]['seconds']:.0f} s", file=sys.stderr, flush=True)
    for row, measured in zip(rows, divergences(options, [row["folder"] for row in rows])):
        row.update(measured)
    blocks = "rows" if options.block == "row" else f"groups of {options.block}"
    print(f"| {blocks} | KL divergence | of llm-compressor's | same top |\n|---|---:|---:|---:|")
    for row in rows:
        print(f"| {row['who']} | {row['kl_divergence']:.6f} | {row['kl_divergence'] / rows[0]['kl_divergence']:.3f} | "
              f"{row['same_top']:.2f} % |")
    print(f"\n{rows[0]['positions']} positions")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
