"""Writes a small Llama in every quantized form that is read, and what its weights stand for.

Usage: python3 make_packed.py [FORM...] (needs torch, transformers, safetensors, compressed-tensors, bitsandbytes and mlx with
mlx-cpu; AUTOGPTQ and AUTOAWQ name folders with the unpacked packages auto-gptq 0.7.1 and autoawq 0.2.9, of which single files
are loaded; no part of it comes from Furl)

FORM/config.json and FORM/model.safetensors are the checkpoint. FORM/expected.json has the SHA-256 of every weight's numbers as
little-endian float32, rows of outputs, as the form's own code gives them with its scales in float32: where that code would
compute in float16 it is handed the same scales as float32. Codes, zeros and scales are draws of a seeded generator, so that
all their values occur.
"""

import hashlib
import importlib.util
import json
import os
import sys

import numpy
import torch
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
HIDDEN, INNER, KEYS, VOCABULARY = 32, 64, 16, 12
CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": VOCABULARY, "hidden_size": HIDDEN,
    "intermediate_size": INNER, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
    "max_position_embeddings": 16, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": True,
}
BLOCK = "model.layers.0."
LINEAR = {
    "self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (KEYS, HIDDEN), "self_attn.v_proj": (KEYS, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.gate_proj": (INNER, HIDDEN), "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
}


def module(path):
    """A single file of a package whose other files need more than is there."""
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def plain(draws, dtype=torch.float16):
    tensors = {
        "model.embed_tokens.weight": torch.randn(VOCABULARY, HIDDEN, generator=draws).to(dtype),
        "model.norm.weight": torch.rand(HIDDEN, generator=draws).to(dtype),
    }
    for name in ["input_layernorm", "post_attention_layernorm"]:
        tensors[BLOCK + name + ".weight"] = torch.rand(HIDDEN, generator=draws).to(dtype)
    return tensors


def words(draws, *shape):
    return torch.randint(-(2**31), 2**31, shape, generator=draws, dtype=torch.int64).to(torch.int32)


def scales(draws, *shape, dtype=torch.float16):
    return (torch.rand(shape, generator=draws) * 0.02 + 0.001).to(dtype)


def dense(fields):
    """Rows of fields of 3 bits in words of 32. Of 7 the package makes 8 here, and 0 with other bits: it does not occur."""
    stream = (fields.numpy()[:, :, None] >> numpy.arange(3)) & 1
    packed = numpy.packbits(stream.reshape(len(fields), -1).astype(numpy.uint8), axis=1, bitorder="little")
    return torch.from_numpy(packed.view(numpy.int32).copy())


def write(form, tensors, expected, quantization, key="quantization_config", words=""):
    folder = os.path.join(HERE, form)
    os.makedirs(folder, exist_ok=True)
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder + "/model.safetensors")
    config = dict(CONFIG)
    config[key] = quantization
    with open(folder + "/config.json", "w") as file:
        json.dump(config, file, indent=1)
    digests = {}
    for name, value in expected.items():
        numbers = value.detach().to(torch.float32).contiguous().numpy()
        assert numpy.isfinite(numbers).all(), (form, name)
        digests[name] = {"shape": list(numbers.shape), "sha256": hashlib.sha256(numbers.tobytes()).hexdigest()}
    with open(folder + "/expected.json", "w") as file:
        json.dump({"form": words, "weights": digests}, file, indent=1, sort_keys=True)


def gptq(form, bits, group, order=False, version=1, symmetric=False, zero=None):
    draws = torch.Generator().manual_seed(bits * 1000 + group + order)
    layers = module(os.environ["AUTOGPTQ"] + "/auto_gptq/nn_modules/qlinear/qlinear_cuda_old.py" if not order else
                    os.environ["AUTOGPTQ"] + "/auto_gptq/nn_modules/qlinear/qlinear_cuda.py")
    tensors, expected = plain(draws), {}
    for name, (rows, columns) in LINEAR.items():
        count = columns // group
        if rows * bits % 32:
            tensors[f"{BLOCK}{name}.weight"] = torch.randn(rows, columns, generator=draws).half()
            continue
        layer = layers.QuantLinear(bits, group, columns, rows, False)
        layer.qweight = words(draws, columns * bits // 32, rows)
        layer.scales = scales(draws, count, rows)
        if symmetric:
            middle = 2 ** (bits - 1) - (1 if zero is None else zero)
            word = sum(middle << (bits * i) for i in range(32 // bits))
            layer.qzeros = torch.full((count, rows * bits // 32), word, dtype=torch.int64).to(torch.int32)
        else:
            layer.qzeros = words(draws, count, rows * bits // 32)
            if order:  # Of 15 its code makes 16, and that of files without an order 0: it does not occur.
                layer.qzeros = layer.qzeros & 0x77777777
            if bits == 3:
                layer.qzeros = dense(torch.randint(0, 7, (count, rows), generator=draws))
        if order:
            layer.g_idx = (torch.randperm(columns, generator=draws) // group).to(torch.int32)
        else:
            layer.g_idx = (torch.arange(columns) // group).to(torch.int32)
        # The package's own product with the identity gives its weights, column by column exact.
        whole = layers.QuantLinear(bits, group, columns, rows, False)
        whole.qweight, whole.g_idx = layer.qweight, layer.g_idx
        whole.scales = layer.scales.float()
        # The package adds one to zeros; for the second version, and for symmetric files of the first that store the
        # second's, it is handed the words less one.
        if version == 2 or zero is not None:
            ones = sum(1 << (bits * i) for i in range(32 // bits))
            lower = (layer.qzeros.to(torch.int64) & 0xFFFFFFFF)
            fields = [((lower >> (bits * i)) - 1) & (2**bits - 1) for i in range(32 // bits)]
            whole.qzeros = sum(field << (bits * i) for i, field in enumerate(fields)).to(torch.int64)
            whole.qzeros = torch.where(whole.qzeros >= 2**31, whole.qzeros - 2**32, whole.qzeros).to(torch.int32)
        else:
            whole.qzeros = layer.qzeros
        whole.use_cuda_fp16 = False
        value = whole(torch.eye(columns)).T
        for part in ["qweight", "qzeros", "scales", "g_idx"]:
            tensors[f"{BLOCK}{name}.{part}"] = getattr(layer, part)
        # Old files have biases of zeros.
        if name == "self_attn.q_proj":
            tensors[f"{BLOCK}{name}.bias"] = torch.zeros(rows, dtype=torch.float16)
        expected[f"{BLOCK}{name}.weight"] = value
    declared = {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": order, "sym": symmetric}
    if version == 2:
        declared["checkpoint_format"] = "gptq_v2"
    listed = ", in an order of their own" if order else ""
    write(form, tensors, expected, declared, words=f"GPTQ {bits} bits, groups of {group}{listed}")


def awq():
    draws = torch.Generator().manual_seed(7)
    packing = module(os.environ["AUTOAWQ"] + "/awq/utils/packing_utils.py")
    tensors, expected = plain(draws), {}
    for name, (rows, columns) in LINEAR.items():
        parts = {
            "qweight": words(draws, columns, rows // 8), "qzeros": words(draws, columns // 16, rows // 8),
            "scales": scales(draws, columns // 16, rows),
        }
        for part, value in parts.items():
            tensors[f"{BLOCK}{name}.{part}"] = value
        expected[f"{BLOCK}{name}.weight"] = packing.dequantize_gemm(
            parts["qweight"], parts["qzeros"], parts["scales"].float(), 4, 16).T
    declared = {"quant_method": "awq", "bits": 4, "group_size": 16, "version": "gemm", "zero_point": True}
    write("awq", tensors, expected, declared, words="AWQ 4 bits, groups of 16")


def compressed(form, bits, group=None, symmetric=True, kind="int", packed=True, block=None, words="", order=False):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    draws = torch.Generator().manual_seed(bits + (group or 0) + 50 * symmetric)
    strategy = "block" if block else "group" if group else "channel"
    arguments = dict(num_bits=bits, type=kind, symmetric=symmetric, strategy=strategy, group_size=group,
                     block_structure=block)
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**arguments))
    name_of = "pack-quantized" if packed else "int-quantized" if kind == "int" else "float-quantized"
    compressor = BaseCompressor.get_value_from_registry(name_of)
    tensors, expected = plain(draws, torch.bfloat16), {}
    for name, (rows, columns) in LINEAR.items():
        shape = ((rows + block[0] - 1) // block[0], (columns + block[1] - 1) // block[1]) if block else (
            rows, columns // group if group else 1)
        own = scales(draws, *shape, dtype=torch.bfloat16)
        parts = {"weight_scale": own}
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1)
        if kind == "int":
            codes = torch.randint(low, high, (rows, columns), generator=draws)
            zeros = torch.randint(low, high, shape, generator=draws).to(torch.int8)
        else:
            codes = torch.randint(0, 256, (rows, columns), generator=draws).to(torch.uint8)
            codes[codes & 0x7F == 0x7F] = 0x7E
            codes = codes.view(torch.float8_e4m3fn)
        # Compressed and opened by the package itself; what is compressed are codes, whose scale is one.
        one = {"weight": codes.float(), "weight_scale": torch.ones(shape)}
        if not symmetric:
            one["weight_zero_point"] = torch.zeros(shape, dtype=torch.int8)
        made = compressor.compress(one, scheme)
        made["weight_scale"] = own
        if not symmetric:
            from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

            made["weight_zero_point"] = pack_to_int32(zeros, bits, packed_dim=0).contiguous() if packed else zeros
        for part, value in made.items():
            tensors[f"{BLOCK}{name}.{part}"] = value
        opened = {key: value for key, value in made.items()}
        opened["weight_scale"] = own.float()
        expected[f"{BLOCK}{name}.weight"] = compressor.decompress(opened, scheme)["weight"].float()
    weights = {key: value for key, value in arguments.items() if value is not None}
    declared = {
        "quant_method": "compressed-tensors", "format": name_of, "quantization_status": "compressed", "ignore": ["lm_head"],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
    }
    write(form, tensors, expected, declared, words=words)


def fp8(form, block):
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize

    draws = torch.Generator().manual_seed(8)
    tensors, expected = plain(draws, torch.bfloat16), {}
    for name, (rows, columns) in LINEAR.items():
        codes = torch.randint(0, 256, (rows, columns), generator=draws).to(torch.uint8)
        codes[codes & 0x7F == 0x7F] = 0x7E
        codes = codes.view(torch.float8_e4m3fn)
        own = scales(draws, rows // block[0], columns // block[1], dtype=torch.float32) if block else scales(
            draws, 1, dtype=torch.bfloat16)[0]
        tensors[f"{BLOCK}{name}.weight"] = codes
        tensors[f"{BLOCK}{name}.weight_scale_inv"] = own
        if not block:
            tensors[f"{BLOCK}{name}.activation_scale"] = torch.tensor(0.5, dtype=torch.bfloat16)
        grid = own if block else own.reshape(1, 1)
        expected[f"{BLOCK}{name}.weight"] = Fp8Dequantize(None)._dequantize_one(codes, grid.float(), torch.float32)
    declared = {"quant_method": "fp8", "activation_scheme": "dynamic" if block else "static", "fmt": "e4m3",
                "weight_block_size": block}
    words = f"FP8 E4M3, blocks of {block[0]} x {block[1]}" if block else "FP8 E4M3, one scale"
    write(form, tensors, expected, declared, words=words)


def bitsandbytes(form, kind, nested=False):
    import bitsandbytes.backends.default.ops as ops
    import bitsandbytes.functional as functional

    draws = torch.Generator().manual_seed(4)
    tensors, expected = plain(draws, torch.bfloat16), {}
    for name, (rows, columns) in LINEAR.items():
        value = torch.randn(rows, columns, generator=draws)
        if kind == "int8":
            codes, own, _ = functional.int8_vectorwise_quant(value.half())
            tensors[f"{BLOCK}{name}.weight"], tensors[f"{BLOCK}{name}.SCB"] = codes, own
            tensors[f"{BLOCK}{name}.weight_format"] = torch.tensor(0, dtype=torch.uint8)
            expected[f"{BLOCK}{name}.weight"] = functional.int8_vectorwise_dequant(codes, own)
            continue
        codes, state = functional.quantize_4bit(value, blocksize=64, quant_type=kind, compress_statistics=nested)
        tensors[f"{BLOCK}{name}.weight"] = codes
        for part, found in state.as_dict(packed=True).items():
            tensors[f"{BLOCK}{name}.weight.{part}"] = found
        # The package's PyTorch code: its native code for CPUs takes scales of other blocks where rows are shorter than those.
        own = state.absmax
        if nested:
            own = functional.dequantize_blockwise(state.absmax, state.state2) + state.offset
        expected[f"{BLOCK}{name}.weight"] = ops._dequantize_4bit_compute(
            codes.reshape(-1), own, state.code, state.blocksize, (rows, columns), torch.float32)
    declared = {"quant_method": "bitsandbytes", "load_in_8bit": kind == "int8", "load_in_4bit": kind != "int8",
                "bnb_4bit_quant_type": kind, "bnb_4bit_use_double_quant": nested, "bnb_4bit_compute_dtype": "float32"}
    words = "bitsandbytes 8 bits, rows" if kind == "int8" else f"bitsandbytes {kind.upper()}, blocks of 64"
    write(form, tensors, expected, declared, words=words)


def mlx(form, bits, group):
    import mlx.core as mx

    draws = torch.Generator().manual_seed(bits)
    tensors, expected = plain(draws, torch.bfloat16), {}
    names = dict(LINEAR)
    for name, (rows, columns) in list(names.items()) + [("embed", (VOCABULARY, HIDDEN))]:
        stem = "model.embed_tokens" if name == "embed" else BLOCK + name
        codes = words(draws, rows, columns * bits // 32)
        own = scales(draws, rows, columns // group, dtype=torch.bfloat16)
        biases = torch.randn(rows, columns // group, generator=draws).to(torch.bfloat16)
        tensors[stem + ".weight"] = codes.view(torch.uint32)
        tensors[stem + ".scales"], tensors[stem + ".biases"] = own, biases
        value = mx.dequantize(
            mx.array(codes.numpy().view(numpy.uint32)), mx.array(own.float().numpy()), mx.array(biases.float().numpy()),
            group_size=group, bits=bits)
        expected[stem + ".weight"] = torch.from_numpy(numpy.array(value))
    declared = {"group_size": group, "bits": bits, "mode": "affine"}
    write(form, tensors, expected, declared, key="quantization", words=f"MLX {bits} bits, groups of {group}")


FORMS = {
    "gptq4": lambda: gptq("gptq4", 4, 16), "gptq8": lambda: gptq("gptq8", 8, 32), "gptq3": lambda: gptq("gptq3", 3, 32),
    "gptq2": lambda: gptq("gptq2", 2, 16), "gptq4-order": lambda: gptq("gptq4-order", 4, 8, order=True),
    "gptq4-v2": lambda: gptq("gptq4-v2", 4, 16, version=2),
    "gptq4-symmetric": lambda: gptq("gptq4-symmetric", 4, 16, symmetric=True),
    "gptq4-stored8": lambda: gptq("gptq4-stored8", 4, 16, symmetric=True, zero=0),
    "awq": awq,
    "ct-int4-group": lambda: compressed("ct-int4-group", 4, 16, words="compressed-tensors 4 bits, groups of 16"),
    "ct-int4-zero": lambda: compressed(
        "ct-int4-zero", 4, 16, symmetric=False, words="compressed-tensors 4 bits, groups of 16"),
    "ct-int8-channel": lambda: compressed("ct-int8-channel", 8, words="compressed-tensors 8 bits, rows"),
    "ct-int3-group": lambda: compressed("ct-int3-group", 3, 32, words="compressed-tensors 3 bits, groups of 32"),
    "ct-bytes": lambda: compressed("ct-bytes", 8, packed=False, words="compressed-tensors 8 bits, rows"),
    "ct-fp8": lambda: compressed("ct-fp8", 8, kind="float", packed=False, words="FP8 E4M3, rows"),
    "ct-fp8-block": lambda: compressed(
        "ct-fp8-block", 8, kind="float", packed=False, block=[16, 16], words="FP8 E4M3, blocks of 16 x 16"),
    "fp8-block": lambda: fp8("fp8-block", [8, 16]), "fp8-tensor": lambda: fp8("fp8-tensor", None),
    "bnb-nf4": lambda: bitsandbytes("bnb-nf4", "nf4"), "bnb-fp4": lambda: bitsandbytes("bnb-fp4", "fp4"),
    "bnb-nf4-double": lambda: bitsandbytes("bnb-nf4-double", "nf4", nested=True),
    "bnb-int8": lambda: bitsandbytes("bnb-int8", "int8"),
    "mlx4": lambda: mlx("mlx4", 4, 32), "mlx8": lambda: mlx("mlx8", 8, 32), "mlx3": lambda: mlx("mlx3", 3, 32),
    "mlx6": lambda: mlx("mlx6", 6, 32), "mlx2": lambda: mlx("mlx2", 2, 32),
}

for form in sys.argv[1:] or FORMS:
    FORMS[form]()
