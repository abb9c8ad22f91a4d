"""Writes small mixtures whose experts are stored in one tensor for all of a block, and what their weights stand for.

Usage: python3 make_stacked.py [FORM...] (needs torch, transformers 5.24, safetensors, compressed-tensors 0.20, mlx with
mlx-cpu, and mlx-lm 0.32; no part of it comes from Furl)

FORM/config.json and FORM/model.safetensors are the checkpoint, as mlx-lm and transformers save it. FORM/expected.json has the
SHA-256 of the weights' numbers as little-endian float32, rows of outputs, as the form's own code gives them with its scales in
float32, by what Furl calls the tensors. Codes and scales are draws of a seeded generator, so that all their values occur.
"""

import hashlib
import json
import os
import re
import sys
import tempfile

import numpy
import torch
from safetensors.torch import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = {
    "vocab_size": 12, "hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 16, "rms_norm_eps": 1e-5, "hidden_act": "silu", "rope_theta": 1e4,
    "tie_word_embeddings": False,
}
MOE = SIZES | {"num_experts_per_tok": 2, "moe_intermediate_size": 32}
QWEN3 = MOE | {
    "model_type": "qwen3_moe", "num_experts": 3, "head_dim": 32, "decoder_sparse_step": 1, "mlp_only_layers": [],
    "norm_topk_prob": True}
LATENT = MOE | {
    "num_key_value_heads": 2, "kv_lora_rank": 32, "q_lora_rank": None, "qk_rope_head_dim": 16, "qk_nope_head_dim": 32,
    "v_head_dim": 32, "n_routed_experts": 3, "n_shared_experts": 1, "first_k_dense_replace": 0, "moe_layer_freq": 1,
    "routed_scaling_factor": 1.5, "n_group": 1, "topk_group": 1, "attention_bias": False, "norm_topk_prob": True}
ROPE = {"full_attention": {"rope_type": "default", "rope_theta": 1e4}, "sliding_attention": {
    "rope_type": "default", "rope_theta": 1e4}}
CONFIGS = {
    "qwen3_moe": QWEN3,
    "qwen2_moe": MOE | {
        "model_type": "qwen2_moe", "num_experts": 3, "shared_expert_intermediate_size": 64, "norm_topk_prob": False},
    "mixtral": SIZES | {"model_type": "mixtral", "num_local_experts": 3, "num_experts_per_tok": 2},
    "phimoe": SIZES | {
        "model_type": "phimoe", "num_local_experts": 3, "num_experts_per_tok": 2, "attention_bias": True, "lm_head_bias": True,
        "sliding_window": None},
    "granitemoe": SIZES | {
        "model_type": "granitemoe", "intermediate_size": 64, "num_local_experts": 3, "num_experts_per_tok": 2,
        "logits_scaling": 1.0,
        "attention_multiplier": 0.1767766952966369, "embedding_multiplier": 1.0, "residual_multiplier": 1.0,
        "attention_bias": False},
    "granitemoehybrid": SIZES | {
        "model_type": "granitemoehybrid", "num_local_experts": 0, "num_experts_per_tok": 0, "logits_scaling": 1.0,
        "attention_multiplier": 0.1767766952966369, "embedding_multiplier": 1.0, "residual_multiplier": 1.0,
        "attention_bias": False,
        "layer_types": ["attention"], "shared_intermediate_size": 32, "position_embedding_type": "rope"},
    "mellum": MOE | {
        "model_type": "mellum", "num_experts": 3, "head_dim": 32, "norm_topk_prob": True, "sliding_window": 8,
        "layer_types": ["full_attention"], "mlp_layer_types": ["sparse"], "rope_parameters": ROPE},
    "laguna": MOE | {
        "model_type": "laguna", "num_experts": 3, "head_dim": 32, "shared_expert_intermediate_size": 32, "sliding_window": 8,
        "layer_types": ["full_attention"], "mlp_layer_types": ["sparse"], "num_attention_heads_per_layer": [2],
        "gating": "per-head", "rope_parameters": ROPE, "moe_routed_scaling_factor": 1.5},
    "deepseek_v2": LATENT | {
        "model_type": "deepseek_v2", "topk_method": "greedy", "rope_scaling": {
            "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "mscale": 1.0, "mscale_all_dim": 1.0,
            "beta_fast": 32, "beta_slow": 1}},
    "deepseek_v3": LATENT | {
        "model_type": "deepseek_v3", "topk_method": "noaux_tc", "scoring_func": "sigmoid", "num_nextn_predict_layers": 0},
    "glm4_moe_lite": LATENT | {
        "model_type": "glm4_moe_lite", "q_lora_rank": 32, "mlp_layer_types": ["sparse"], "num_nextn_predict_layers": 0},
    "gpt_oss": SIZES | {
        "model_type": "gpt_oss", "num_local_experts": 3, "num_experts_per_tok": 2, "head_dim": 32, "sliding_window": 8,
        "num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"], "swiglu_limit": 7.0},
    "gemma4_text": MOE | {
        "model_type": "gemma4_text", "num_experts": 3, "top_k_experts": 2, "enable_moe_block": True, "head_dim": 32,
        "global_head_dim": 32, "num_global_key_value_heads": 1, "attention_k_eq_v": False, "sliding_window": 8,
        "layer_types": ["full_attention"], "hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 12,
        "num_kv_shared_layers": 0, "hidden_activation": "gelu_pytorch_tanh", "rope_parameters": ROPE,
        "tie_word_embeddings": True, "final_logit_softcapping": 6.0, "rms_norm_eps": 1e-6},
}


def name(path, family=None):
    """What Furl calls a module, `E` in the place of an expert's number; None: it is not compared."""
    found = re.fullmatch(r"(?:model\.)?layers\.(\d+)\.(.+)", path)
    if not found:
        return None
    block, path = f"blocks.{found[1]}.", found[2]
    last = path.split(".")[-1].replace("_proj", "")
    if path == "self_attn.o_proj":
        return block + "attention.output"
    if "shared" in path and last in ("gate", "up", "down"):
        return block + "mlp.shared." + last
    if path in ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"):
        return block + ("mlp.shared." if family == "gemma4_text" else "mlp.") + last
    if re.search(r"switch_|experts\.", path) and last in ("gate", "up", "down"):
        return block + "mlp.experts.E." + last
    if path in ("self_attn.embed_q", "self_attn.unembed_out"):
        return block + ("attention.key" if last == "embed_q" else "attention.value")
    if path in ("mlp.gate", "mlp.gate.proj", "mlp.router", "block_sparse_moe.gate", "block_sparse_moe.router.layer"):
        return block + "mlp.router"
    return None


def write(form, tensors, config, expected):
    """Expected: Furl's name -> (numbers, form)."""
    folder = os.path.join(HERE, form)
    os.makedirs(folder, exist_ok=True)
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder + "/model.safetensors")
    with open(folder + "/config.json", "w") as file:
        json.dump(config, file, indent=1)
    digests = {}
    for key, (value, words) in expected.items():
        numbers = numpy.ascontiguousarray(value, dtype=numpy.float32)
        assert numpy.isfinite(numbers).all(), (form, key)
        parts = {key: numbers} if numbers.ndim == 2 else {
            key.replace(".E.", f".{expert}."): numbers[expert] for expert in range(len(numbers))}
        for own, part in parts.items():
            digests[own] = {
                "shape": list(part.shape), "sha256": hashlib.sha256(part.tobytes()).hexdigest(), "form": words}
    with open(folder + "/expected.json", "w") as file:
        json.dump({"weights": digests}, file, indent=1, sort_keys=True)


def mlx(form, family, bits=None, group=32, mode="affine", mixed=None):
    """A model of mlx-lm's own class, quantized by its own code; no bits: not quantized."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.utils import _get_classes, quantize_model

    config = dict(CONFIGS[family])
    classes = _get_classes(config)
    mx.random.seed(8 + len(form))
    model = classes[0](classes[1].from_dict(config))
    model.set_dtype(mx.bfloat16)
    own = getattr(model, "quant_predicate", None)

    def predicate(path, module):
        return (mixed(path) if mixed else None) or (own(path, module) if own else True)

    if bits:
        model, config = quantize_model(model, config, group, bits, mode=mode, quant_predicate=predicate)
    parameters = dict(tree_flatten(model.parameters()))
    draws = numpy.random.default_rng(8 + len(form))
    for key, value in parameters.items():
        if key.endswith(".scales"):
            stem = key.removesuffix("scales")
            parameters[stem + "weight"] = mx.array(
                draws.integers(0, 2**32, parameters[stem + "weight"].shape, dtype=numpy.uint32))
            if value.dtype == mx.uint8:
                parameters[key] = mx.array(draws.integers(0, 140, value.shape, dtype=numpy.uint8))
                if mode == "mxfp8":  # Two bytes of E4M3 are no numbers.
                    words = numpy.array(parameters[stem + "weight"]).view(numpy.uint8)
                    words[words & 0x7F == 0x7F] = 0x7E
                    parameters[stem + "weight"] = mx.array(words.view(numpy.uint32))
            else:
                parameters[key] = mx.array((draws.random(value.shape) * 0.02 + 0.001).astype(numpy.float32)).astype(value.dtype)
                parameters[stem + "biases"] = mx.array(
                    draws.standard_normal(value.shape).astype(numpy.float32)).astype(value.dtype)
    expected = {}
    for key, value in parameters.items():
        stem = key.removesuffix(".weight")
        called = name(stem, family)
        if stem == key or not called:
            continue
        scales = parameters.get(stem + ".scales")
        if scales is None:
            expected[called] = (numpy.array(value.astype(mx.float32)), "BF16")
            continue
        own = config["quantization"].get(stem) or {}
        size, width = own.get("group_size", group), own.get("bits", bits)
        kind = own.get("mode", "affine" if own else mode)
        words = {"mxfp4": "MXFP4", "mxfp8": f"MXFP8 E4M3, groups of {size}"}.get(kind, f"MLX {width} bits, groups of {size}")
        if kind == "affine":
            scales = scales.astype(mx.float32)
            biases = parameters[stem + ".biases"].astype(mx.float32)
            numbers = mx.dequantize(value, scales, biases, group_size=size, bits=width)
        else:
            numbers = mx.dequantize(value, scales, group_size=size, bits=width, mode=kind, dtype=mx.float32)
        expected[called] = (numpy.array(numbers), words)
    for key, (value, words) in expected.items():
        # Keys and values of each head: outputs of all heads one after the other.
        if value.ndim == 3 and "attention." in key:
            turned = value.transpose(0, 2, 1) if key.endswith("key") else value
            expected[key] = (turned.reshape(-1, turned.shape[-1]), words)
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/model.safetensors"
        mx.save_safetensors(path, parameters, metadata={"format": "mlx"})
        write(form, load_file(path), config, expected)


def halves(value):
    size = value.shape[-2] // 2
    return value[..., :size, :], value[..., size:, :]


def stacked(expected, prefix, key, value, words):
    """Adds what transformers' names say."""
    if key.endswith("gate_up_proj"):
        for part, numbers in zip(["gate", "up"], halves(value)):
            expected[prefix + "mlp.experts.E." + part] = (numbers.numpy(), words)
    else:
        expected[prefix + "mlp.experts.E.down"] = (value.numpy(), words)


def transformers(form, family, block=None, quantized=True, scales=torch.float32):
    """A model as transformers saves it under the names of its own classes; with FP8, of its integration's."""
    import transformers as library
    from transformers.integrations.finegrained_fp8 import FP8Experts, FP8Linear, Fp8Dequantize, replace_with_fp8_linear

    torch.manual_seed(8 + len(form))
    keys = dict(CONFIGS[family])
    config = library.AutoConfig.for_model(keys.pop("model_type"), **keys)
    model = library.AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    if quantized:
        declared = library.FineGrainedFP8Config(
            weight_block_size=block, scale_fmt="float" if scales == torch.float32 else "ue8m0")
        replace_with_fp8_linear(model, ["lm_head", "mlp.gate", "router"], declared)
    with torch.no_grad():
        for module in model.modules():
            for key, value in list(module.named_parameters(recurse=False)):
                shape = value.shape
                if value.dtype == torch.float8_e4m3fn:
                    codes = torch.randint(0, 256, shape).to(torch.uint8)
                    codes[codes & 0x7F == 0x7F] = 0x7E
                    own = codes.view(torch.float8_e4m3fn)
                elif key.endswith("scale_inv"):
                    own = (torch.rand(shape) * 0.02 + 0.001).to(value.dtype)
                    if value.dtype == torch.float8_e8m0fnu:
                        own = torch.randint(90, 130, shape).to(torch.uint8).view(value.dtype)
                elif not value.is_meta and not isinstance(module, (FP8Linear, FP8Experts)):
                    own = torch.randn(shape).to(value.dtype)
                else:
                    own = torch.randn(shape).to(torch.bfloat16)
                setattr(module, key, torch.nn.Parameter(own, requires_grad=False))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, save_original_format=False)
        tensors = load_file(folder + "/model.safetensors")
        config = json.load(open(folder + "/config.json"))
    if quantized:
        config["quantization_config"] = declared.to_dict() | {"quant_method": "fp8"}
    expected = {}
    for key, value in tensors.items():
        path = re.fullmatch(r"(?:model\.)?layers\.(\d+)\.(.+)", key.removesuffix(".weight"))
        if not path or value.dtype == torch.float32 and quantized or "scale" in key:
            continue
        prefix = f"blocks.{path[1]}."
        words, numbers = "BF16", value.float()
        if value.dtype == torch.float8_e4m3fn:
            own = tensors[key + "_scale_inv"]
            # A tensor's one scale has no dimensions that the package's code would look at.
            own = own.reshape(1, 1) if own.dim() == 0 else own
            words = f"FP8 E4M3, blocks of {block[0]} x {block[1]}" if block else "FP8 E4M3, one scale"
            numbers = Fp8Dequantize(None)._dequantize_one(value, own, torch.float32)
        if key.endswith(("experts.gate_up_proj", "experts.down_proj")):
            stacked(expected, prefix, key, numbers, words)
        elif name(path[0], family) and value.dim() == 2:
            expected[name(path[0], family)] = (numbers.numpy(), words)
    write(form, tensors, config, expected)


def compressed(form, bits, group, symmetric):
    """Matrices of three dimensions as the package compresses them."""
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    draws = torch.Generator().manual_seed(bits)
    arguments = dict(
        num_bits=bits, type="int", symmetric=symmetric, strategy="group" if group else "channel", group_size=group)
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**arguments))
    compressor = BaseCompressor.get_value_from_registry("pack-quantized")
    config, layer = dict(QWEN3), "model.layers.0."
    hidden, inner, count = config["hidden_size"], config["moe_intermediate_size"], config["num_experts"]
    shapes = {
        "model.embed_tokens": (12, hidden), "lm_head": (12, hidden), "model.norm": (hidden,),
        layer + "input_layernorm": (hidden,), layer + "post_attention_layernorm": (hidden,),
        layer + "self_attn.q_norm": (32,), layer + "self_attn.k_norm": (32,), layer + "self_attn.q_proj": (64, hidden),
        layer + "self_attn.k_proj": (32, hidden), layer + "self_attn.v_proj": (32, hidden),
        layer + "self_attn.o_proj": (hidden, 64), layer + "mlp.gate": (count, hidden)}
    tensors = {key + ".weight": torch.randn(shape, generator=draws).to(torch.bfloat16) for key, shape in shapes.items()}
    expected = {}
    for part, (rows, columns) in {"gate": (inner, hidden), "up": (inner, hidden), "down": (hidden, inner)}.items():
        stem, low, high = f"{layer}mlp.experts.{part}_proj", -(2 ** (bits - 1)), 2 ** (bits - 1)
        shape = (count, rows, columns // group if group else 1)
        own = (torch.rand(shape, generator=draws) * 0.02 + 0.001).to(torch.float16)
        codes = torch.randint(low, high, (count, rows, columns), generator=draws)
        made = {
            "weight_packed": pack_to_int32(codes.to(torch.int8), bits), "weight_scale": own,
            "weight_shape": torch.tensor(codes.shape)}
        if not symmetric:
            zeros = torch.randint(low, high, shape, generator=draws).to(torch.int8)
            made["weight_zero_point"] = pack_to_int32(zeros, bits, packed_dim=0).contiguous()
        tensors |= {f"{stem}.{key}": value for key, value in made.items()}
        each = [
            compressor.decompress(
                {key: value[1:] if key == "weight_shape" else value[index].float() if key == "weight_scale" else value[index]
                 for key, value in made.items()}, scheme)["weight"].float() for index in range(count)]
        words = f"compressed-tensors {bits} bits, " + (f"groups of {group}" if group else "rows")
        expected[f"blocks.0.mlp.experts.E.{part}"] = (torch.stack(each).numpy(), words)
    config["quantization_config"] = {
        "quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed",
        "ignore": ["lm_head"], "config_groups": {"group_0": {
            "targets": ["Linear"], "weights": {key: value for key, value in arguments.items() if value is not None}}}}
    write(form, tensors, config, expected)


def wider(path):
    """Bits of single modules, as mlx-lm's mixed recipes give them."""
    return {"group_size": 32, "bits": 6} if path.endswith("down_proj") else None


FORMS = {
    "mlx": lambda: mlx("mlx", "qwen3_moe"),
    "mlx4": lambda: mlx("mlx4", "qwen3_moe", 4, mixed=wider),
    "mlx8": lambda: mlx("mlx8", "qwen2_moe", 8),
    "mlx-mixtral": lambda: mlx("mlx-mixtral", "mixtral", 4),
    "mlx-phimoe": lambda: mlx("mlx-phimoe", "phimoe", 3),
    "mlx-granite": lambda: mlx("mlx-granite", "granitemoe", 5),
    "mlx-granite-dense": lambda: mlx("mlx-granite-dense", "granitemoehybrid", 4),
    "mlx-mellum": lambda: mlx("mlx-mellum", "mellum", 6),
    "mlx-laguna": lambda: mlx("mlx-laguna", "laguna", 4),
    "mlx-deepseek2": lambda: mlx("mlx-deepseek2", "deepseek_v2", 4),
    "mlx-deepseek3": lambda: mlx("mlx-deepseek3", "deepseek_v3", 4),
    "mlx-glm": lambda: mlx("mlx-glm", "glm4_moe_lite"),
    "mlx-gemma4": lambda: mlx("mlx-gemma4", "gemma4_text", 4),
    "mxfp4": lambda: mlx("mxfp4", "gpt_oss", 4, mode="mxfp4"),
    "mxfp8": lambda: mlx("mxfp8", "gpt_oss", 8, mode="mxfp8"),
    "fp8-block": lambda: transformers("fp8-block", "qwen3_moe", [16, 32]),
    "fp8-high": lambda: transformers("fp8-high", "mixtral", [64, 32]),
    "fp8-tensor": lambda: transformers("fp8-tensor", "mixtral"),
    "fp8-gemma4": lambda: transformers("fp8-gemma4", "gemma4_text", [32, 32], scales=torch.float8_e8m0fnu),
    "phimoe": lambda: transformers("phimoe", "phimoe", quantized=False),
    "granite": lambda: transformers("granite", "granitemoe", quantized=False),
    "laguna": lambda: transformers("laguna", "laguna", quantized=False),
    "ct4": lambda: compressed("ct4", 4, 32, True),
    "ct4-zero": lambda: compressed("ct4-zero", 4, 16, False),
    "ct8": lambda: compressed("ct8", 8, None, True),
}

for form in sys.argv[1:] or FORMS:
    FORMS[form]()
