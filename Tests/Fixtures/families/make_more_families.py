#!/usr/bin/env python3
"""As make_families.py, for families with latent attention, gates on heads' outputs, slopes and sinusoids: written with
Hugging Face transformers 5.24.0. Texts whose logits jump when embeddings move by 1e-5 of themselves are drawn anew: no
choice of experts is a near tie.

`deepseek-v3` holds a layer behind its last one, as published files do. Names behind the family say what is unusual.
"""

import json
import pathlib
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

LENGTH = 24
here = pathlib.Path(__file__).parent
sizes = {
    "vocab_size": 32, "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 3,
    "num_key_value_heads": 3, "max_position_embeddings": 64, "bos_token_id": None, "eos_token_id": None,
    "tie_word_embeddings": False,
}
latent = sizes | {
    "kv_lora_rank": 10, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 5, "moe_intermediate_size": 8,
    "n_routed_experts": 4, "num_experts_per_tok": 2,
}


def yarn(scale, all_dim):
    return {
        "rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "beta_fast": 4.0, "beta_slow": 1.0, "mscale": scale,
        "mscale_all_dim": all_dim, "original_max_position_embeddings": 12}


laguna = sizes | {
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "moe_intermediate_size": 8,
    "shared_expert_intermediate_size": 5, "num_experts": 4, "num_experts_per_tok": 2, "sliding_window": 6,
    "layer_types": ["full_attention", "sliding_attention"], "mlp_layer_types": ["dense", "sparse"],
}
configurations = {
    "deepseek-v2-plain-queries": ("deepseek_v2", latent | {
        "q_lora_rank": None, "n_shared_experts": 2, "first_k_dense_replace": 1, "topk_method": "greedy",
        "routed_scaling_factor": 1.5}),
    "deepseek-v2-groups": ("deepseek_v2", latent | {
        "q_lora_rank": 7, "v_head_dim": 13, "n_shared_experts": 1, "n_routed_experts": 6, "n_group": 3, "topk_group": 2,
        "topk_method": "group_limited_greedy", "attention_bias": True, "mlp_bias": True, "first_k_dense_replace": 1,
        "rope_parameters": yarn(0.5, 1.2)}),
    "deepseek-v3": ("deepseek_v3", latent | {
        "q_lora_rank": 9, "v_head_dim": 10, "n_routed_experts": 6, "n_group": 3, "topk_group": 2, "n_shared_experts": 1,
        "routed_scaling_factor": 2.5, "first_k_dense_replace": 1, "rope_parameters": yarn(1.0, 1.0)}),
    "glm4-moe-lite": ("glm4_moe_lite", latent | {
        "q_lora_rank": 8, "v_head_dim": 8, "n_shared_experts": 1, "routed_scaling_factor": 1.8, "norm_topk_prob": True,
        "mlp_layer_types": ["dense", "sparse"], "rms_norm_eps": 1e-3}),
    "laguna": ("laguna", laguna | {"num_attention_heads_per_layer": [4, 2], "moe_routed_scaling_factor": 1.7}),
    "laguna-elements": ("laguna", laguna | {
        "gating": "per-element", "moe_router_logit_softcapping": 1.5, "attention_bias": True}),
    "mpt-three-heads": ("mpt", {
        "vocab_size": 32, "d_model": 24, "n_heads": 3, "n_layers": 2, "expansion_ratio": 2, "max_seq_len": 64}),
    "mpt-scaled": ("mpt", {
        "vocab_size": 32, "d_model": 24, "n_heads": 4, "n_layers": 2, "expansion_ratio": 4, "max_seq_len": 64,
        "attn_config": {"alibi": True, "alibi_bias_max": 4, "softmax_scale": 0.3}}),
    "xglm": ("xglm", {
        "vocab_size": 32, "d_model": 24, "ffn_dim": 40, "num_layers": 2, "attention_heads": 3,
        "max_position_embeddings": 64, "pad_token_id": 1}),
    "xglm-odd": ("xglm", {
        "vocab_size": 32, "d_model": 18, "ffn_dim": 40, "num_layers": 1, "attention_heads": 3,
        "max_position_embeddings": 64, "pad_token_id": 1, "scale_embedding": False}),
    "gemma4-shared": ("gemma4_text", {
        "vocab_size": 32, "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 6, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "global_head_dim": 16, "sliding_window": 6,
        "layer_types": ["sliding_attention", "full_attention"] * 3, "num_kv_shared_layers": 2,
        "use_double_wide_mlp": True, "hidden_size_per_layer_input": 6, "vocab_size_per_layer_input": 32,
        "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
        "final_logit_softcapping": 8.0}),
    "gemma4-keys-alone": ("gemma4_text", {
        "vocab_size": 32, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 4, "head_dim": 6, "global_head_dim": 12, "num_global_key_value_heads": 1,
        "sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"] * 2, "attention_k_eq_v": True,
        "hidden_size_per_layer_input": 0, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1,
        "eos_token_id": 2}),
    "gemma4-experts": ("gemma4_text", {
        "vocab_size": 32, "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 6, "global_head_dim": 12, "num_global_key_value_heads": 1,
        "sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"] * 2, "attention_k_eq_v": True,
        "enable_moe_block": True, "num_experts": 6, "top_k_experts": 2, "moe_intermediate_size": 20,
        "hidden_size_per_layer_input": 0, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1,
        "eos_token_id": 2}),
}


def draw(model):
    with torch.no_grad():
        for parameter, values in model.named_parameters():
            center = 1.0 if parameter.endswith(("weight", "scale")) and values.dim() == 1 else 0.0
            values.copy_(center + 0.3 * torch.randn(values.shape))
        for name, values in model.named_buffers():
            if "e_score_correction_bias" in name:
                values.copy_(0.6 * torch.randn(values.shape))
            if name.endswith("layer_scalar"):
                values.copy_(0.6 + 0.8 * torch.rand(values.shape))


def compute(model, ids, noise=0.0):
    weight = model.get_input_embeddings().weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.mul_(1 + noise * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
        logits = model(ids[None], use_cache=False).logits[0].float()
        weight.copy_(kept)
    return logits


def stable(model):
    while True:
        ids = torch.randint(0, 32, (LENGTH,))
        logits = compute(model, ids)
        if (logits - compute(model, ids, 1e-5)).abs().max() < 1e-3:
            return ids, logits


for seed, (name, (kind, values)) in enumerate(configurations.items()):
    if len(sys.argv) > 1 and name not in sys.argv[1:]:
        continue
    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind, **values)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    draw(model)
    folder = here / name
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        temporary = pathlib.Path(temporary)
        model.save_pretrained(temporary)
        # What files give is what is computed with.
        model = AutoModelForCausalLM.from_pretrained(temporary, dtype=torch.float32, attn_implementation="eager").eval()
        tensors = load_file(temporary / "model.safetensors")
        if name == "deepseek-v3":
            last = {key: value for key, value in tensors.items() if key.startswith("model.layers.1.self_attn.")}
            tensors |= {key.replace("layers.1.", "layers.2."): value + 1 for key, value in last.items()}
            tensors["model.layers.2.eh_proj.weight"] = torch.zeros(24, 48)
        if name == "gemma4-shared":  # published files have what nobody reads
            tensors |= {key.replace("layers.2.", "layers.4."): value + 1 for key, value in tensors.items()
                        if "layers.2.self_attn" in key and key.split(".")[-2][:2] in ("k_", "v_")}
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        (folder / "config.json").write_bytes((temporary / "config.json").read_bytes())
    ids, logits = stable(model)
    document = {"input_ids": ids.tolist(), "logits": [round(x, 5) for x in logits.flatten().tolist()]}
    (folder / "expected.json").write_text(json.dumps(document) + "\n")
    print(name, logits.std().item(), logits.abs().max().item())
