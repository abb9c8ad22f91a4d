"""Writes quantized checkpoints whose codes Furl's layouts hold, and what those codes are.

Usage: python3 make_kept.py [NAME...] (needs numpy, torch, safetensors, gguf 0.19 and compressed-tensors 0.20; no part of it comes from
Furl)

blocks.gguf is a Llama of two blocks in as many types of GGUF's blocks as it has matrices; their bytes are draws of a seeded
generator but for the halves, which are made small. blocks.json has the type of every tensor, and the SHA-256 of what
gguf-py decodes.
ct4, ct8 and gptq4 are small Llamas as compressed-tensors and GPTQ store them, with scales that are halves. codes.json has of
every matrix the scheme that holds it, the SHA-256 of its codes counted from 0, [outputs][inputs] bytes, and that of its scales
as halves, [outputs][groups]. ct4-zero, gptq4-zero and gptq4-zero-v2 have zero points, 0 and 1 the least; zeros is the SHA-256 of
these, [outputs][groups] bytes. Their scales have 7 significant bits, so that minimums are halves.
"""

import hashlib
import json
import os
import sys

import gguf
import numpy
import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = gguf.GGMLQuantizationType
# Places of halves in a block, and of exponents.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "IQ4_NL": [0], "Q3_K": [108], "Q4_K": [0, 2],
    "Q5_K": [0, 2], "Q6_K": [208], "IQ4_XS": [0], "MXFP4": [],
}
HIDDEN, WIDTH, KEYS, INNER = 256, 64, 32, 64
SHAPES = {
    "attn_q": (WIDTH, HIDDEN), "attn_k": (KEYS, HIDDEN), "attn_v": (KEYS, HIDDEN), "attn_output": (HIDDEN, WIDTH),
    "ffn_gate": (INNER, HIDDEN), "ffn_up": (INNER, HIDDEN), "ffn_down": (HIDDEN, INNER),
}
BLOCKS = [
    ["Q4_K", "Q5_K", "Q6_K", "Q5_0", "IQ4_XS", "Q3_K", "Q4_1"], ["Q4_0", "Q8_0", "IQ4_NL", "MXFP4", "Q6_K", "Q4_K", "Q8_0"],
]


def sha(values):
    return hashlib.sha256(numpy.ascontiguousarray(values).tobytes()).hexdigest()


def drawn(draw, name, rows, columns):
    size, width = gguf.GGML_QUANT_SIZES[TYPES[name]]
    blocks = draw.integers(0, 256, (rows * columns // size, width), dtype=numpy.uint8)
    for place in HALVES[name]:
        values = (draw.random(len(blocks)) * 0.002 + 0.0005).astype(numpy.float16)
        # Scales and minimums may have signs, where the type's formula lets them.
        if name in ("Q4_0", "Q5_0", "Q3_K", "Q6_K", "IQ4_NL", "IQ4_XS") or place == 2:
            values[::3] *= -1
        blocks[:, place : place + 2] = values.view(numpy.uint8).reshape(-1, 2)
    if name == "MXFP4":
        blocks[:, 0] = draw.integers(112, 122, len(blocks))
    return blocks.reshape(rows, -1)


def letters():
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


def blocks(_):
    draw = numpy.random.default_rng(7)
    path = os.path.join(HERE, "blocks.gguf")
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(len(BLOCKS))
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_key_length(KEYS)
    writer.add_value_length(KEYS)
    writer.add_rope_dimension_count(KEYS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(260)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(letters() + ["de", "def", "<|begin|>", "<|end|>"])
    writer.add_token_types([gguf.TokenType.NORMAL] * 258 + [gguf.TokenType.CONTROL] * 2)
    writer.add_token_merges(["d e", "de f"])
    writer.add_bos_token_id(258)
    writer.add_eos_token_id(259)
    expected = {}

    def add(name, kind, rows, columns):
        data = drawn(draw, kind, rows, columns)
        writer.add_tensor(name, data, raw_dtype=TYPES[kind])
        values = gguf.quants.dequantize(data, TYPES[kind]).astype(numpy.float32)
        assert numpy.isfinite(values).all(), name
        expected[name] = {"type": kind, "bytes": sha(data), "values": sha(values)}

    def norm(name):
        writer.add_tensor(name, (draw.random(HIDDEN) + 0.5).astype(numpy.float32))

    add("token_embd.weight", "Q5_1", 260, HIDDEN)
    norm("output_norm.weight")
    for block, kinds in enumerate(BLOCKS):
        norm(f"blk.{block}.attn_norm.weight")
        norm(f"blk.{block}.ffn_norm.weight")
        for (name, shape), kind in zip(SHAPES.items(), kinds):
            add(f"blk.{block}.{name}.weight", kind, *shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with open(os.path.join(HERE, "blocks.json"), "w") as file:
        json.dump(expected, file, indent=1, sort_keys=True)


SMALL = {"hidden": 64, "inner": 96, "keys": 32, "vocabulary": 12}
CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 12, "hidden_size": 64,
    "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
    "max_position_embeddings": 16, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": True,
}
LINEAR = {
    "self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64), "self_attn.o_proj": (64, 64),
    "mlp.gate_proj": (96, 64), "mlp.up_proj": (96, 64), "mlp.down_proj": (64, 96),
}
BLOCK = "model.layers.0."


def plain(draws):
    tensors = {
        "model.embed_tokens.weight": torch.randn(12, 64, generator=draws).to(torch.bfloat16),
        "model.norm.weight": torch.rand(64, generator=draws).to(torch.bfloat16),
    }
    for name in ["input_layernorm", "post_attention_layernorm"]:
        tensors[BLOCK + name + ".weight"] = torch.rand(64, generator=draws).to(torch.bfloat16)
    return tensors


def packed(form, bits, group, declared, store, dtype, least=None):
    draws = torch.Generator().manual_seed(bits)
    tensors, expected = plain(draws), {}
    for name, (rows, columns) in LINEAR.items():
        width = group or columns
        codes = torch.randint(0, 2**bits, (rows, columns), generator=draws)
        scales = ((torch.rand(rows, columns // width, generator=draws) - 0.4) * 0.02).to(dtype)
        scales[0, 0] = 0  # Whatever codes are beside it, they stay.
        kind, more = f"int{bits}:{group or 'row'}", []
        if least is not None:
            # The last bits of BF16 and a zero point of 4 bits are 11 together.
            scales = torch.round(scales.float() * 2**13).clamp(-127, 127).to(dtype) / 2**13
            zeros = torch.randint(least, 2**bits, scales.shape, generator=draws)
            zeros[scales == 0] = 2 ** (bits - 1)  # Of no meaning there.
            kind, more = f"int{bits}-minimum:{group or 'row'}", [zeros]
        for part, value in store(bits, codes, scales, width, *more).items():
            tensors[f"{BLOCK}{name}.{part}"] = value.contiguous()
        halves = scales.to(torch.float16)
        assert torch.equal(halves.float(), scales.float())
        expected[f"{BLOCK}{name}.weight"] = {
            "scheme": kind, "codes": sha(codes.to(torch.uint8).numpy()), "scales": sha(halves.numpy())}
        if more:
            expected[f"{BLOCK}{name}.weight"]["zeros"] = sha(more[0].to(torch.uint8).numpy())
    folder = os.path.join(HERE, form)
    os.makedirs(folder, exist_ok=True)
    save_file(tensors, folder + "/model.safetensors")
    for file, content in [("config.json", CONFIG | {"quantization_config": declared}), ("codes.json", expected)]:
        with open(os.path.join(folder, file), "w") as out:
            json.dump(content, out, indent=1)


def compressed(bits, codes, scales, width, zeros=None):
    def signed(numbers, dim):
        return pack_to_int32((numbers - 2 ** (bits - 1)).to(torch.int8), bits, packed_dim=dim)

    parts = {"weight_packed": signed(codes, 1), "weight_scale": scales, "weight_shape": torch.tensor(codes.shape)}
    return parts | ({} if zeros is None else {"weight_zero_point": signed(zeros, 0)})


def eight(numbers, bits):
    """Eight neighbours down the columns in a word."""
    count, width = numbers.shape
    parts = numbers.reshape(count // 8, 8, width)
    words = sum(parts[:, i] << (bits * i) for i in range(8))
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)


def gptq(bits, codes, scales, width, zeros=None, less=1):
    # AutoGPTQ's first version: eight codes of neighbouring inputs in a word, zeros less one.
    rows, columns = codes.shape
    zeros = torch.full_like(scales, 2 ** (bits - 1), dtype=torch.int64) if zeros is None else zeros
    return {
        "qweight": eight(codes.T, bits), "scales": scales.T, "qzeros": eight(zeros - less, bits).T,
        "g_idx": (torch.arange(columns) // width).to(torch.int32),
    }


def gptq_v2(*parts):
    return gptq(*parts, less=0)


def declared(bits, group, symmetric=True):
    weights = {"num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": "group" if group else "channel"}
    return {
        "quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed",
        "ignore": ["lm_head"],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights | ({"group_size": group} if group else {})}},
    }


GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": True}
ALL = {
    "blocks": blocks,
    "ct4": lambda name: packed(name, 4, 32, declared(4, 32), compressed, torch.bfloat16),
    "ct8": lambda name: packed(name, 8, None, declared(8, None), compressed, torch.float16),
    "gptq4": lambda name: packed(name, 4, 32, GPTQ, gptq, torch.float16),
    "ct4-zero": lambda name: packed(name, 4, 32, declared(4, 32, False), compressed, torch.bfloat16, least=0),
    "gptq4-zero": lambda name: packed(name, 4, 32, GPTQ | {"sym": False}, gptq, torch.float16, least=1),
    "gptq4-zero-v2": lambda name: packed(
        name, 4, 32, GPTQ | {"sym": False, "checkpoint_format": "gptq_v2"}, gptq_v2, torch.float16, least=1),
}
for name in sys.argv[1:] or ALL:
    ALL[name](name)
