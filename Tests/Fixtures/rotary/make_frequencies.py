#!/usr/bin/env python3
"""Writes frequencies.json: radians per position for rotary positions, by Hugging Face transformers (5.23 was used).

Each case has the keys of Furl's own form (theta, dimensions, scaling) and what transformers computes from the same
figures in a configuration of Llama.
"""

import json
import pathlib

from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding


def frequencies(theta, dimensions, scaling):
    parameters = {"rope_type": "default", "rope_theta": theta}
    if scaling is not None:
        parameters |= {"rope_type": scaling["kind"], "factor": scaling["factor"]}
        if scaling["kind"] == "llama3":
            parameters |= {
                "low_freq_factor": scaling["low_frequency_factor"],
                "high_freq_factor": scaling["high_frequency_factor"],
                "original_max_position_embeddings": scaling["original_context"],
            }
    config = LlamaConfig(
        hidden_size=4 * dimensions, num_attention_heads=4, head_dim=dimensions, max_position_embeddings=131072,
        rope_parameters=parameters)
    embedding = LlamaRotaryEmbedding(config)
    assert embedding.attention_scaling == 1
    return embedding.inv_freq.tolist()


def llama3(factor, low, high, context):
    return {
        "kind": "llama3", "factor": factor, "low_frequency_factor": low, "high_frequency_factor": high,
        "original_context": context,
    }


cases = [
    (10000.0, 64, None),
    (10000.0, 80, None),
    (999999.4420358813, 128, None),
    (10000.0, 2, None),
    (10000.0, 64, {"kind": "linear", "factor": 4.0}),
    (100000.0, 128, {"kind": "linear", "factor": 2.5}),
    (500000.0, 128, llama3(8.0, 1.0, 4.0, 8192)),
    (500000.0, 64, llama3(32.0, 1.0, 4.0, 8192)),
    (10000.0, 32, llama3(2.5, 1.5, 9.0, 256)),
]
document = {
    "cases": [
        {"rotary": {"theta": theta, "dimensions": dimensions} | ({"scaling": scaling} if scaling else {}),
         "frequencies": frequencies(theta, dimensions, scaling)}
        for theta, dimensions, scaling in cases
    ]
}
path = pathlib.Path(__file__).parent / "frequencies.json"
path.write_text(json.dumps(document) + "\n")
