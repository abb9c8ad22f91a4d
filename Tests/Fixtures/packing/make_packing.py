"""Writes packing.json: integers as compressed-tensors 0.20.1 packs them into words of 32 bits.

Needs torch and compressed-tensors. Usage: python make_packing.py
"""
import json, os

import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

torch.manual_seed(1)
cases = []
for bits in (4, 8):
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    for columns in (32, 40, 37, 1):
        codes = torch.randint(low, high + 1, (3, columns), dtype=torch.int8)
        packed = pack_to_int32(codes, bits)
        cases.append({"bits": bits, "codes": codes.tolist(), "words": packed.tolist()})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "packing.json"), "w") as file:
    json.dump(cases, file)
    file.write("\n")
