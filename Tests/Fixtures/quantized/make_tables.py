"""Writes tables.json: NF4 and FP4 as bitsandbytes quantizes, to compare Furl's codes and values with.

Usage: python3 make_tables.py (needs torch and bitsandbytes 0.50; runs on its CPU backend; no part of it comes from Furl)

The largest magnitude of each block of 64 is a number that a half holds, so that Furl's scale is bitsandbytes' absmax.
Numbers are bit patterns of float32. `double_error` is the mean squared error with bitsandbytes' double quantization
(8-bit codes of the absmax in blocks of 256) of the matrix `large`, whose weights are in 4096ths.
"""

import json
import os

import bitsandbytes.functional as functional
import numpy
import torch

f32 = numpy.float32


def bits(values):
    return numpy.asarray(values, f32).reshape(-1).view(numpy.uint32).tolist()


def weights(draw, rows, columns):
    values = (draw.standard_normal((rows, columns // 64, 64)) * 0.05).astype(f32)
    values[0, 0, :7] = [0, -0.0, 1e-6, -1e-6, 1e-3, -1e-3, 0]
    for block in values.reshape(-1, 64):
        at = numpy.abs(block).argmax()
        block[at] = numpy.float16(block[at] * 1.01).astype(f32)
    values[1, 1] = 0
    return values.reshape(rows, columns)


def quantized(kind, values):
    packed, state = functional.quantize_4bit(torch.from_numpy(values), blocksize=64, quant_type=kind)
    packed = packed.numpy().reshape(-1)
    # The first of two codes is in the high half.
    codes = numpy.stack([packed >> 4, packed & 15], 1).reshape(-1)
    decoded = functional.dequantize_4bit(torch.from_numpy(packed.reshape(-1, 1)), state).numpy()
    return codes.tolist(), state.absmax.numpy(), decoded


def double_error(kind, values):
    packed, state = functional.quantize_4bit(
        torch.from_numpy(values), blocksize=64, quant_type=kind, compress_statistics=True
    )
    decoded = functional.dequantize_4bit(packed, state).numpy()
    return float(((decoded.astype(float) - values) ** 2).mean())


def main():
    draw = numpy.random.default_rng(7)
    values = weights(draw, 5, 192)
    large = (numpy.rint(draw.standard_normal((16, 512)) * 200) / 4096).astype(f32)
    kinds = {}
    for kind in ("nf4", "fp4"):
        codes, absmax, decoded = quantized(kind, values)
        table = functional.get_4bit_type(kind, device="cpu").numpy()
        kinds[kind] = {
            "table": bits(table), "codes": codes, "absmax": bits(absmax), "decoded": bits(decoded),
            "double_error": double_error(kind, large),
        }
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tables.json")
    with open(path, "w") as file:
        document = {"rows": 5, "columns": 192, "weights": bits(values), "kinds": kinds}
        document["large"] = {"rows": 16, "columns": 512, "weights": (large * 4096).astype(int).reshape(-1).tolist()}
        json.dump(document, file, separators=(",", ":"))
        file.write("\n")


main()
