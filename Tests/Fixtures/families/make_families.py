#!/usr/bin/env python3
"""Writes tiny checkpoints with what Hugging Face transformers (5.23 was used) computes from them: one folder for each,
with config.json, model.safetensors and expected.json (`input_ids`, and `logits` of every position, flat).

Together they have what the families' usual checkpoints leave out: windows that end inside of the text on some or all
blocks, scaled frequencies, biases in unusual places, heads that do not add up to the hidden size, other activations.
"""

import json
import pathlib
import tempfile

import torch
from transformers import (
    AutoModelForCausalLM, GPT2Config, LlamaConfig, MistralConfig, PhiConfig, Qwen2Config, Starcoder2Config)

LENGTH = 40
here = pathlib.Path(__file__).parent
sizes = {
    "vocab_size": 32, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 3,
    "max_position_embeddings": 64, "bos_token_id": None, "eos_token_id": None,
}
llama3 = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 24,
}
configurations = {
    "gpt2-relu": GPT2Config(
        vocab_size=32, n_embd=24, n_head=3, n_layer=2, n_positions=64, n_inner=50, activation_function="relu",
        bos_token_id=None, eos_token_id=None),
    "llama-scaled": LlamaConfig(
        **sizes, num_key_value_heads=1, head_dim=16, attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
        rope_parameters=llama3),
    "llama-linear": LlamaConfig(
        **sizes, num_key_value_heads=3, hidden_act="gelu",
        rope_parameters={"rope_type": "linear", "rope_theta": 1000.0, "factor": 4.0}),
    "mistral-window": MistralConfig(**sizes, num_key_value_heads=1, head_dim=8, sliding_window=7),
    "phi-quarter": PhiConfig(
        **(sizes | {"num_attention_heads": 2, "hidden_size": 32}), num_key_value_heads=1, hidden_act="quick_gelu",
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}),
    "qwen2-some-windows": Qwen2Config(
        **sizes, num_key_value_heads=3, use_sliding_window=True, sliding_window=5, max_window_layers=1),
    "starcoder2-plain": Starcoder2Config(
        **sizes, num_key_value_heads=3, use_bias=False, hidden_act="gelu", sliding_window=None),
}

for seed, (name, config) in enumerate(configurations.items()):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter, values in model.named_parameters():
            center = 1.0 if parameter.endswith("weight") and values.dim() == 1 else 0.0
            values.copy_(center + 0.3 * torch.randn(values.shape))
        ids = torch.randint(0, 32, (LENGTH,))
        logits = model(ids[None]).logits[0]
    folder = here / name
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        model.save_pretrained(temporary)
        for file in ("config.json", "model.safetensors"):
            (folder / file).write_bytes((pathlib.Path(temporary) / file).read_bytes())
    document = {"input_ids": ids.tolist(), "logits": [round(x, 5) for x in logits.flatten().tolist()]}
    (folder / "expected.json").write_text(json.dumps(document) + "\n")
    print(name, logits.std().item(), logits.abs().max().item())
