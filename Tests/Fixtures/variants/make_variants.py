#!/usr/bin/env python3
"""Writes variants.json: configurations of the six families, each with one thing changed, and the logits that Hugging
Face transformers (5.24.0 was used) computes from each; with --modern modern.json, the same of the families of today; with
--gemma4 gemma4.json, of one that has switches of its own.

The weights are a formula of a tensor's name and the number's place (`weights` below, and `VariantWeights` in the test),
so that only the names and shapes are stored. A variant that transformers cannot load or run is left out. REFUSED are
those that Furl refuses, with a word that its message has to name; all others have to give the same logits.

    make_variants.py [--modern | --gemma4] [--check]      # --check: print what changes the logits and what does not, write nothing
"""

import json
import pathlib
import sys
import tempfile
import warnings

import numpy
import torch
import transformers
from safetensors.numpy import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity(transformers.logging.CRITICAL)
here = pathlib.Path(__file__).parent
IDS = [3, 17, 42, 5, 60, 33, 8, 21, 50, 11, 2, 39]
MASK = (1 << 64) - 1
REMOVED = "__removed__"


def weights(name, shape):
    """Numbers around 0 (around 1 for the weights of norms and factors), from SplitMix64 on the FNV-1a hash of the name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 & MASK
    count = int(numpy.prod(shape, dtype=numpy.int64))
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(seed) + (numpy.arange(count, dtype=numpy.uint64) + numpy.uint64(1)) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z ^= z >> numpy.uint64(31)
    draws = (z >> numpy.uint64(40)).astype(numpy.float64) / (1 << 23) - 1
    center = 1.0 if len(shape) == 1 and name.endswith(("weight", "scale", "scalar")) else 0.0
    return (center + 0.4 * draws).astype(numpy.float32).reshape(shape)


decoder = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2,
}
BASES = {
    "gpt2": {"model_type": "gpt2", "vocab_size": 64, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64,
             "bos_token_id": 1, "eos_token_id": 2},
    "starcoder2": {"model_type": "starcoder2", **decoder},
    "phi": {"model_type": "phi", **decoder},
    "llama": {"model_type": "llama", **decoder},
    "mistral": {"model_type": "mistral", **decoder},
    "qwen2": {"model_type": "qwen2", **decoder},
}
ROTARY = ["starcoder2", "phi", "llama", "mistral", "qwen2"]
ALL = ["gpt2"] + ROTARY
FULL, SLIDING = "full_attention", "sliding_attention"
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
YARN = {"factor": 4.0, "original_max_position_embeddings": 16}

VARIANTS = []


def add(families, name, head=None, **changes):
    """head: same, other, none or alone, where it is not as transformers would save it."""
    for family in families if isinstance(families, list) else [families]:
        VARIANTS.append({"family": family, "name": f"{family}/{name}", "changes": changes, "head": head})


# ---- every family
add(ALL, "base")
for value in (True, False, None, 0, 1):
    add(ALL, f"is-causal-{json.dumps(value)}", is_causal=value)
add(ALL, "types-full", layer_types=[FULL] * 3)
add(ALL, "types-sliding", layer_types=[SLIDING] * 3)
add(ALL, "types-mixed", layer_types=[SLIDING, FULL, SLIDING], sliding_window=4)
add(ALL, "types-sliding-window-4", layer_types=[SLIDING] * 3, sliding_window=4)
add(ALL, "types-full-window-4", layer_types=[FULL] * 3, sliding_window=4)
add(ALL, "types-null", layer_types=None)
add(ALL, "types-short", layer_types=[FULL] * 2)
add(ALL, "types-chunked", layer_types=["chunked_attention"] * 3, attention_chunk_size=4)
add(ALL, "types-attention", layer_types=["attention"] * 3)
add(ALL, "window-4", sliding_window=4)
add(ALL, "window-1", sliding_window=1)
add(ALL, "window-64", sliding_window=64)
add(ALL, "window-null", sliding_window=None)
add(ALL, "window-used-4", sliding_window=4, use_sliding_window=True, max_window_layers=1)
add(ALL, "window-unused", sliding_window=None, use_sliding_window=False, max_window_layers=0)
add(ALL, "chunk-4", attention_chunk_size=4)
add(ALL, "per-layer", per_layer_config={"1": {"num_attention_heads": 2}})
add(ALL, "per-layer-window", per_layer_config={"1": {"sliding_window": 3}})
add(ALL, "per-layer-empty", per_layer_config={})
add(ALL, "sharing", kv_sharing_modes=["store", "reuse", "store"])
add(ALL, "text-config-null", text_config=None)
add(ALL, "text-config", text_config={"model_type": "llama", "hidden_size": 16})
add(ALL, "encoder-decoder", is_encoder_decoder=True)
add(ALL, "attribute-map", attribute_map={"rms_norm_eps": "initializer_range", "layer_norm_eps": "initializer_range"})
add(ALL, "pruned-heads-empty", pruned_heads={})
add(ALL, "decoder", is_decoder=True)
for value in (None, False, True):
    for head in ("same", "other", "none", "alone"):
        add(ALL, f"tied-{json.dumps(value)}-{head}", head=head,
            tie_word_embeddings=REMOVED if value is None else value)
add(ALL, "dropouts", attention_dropout=0.5, hidden_dropout=0.5, resid_pdrop=0.5, embd_pdrop=0.5, attn_pdrop=0.5,
    residual_dropout=0.5, embedding_dropout=0.5)
add(ALL, "harmless", use_cache=False, initializer_range=0.5, pad_token_id=0, name_or_path="x", architectures=["Any"],
    transformers_version="4.1.0", output_hidden_states=True, chunk_size_feed_forward=2, num_labels=5,
    problem_type="regression", torchscript=False, gradient_checkpointing=True, output_past=True, n_ctx=7,
    task_specific_params={"a": {"b": 1}}, summary_type="last", pretraining_tp=4)
add(ALL, "half", torch_dtype="float16")
add(ALL, "bfloat", dtype="bfloat16")
add(ALL, "eager", attn_implementation="eager")
add(ALL, "sdpa", _attn_implementation="sdpa")
add(ALL, "unknown", furl=1, some={"nested": [1, {"key": None}]}, rotary_dim=4, rotary_pct=0.5, alibi=True,
    parallel_residual=True, multi_query=True, attn_bias=True, do_layer_norm_before=False)
add(ALL, "others-scales", logit_scale=0.5, attention_multiplier=0.5, embedding_multiplier=3.0, residual_multiplier=0.3,
    logits_scaling=8.0, final_logit_softcapping=1.0, attn_logit_softcapping=1.0, query_pre_attn_scalar=3, scale_emb=12)
add(ALL, "others-switches", use_qk_norm=True, qkv_bias=True, no_rope_layers=[0, 1, 0], no_rope_layer_interval=2,
    num_experts=4, num_local_experts=4, clip_qkv=0.1, rope_interleaved=True, use_parallel_residual=True)
add(ALL, "biases-elsewhere", qkv_proj_bias=True, o_bias=False, bias=False)
add(ALL, "one-layer-type-key", mlp_layer_types=["dense"] * 3)

# ---- names of other families for what the own key says
EPSILON = {"gpt2": "layer_norm_epsilon", "starcoder2": "norm_epsilon", "phi": "layer_norm_eps", "llama": "rms_norm_eps",
           "mistral": "rms_norm_eps", "qwen2": "rms_norm_eps"}
for family in ALL:
    own = EPSILON[family]
    add(family, "epsilon", **{own: 0.1})
    add(family, "epsilon-others", **{key: 0.5 for key in [*EPSILON.values(), "norm_eps", "epsilon"] if key != own})
    add(family, "epsilon-zero", **{own: 0.0})
    activation = "activation_function" if family == "gpt2" else "hidden_act"
    other = "hidden_act" if family == "gpt2" else "activation_function"
    for act in ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python", "gelu_accurate", "quick_gelu", "relu",
                "silu", "swish", "tanh", "gelu_10", "leaky_relu", "mish", "relu2", "relu6", "sigmoid", "linear"):
        if family in ("gpt2", "llama") or act in ("gelu", "relu", "silu", "gelu_new", "relu2"):
            add(family, "act-" + act, **{activation: act})
    add(family, "act-other-key", **{other: "relu", "hidden_activation": "relu", "ffn_act": "relu"})

# ---- gpt2
add("gpt2", "inner-40", n_inner=40)
add("gpt2", "inner-null", n_inner=None)
add("gpt2", "intermediate-size-ignored", intermediate_size=40)
add("gpt2", "kv-heads-ignored", num_key_value_heads=2, head_dim=16)
add("gpt2", "unscaled", scale_attn_weights=False)
add("gpt2", "scaled-by-layer", scale_attn_by_inverse_layer_idx=True)
add("gpt2", "scaled-by-layer-eager", scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True,
    attn_implementation="eager")
add("gpt2", "upcast", reorder_and_upcast_attn=True)
add("gpt2", "upcast-eager", reorder_and_upcast_attn=True, attn_implementation="eager")
add("gpt2", "explicit-defaults", scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False,
    reorder_and_upcast_attn=False, add_cross_attention=False, tie_word_embeddings=True, layer_norm_epsilon=1e-5)
add("gpt2", "cross-attention", add_cross_attention=True)
add("gpt2", "aliases", n_embd=REMOVED, n_layer=REMOVED, n_head=REMOVED, n_positions=REMOVED, hidden_size=32,
    num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=64)
add("gpt2", "alias-same", num_hidden_layers=3, num_attention_heads=4)
add("gpt2", "alias-fewer-layers", num_hidden_layers=2)
add("gpt2", "alias-other-heads", num_attention_heads=8)
add("gpt2", "heads-8", n_head=8)
add("gpt2", "heads-1", n_head=1)
add("gpt2", "rope-ignored", rope_theta=5.0, rope_scaling={"type": "linear", "factor": 2.0})

# ---- rotary positions
add(ROTARY, "theta-500", rope_theta=500.0)
add(ROTARY, "theta-int", rope_theta=500)
add(ROTARY, "parameters", rope_parameters={"rope_type": "default", "rope_theta": 500.0})
add(ROTARY, "parameters-and-theta", rope_theta=100.0, rope_parameters={"rope_type": "default", "rope_theta": 500.0})
add(ROTARY, "parameters-theta-outside", rope_theta=100.0, rope_parameters={"rope_type": "default"})
add(ROTARY, "parameters-only-theta", rope_parameters={"rope_theta": 500.0})
add(ROTARY, "scaling-null", rope_theta=500.0, rope_scaling=None)
add(ROTARY, "scaling-empty", rope_theta=500.0, rope_scaling={})
add(ROTARY, "scaling-linear-type", rope_scaling={"type": "linear", "factor": 4.0})
add(ROTARY, "scaling-linear-int", rope_scaling={"rope_type": "linear", "factor": 4})
add(ROTARY, "scaling-linear-both", rope_scaling={"rope_type": "linear", "type": "dynamic", "factor": 4.0})
add(ROTARY, "scaling-default-with-factor", rope_scaling={"rope_type": "default", "factor": 4.0})
add(ROTARY, "scaling-goes-first", rope_theta=50.0, rope_scaling={"rope_type": "linear", "factor": 2.0},
    rope_parameters={"rope_type": "default", "rope_theta": 500.0})
add(ROTARY, "scaling-theta-of-parameters", rope_scaling={"rope_type": "linear", "factor": 2.0},
    rope_parameters={"rope_type": "default", "rope_theta": 500.0})
add(ROTARY, "llama3", rope_theta=500.0, rope_scaling={"rope_type": "llama3", **LLAMA3})
add(ROTARY, "llama3-parameters", rope_parameters={"rope_type": "llama3", "rope_theta": 500.0, **LLAMA3})
add(ROTARY, "llama3-original-outside", rope_theta=500.0, original_max_position_embeddings=8,
    rope_scaling={"rope_type": "llama3", **LLAMA3})
add(ROTARY, "llama3-no-original", rope_theta=500.0, rope_scaling={"rope_type": "llama3", "factor": 8.0,
    "low_freq_factor": 1.0, "high_freq_factor": 4.0})
add(ROTARY, "dynamic", rope_scaling={"rope_type": "dynamic", "factor": 4.0})
add(ROTARY, "yarn", rope_scaling={"rope_type": "yarn", **YARN})
add(ROTARY, "yarn-type", rope_parameters={"type": "yarn", "rope_theta": 500.0, **YARN})
add(ROTARY, "nested", rope_parameters={FULL: {"rope_type": "default", "rope_theta": 500.0}})
add(ROTARY, "nested-typed", layer_types=[FULL] * 3,
    rope_parameters={FULL: {"rope_type": "default", "rope_theta": 500.0}})
add(ROTARY, "partial-half", partial_rotary_factor=0.5)
add(ROTARY, "partial-one", partial_rotary_factor=1.0)
add(ROTARY, "partial-quarter-inside", rope_parameters={"rope_type": "default", "rope_theta": 500.0,
    "partial_rotary_factor": 0.25})
add(ROTARY, "original-outside", original_max_position_embeddings=8)

# ---- sizes
add(ROTARY, "head-dim-16", head_dim=16)
add(ROTARY, "head-dim-8", head_dim=8)
add(ROTARY, "head-dim-null", head_dim=None)
add(ROTARY, "kv-heads-1", num_key_value_heads=1)
add(ROTARY, "kv-heads-4", num_key_value_heads=4)
add(ROTARY, "kv-heads-null", num_key_value_heads=None)
add(ROTARY, "kv-heads-missing", num_key_value_heads=REMOVED)
add(ROTARY, "heads-8-kv-missing", num_attention_heads=8, num_key_value_heads=REMOVED)
add(ROTARY, "positions-missing", max_position_embeddings=REMOVED)
add(ROTARY, "heads-float", num_attention_heads=4.0)
add(ROTARY, "epsilon-int", rms_norm_eps=1, norm_epsilon=1, layer_norm_eps=1)
add(ROTARY, "aliases-of-gpt2", n_embd=16, n_layer=1, n_head=2, n_positions=8)

# ---- biases and norms
add(ROTARY, "attention-bias", attention_bias=True)
add(ROTARY, "mlp-bias", mlp_bias=True)
add(ROTARY, "both-biases", attention_bias=True, mlp_bias=True)
add(ROTARY, "no-bias", use_bias=False)
add(ROTARY, "qk-layernorm", qk_layernorm=True)

# ---- windows of qwen2
for layers in (0, 1, 2, 3, 28):
    add("qwen2", f"window-from-{layers}", use_sliding_window=True, sliding_window=4, max_window_layers=layers)
add("qwen2", "window-types", use_sliding_window=True, sliding_window=4, layer_types=[FULL, SLIDING, FULL])
add("qwen2", "window-types-not-used", use_sliding_window=False, sliding_window=4, layer_types=[FULL, FULL, FULL])
add("qwen2", "window-types-without-window", use_sliding_window=True, sliding_window=None, layer_types=[FULL] * 3)
add("qwen2", "window-used-null", use_sliding_window=True, sliding_window=None, max_window_layers=0)
add(["mistral", "starcoder2"], "window-types-alike", sliding_window=5, layer_types=[SLIDING] * 3)
add(["mistral", "starcoder2"], "types-full-no-window", sliding_window=None, layer_types=[FULL] * 3)
add("mistral", "window-missing", max_position_embeddings=64)


# ---- the families of today: what each of them can switch
MODERN = {
    "gpt_bigcode": {"model_type": "gpt_bigcode", "vocab_size": 64, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64,
                    "n_inner": 48, "bos_token_id": 1, "eos_token_id": 2},
    "gpt_neo": {"model_type": "gpt_neo", "vocab_size": 64, "hidden_size": 32, "num_layers": 4, "num_heads": 4,
                "intermediate_size": 48, "attention_types": [[["global", "local"], 2]], "window_size": 4,
                "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2},
    "gptj": {"model_type": "gptj", "vocab_size": 64, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64,
             "rotary_dim": 4, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2},
    "codegen": {"model_type": "codegen", "vocab_size": 64, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64,
                "rotary_dim": 4, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2},
    "gpt_neox": {"model_type": "gpt_neox", **decoder},
    "gemma": {"model_type": "gemma", **decoder, "head_dim": 8},
    "gemma2": {"model_type": "gemma2", **decoder, "head_dim": 8, "sliding_window": 4},
    "gemma3_text": {"model_type": "gemma3_text", **decoder, "num_hidden_layers": 6, "head_dim": 8, "sliding_window": 4},
    "granite": {"model_type": "granite", **decoder},
    "granitemoe": {"model_type": "granitemoe", **decoder, "num_local_experts": 4, "num_experts_per_tok": 2},
    "granitemoehybrid": {"model_type": "granitemoehybrid", **decoder, "layer_types": [FULL] * 3, "num_local_experts": 4,
                         "num_experts_per_tok": 2, "shared_intermediate_size": 40, "position_embedding_type": "rope"},
    "phi3": {"model_type": "phi3", **decoder, "pad_token_id": 0},
    "qwen3": {"model_type": "qwen3", **decoder, "head_dim": 8},
    "qwen3_moe": {"model_type": "qwen3_moe", **decoder, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2,
                  "moe_intermediate_size": 16},
    "qwen2_moe": {"model_type": "qwen2_moe", **decoder, "num_experts": 4, "num_experts_per_tok": 2,
                  "moe_intermediate_size": 16, "shared_expert_intermediate_size": 24},
    "mixtral": {"model_type": "mixtral", **decoder, "num_local_experts": 4, "num_experts_per_tok": 2},
    "phimoe": {"model_type": "phimoe", **decoder, "num_local_experts": 4, "num_experts_per_tok": 2},
    "gpt_oss": {"model_type": "gpt_oss", **decoder, "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2,
                "sliding_window": 4, "rope_scaling": {"rope_type": "yarn", **YARN, "truncate": False}},
    "olmo2": {"model_type": "olmo2", **decoder, "pad_token_id": 0},
    "olmo3": {"model_type": "olmo3", **decoder, "num_hidden_layers": 4, "sliding_window": 4, "pad_token_id": 0},
    "smollm3": {"model_type": "smollm3", **decoder, "num_hidden_layers": 4, "pad_token_id": 0},
    "stablelm": {"model_type": "stablelm", **decoder},
    "seed_oss": {"model_type": "seed_oss", **decoder, "head_dim": 8},
    "ministral3": {"model_type": "ministral3", **decoder, "head_dim": 8, "rope_parameters": {
        "rope_type": "yarn", "rope_theta": 500.0, **YARN, "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0,
        "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1}},
}
HEADS = [f for f in MODERN if f not in ("gpt_bigcode", "gpt_neo", "gptj", "codegen")]
EXPERTS = [f for f in MODERN if "num_experts_per_tok" in MODERN[f]]


def modern():
    every = list(MODERN)
    add(every, "base")
    add(every, "is-causal-false", is_causal=False)
    add(every, "types-sliding", layer_types=[SLIDING] * 3)
    add(every, "types-mixed", layer_types=[SLIDING, FULL, SLIDING, FULL], num_hidden_layers=4, sliding_window=3)
    add(every, "types-linear", layer_types=["linear_attention"] + [FULL] * 2)
    add(every, "window-3", sliding_window=3)
    add(every, "window-null", sliding_window=None)
    add(every, "window-used", sliding_window=3, use_sliding_window=True, max_window_layers=1)
    add(every, "per-layer", per_layer_config={"1": {"num_attention_heads": 2}})
    add(every, "tied", tie_word_embeddings=True)
    add(every, "untied", tie_word_embeddings=False)
    add(every, "unknown", furl=1, alibi=True, parallel_residual=True, attn_bias=True, scale_emb=12, clip_qkv=0.1)
    add(every, "others-scales", logit_scale=0.5, attention_multiplier=0.5, embedding_multiplier=3.0,
        residual_multiplier=0.3, logits_scaling=8.0, final_logit_softcapping=2.0, attn_logit_softcapping=2.0,
        query_pre_attn_scalar=3)
    add(every, "others-switches", use_qk_norm=True, qkv_bias=False, no_rope_layers=[0, 1, 0], use_parallel_residual=False,
        qk_layernorm=True, multi_query=False, use_bidirectional_attention=False)
    add(every, "both-ways", use_bidirectional_attention=True)
    add(every, "biases", attention_bias=True, mlp_bias=True, attention_out_bias=True, lm_head_bias=True,
        use_qkv_bias=True, add_bias_linear=True)
    add(every, "no-biases", attention_bias=False, mlp_bias=False, lm_head_bias=False, use_qkv_bias=False)
    add(every, "epsilon", rms_norm_eps=0.1, layer_norm_eps=0.1, layer_norm_epsilon=0.1, norm_eps=0.1)
    for act in ("relu", "gelu", "silu", "gelu_pytorch_tanh", "relu2"):
        add(every, "act-" + act, hidden_act=act, activation_function=act, hidden_activation=act)
    add(every, "act-old-key", hidden_act="relu")
    add(HEADS, "theta", rope_theta=77.0, rotary_emb_base=77)
    add(HEADS, "scaling-linear", rope_scaling={"rope_type": "linear", "factor": 4.0})
    add(HEADS, "scaling-dynamic", rope_scaling={"rope_type": "dynamic", "factor": 4.0})
    add(HEADS, "scaling-yarn", rope_scaling={"rope_type": "yarn", **YARN})
    add(HEADS, "scaling-yarn-factors", rope_scaling={"rope_type": "yarn", **YARN, "attention_factor": 1.3, "beta_fast": 16,
        "beta_slow": 2, "truncate": False})
    add(HEADS, "scaling-yarn-mscale", rope_scaling={"rope_type": "yarn", **YARN, "mscale": 0.7, "mscale_all_dim": 0.9})
    add(HEADS, "scaling-llama3", rope_scaling={"rope_type": "llama3", **LLAMA3})
    add(HEADS, "scaling-longrope", original_max_position_embeddings=8, rope_scaling={"rope_type": "longrope",
        "short_factor": [1.0, 1.5, 2.0, 2.5], "long_factor": [2.0, 3.0, 4.0, 5.0]})
    add(HEADS, "scaling-longrope-short", original_max_position_embeddings=32, rope_scaling={"rope_type": "longrope",
        "short_factor": [1.0, 1.5, 2.0, 2.5], "long_factor": [2.0, 3.0, 4.0, 5.0]})
    add(HEADS, "partial-half", partial_rotary_factor=0.5, rotary_pct=0.5)
    add(HEADS, "partial-inside", rope_parameters={"rope_type": "default", "rope_theta": 77.0, "partial_rotary_factor": 0.5})
    add(HEADS, "nested", rope_parameters={FULL: {"rope_type": "default", "rope_theta": 77.0},
        SLIDING: {"rope_type": "default", "rope_theta": 7.0}})
    add(HEADS, "head-dim-16", head_dim=16)
    add(HEADS, "head-dim-missing", head_dim=REMOVED)
    add(HEADS, "kv-heads-1", num_key_value_heads=1)
    add(HEADS, "kv-heads-4", num_key_value_heads=4)
    add(HEADS, "kv-heads-missing", num_key_value_heads=REMOVED, num_attention_heads=8)
    add(HEADS, "positions-missing", max_position_embeddings=REMOVED)
    # ---- experts
    add(EXPERTS, "top-1", num_experts_per_tok=1)
    add(EXPERTS, "top-3", num_experts_per_tok=3)
    add(EXPERTS, "top-missing", num_experts_per_tok=REMOVED)
    add(EXPERTS, "normalized", norm_topk_prob=True)
    add(EXPERTS, "not-normalized", norm_topk_prob=False)
    add(EXPERTS, "sparse-step-2", decoder_sparse_step=2)
    add(EXPERTS, "dense-first", mlp_only_layers=[0])
    add(EXPERTS, "jitter", router_jitter_noise=0.4, input_jitter_noise=0.0)
    add(EXPERTS, "limit", swiglu_limit=1.0, swiglu_alpha=1.0, routed_scaling_factor=2.5)
    add(EXPERTS, "scoring", scoring_func="sigmoid", n_group=2, topk_group=1)
    add("granitemoehybrid", "no-experts", num_local_experts=0)
    add("granitemoehybrid", "no-positions", position_embedding_type=None)
    add("granitemoehybrid", "nope", position_embedding_type="nope")
    add("granitemoehybrid", "mamba", layer_types=["mamba", FULL, FULL])
    add("qwen2_moe", "shared-8", shared_expert_intermediate_size=8)
    # ---- single families
    for family in ("granite", "granitemoe", "granitemoehybrid"):
        add(family, "multipliers", attention_multiplier=0.2, embedding_multiplier=6.0, residual_multiplier=0.4,
            logits_scaling=4.0)
        add(family, "multipliers-untied", attention_multiplier=0.2, embedding_multiplier=6.0, residual_multiplier=0.4,
            logits_scaling=4.0, tie_word_embeddings=False)
        add(family, "multipliers-tied", attention_multiplier=0.2, embedding_multiplier=6.0, residual_multiplier=0.4,
            logits_scaling=4.0, tie_word_embeddings=True)
    for family in ("gemma2", "gemma3_text"):
        add(family, "caps", attn_logit_softcapping=2.0, final_logit_softcapping=3.0)
        add(family, "no-caps", attn_logit_softcapping=None, final_logit_softcapping=None)
        add(family, "scalar", query_pre_attn_scalar=5)
    add("gemma3_text", "pattern-2", sliding_window_pattern=2)
    add("gemma3_text", "pattern-inner", _sliding_window_pattern=3)
    add("gemma3_text", "local-base", rope_local_base_freq=33.0)
    add("gemma3_text", "scaled-full", rope_scaling={"rope_type": "linear", "factor": 8.0}, rope_theta=500.0)
    add("gpt_bigcode", "mha", multi_query=False)
    add("gpt_bigcode", "inner-null", n_inner=None)
    add("gpt_bigcode", "unscaled", scale_attn_weights=False)
    add("gpt_neo", "all-global", attention_types=[[["global"], 4]])
    add("gpt_neo", "mixed", attention_types=[[["global"], 1], [["local", "global"], 1], [["local"], 1]])
    add("gpt_neo", "window-2", window_size=2)
    add(["gptj", "codegen"], "rotary-8", rotary_dim=8)
    add(["gptj", "codegen"], "rotary-null", rotary_dim=None)
    add(["gptj", "codegen"], "rotary-missing", rotary_dim=REMOVED, n_embd=256)
    add(["gptj", "codegen"], "inner", n_inner=40)
    add("gpt_neox", "sequential", use_parallel_residual=False)
    add("gpt_neox", "rotary-all", rotary_pct=1.0)
    add("gpt_neox", "rotary-missing", rotary_pct=REMOVED)
    add("stablelm", "parallel", use_parallel_residual=True)
    add("stablelm", "heads-norm", qk_layernorm=True)
    add("stablelm", "parallel-heads-norm", qk_layernorm=True, use_parallel_residual=True)
    add("smollm3", "no-rope", no_rope_layers=[0, 1, 1, 0])
    add("smollm3", "interval", no_rope_layer_interval=2)
    add("smollm3", "windows", use_sliding_window=True, sliding_window=3, layer_types=[SLIDING, FULL, SLIDING, FULL])
    add("seed_oss", "head-dim", head_dim=16, attention_out_bias=True)
    add("ministral3", "no-growth", rope_parameters={"rope_type": "yarn", "rope_theta": 500.0, **YARN})
    add("ministral3", "growth", max_position_embeddings=32, rope_parameters={"rope_type": "yarn", "rope_theta": 500.0,
        "factor": 8.0, "original_max_position_embeddings": 4, "llama_4_scaling_beta": 0.3})
    add("gpt_oss", "no-scaling", rope_scaling=None)
    add("gpt_oss", "no-bias", attention_bias=False)
    add("phi3", "su", original_max_position_embeddings=8, rope_scaling={"type": "su",
        "short_factor": [1.0, 1.5, 2.0, 2.5], "long_factor": [2.0, 3.0, 4.0, 5.0]})


# ---- a family with more switches than others
SIX = [SLIDING, FULL] * 3
TURNED = {SLIDING: {"rope_type": "default", "rope_theta": 77.0}}
GEMMA4 = {"gemma4_text": {
    "model_type": "gemma4_text", **decoder, "num_hidden_layers": 6, "head_dim": 8, "global_head_dim": 16,
    "sliding_window": 4, "layer_types": SIX, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 64,
    "pad_token_id": 0}}
MOE = {"enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 16}


def gemma4():
    def one(name, **changes):
        add("gemma4_text", name, **changes)

    def full(name, **parameters):
        one("turned-" + name, rope_parameters={**TURNED, FULL: {"rope_theta": 500.0, **parameters}})

    one("base")
    for count in (1, 2, 3, 4, 5, 6):
        one(f"shared-{count}", num_kv_shared_layers=count)
    one("shared-wide", num_kv_shared_layers=3, use_double_wide_mlp=True)
    one("wide-alone", use_double_wide_mlp=True)
    one("shared-window-2", num_kv_shared_layers=3, sliding_window=2)
    one("keys-alone", attention_k_eq_v=True)
    one("keys-alone-one-head", attention_k_eq_v=True, num_global_key_value_heads=1)
    one("keys-alone-four-heads", attention_k_eq_v=True, num_global_key_value_heads=4)
    one("keys-alone-shared", attention_k_eq_v=True, num_global_key_value_heads=1, num_kv_shared_layers=2)
    one("keys-alone-null", attention_k_eq_v=True, num_global_key_value_heads=None)
    one("global-heads-unused", num_global_key_value_heads=1)
    one("biases", attention_bias=True)
    one("biases-keys-alone", attention_bias=True, attention_k_eq_v=True, num_kv_shared_layers=2)
    one("no-input", hidden_size_per_layer_input=0)
    one("no-input-shared", hidden_size_per_layer_input=0, num_kv_shared_layers=3)
    one("input-null", hidden_size_per_layer_input=None)
    one("input-5", hidden_size_per_layer_input=5)
    one("input-more-rows", vocab_size_per_layer_input=80)
    one("input-fewer-rows", vocab_size_per_layer_input=62)
    one("types-missing", layer_types=REMOVED)
    one("types-last", layer_types=[FULL] + [SLIDING] * 5)
    one("types-all-full", layer_types=[FULL] * 6)
    one("types-all-full-shared", layer_types=[FULL] * 6, num_kv_shared_layers=4)
    one("types-linear", layer_types=["linear_attention"] + [FULL] * 5)
    one("types-few", layer_types=[FULL] * 5)
    one("global-32", global_head_dim=32)
    one("global-8", global_head_dim=8)
    one("global-null", global_head_dim=None)
    one("layers", per_layer_config={str(i): {"head_dim": 12} for i in (1, 3, 5)})
    one("layers-heads", per_layer_config={str(i): {"head_dim": 12, "num_key_value_heads": 4} for i in (1, 3, 5)})
    one("layers-sliding", per_layer_config={str(i): {"num_key_value_heads": 1} for i in (0, 2, 4)})
    one("layers-none", per_layer_config={})
    one("layers-null", per_layer_config=None)
    one("layers-uneven", per_layer_config={"1": {"head_dim": 12}})
    one("layers-uneven-heads", per_layer_config={"1": {"num_key_value_heads": 1}})
    one("layers-mlp", per_layer_config={"1": {"intermediate_size": 40}})
    one("layers-beyond", per_layer_config={"7": {"head_dim": 12}})
    full("default", rope_type="default")
    full("default-partial", rope_type="default", partial_rotary_factor=0.5)
    full("proportional", rope_type="proportional", partial_rotary_factor=0.5)
    full("proportional-all", rope_type="proportional")
    full("proportional-third", rope_type="proportional", partial_rotary_factor=0.3)
    full("proportional-factor", rope_type="proportional", partial_rotary_factor=0.5, factor=4.0)
    full("linear", rope_type="linear", factor=4.0)
    full("linear-partial", rope_type="linear", factor=4.0, partial_rotary_factor=0.5)
    full("yarn", rope_type="yarn", **YARN)
    full("llama3", rope_type="llama3", **LLAMA3)
    full("dynamic", rope_type="dynamic", factor=4.0)
    full("longrope", rope_type="longrope", original_max_position_embeddings=8, short_factor=[1.0] * 8,
         long_factor=[2.0] * 8, factor=4.0)
    full("kind-missing")
    one("turned-sliding", rope_parameters={
        SLIDING: {"rope_type": "proportional", "rope_theta": 77.0, "partial_rotary_factor": 0.5},
        FULL: {"rope_type": "default", "rope_theta": 500.0}})
    one("turned-base-missing", rope_parameters={**TURNED, FULL: {"rope_type": "default"}})
    one("turned-one-missing", rope_parameters=TURNED)
    one("turned-null", rope_parameters=None)
    one("turned-flat", rope_parameters={"rope_type": "default", "rope_theta": 77.0})
    one("turned-old", rope_scaling={"rope_type": "linear", "factor": 4.0})
    one("turned-old-base", rope_theta=77.0)
    one("turned-old-share", partial_rotary_factor=0.5)
    one("window-2", sliding_window=2)
    one("window-missing", sliding_window=REMOVED)
    one("window-null", sliding_window=None)
    one("cap", final_logit_softcapping=2.0)
    one("cap-null", final_logit_softcapping=None)
    one("cap-zero", final_logit_softcapping=0.0)
    one("caps-of-others", attn_logit_softcapping=2.0, query_pre_attn_scalar=3)
    for act in ("relu", "gelu", "silu", "gelu_pytorch_tanh", "relu2"):
        one("act-" + act, hidden_activation=act)
    one("act-old-key", hidden_act="relu")
    one("epsilon", rms_norm_eps=0.1)
    one("untied", tie_word_embeddings=False)
    one("untied-cap", tie_word_embeddings=False, final_logit_softcapping=3.0)
    one("kv-heads-1", num_key_value_heads=1)
    one("kv-heads-4", num_key_value_heads=4)
    one("kv-heads-missing", num_key_value_heads=REMOVED)
    one("head-dim-missing", head_dim=REMOVED)
    one("both-ways-all", use_bidirectional_attention="all")
    one("both-ways-vision", use_bidirectional_attention="vision")
    one("is-causal-false", is_causal=False)
    one("sharing-modes", kv_sharing_modes=["reuse"] * 6)
    one("positions-missing", max_position_embeddings=REMOVED)
    one("unknown", furl=1, alibi=True, logit_scale=0.5)
    one("experts", **MOE)
    one("experts-idle", num_experts=4, top_k_experts=2, moe_intermediate_size=16)
    one("experts-top-1", **{**MOE, "top_k_experts": 1})
    one("experts-all", **{**MOE, "top_k_experts": 4})
    one("experts-shared", **MOE, num_kv_shared_layers=2, use_double_wide_mlp=True)
    one("experts-no-input", **MOE, hidden_size_per_layer_input=0, attention_k_eq_v=True)
    one("experts-epsilon", **MOE, rms_norm_eps=0.1)


if "--modern" in sys.argv:
    BASES, FILE = MODERN, "modern"
    VARIANTS.clear()
    modern()
elif "--gemma4" in sys.argv:
    BASES, FILE = GEMMA4, "gemma4"
    VARIANTS.clear()
    gemma4()
else:
    FILE = "variants"

# What Furl refuses, by the end of a variant's name, or by the whole; each with a word of its message.
LISTED = here / ("refused.json" if FILE == "variants" else FILE + "-refused.json")
REFUSED = json.loads(LISTED.read_text()) if LISTED.exists() else {}


def refused(name):
    return REFUSED.get(name) or REFUSED.get(name.split("/", 1)[1])


def tensors(variant, config):
    """Names and shapes as transformers saves them, and which are copies of others."""
    model = AutoModelForCausalLM.from_config(config_of(config))
    if FILE != "variants":  # experts have other names in memory than in files
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            stored = load_file(pathlib.Path(folder) / "model.safetensors")
        return {name: list(tensor.shape) for name, tensor in stored.items()}, {}
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    embedding = next(name for name in shapes if name.endswith(("wte.weight", "embed_tokens.weight", "embed_in.weight")))
    copies = {}
    head = variant["head"]
    tied = model.config.tie_word_embeddings
    if head == "same":
        copies["lm_head.weight"] = embedding
    elif head == "none" or (head is None and tied):
        shapes.pop("lm_head.weight", None)
    elif head == "alone":
        shapes.pop(embedding)
    return shapes, copies


def config_of(config):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "config.json").write_text(json.dumps(config))
        return AutoConfig.from_pretrained(folder)


def step_by_step(model, logits):
    """How far the logits are off token by token, with a cache that may drop what the masks would show."""
    cache, steps = None, None
    try:
        for token in IDS:
            output = model(torch.tensor([[token]]), past_key_values=cache, use_cache=True, return_dict=True)
            cache, steps = output.past_key_values, output.logits[0, -1]
    except Exception:
        return float("inf")
    return (logits - steps).abs().max().item()


def run(variant):
    config = dict(BASES[variant["family"]])
    for key, value in variant["changes"].items():
        if value == REMOVED:
            config.pop(key, None)
        else:
            config[key] = value
    shapes, copies = tensors(variant, config)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "config.json").write_text(json.dumps(config))
        save_file({name: weights(copies.get(name, name), shape) for name, shape in shapes.items()},
                  folder / "model.safetensors", metadata={"format": "pt"})
        model, info = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True)
    if info["missing_keys"] or info["mismatched_keys"]:
        raise ValueError(f"missing {sorted(info['missing_keys'])[:3]}")
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor([IDS]))[0][0, -1]
        drift = step_by_step(model, logits)
    if not torch.isfinite(logits).all():
        raise ValueError("logits that are no numbers")
    return config, shapes, copies, logits, drift


def main():
    layouts, rows, variants, base = [], [], [], {}
    left_out = []
    for variant in VARIANTS:
        try:
            config, shapes, copies, logits, drift = run(variant)
        except Exception as problem:  # whatever transformers says: there is nothing to hold Furl to
            left_out.append(variant["name"])
            if "--check" in sys.argv:
                print("left out", variant["name"], type(problem).__name__, str(problem).split("\n")[0][:110])
            continue
        if variant["name"].endswith("/base"):
            base[variant["family"]] = logits
        word = refused(variant["name"])
        if drift > 1e-3 and not word:
            print("its cache changes the logits:", variant["name"], drift)
        if "--check" in sys.argv:
            print(f"{variant['name']:45} {(logits - base[variant['family']]).abs().max().item():9.5f} {drift:9.5f} {word or ''}")
        layout = [[name, shape] for name, shape in shapes.items()]
        if layout not in layouts:
            layouts.append(layout)
        own = BASES[variant["family"]]
        entry = {
            "name": variant["name"], "family": variant["family"],
            "set": {key: value for key, value in config.items() if key not in own or json.dumps(own[key]) != json.dumps(value)},
            "remove": [key for key in own if key not in config], "layout": layouts.index(layout),
        }
        row = [round(value, 6) for value in logits.tolist()]
        if row not in rows:
            rows.append(row)
        entry["logits"] = rows.index(row)
        if copies:
            entry["copies"] = copies
        if word:
            entry["refused"] = word
        variants.append(entry)
    print(len(variants), "variants,", sum("refused" in v for v in variants), "refused,", len(left_out), "left out")
    if "--check" in sys.argv:
        return
    document = {"transformers": transformers.__version__, "ids": IDS, "bases": BASES}
    text = json.dumps(document)[:-1] + ',\n"layouts": [\n' + ",\n".join(map(json.dumps, layouts)) + '],\n"logits": [\n'
    text += ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + '],\n"variants": [\n'
    text += ",\n".join(json.dumps(v, separators=(",", ":")) for v in variants) + "]}\n"
    (here / f"{FILE}.json").write_text(text)


main()
