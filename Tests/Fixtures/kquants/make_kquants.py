"""Writes kquants.json: how near llama.cpp's own quantizer comes to some weights in each type of blocks; and mixes.json: the
type that it gives every matrix of two models in each of its mixes.

Usage: python3 make_kquants.py FOLDER_OF_LLAMA_CPP MINIPY_F32.gguf MINIPY_IMATRIX.gguf SMOLLM2.gguf
(needs numpy and gguf; the folder has libggml-base.so and llama-quantize; no part of it comes from Furl but the F32 file's
container)

Weights are multiples of 2^-10: of a bell with some that are far out, rows of several sizes, a row of zeros, and a row that is
above zero everywhere.
"""

import ctypes
import json
import os
import re
import subprocess
import sys

import gguf
import numpy

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = ["Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS", "IQ4_NL", "Q5_0", "Q5_1", "MXFP4"]
MIXES = ["Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS"]
ROWS, COLUMNS = 20, 512


def weights():
    draws = numpy.random.default_rng(22)
    values = draws.standard_normal((ROWS, COLUMNS)) * 60
    values[draws.random((ROWS, COLUMNS)) < 0.01] *= 6
    values *= numpy.exp(draws.standard_normal((ROWS, 1)))
    values[3] = 0
    values[4] = numpy.abs(values[4]) + 40
    return (numpy.clip(numpy.rint(values), -30000, 30000) / 1024).astype(numpy.float32)


def errors(library, values):
    base = ctypes.CDLL(library)
    base.ggml_quantize_chunk.restype = ctypes.c_size_t
    pointer = ctypes.POINTER(ctypes.c_float)
    result = {}
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        size, width = gguf.GGML_QUANT_SIZES[kind]
        out = numpy.zeros(ROWS * COLUMNS // size * width, numpy.uint8)
        base.ggml_quantize_chunk(
            ctypes.c_int(int(kind)), values.ctypes.data_as(pointer), out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(0),
            ctypes.c_int64(ROWS), ctypes.c_int64(COLUMNS), ctypes.cast(None, pointer))
        back = gguf.quants.dequantize(out.reshape(ROWS, -1), kind)
        result[name] = [float(error) for error in ((back.astype(float) - values) ** 2).sum(axis=1)]
    return result


def types(tool, model, mix, matrix):
    command = [tool, "--dry-run", "--allow-requantize"] + (["--imatrix", matrix] if matrix else []) + [model, mix, "1"]
    text = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {}
    for line in (text.stdout + text.stderr).splitlines():
        match = re.search(r"\] (\S+)\.weight +- .*, type = +(\S+),.*?(?:\((\S+)\))?$", line)
        shape = re.search(r"- \[ *(\d+), *(\d+),", line)
        if match and int(shape.group(2)) > 1:
            found[match.group(1)] = (match.group(3) or match.group(2)).upper()
    return found


def main(folder, minipy, matrix, smollm2):
    values = weights()
    integers = [int(value) for value in numpy.rint(values * 1024).flatten()]
    with open(os.path.join(HERE, "kquants.json"), "w", encoding="utf-8") as file:
        json.dump({"rows": ROWS, "columns": COLUMNS, "weights": integers,
                   "errors": errors(os.path.join(folder, "libggml-base.so"), values)}, file, separators=(",", ":"))
        file.write("\n")
    tool, models = os.path.join(folder, "llama-quantize"), []
    for name, model, matrix in (("minipy", minipy, matrix), ("smollm2", smollm2, None)):
        for mix in MIXES:
            models.append({"model": name, "mix": mix.lower(), "calibrated": matrix is not None,
                           "types": types(tool, model, mix, matrix)})
    with open(os.path.join(HERE, "mixes.json"), "w", encoding="utf-8") as file:
        json.dump(models, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
