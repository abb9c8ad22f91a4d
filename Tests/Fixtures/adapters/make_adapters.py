"""Writes small models, adapters that peft has made for them, and what peft's merge gives.

Usage: python3 make_adapters.py (needs torch, transformers, peft and safetensors; no part of it comes from Furl)

BASE/ is a checkpoint; BASE-KIND/ an adapter of it, as `save_pretrained` writes it, with weights of seeded draws in the place of
the zeros that an adapter begins with; BASE-KIND/merged.safetensors has every tensor of the model after `merge_and_unload` that
is not in the base or has other numbers there, under the model's own names, and of a tied head its own.
"""

import os
import shutil
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
LLAMA = dict(
    vocab_size=20, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
    max_position_embeddings=32)
BASES = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**LLAMA, tie_word_embeddings=False)),
    "tied": lambda: LlamaForCausalLM(LlamaConfig(**LLAMA, tie_word_embeddings=True)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=20, n_positions=16, n_embd=16, n_layer=1, n_head=2)),
}
KINDS = {
    "llama-lora": dict(r=4, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"]),
    "llama-rslora": dict(
        r=4, lora_alpha=6, use_rslora=True, target_modules="all-linear", rank_pattern={"q_proj": 2, "layers.1.mlp.up_proj": 3},
        alpha_pattern={"k_proj": 5}),
    "llama-dora": dict(r=2, lora_alpha=4, use_dora=True, target_modules=["o_proj", "gate_proj", "lm_head"]),
    "llama-saved": dict(r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["lm_head", "embed_tokens", "norm"]),
    "llama-resized": dict(r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["lm_head", "embed_tokens"]),
    "llama-embedding": dict(r=3, lora_alpha=4, target_modules=["embed_tokens", "q_proj"]),
    "tied-head": dict(r=3, lora_alpha=4, target_modules=["lm_head", "q_proj"]),
    "tied-embedding": dict(r=3, lora_alpha=4, target_modules=["embed_tokens", "q_proj"]),
    "tied-saved": dict(r=3, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["embed_tokens"]),
    "tied-resized": dict(r=3, lora_alpha=4, target_modules=["q_proj"]),
    "gpt2-lora": dict(r=3, lora_alpha=5, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True, bias="all"),
    "gpt2-dora": dict(r=3, lora_alpha=5, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True, use_dora=True),
}


def named(model):
    found = {name: value.detach().clone().contiguous() for name, value in model.state_dict().items()}
    # A tied head is said by itself.
    found["lm_head.weight"] = model.get_output_embeddings().weight.detach().clone()
    return found


def base(name):
    torch.manual_seed(len(name))
    model = BASES[name]()
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.3)
    model.tie_weights()
    model.save_pretrained(os.path.join(HERE, name))
    os.remove(os.path.join(HERE, name, "generation_config.json"))


def adapter(kind):
    name = kind.split("-")[0]
    os.chdir(HERE)
    before = named(AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32))
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    if kind.endswith("resized"):
        model.resize_token_embeddings(23, mean_resizing=False)
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **KINDS[kind]))
    for key, value in model.named_parameters():
        if "lora_magnitude" in key:
            value.data *= 1 + 0.2 * torch.rand_like(value)
        elif value.requires_grad:
            value.data = value.data + 0.3 * torch.randn_like(value)
    shutil.rmtree(kind, ignore_errors=True)
    model.save_pretrained(kind)
    if os.path.exists(kind + "/README.md"):
        os.remove(kind + "/README.md")
    merged = named(model.merge_and_unload())
    changed = {
        key: value for key, value in merged.items()
        if key not in before or before[key].shape != value.shape or not torch.equal(before[key], value)}
    save_file(changed, kind + "/merged.safetensors")
    print(kind, sorted(changed), os.listdir(kind))


for name in BASES:
    base(name)
for kind in sys.argv[1:] or KINDS:
    adapter(kind)
