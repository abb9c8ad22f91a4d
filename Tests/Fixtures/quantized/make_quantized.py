"""Writes quantized.json: block quantization in numpy, to compare Furl's codes and scales with.

Usage: python3 make_quantized.py (needs numpy; no part of it comes from Furl)

Weights are small multiples of a power of two or draws of a seeded generator; each is written as the bit pattern
of its float32, each scale as that of its float16. Codes are in row order.
"""

import json
import os

import numpy

f32 = numpy.float32
CODINGS = ("int8", "int4", "int4-minimum")


def halves(values):
    return values.astype(numpy.float16)


def rounded(values, scale, low, high):
    """values / scale to the nearest integer, ties to even; zero where the scale is."""
    safe = numpy.where(scale == 0, f32(1), scale)
    codes = numpy.clip(numpy.rint((values / safe).astype(f32)), low, high)
    return numpy.where(scale == 0, 0, codes).astype(int)


def quantize(coding, block):
    """One block of one row: codes as stored, the scale and, where there is one, the minimum."""
    if coding == "int8":
        scale = halves(numpy.abs(block).max() / f32(127))
        return rounded(block, scale.astype(f32), -127, 127) + 128, scale, None
    if coding == "int4":
        scale = halves(block[numpy.abs(block).argmax()] / f32(-8))
        scale = numpy.float16(0) if scale == 0 else scale
        return rounded(block, scale.astype(f32), -8, 7) + 8, scale, None
    low, high = block.min(), block.max()
    scale, minimum = halves((high - low) / f32(15)), halves(low)
    return rounded(block - minimum.astype(f32), scale.astype(f32), 0, 15), scale, minimum


def case(coding, size, weights):
    columns = weights.shape[1]
    width = columns if size == "row" else int(size)
    codes, scales, minimums = [], [], []
    for row in weights:
        for start in range(0, columns, width):
            code, scale, minimum = quantize(coding, row[start : start + width])
            codes += code.tolist()
            scales.append(int(scale.view(numpy.uint16)))
            if minimum is not None:
                minimums.append(int(minimum.view(numpy.uint16)))
    return {
        "scheme": f"{coding}:{size}",
        "codes": codes,
        "scales": scales,
        "minimums": minimums,
    }


def matrices(draw):
    yield draw.standard_normal((19, 70)).astype(f32)
    # Multiples of a half: many values lie exactly between two codes.
    ties = (draw.integers(-254, 255, (5, 96)) / 2).astype(f32)
    ties[:, ::32] = 127
    yield ties
    # Rows of zeros, of scales that are subnormal halves or nothing, of the largest that fit, of one value.
    odd = draw.standard_normal((7, 40)).astype(f32)
    for row, scale in enumerate((0, 1e-5, 1e-6, 1e-9, 60000, 1)):
        odd[row] *= f32(scale) / numpy.abs(odd[row]).max()
    odd[5] = f32(0.3)
    odd[6] = -numpy.abs(odd[6])
    yield odd + f32(0)


def main():
    draw = numpy.random.default_rng(2024)
    found = []
    for weights in matrices(draw):
        found.append(
            {
                "rows": weights.shape[0],
                "columns": weights.shape[1],
                "weights": weights.reshape(-1).view(numpy.uint32).tolist(),
                "cases": [case(coding, size, weights) for coding in CODINGS for size in ("32", "64", "row")],
            }
        )
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quantized.json")
    with open(path, "w") as file:
        json.dump({"matrices": found}, file, separators=(",", ":"))
        file.write("\n")


main()
