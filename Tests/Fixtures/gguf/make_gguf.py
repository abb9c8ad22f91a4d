"""Writes blocks.json: random blocks of every GGUF type and the numbers that they stand for.

Usage: python3 make_gguf.py (needs numpy and gguf 0.17 or newer, the package of llama.cpp's authors; no part of it
comes from Furl; the models beside it are make_models.py's)

The bytes of a block are draws of a seeded generator, so every field takes all its values; only the FP16 scales are
drawn anew until they are finite. The last block of each type has an infinite first scale. Numbers are written as the
bytes of little-endian float32.
"""

import json
import os

import gguf
import numpy

HERE = os.path.dirname(os.path.abspath(__file__))

# The bytes at which a block's FP16 numbers begin.
HALVES = {
    "F32": [], "F16": [0], "BF16": [], "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0],
}
# Those that came later, whose draws are behind all others'.
LATER = {
    "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0], "IQ1_S": [0], "IQ1_M": [], "TQ1_0": [52],
    "TQ2_0": [64],
}


def finite_half(draws):
    while True:
        bits = draws.integers(0, 1 << 16, dtype=numpy.uint16)
        if numpy.isfinite(bits.view(numpy.float16)):
            return bits


def blocks(name, halves, draws):
    """[count][bytes of a block]."""
    kind = gguf.GGMLQuantizationType[name]
    size, width = gguf.GGML_QUANT_SIZES[kind]
    count = 24 if size == 1 else 16 if size == 32 else 4
    data = draws.integers(0, 256, (count, width), dtype=numpy.uint8)
    for block in data:
        for place in halves:
            block[place : place + 2] = finite_half(draws).reshape(1).view(numpy.uint8)
    if size == 1 and name != "F16":
        # Numbers of their own: neither infinite nor no numbers, so that bits can be compared.
        data[:, -1] &= 0xBF
    if name == "IQ1_M":
        # The scale lies in the high bits of words: its exponent is kept small.
        data[:, -1] &= 0xBF
    if halves:
        place = halves[0]
        data[-1, place : place + 2] = numpy.array([0x7C00], numpy.uint16).view(numpy.uint8)
    return data


def write_blocks():
    draws = numpy.random.default_rng(20240601)
    types = []
    for name in HALVES:
        data = blocks(name, HALVES[name], draws)
        kind = gguf.GGMLQuantizationType[name]
        with numpy.errstate(all="ignore"):
            values = gguf.quants.dequantize(data, kind).astype(numpy.float32)
        types.append({"type": name, "blocks": data.tobytes().hex(), "values": values.tobytes().hex()})
    # Doubles by themselves: most draws of bytes are too large or too small for FP32. Halfway cases go to even.
    doubles = draws.standard_normal(24) * 10.0 ** draws.integers(-40, 38, 24)
    doubles[:6] = [1 + 2.0**-24, 1 + 3 * 2.0**-24, -1e-46, 3.5e38, -numpy.inf, numpy.nan]
    with numpy.errstate(all="ignore"):
        values = doubles.astype(numpy.float32)
    types.append({"type": "F64", "blocks": doubles.astype("<f8").tobytes().hex(), "values": values.tobytes().hex()})
    # Behind the others, whose draws stay as they are: blocks without an FP16 number, each with a scale of 8 bits.
    data = draws.integers(0, 256, (16, 17), dtype=numpy.uint8)
    data[:4, 0] = [0, 1, 2, 255]
    with numpy.errstate(all="ignore"):
        values = gguf.quants.dequantize(data, gguf.GGMLQuantizationType.MXFP4).astype(numpy.float32)
    types.append({"type": "MXFP4", "blocks": data.tobytes().hex(), "values": values.tobytes().hex()})
    for name, halves in LATER.items():
        data = blocks(name, halves, draws)
        with numpy.errstate(all="ignore"):
            values = gguf.quants.dequantize(data, gguf.GGMLQuantizationType[name]).astype(numpy.float32)
        types.append({"type": name, "blocks": data.tobytes().hex(), "values": values.tobytes().hex()})
    with open(os.path.join(HERE, "blocks.json"), "w") as file:
        json.dump({"types": types}, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    write_blocks()
