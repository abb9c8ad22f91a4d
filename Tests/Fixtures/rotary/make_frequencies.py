#!/usr/bin/env python3
"""Writes frequencies.json: radians per position for rotary positions, by Hugging Face transformers (5.24 was used).

Each case has the keys of Furl's own form (theta, dimensions, scaling), perhaps a context, and what transformers
computes for so many positions from the same figures in a configuration of Llama or of Phi-3.
"""

import json
import pathlib

import torch
from transformers import LlamaConfig, Phi3Config
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.phi3.modeling_phi3 import Phi3RotaryEmbedding


def frequencies(theta, dimensions, scaling, context):
    parameters = {"rope_type": "default", "rope_theta": theta}
    longest = 131072
    kind = scaling["kind"] if scaling else None
    if kind is not None:
        parameters["rope_type"] = kind
    if kind in ("linear", "llama3", "yarn", "dynamic"):
        parameters["factor"] = scaling["factor"]
    if kind in ("llama3", "yarn", "longrope"):
        parameters["original_max_position_embeddings"] = scaling["original_context"]
    if kind == "llama3":
        parameters |= {
            "low_freq_factor": scaling["low_frequency_factor"], "high_freq_factor": scaling["high_frequency_factor"]}
    if kind == "yarn":
        parameters |= {
            "beta_slow": scaling["slow_turns"], "beta_fast": scaling["fast_turns"], "truncate": scaling["truncates"]}
    if kind == "longrope":
        parameters |= {"short_factor": scaling["short"], "long_factor": scaling["long"]}
    if kind == "dynamic":
        longest = scaling["original_context"]
    sizes = {
        "hidden_size": 4 * dimensions, "num_attention_heads": 4, "max_position_embeddings": longest,
        "rope_parameters": parameters}
    if kind == "longrope":
        config = Phi3Config(**sizes, original_max_position_embeddings=scaling["original_context"])
        embedding = Phi3RotaryEmbedding(config)
    else:
        config = LlamaConfig(**sizes, head_dim=dimensions)
        embedding = LlamaRotaryEmbedding(config)
    if kind in ("dynamic", "longrope"):
        # Frequencies depend on how many positions there are: those of a forward pass over so many.
        embedding(torch.zeros(1, context, dimensions), torch.arange(context)[None])
    elif kind != "yarn":
        assert embedding.attention_scaling == 1
    return embedding.inv_freq.tolist()


def llama3(factor, low, high, context):
    return {
        "kind": "llama3", "factor": factor, "low_frequency_factor": low, "high_frequency_factor": high,
        "original_context": context,
    }


def yarn(factor, slow, fast, context, truncates=True):
    return {
        "kind": "yarn", "factor": factor, "slow_turns": slow, "fast_turns": fast, "original_context": context,
        "truncates": truncates,
    }


def dynamic(factor, context):
    return {"kind": "dynamic", "factor": factor, "original_context": context}


def longrope(dimensions, context):
    short = [1 + 0.03 * (index % 5) for index in range(dimensions // 2)]
    long = [1 + 0.7 * index ** 1.5 for index in range(dimensions // 2)]
    return {"kind": "longrope", "short": short, "long": long, "original_context": context}


cases = [
    (10000.0, 64, None, None),
    (10000.0, 80, None, None),
    (999999.4420358813, 128, None, None),
    (10000.0, 2, None, None),
    (10000.0, 64, {"kind": "linear", "factor": 4.0}, None),
    (100000.0, 128, {"kind": "linear", "factor": 2.5}, None),
    (500000.0, 128, llama3(8.0, 1.0, 4.0, 8192), None),
    (500000.0, 64, llama3(32.0, 1.0, 4.0, 8192), None),
    (10000.0, 32, llama3(2.5, 1.5, 9.0, 256), None),
    # As in gpt-oss, Qwen 2.5 and DeepSeek.
    (150000.0, 64, yarn(32.0, 1.0, 32.0, 4096, truncates=False), None),
    (1000000.0, 128, yarn(4.0, 1.0, 32.0, 32768), None),
    (10000.0, 64, yarn(40.0, 1.0, 32.0, 4096), None),
    # Both ends of the ramp on one frequency, cut off, and the second before the first.
    (10000.0, 32, yarn(4.0, 2.0, 2.0, 256, truncates=False), None),
    (10000.0, 16, yarn(3.0, 0.1, 1.5, 100000), None),
    (10000.0, 64, yarn(8.0, 1.0, 32.0, 4), None),
    (500.0, 6, yarn(2.5, 0.5, 7.0, 64, truncates=False), None),
    (10000.0, 64, dynamic(4.0, 512), 512),
    (10000.0, 64, dynamic(4.0, 512), 513),
    (10000.0, 64, dynamic(4.0, 512), 3000),
    (1000000.0, 8, dynamic(1.0, 64), 100),
    (10000.0, 4, dynamic(2.5, 64), 2000),
    (10000.0, 96, longrope(96, 256), 1),
    (10000.0, 96, longrope(96, 256), 256),
    (10000.0, 96, longrope(96, 256), 257),
    (250000.0, 8, longrope(8, 16), 40),
]
document = {
    "cases": [
        {"rotary": {"theta": theta, "dimensions": dimensions} | ({"scaling": scaling} if scaling else {})}
        | ({"context": context} if context else {})
        | {"frequencies": frequencies(theta, dimensions, scaling, context)}
        for theta, dimensions, scaling, context in cases
    ]
}
path = pathlib.Path(__file__).parent / "frequencies.json"
path.write_text(json.dumps(document) + "\n")
