"""Writes Sources/FurlTensor/Blocks/GridTables.swift: the vectors that the codes of GGUF's IQ1, IQ2 and IQ3 types stand for.

Usage: python3 make_grids.py (needs numpy and gguf 0.19 or newer, the package of llama.cpp's authors)

The tables are those of `ggml-common.h` of https://github.com/ggml-org/ggml. A vector of 8 numbers of three kinds, or of 4 of
eight kinds, is a number in that base, its first place the vector's first; it is written in two characters, base 86.
"""

import os

import gguf.quants as quants
import numpy

ALPHABET = [chr(code) for code in range(0x28, 0x7F) if chr(code) != "\\"]
OUTPUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../Sources/FurlTensor/Blocks/GridTables.swift")
NAMES = [("iq1", "IQ1_S"), ("iq2xxs", "IQ2_XXS"), ("iq2xs", "IQ2_XS"), ("iq2s", "IQ2_S"), ("iq3xxs", "IQ3_XXS"),
         ("iq3s", "IQ3_S")]

text = """/// The vectors that the codes of GGUF's IQ1, IQ2 and IQ3 types stand for, as `make_grids.py` beside the tests' GGUF files writes
/// them: two characters each, a number in base 86 whose places in base 3 (vectors of 8) or 8 (vectors of 4) are the vector's.
///
/// Source: `ggml-common.h` of https://github.com/ggml-org/ggml.
enum GridTables {
"""
for name, kind in NAMES:
    found = getattr(quants, kind)
    found.init_grid()
    levels = numpy.array(found.grid_map, dtype=numpy.float32)
    grid = found.grid.reshape(found.grid_shape)
    places = (grid[:, :, None] == levels).argmax(axis=-1)
    numbers = (places * (len(levels) if len(levels) == 8 else 3) ** numpy.arange(grid.shape[1])).sum(axis=1)
    written = "".join(ALPHABET[number // 86] + ALPHABET[number % 86] for number in numbers)
    lines = [written[start : start + 110] for start in range(0, len(written), 110)]
    text += f"  /// {len(numbers)} vectors of {kind.split('_')[0] if name == 'iq1' else kind}.\n"
    text += f"  static let {name}: StaticString = \"\"\"\n" + "".join(f"    {line}\\\n" for line in lines[:-1])
    text += f"    {lines[-1]}\n    \"\"\"\n"
with open(OUTPUT, "w") as file:
    file.write(text + "}\n")
