"""Writes quantized.json: block quantization in numpy, to compare Furl's codes and scales with.

Usage: python3 make_quantized.py (needs numpy; no part of it comes from Furl)

Weights are small multiples of a power of two or draws of a seeded generator; each is written as the bit pattern
of its float32, each scale as that of its float16, or as its byte where the scheme ends in "u8"; then the rows' factors
are bit patterns, too. Codes are in row order.
"""

import json
import os

import numpy

f32 = numpy.float32
CODINGS = ("int8", "nested8") + tuple(f"int{bits}{end}" for bits in (6, 5, 4, 3, 2) for end in ("", "-minimum"))
BITS = {f"int{bits}": bits for bits in (8, 6, 5, 4, 3, 2)}
# Of nested8: steps of the remainders in one of the codes.
STEPS = 10


def halves(values):
    return values.astype(numpy.float16)


def rounded(values, scale, low, high):
    """values / scale to the nearest integer, ties to even; zero where the scale is."""
    safe = numpy.where(scale == 0, f32(1), scale)
    codes = numpy.clip(numpy.rint((values / safe).astype(f32)), low, high)
    return numpy.where(scale == 0, 0, codes).astype(int)


def extents(coding, block):
    """The scale and the minimum of one block of one row, before they are rounded."""
    if coding == "nested8":
        below, above = max(-block.min(), f32(0)), max(block.max(), f32(0))
        low, high = f32(8 + 8 / STEPS), f32(7 + 7 / STEPS)
        if above > below:
            return -max(above / low, below / high), f32(0)
        return max(below / low, above / high), f32(0)
    top = 2 ** BITS[coding.split("-")[0]] - 1
    if coding.endswith("-minimum"):
        return (block.max() - block.min()) / f32(top), block.min()
    if coding == "int8":
        return numpy.abs(block).max() / f32(127), f32(0)
    return block[numpy.abs(block).argmax()] / f32(-(top + 1) / 2), f32(0)


def codes_of(coding, block, scale, minimum):
    """Codes as stored; of nested8 ten times the code and the remainder."""
    if coding == "nested8":
        zero = 8 * STEPS + 8
        return rounded(block, scale / f32(STEPS), -zero, 7 * STEPS + 7) + zero
    top = 2 ** BITS[coding.split("-")[0]] - 1
    if coding.endswith("-minimum"):
        return rounded(block - minimum, scale, 0, top)
    zero = (top + 1) // 2
    return rounded(block, scale, -127 if coding == "int8" else -zero, zero - 1) + zero


def multiples(numbers, factor, signed):
    """Scales of a row in 8 bits: the nearest multiple of its factor, and never zero of what is not zero."""
    if factor == 0:
        return numpy.zeros(len(numbers), int)
    steps = numpy.clip(numpy.rint((numbers / factor).astype(f32)), -127 if signed else 0, 127 if signed else 255)
    return numpy.where((steps == 0) & (numbers != 0), numpy.sign(numbers), steps).astype(int)


def case(coding, size, weights, small=False):
    columns = weights.shape[1]
    width = columns if size == "row" else int(size)
    found = {"scheme": f"{coding}:{size}" + (":u8" if small else ""), "codes": [], "scales": [], "minimums": []}
    if small:
        found |= {"factors": [], "minimum_factors": []}
    has_minimum, signed = coding.endswith("-minimum"), coding != "int8" and not coding.endswith("-minimum")
    for row in weights:
        blocks = [row[start : start + width] for start in range(0, columns, width)]
        raw = [numpy.array(numbers, f32) for numbers in zip(*(extents(coding, block) for block in blocks))]
        if small:
            steps = f32(127 if signed else 255)
            factor, other = numpy.abs(raw[0]).max() / steps, numpy.abs(raw[1]).max() / f32(127)
            scale_codes, minimum_codes = multiples(raw[0], factor, signed), multiples(raw[1], other, True)
            scales, minimums = scale_codes.astype(f32) * factor, minimum_codes.astype(f32) * other
            found["scales"] += (scale_codes + (128 if signed else 0)).tolist()
            found["factors"].append(int(factor.view(numpy.uint32)))
            if has_minimum:
                found["minimums"] += (minimum_codes + 128).tolist()
                found["minimum_factors"].append(int(other.view(numpy.uint32)))
        else:
            scales, minimums = halves(raw[0]), halves(raw[1])
            scales = numpy.where(scales == 0, numpy.float16(0), scales)
            found["scales"] += scales.view(numpy.uint16).tolist()
            if has_minimum:
                found["minimums"] += minimums.view(numpy.uint16).tolist()
        for block, scale, minimum in zip(blocks, scales.astype(f32), minimums.astype(f32)):
            found["codes"] += codes_of(coding, block, scale, minimum).tolist()
    return found


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
                "cases": [case(coding, size, weights) for coding in CODINGS for size in ("32", "64", "row")]
                + [case(coding, "32", weights, small=True) for coding in CODINGS],
            }
        )
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quantized.json")
    with open(path, "w") as file:
        json.dump({"matrices": found}, file, separators=(",", ":"))
        file.write("\n")


main()
