"""Makes the fixtures of the tokenizers of model families with independent programs.

    pip install tokenizers==0.23.3 transformers==5.23.0 gguf==0.19.0
    python make_families.py LLAMA_TOKENIZE

LLAMA_TOKENIZE is llama.cpp's program of that name. Writes `texts.json`, a vocabulary of whole texts that is trained
here (`spm.json`, as SentencePiece's BPE has them) and `families.json`: for every configuration its parts, for every
text the ids, and for some ids the text, by

- `tokenizers`, for a tokenizer.json with marks for spaces and byte fallback (form `json`),
- `transformers`, for vocab.json with merges.txt and the files beside them (form `files`),
- llama.cpp, for the vocabularies of GGUF files (form `gguf`).
"""

import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import gguf
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

FOLDER = pathlib.Path(__file__).parent

TRAINING = [
    "def add(a, b):\n    return a + b\n\n\nfor i in range(10):\n    print(i, i * 2)\n",
    "class Node:\n    def __init__(self, value=None):\n        self.value = value\n        self.next = None\n",
    "if x == 1234567890 and y != 0x10:\n\tcontinue\nelse:\n\tpass\nimport os, sys\n",
    "We'll see what they're doing; I'm sure it's fine, don't you? They said the same thing over and over again.",
    "na\u00efve caf\u00e9, Stra\u00dfe, \u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac, \u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u044f\u0437\u044b\u043a, \u65e5\u672c\u8a9e",
    "return self.values[index] if index < len(self.values) else None  # a comment\n" * 2,
]

TEXTS = [
    "", " ", "  ", "   ", "a", " a", "a ", "  a  ", "\n", "\n\n", " \n ", "\t", "\r\n", "def add(a, b):\n    return a + b",
    "class Node:\n    def __init__(self):\n        self.next = None\n\n\n", "if x == 10:\n\tpass\nelse:\n\tcontinue",
    "Hello world", " Hello  world ", "We'll see, don't they're I'M it'S", "1234567890 12 3", "x=1.5e-10", "a\u00a0b\u2003c\u3000d",
    "na\u00efve caf\u00e9 Stra\u00dfe", "e\u0301 \u00e9 \u1100\u1161\u11a8 \u212b", "\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8", "\u0440\u0443\u0441\u0441\u043a\u0438\u0439", "\u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac",
    "\U0001f600 \U0001f469\u200d\U0001f469\u200d\U0001f467!", "\u2581", "a\u2581b", " \u2581 \u2581\u2581a", "<0x0A>", "<0x41>a", "<unk>", "<s>", "<s>a", " <s> a", "a<s>b</s> c",
    "<s><s>", "</s>\n<s> \n", "x <mask>  y", "x<mask>", "<word>", "a<word>", " <word>b", "\u00e9<word>", "<norm>", "a <norm>b", " <norm> <norm>",
    "<\u00e9>e\u0301<e\u0301>", "\u2581<PRE> def", " <PRE>x", "a\u2581<PRE>\u2581<SUF>b", "<two words>", "a <two words>b", "a <two words>  b", "a<two words>\n \u00a0b", "<|im_start|>user\nhi<|im_end|>", "<|endoftext|>", "a<|endoftext|> b",
    "    x", "        y", "                z\n    w", "x" + " " * 37 + "y", "a" * 70, "ab" * 40, " " * 60, "\n" * 40, "return return return", "the the the over over",
    "\x00\x01\x1f\x7f", "\ud7ff\ue000\uffff\U0010ffff", "\u0301\u0301x", "q\u0307\u0323", "\u200b \u200bx\ufeff", "() [] {} <> /* */ // \\ \" ' ` ~", "a.b.c(d)[e]{f}", "\u00b2\u00b3\u00b9 \u00bd \u2167 \u0663\u0664",
    "don\u2019t \u201cquote\u201d \u2014 \u2026", "zq ZQ \u0416\u4e2d\U0001d54f", "0<1>2</s", "user\u00a0\u00a0 x", "self.values[index]", "\u540d\u524d = '\u65e5'",
]

POOL = list("abcdefinrstuvxyz'  \n\t019.,_-+=()<>|") + [
    "  ", "    ", "\n\n", "\r\n", "<s>", "</s>", "<mask>", "<word>", "<norm>", "<|im_end|>", "\u2581", "\u2581<PRE>", "\u00a0", "\u0301", "\u00e9", "\u65e5", "\U0001f600", "\u3000",
]


def random_texts(count):
    draw = random.Random(30)
    texts = []
    for index in range(count):
        if index % 4 == 3:
            points = [draw.randrange(1, draw.choice([0x100, 0x800, 0x3000, 0x10000, 0x20000])) for _ in range(draw.randint(1, 8))]
            texts.append("".join(chr(p) for p in points if not 0xD800 <= p < 0xE000))
        else:
            texts.append("".join(draw.choice(POOL) for _ in range(draw.randint(1, 20))))
    return texts


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def train(across):
    """Pieces in the order of their merges; with `across`, some of them go across spaces."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always", split=not across)
    trainer = trainers.BpeTrainer(vocab_size=300, min_frequency=1, show_progress=False, limit_alphabet=60, max_token_length=9)
    tokenizer.train_from_iterator(TRAINING, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    pieces = ["<unk>", "<s>", "</s>"] + BYTES + [piece for piece in model["vocab"] if piece not in ("<unk>",)]
    # Newlines and tabs are spelled by their bytes.
    pieces = [piece for piece in pieces if "\n" not in piece and "\t" not in piece]
    known = set(pieces)
    merges = [merge for merge in model["merges"] if {merge[0], merge[1], merge[0] + merge[1]} <= known]
    made = {left + right for left, right in merges}
    pieces = [piece for piece in pieces if len(piece) == 1 or piece in made or piece[0] == "<"]
    return {
        "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
        "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
        "vocab": {piece: id for id, piece in enumerate(pieces)}, "merges": merges,
    }


def token(id, content, **flags):
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return {"id": id, "content": content, **{name: flags.get(name, name == "special") for name in names}}


def metaspace(scheme, split):
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split}


def replace(old, new):
    return {"type": "Replace", "pattern": {"String": old}, "content": new}


LEGACY = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, replace(" ", "\u2581")]}
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}


def decoder(*steps):
    return {"type": "Sequence", "decoders": [replace("\u2581", " "), *steps]}


FULL = decoder({"type": "ByteFallback"}, {"type": "Fuse"}, STRIP)


def changed(model, **changes):
    pieces = changes.pop("without", [])
    vocab = {piece: id for piece, id in model["vocab"].items() if piece not in pieces} | changes.pop("with_pieces", {})
    merges = [merge for merge in model["merges"] if not {merge[0], merge[1], merge[0] + merge[1]} & set(pieces)]
    return dict(model, vocab=vocab, merges=changes.pop("first", []) + merges, **changes)


def json_cases(spm):
    cut, across = spm["cut"], spm["across"]
    size = len(cut["vocab"])
    basic = [token(0, "<unk>"), token(1, "<s>"), token(2, "</s>")]
    odd = basic + [
        token(size, "<mask>", lstrip=True), token(size + 1, "<word>", single_word=True, special=False),
        token(size + 2, "<norm>", normalized=True, special=False), token(size + 3, "<\u00e9>", normalized=True, special=False),
        token(size + 4, "\u2581<PRE>"), token(size + 5, "<two words>", normalized=True, special=False, rstrip=True),
        token(size + 6, "\u2581<SUF>", normalized=True, special=False), token(size + 7, "</s>\n", special=False),
    ]
    template = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }
    yield "llama, normalizer", {"normalizer": LEGACY, "added_tokens": basic, "decoder": FULL, "post_processor": template}
    yield "llama, metaspace first", {"pre_tokenizer": metaspace("first", False), "added_tokens": basic, "decoder": FULL}
    yield "metaspace always, split", {"pre_tokenizer": metaspace("always", True), "added_tokens": odd, "decoder": FULL}
    yield "metaspace never", {
        "pre_tokenizer": metaspace("never", False), "added_tokens": odd,
        "decoder": decoder({"type": "ByteFallback"}, {"type": "Fuse"}),
    }
    yield "odd tokens, normalizer", {"normalizer": LEGACY, "added_tokens": odd, "decoder": FULL}
    yield "across spaces", {"model": "across", "normalizer": LEGACY, "added_tokens": basic, "decoder": FULL}
    yield "replace only", {
        "model": "across", "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, replace(" ", "\u2581")]},
        "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
        "added_tokens": odd[:3], "decoder": decoder({"type": "ByteFallback"}, {"type": "Fuse"}),
    }
    yield "no bytes", {
        "changes": {"byte_fallback": False}, "pre_tokenizer": metaspace("always", False), "added_tokens": basic,
        "decoder": decoder({"type": "Fuse"}, STRIP),
    }
    yield "no bytes, unknown ones apart", {
        "changes": {"byte_fallback": False, "fuse_unk": False}, "pre_tokenizer": metaspace("always", False),
        "added_tokens": basic, "decoder": decoder({"type": "Fuse"}, STRIP),
    }
    yield "some bytes", {
        "changes": {"without": ["<0x0A>", "<0xC3>", "<0xE6>", "(", "x"]}, "normalizer": LEGACY, "added_tokens": basic, "decoder": FULL,
    }
    yield "nothing unknown", {
        "changes": {"byte_fallback": False, "unk_token": None, "without": ["e", "\u2581"]}, "normalizer": LEGACY,
        "added_tokens": [], "decoder": FULL,
    }
    yield "bytes that merge", {
        "changes": {"with_pieces": {"<0x0A><0x0A>": size, "<0x0A>\u2581": size + 1},
                    "first": [["<0x0A>", "<0x0A>"], ["<0x0A>", "\u2581"]]},
        "normalizer": LEGACY, "added_tokens": basic, "decoder": FULL,
    }
    yield "whole texts", {
        "changes": {"ignore_merges": True, "with_pieces": {"\u2581Hello\u2581world": size}}, "normalizer": LEGACY, "added_tokens": basic, "decoder": FULL,
    }
    yield "digits", {
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [metaspace("first", False), {"type": "Digits", "individual_digits": True}]},
        "added_tokens": basic, "decoder": FULL,
    }


def document(parts, spm):
    model = changed(spm[parts.get("model", "cut")], **parts.get("changes", {}))
    keys = ("added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder")
    result = {"version": "1.0", "truncation": None, "padding": None, **{key: parts.get(key) for key in keys}}
    return result | {"added_tokens": parts.get("added_tokens", []), "model": model}


def drawn_ids(size, draw):
    ids = [[draw.randrange(size) for _ in range(draw.randint(1, 9))] for _ in range(10)]
    # Runs of bytes: valid, cut off, and malformed.
    ids += [[3 + byte for byte in text.encode()] for text in ("\u00e9\n", "a\U0001f600b")]
    ids += [[3 + 0xE6, 3 + 0x97], [3 + 0x41, 3 + 0xFF, 3 + 0x42], [3 + 0x20, 3 + 0x20], [3 + 0xC3, 260, 3 + 0xA9], [1, 3 + 0x20, 262]]
    return ids + [[3 + draw.randrange(256) for _ in range(draw.randint(1, 4))] + [270] for _ in range(4)]


def run_json(spm, texts):
    draw = random.Random(31)
    for name, parts in json_cases(spm):
        tokenizer = Tokenizer.from_str(json.dumps(document(parts, spm)))
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        drawn = drawn_ids(len(spm["cut"]["vocab"]), draw) + ids[13:24]
        decoded = [{"ids": d, "text": tokenizer.decode(d, skip_special_tokens=False), "plain": tokenizer.decode(d)} for d in drawn]
        yield {"name": name, "form": "json", "parts": parts, "ids": ids, "decoded": decoded}


def file_cases(model):
    size = len(model["vocab"])
    end = "<|endoftext|>"
    runs = {str(size + 1 + n): dict(token(0, " " * (8 - n), normalized=True, special=False)) for n in range(6)}
    for entry in runs.values():
        del entry["id"]
    tab = {str(size + 7): {key: value for key, value in token(0, "\t\t", normalized=True, special=False).items() if key != "id"}}
    ends = {str(size): {key: value for key, value in token(0, end, lstrip=True).items() if key != "id"}}
    yield "gpt2", {"config": {"model_type": "gpt2"}, "with": {end: size}, "tokenizer_config": {"tokenizer_class": "GPT2Tokenizer"}}
    yield "gpt2, nothing but the two files", {"config": {"model_type": "gpt2"}, "with": {end: size}}
    yield "gpt2, special tokens map", {
        "config": {"model_type": "gpt2"}, "with": {"<s>": size, "<pad>": size + 1, "</s>": size + 2, "<unk>": size + 3},
        "tokenizer_config": {"tokenizer_class": "GPT2TokenizerFast", "add_bos_token": True, "model_max_length": 1024},
        "special_tokens_map": {
            "bos_token": "<s>", "eos_token": "</s>", "unk_token": {"content": "<unk>", "lstrip": False, "rstrip": True, "normalized": True, "single_word": False},
            "pad_token": "<pad>", "mask_token": "<mask>",
        },
        "added_tokens": {"<word>": size + 4, "<mask>": size + 5, "  ": size + 6},
    }
    yield "codegen", {
        "config": {"model_type": "phi"}, "with": {end: size},
        "tokenizer_config": {"tokenizer_class": "CodeGenTokenizer", "added_tokens_decoder": ends | runs | tab, "bos_token": end, "eos_token": end, "unk_token": end, "add_prefix_space": False},
    }
    yield "codegen, added_tokens.json", {
        "config": {"model_type": "phi"}, "with": {end: size},
        "tokenizer_config": {"tokenizer_class": "CodeGenTokenizer", "add_prefix_space": True},
        "added_tokens": {" " * (8 - n): size + 1 + n for n in range(6)} | {"\t\t": size + 7},
    }
    chat = {str(size + n): {key: value for key, value in token(0, text).items() if key != "id"} for n, text in enumerate([end, "<|im_start|>", "<|im_end|>"])}
    yield "qwen2", {
        "config": {"model_type": "qwen2"},
        "tokenizer_config": {
            "tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": chat, "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
            "bos_token": None, "eos_token": "<|im_end|>", "pad_token": end, "unk_token": None, "add_prefix_space": False,
        },
    }
    yield "qwen2 by its model type", {"config": {"model_type": "qwen2"}, "with": {end: size}}
    yield "starcoder2", {"config": {"model_type": "starcoder2"}, "with": {end: size}, "tokenizer_config": {"tokenizer_class": "GPT2Tokenizer"}}


def run_files(model, texts):
    draw = random.Random(32)
    for name, parts in file_cases(model):
        with tempfile.TemporaryDirectory() as folder:
            def write(file, value):
                pathlib.Path(folder, file).write_text(value if isinstance(value, str) else json.dumps(value))

            write("vocab.json", model["vocab"] | parts.get("with", {}))
            write("merges.txt", "#version: 0.2\n" + "".join(" ".join(merge) + "\n" for merge in model["merges"]))
            for key in ("config", "tokenizer_config", "special_tokens_map", "added_tokens"):
                if key in parts:
                    write(key + ".json", parts[key])
            tokenizer = AutoTokenizer.from_pretrained(folder)
        ids = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
        whole = [tokenizer.encode(text) for text in texts[:20]]
        drawn = [[draw.randrange(len(tokenizer)) for _ in range(draw.randint(1, 9))] for _ in range(12)]
        decoded = [
            {"ids": d, "text": tokenizer.decode(d, clean_up_tokenization_spaces=False),
             "plain": tokenizer.decode(d, skip_special_tokens=True, clean_up_tokenization_spaces=False)}
            for d in drawn
        ]
        special = {"bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id, "size": len(tokenizer)}
        yield {"name": name, "form": "files", "parts": parts, "ids": ids, "with_template": whole, "decoded": decoded, "special": special}


def gguf_cases(model, spm):
    size = len(model["vocab"])
    control = {"<s>": 3, "</s>": 3, "<unk>": 2, "<|im_end|>": 3, "    ": 4, "<word>": 4}
    for pre in (None, "gpt-2", "starcoder", "llama-bpe", "dbrx", "qwen2", "deepseek-coder", "falcon"):
        yield f"gguf {pre}", {"model": "gpt2", "pre": pre, "added": control, "bos": size, "eos": size + 1}
    # Bytes without a piece keep their neighbours apart.
    yield "gguf, pieces missing", {"model": "gpt2", "pre": "gpt-2", "added": {}, "without": ["r", "\u0120", "\u00c3"]}
    yield "gguf llama", {"model": "llama", "vocabulary": "cut", "scores": "ranks", "types": {"<unk>": 2, "<s>": 3, "</s>": 3}}
    yield "gguf llama, across", {"model": "llama", "vocabulary": "across", "scores": "ranks", "types": {"<unk>": 2, "<s>": 3, "</s>": 3}, "space": False}
    yield "gguf llama, equal scores", {
        "model": "llama", "vocabulary": "across", "scores": "lengths", "types": {"<unk>": 2, "<s>": 3, "</s>": 3, "re": 4, "in": 3, "\u2581": 1},
    }


def gguf_parts(parts, model, spm):
    if parts["model"] == "gpt2":
        gone = set(parts.get("without", []))
        kept = lambda text: not set(text) & gone
        tokens = [piece for piece in model["vocab"] if kept(piece)] + list(parts["added"])
        types = [1] * (len(tokens) - len(parts["added"])) + list(parts["added"].values())
        return tokens, types, None, [" ".join(merge) for merge in model["merges"] if kept(merge[0] + merge[1])]
    chosen = spm[parts["vocabulary"]]
    tokens = list(chosen["vocab"])
    types = [parts["types"].get(piece, 6 if piece in BYTES else 1) for piece in tokens]
    if parts["scores"] == "ranks":
        scores = [float(259 - id) if id >= 259 else 0.0 for id in range(len(tokens))]
    else:
        scores = [float(len(piece) // 2) for piece in tokens]
    return tokens, types, scores, None


def run_gguf(program, model, spm, texts):
    for name, parts in gguf_cases(model, spm):
        tokens, types, scores, merges = gguf_parts(parts, model, spm)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "vocabulary.gguf")
            writer = gguf.GGUFWriter(path, "llama")
            writer.add_context_length(64)
            writer.add_embedding_length(32)
            writer.add_block_count(1)
            writer.add_feed_forward_length(32)
            writer.add_head_count(1)
            writer.add_layer_norm_rms_eps(1e-5)
            writer.add_tokenizer_model(parts["model"])
            if parts.get("pre"):
                writer.add_tokenizer_pre(parts["pre"])
            writer.add_token_list(tokens)
            writer.add_token_types(types)
            if scores:
                writer.add_token_scores(scores)
            if merges:
                writer.add_token_merges(merges)
            if "bos" in parts:
                writer.add_bos_token_id(parts["bos"])
                writer.add_eos_token_id(parts["eos"])
            if "space" in parts:
                writer.add_add_space_prefix(parts["space"])
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.close()

            def run(text, *options):
                # The program takes no zero bytes.
                file = pathlib.Path(folder, "text")
                file.write_bytes(text.encode())
                line = subprocess.run(
                    [program, "-m", path, "-f", str(file), "--ids", "--log-disable", *options], capture_output=True, check=True)
                return json.loads(re.search(r"\[[^\]]*\]", line.stdout.decode()).group(0))

            ids = [run(text, "--no-bos") if text else [] for text in texts]
            whole = [run(text) for text in texts[1:8]]
        yield {"name": name, "form": "gguf", "parts": parts, "ids": ids, "with_template": [[]] + whole}


def main():
    texts = TEXTS + random_texts(24)
    model = json.loads((FOLDER / "model.json").read_text())
    spm = {"cut": train(False), "across": train(True)}
    results = [*run_json(spm, texts), *run_files(model, texts), *run_gguf(sys.argv[1], model, spm, texts)]
    dump = lambda value: json.dumps(value, separators=(",", ":"))
    (FOLDER / "spm.json").write_text(dump(spm) + "\n")
    # One case a line keeps differences readable.
    lines = ",\n".join(dump(result) for result in results)
    (FOLDER / "families.json").write_text('{"texts":%s,\n"cases":[\n%s\n]}\n' % (dump(texts), lines))


if __name__ == "__main__":
    main()
