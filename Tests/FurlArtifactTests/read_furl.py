#!/usr/bin/env python3
"""Reads a .furl file as FORMAT.md describes it, without any of Furl's code.

Checks every digest and every padding byte and prints what it found as JSON.

    pip install zstandard
    read_furl.py FILE.furl > FILE.json
"""
import hashlib
import json
import struct
import sys

import zstandard

SCHEMES = {
    "float32": (2048, 0), "bfloat16": (1024, 0), "int8": (512, 1), "int6": (384, 1), "int6-minimum": (384, 2),
    "int5": (320, 1), "int5-minimum": (320, 2), "int4": (256, 1), "int4-minimum": (256, 2),
    "int3": (192, 1),
    "int3-minimum": (192, 2), "int2": (128, 1), "int2-minimum": (128, 2), "nf4": (256, 1), "fp4": (256, 1),
    "codebook4": (256, 1), "nested8": (256, 1),
}
# GGUF's blocks: bytes of a tile, bytes of scales and of minimums for each tile, and the halves of a super-block.
BLOCKS = {
    "q4_k": (256, (16, 16), 2), "q5_k": (512, (16, 16), 2), "q6_k": (512, (32,), 1), "q3_k": (192, (32,), 1),
    "iq4_xs": (256, (16,), 1), "iq4_nl": (256, (32,), 0), "q5_0": (512, (32,), 0), "q5_1": (512, (32, 32), 0),
    "mxfp4": (256, (16,), 0),
}
PLANES = {
    "bytes": (262144, 1), "nibbles": (131072, 1), "fives": (163840, 1), "sixes": (196608, 1), "halves": (524288, 2),
    "floats": (1048576, 4),
}
# Bits of the codes that are symbols.
CODES = {"nibbles": 4, "fives": 5, "sixes": 6}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def check(condition, problem):
    if not condition:
        raise SystemExit(problem)


class Number(str):
    """A number that keeps the text that it has in the index."""


def canonical(value):
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        out = []
        for character in value:
            code = ord(character)
            if character in '"\\':
                out.append("\\" + character)
            elif character in "\n\r\t":
                out.append({"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character])
            elif code < 0x20 or code in (0x7F, 0x2028, 0x2029):
                out.append("\\u%04x" % code)
            else:
                out.append(character)
        return '"' + "".join(out) + '"'
    if isinstance(value, list):
        return "[" + ",".join(canonical(element) for element in value) + "]"
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode())
        return "{" + ",".join(canonical(key) + ":" + canonical(value[key]) for key in keys) + "}"
    return json.dumps(value)


def frame(data, size):
    """Decodes exactly one frame with a checksum."""
    parameters = zstandard.get_frame_parameters(data)
    check(parameters.has_checksum and parameters.content_size == size and parameters.dict_id == 0, "frame header")
    decoder = zstandard.ZstdDecompressor().decompressobj()
    decoded = decoder.decompress(data)
    check(decoder.eof and not decoder.unused_data and len(decoded) == size, "frame")
    return decoded


def unpack(bitmap, symbols, zero):
    """Puts symbols where the bits of a bitmap are one, and a byte where they are zero."""
    rest = iter(symbols)
    return bytes(next(rest) if bit else zero for bit in bitmap)


def decode(data, stream, scheme):
    """The bytes of a stream in memory."""
    if stream["codec"] == "raw":
        return data
    check(stream["codec"] in ("zstd-huffman", "zstd-bitmap"), "codec")
    has_bitmap = stream["codec"] == "zstd-bitmap"
    zero = 0 if scheme in ("float32", "bfloat16") else 128
    may_have_bitmap = scheme.startswith(("int8", "float32", "bfloat16", "q6_k", "q5_0"))
    check(not has_bitmap or stream["kind"] == "codes" and may_have_bitmap, "bitmap")
    chunk_bytes, planes = PLANES[stream["symbols"]]
    frames = [int(length) for length in stream["frames"]]
    rest = int(stream["decoded_length"])
    out, position = bytearray(), 0
    while rest:
        size = min(rest, chunk_bytes)
        bits = CODES.get(stream["symbols"], 8)
        symbols = size * 8 // bits // planes
        chunk = bytearray(size)
        if has_bitmap:
            length = frames.pop(0)
            packed = frame(data[position : position + length], -(-symbols // 8))
            position += length
            bitmap = [byte >> bit & 1 for byte in packed for bit in range(8)]
            check(not any(bitmap[symbols:]), "bits behind the last element")
            del bitmap[symbols:]
            symbols = sum(bitmap)
        for plane in range(planes):
            length = frames.pop(0)
            decoded = frame(data[position : position + length], symbols)
            position += length
            if stream["symbols"] == "nibbles":
                check(max(decoded) < 16, "nibbles")
                chunk[:] = bytes(low | high << 4 for low, high in zip(decoded[:size], decoded[size:]))
            elif bits < 8:
                check(max(decoded) < 1 << bits, "codes")
                chunk[:] = b"".join(tile(decoded[start : start + 512], bits) for start in range(0, symbols, 512))
            else:
                chunk[plane::planes] = unpack(bitmap, decoded, zero) if has_bitmap else decoded
        out += chunk
        rest -= size
    check(not frames and position == len(data), "frames")
    return bytes(out)


def tile(codes, bits):
    """A tile of 512 codes of 5 or 6 bits: nibbles in pairs, then the bits above them."""
    out = bytearray(64 * bits)
    for group in range(8):
        for index in range(64):
            code = codes[64 * group + index]
            out[group % 4 * 64 + index] |= (code & 15) << (group // 4 * 4)
            above, shift = (256, group) if bits == 5 else (256 + group % 2 * 64, group // 2 * 2)
            out[above + index] |= code >> 4 << shift
    return bytes(out)


def layout(scheme, shape):
    """The streams of a tensor with their sizes."""
    if len(shape) == 1:
        check(scheme == "float32", "vector")
        return [("values", shape[0] * 4)]
    scheme, _, apart = scheme.partition("+")
    coding, _, block = scheme.partition(":")
    block, _, scale_form = block.partition(":")
    rows, columns = -(-shape[0] // 16), -(-shape[1] // 32)
    if scheme in BLOCKS:
        tile, scales, halves = BLOCKS[scheme]
        check(shape[1] % (256 if halves else 32) == 0, "whole blocks")
        streams = [("codes", rows * columns * tile)]
        streams += [(kind, rows * columns * size) for kind, size in zip(("scales", "minimums"), scales)]
        return streams + [(kind, rows * columns // 8 * 32) for kind in ("factors", "minimum_factors")[:halves]]
    tile, scales = SCHEMES[coding]
    blocks = 1 if block in ("", "row") else -(-shape[1] // int(block))
    streams = [("codes", rows * columns * tile)]
    streams += [("remainders", rows * columns * tile)] if coding == "nested8" else []
    scale_bytes = 16 if scale_form == "u8" else 32
    streams += [(kind, rows * blocks * scale_bytes) for kind in ("scales", "minimums")[:scales]]
    if scale_form == "u8":
        streams += [(kind, rows * 64) for kind in ("factors", "minimum_factors")[:scales]]
    streams += [("levels", 16)] if coding == "codebook4" else []
    apart = int(apart or 0)
    return streams + ([("outliers", rows * apart * 32), ("outlier_columns", apart * 4)] if apart else [])


def read(path):
    data = open(path, "rb").read()
    footer = data[-128:]
    check(data[:8] == b"FURL\r\n\x1a\n" and data[8:64] == struct.pack("<I52x", 1), "header")
    check(footer[:16] == b"FURL-END" + struct.pack("<I4x", 1) and footer[80:96] == bytes(16), "footer")
    check(hashlib.sha256(data[:64] + footer[:96]).digest() == footer[96:], "footer digest")
    offset, length, decoded_length, total = struct.unpack("<4Q", footer[16:48])
    check(total == len(data), "length")
    stored = data[offset : offset + length]
    check(hashlib.sha256(stored).digest() == footer[48:80], "index digest")
    text = frame(stored, decoded_length).decode()
    index = json.loads(text, parse_int=Number, parse_float=Number)
    check(canonical(index) == text, "index is not canonical")
    check(index["format_version"] == "1", "format_version")
    check(sha256(index["recipe"]["text"].encode()) == index["recipe"]["sha256"], "recipe")

    end = 64

    def section(entry):
        nonlocal end
        start = int(entry["offset"])
        check(start == -(-end // 64) * 64 and not any(data[end:start]), "padding")
        end = start + int(entry["length"])
        check(sha256(data[start:end]) == entry["sha256"], "stored digest")
        return data[start:end]

    found = []
    for tensor in index["tensors"]:
        shape = [int(extent) for extent in tensor["shape"]]
        expected = layout(tensor["scheme"], shape)
        check([stream["kind"] for stream in tensor["streams"]] == [kind for kind, _ in expected], "streams")
        digests = {}
        for stream, (kind, size) in zip(tensor["streams"], expected):
            decoded = decode(section(stream), stream, tensor["scheme"])
            check(len(decoded) == size == int(stream["decoded_length"]), "size")
            digests[kind] = sha256(decoded)
            check(digests[kind] == stream["decoded_sha256"], "decoded digest")
        joined = b"".join(bytes.fromhex(digest) for digest in digests.values())
        found.append({
            "name": tensor["name"], "role": tensor["role"], "shape": shape, "scheme": tensor["scheme"],
            "sha256": sha256(joined), "streams": digests,
        })
    tokenizer = index["tokenizer"]
    decoded = frame(section(tokenizer), int(tokenizer["decoded_length"]))
    check(sha256(decoded) == tokenizer["decoded_sha256"], "tokenizer digest")
    check(offset == -(-end // 64) * 64 and not any(data[end:offset]), "padding")
    check(len(data) - 128 == -(-(offset + length) // 64) * 64 and not any(data[offset + length : -128]), "padding")

    manifest = {key: index[key] for key in ("architecture", "config", "recipe", "spec")}
    if "end_tokens" in index:
        manifest["end_tokens"] = index["end_tokens"]
    papers = {key: value for key, value in index.get("papers", {}).items() if key != "special_tokens"}
    settings = json.loads(papers.get("generation_config", "{}"))
    if all(key.endswith("_token_id") or key in ("transformers_version", "_from_model_config") for key in settings):
        papers.pop("generation_config", None)
    if papers:
        manifest["papers"] = papers
    manifest["manifest"] = Number(1)
    manifest["tensors"] = [
        {
            "name": tensor["name"], "role": tensor["role"], "scheme": tensor["scheme"], "shape": tensor["shape"],
            "streams": [
                {"kind": stream["kind"], "length": stream["decoded_length"], "sha256": stream["decoded_sha256"]}
                for stream in tensor["streams"]
            ],
        }
        for tensor in index["tensors"]
    ]
    manifest["tokenizer"] = {"length": tokenizer["decoded_length"], "sha256": tokenizer["decoded_sha256"]}
    identity = sha256(canonical(manifest).encode())
    check(identity == index["artifact_id"], "artifact_id")
    return {
        "artifact_id": identity, "storage": index["storage"], "bytes": len(data), "tokenizer": sha256(decoded),
        "tensors": found,
    }


if __name__ == "__main__":
    print(json.dumps(read(sys.argv[1]), indent=1))
