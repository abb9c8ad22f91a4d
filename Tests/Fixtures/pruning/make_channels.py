#!/usr/bin/env python3
"""What models compute without some channels of their residual stream: tiny checkpoints of the families, cut with torch
and run by Hugging Face transformers (5.23 was used) in the smaller size with the old size of heads.

GPT-2 has no key for that: its forward pass is written down here, and compared with transformers' at the full width.

    python3 make_channels.py > channels.json
"""

import json
import math
import pathlib

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

folder = pathlib.Path(__file__).parent.parent / "families"
EVERY = 8


def cut(name, values, kept, width, is_turned=False):
    """Every dimension as large as the hidden size is the residual stream's, but for rows of query, key and value."""
    result = values
    if values.dim() == 1:
        is_stream = "norm" in name or any(
            name.endswith(end) for end in ("o_proj.bias", "dense.bias", "down_proj.bias", "c_proj.bias", "fc2.bias"))
        return values[kept] if is_stream else values
    writes = any(
        name.endswith(end)
        for end in ("o_proj.weight", "dense.weight", "down_proj.weight", "c_proj.weight", "fc2.weight"))
    is_turned = is_turned and ("c_" in name)
    stream = (1 if is_turned else 0) if writes else (0 if is_turned else 1)
    assert values.shape[stream] == width, name
    return result.index_select(stream, kept)


def gpt2(tensors, config, ids):
    def norm(x, name):
        mean = x.mean(-1, keepdim=True)
        variance = ((x - mean) ** 2).mean(-1, keepdim=True)
        return (x - mean) / torch.sqrt(variance + config.layer_norm_epsilon) * tensors[name + ".weight"] + tensors[
            name + ".bias"]

    def linear(x, name):
        return x @ tensors[name + ".weight"] + tensors[name + ".bias"]

    size = config.n_embd // config.n_head
    x = tensors["transformer.wte.weight"][ids] + tensors["transformer.wpe.weight"][: len(ids)]
    mask = torch.full((len(ids), len(ids)), -math.inf).triu(1)
    for layer in range(config.n_layer):
        prefix = f"transformer.h.{layer}."
        parts = linear(norm(x, prefix + "ln_1"), prefix + "attn.c_attn").split(config.n_head * size, -1)
        query, key, value = (part.view(len(ids), config.n_head, size).transpose(0, 1) for part in parts)
        attended = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(size) + mask, -1) @ value
        x = x + linear(attended.transpose(0, 1).reshape(len(ids), -1), prefix + "attn.c_proj")
        x = x + linear(torch.relu(linear(norm(x, prefix + "ln_2"), prefix + "mlp.c_fc")), prefix + "mlp.c_proj")
    return norm(x, "transformer.ln_f") @ tensors["transformer.wte.weight"].T


def main():
    result = {}
    names = [
        "gpt2-relu", "llama-linear", "llama-scaled", "mistral-window", "phi-quarter", "qwen2-some-windows",
        "starcoder2-plain"]
    for seed, name in enumerate(names):
        config = AutoConfig.from_pretrained(folder / name)
        ids = torch.tensor(json.loads((folder / name / "expected.json").read_text())["input_ids"])
        tensors = load_file(folder / name / "model.safetensors")
        width = config.hidden_size
        torch.manual_seed(seed)
        kept = torch.randperm(width)[: width - width // 4].sort().values
        if name.startswith("gpt2"):
            whole = AutoModelForCausalLM.from_pretrained(folder / name)
            state = {key: value.detach() for key, value in whole.state_dict().items()}
            assert torch.allclose(whole(ids[None]).logits[0], gpt2(state, config, ids), atol=1e-4)
            small = {
                key: value[kept] if ".ln_" in key else cut(key, value, kept, width, is_turned=True)
                for key, value in state.items() if key != "lm_head.weight"
            }
            logits = gpt2(small, config, ids)
        else:
            heads = config.num_attention_heads
            config.head_dim = getattr(config, "head_dim", None) or width // heads
            config.hidden_size = len(kept)
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
            small = {key: cut(key, value, kept, width) for key, value in tensors.items()}
            missing, unexpected = model.load_state_dict(small, strict=False)
            assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
            model.tie_weights()
            with torch.no_grad():
                logits = model(ids[None]).logits[0]
        result[name] = {
            "kept": kept.tolist(), "input_ids": ids.tolist(), "every": EVERY,
            "logits": [round(number, 5) for number in logits[::EVERY].flatten().tolist()],
        }
    print(json.dumps(result, separators=(",", ":")))


main()
