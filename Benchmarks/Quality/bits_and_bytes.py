#!/usr/bin/env python3
"""Linear layers through bitsandbytes and back into a checkpoint of FP32 numbers.

    python bits_and_bytes.py CHECKPOINT OUTPUT nf4|int8

nf4: blocks of 64 with double quantisation, as `BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4",
bnb_4bit_use_double_quant=True)`. int8: rows as LLM.int8 stores them; its outlier columns (inputs above 6) are found at run
time and computed from the same 8-bit weights, so the weights are what is stored. Embeddings, norms and biases are not
quantized by bitsandbytes: their bytes are counted as FP16, in which such models are usually loaded.
"""
import json
import os
import shutil
import sys


def main(source, target, scheme):
    import bitsandbytes.functional as functional
    import torch
    from safetensors.torch import load_file, save_file

    os.makedirs(target, exist_ok=True)
    for name in os.listdir(source):
        if not name.endswith(".safetensors"):
            shutil.copy(os.path.join(source, name), target)
    weights, size = load_file(os.path.join(source, "model.safetensors")), 0
    for name, value in weights.items():
        is_embedding = any(word in name for word in ("wte", "wpe", "embed", "lm_head"))
        if value.ndim != 2 or is_embedding:
            size += 2 * value.numel()
            continue
        # GPT-2 keeps its layers as [inputs][outputs]; bitsandbytes takes them the other way round.
        transposed = ".attn.c_" in name or ".mlp.c_" in name
        value = (value.T if transposed else value).contiguous()
        if scheme == "nf4":
            codes, state = functional.quantize_4bit(value, blocksize=64, quant_type="nf4", compress_statistics=True)
            back = functional.dequantize_4bit(codes, state).float()
            outer = state.state2
            size += codes.numel() + state.absmax.numel() + 4 * outer.absmax.numel()
        else:
            scales = value.abs().amax(dim=1, keepdim=True) / 127
            back = torch.round(value / scales).clamp(-127, 127) * scales
            size += value.numel() + 4 * value.shape[0]
        weights[name] = (back.T if transposed else back).contiguous()
    save_file(weights, os.path.join(target, "model.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(target, "sizes.json"), "w") as file:
        json.dump({"file_bytes": size, "weight_bytes": size}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
