"""Makes the fixtures of the tokenizer's tests with the PyPI package `tokenizers` (0.23.3).

    pip install tokenizers==0.23.3
    python make_vectors.py [FOLDER [RANDOM_TEXTS]]

Writes `model.json`, a small byte-level BPE model trained here, and `cases.json`: for every configuration the
parts of its tokenizer.json, for every text the ids, and for some ids the text.
"""

import json
import pathlib
import random
import sys

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

GPT2 = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

TRAINING = [
    "def add(a, b):\n    return a + b\n\n\nfor i in range(10):\n    print(i, 'it''s', i * 2)\n",
    "class Node:\n    def __init__(self, value=None):\n        self.value = value\n        self.next = None\n",
    "if x == 1234567890 and y != 0x10:\n\tcontinue\nelse:\n\tpass\r\nimport os, sys\r\n",
    "We'll see what they're doing; I'm sure it's fine, don't you? They'd said we've won.",
    "naïve café, Straße, ÅNGSTRÖM, Ελληνικά, русский язык, 日本語のテキスト, 한국어, हिन्दी, עברית",
    "return self.values[index] if index < len(self.values) else None  # a comment\n" * 2,
    "    \n        \n\n\n\t\t\n  \u00a0\u2003 1 22 333 4444 55555 ½ ² ٣ Ⅷ",
    "é e\u0301 ñ n\u0303 가 \u1100\u1161 \U0001f600 \U0001f469\u200d\U0001f469\u200d\U0001f467",
]

TEXTS = [
    "", " ", "  ", "\n", "\n\n", "\r\n", "\t", " \n", "\n ", "a", " a", "a ", "  a", "a  ", "a  b", "a   b\n\n  c",
    "def add_5(n):\n    \"\"\"Return n plus 5.\"\"\"\n    return n + 5\n",
    "it's IT'S we'll WE'LL I'm I'M don't DON'T they'Re you'vE he'd HE'D '", "'s's 'S'S 'ſ 'ſt 'll'LL ''s x's's",
    "x=1234567890", "1", "12", "123", "1234", "a1b22c333d4444", "3.14159e-10", "٣٤٥٦ ²³¹ ½¼ ⅧⅨ 〇〡 ৪২", "1 2  3   4",
    "\u00a0a\u00a0\u00a0b", "a\u2003\u2003b", "a\u3000b\u2028c\u2029d\u0085e", "\u200b \u200bx\ufeff", " \u00a0 x",
    "\x00\x01\x1f\x7f\x80\x9f", "\x0b\x0c\x1c\x1d\x1e\x1fz", "\ud7ff\ue000\uffff\U0010ffff",
    "日本語のテキスト と emoji 😀👩‍👩‍👧 🏳️‍🌈", "한국어 텍스트 \u1112\u1161\u11ab \u1100\u1161\u11a8", "e\u0301e\u0300\u0323 a\u030a A\u030a \u212b \u2126",
    "\u0301\u0301x", "q\u0307\u0323 q\u0323\u0307", "\u0f73\u0f75\u0f81 \u0f71\u0f72", "क\u093c \u0958 ড\u09bc", "\u0344 \u0340\u0341 \u1e9b\u0323",
    "\U00011935\U00011930", "ﬁ ﬃ ſs ß ẞ", "ΑΣ ας İi ıI", "ǅ ǆ Ǆ ʰ ـ",
    "\u088f\u0c5c\ua7ce\U00011de0\U00016ea0 newer letters", "ʕʔ ƻ ǀǁ ª º", "x\u0300\u0301\u0302", "ⅰ① ㉑ 㐀 \U00020000 \U00031350",
    "trailing  ", "\t\ttabs\n\n\nnewlines\r\n\r\n", "a\n \n  \n   b", "a \r\n b", "  \n\n", "\n  \n", " \t \t", "....", "a.b.c(d)[e]{f}", "!?", " !?",
    "//comment\n/* x */\n", "foo/\n/\r\n", "https://example.org/a?b=c&d=e#f", "CamelCaseHTTPServer snake_case kebab-case ALLCAPS", "don’t “quote” — …",
    "a" * 60, "ab" * 50, " " * 40, "\n" * 33, "1" * 31, "=" * 50, "return return return", "values" * 12,
    "<s>", "a<s>b", "<s> x <s>", "x  <mask>  y", "<mask><mask>", " <mask> \n<mask>", "<word>", "a<word>", "<word>b", " <word> ", "é<word>", "_<word>", "-<word>-", "\u0301<word>",
    "<norm>", "a <norm> b", "éé né ééé", "café<é>", "cafe\u0301<e\u0301>", "<|a|><|ab|>", "<|ab", "<|a|", "<<s>>", "</s><s>", "<tab>\t<tab> \t", "<s>\u00a0<mask>\u3000<tab>",
    "zqzq jq zebra", "Zoë quizzed Jürgen", "the <|x|> of <|x|>y",
]

POOL = (
    list("abcdefstTSLMlmrevdxyz'''  \n\r\t019.,;/_-+=()[]{}<>|\"#") + ["'s", "'LL", "'Ve", "  ", "\n\n", "\r\n", "<s>", "<mask>", "<word>", "<|a|>"]
    + [chr(c) for c in (0xA0, 0x85, 0x2003, 0x3000, 0x2028, 0x200B, 0x200D, 0xFEFF, 0x300, 0x301, 0x323, 0x30A, 0x345, 0x1100, 0x1161, 0x11A8, 0xAC00)]
    + [chr(c) for c in (0xE9, 0xDF, 0x130, 0x17F, 0x1C5, 0x2B0, 0x3A3, 0x42F, 0x5D0, 0x640, 0x663, 0x915, 0x93C, 0xF73, 0x2163, 0xBD, 0x3007, 0x4E2D, 0x1F600, 0x1D400, 0x1D7D8)]
)


def random_texts(count):
    draw = random.Random(20)
    texts = []
    for index in range(count):
        if index % 3 == 2:  # from all of Unicode
            points = [draw.choice([0x100, 0x800, 0x3000, 0x10000, 0x20000, 0x110000]) for _ in range(draw.randint(1, 12))]
            scalars = [draw.randrange(top) for top in points]
            texts.append("".join(chr(s) for s in scalars if not 0xD800 <= s < 0xE000))
        else:
            texts.append("".join(draw.choice(POOL) for _ in range(draw.randint(1, 24))))
    return texts


def train():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=700, min_frequency=1, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(TRAINING, trainer)
    return json.loads(tokenizer.to_str())["model"]


def byte_level(prefix=False, regex=True):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def token(id, content, **flags):
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return {"id": id, "content": content, **{name: flags.get(name, name == "special") for name in names}}


def template(before, after, size):
    def part(text):
        return {"SpecialToken": {"id": text, "type_id": 0}}

    texts = [text for text in (before, after) if text]
    return {
        "type": "TemplateProcessing",
        "single": ([part(before)] if before else []) + [{"Sequence": {"id": "A", "type_id": 0}}] + ([part(after)] if after else []),
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {text: {"id": text, "ids": [size], "tokens": [text]} for text in texts},
    }


def without(model, characters):
    """The model without the pieces that have a character, and with its merges in the older form."""
    pieces = [piece for piece in model["vocab"] if not set(piece) & set(characters)]
    merges = [" ".join(merge) for merge in model["merges"] if not set(merge[0] + merge[1]) & set(characters)]
    return dict(model, vocab={piece: id for id, piece in enumerate(pieces)}, merges=["#version: 0.2"] + merges)


def cases(model):
    size = len(model["vocab"])
    tokens = [token(size, "<s>"), token(size + 1, "</s>")]
    odd = [
        token(size, "<s>"), token(size + 1, "<mask>", lstrip=True), token(size + 2, "<tab>", rstrip=True),
        token(size + 3, "<word>", single_word=True, special=False), token(size + 4, "<norm>", normalized=True, special=False),
        token(size + 5, "<é>", normalized=True, special=False), token(size + 6, "<|a|>", lstrip=True, rstrip=True),
        token(size + 7, "<|ab|>"), token(size + 8, "<|", normalized=True, special=False), token(size + 9, "日本", special=False),
        token(size + 10, "ab", special=False, single_word=True, lstrip=True), token(size + 11, "éé", special=False),
        token(model["vocab"]["return"], "return", special=False),
    ]
    nfc = {"type": "NFC"}
    llama3 = sequence(split(LLAMA3), byte_level(regex=False))
    qwen2 = sequence(split(QWEN2), byte_level(regex=False))
    deepseek = sequence(
        split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"),
        {"type": "Digits", "individual_digits": True}, byte_level(regex=False),
    )
    yield "gpt2", {"pre_tokenizer": byte_level()}
    yield "gpt2 with a space before", {"pre_tokenizer": byte_level(prefix=True), "added_tokens": tokens}
    yield "llama3", {
        "pre_tokenizer": llama3, "added_tokens": tokens, "ignore_merges": True,
        "post_processor": {"type": "Sequence", "processors": [byte_level(), template("<s>", None, size)]},
    }
    yield "template with an end", {
        "pre_tokenizer": llama3, "added_tokens": tokens[:1], "post_processor": template("<s>", "<s>", size),
    }
    yield "qwen2", {"pre_tokenizer": qwen2, "normalizer": nfc, "added_tokens": tokens, "post_processor": byte_level()}
    yield "o200k", {"pre_tokenizer": sequence(split(O200K), byte_level(regex=False))}
    yield "digits", {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, byte_level())}
    yield "runs of digits", {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": False}, byte_level(prefix=True))}
    yield "deepseek", {"pre_tokenizer": deepseek, "normalizer": {"type": "Sequence", "normalizers": []}}
    yield "added tokens", {"pre_tokenizer": byte_level(), "added_tokens": odd}
    yield "added tokens, nfc", {"pre_tokenizer": qwen2, "normalizer": nfc, "added_tokens": odd}
    yield "pieces missing", {"pre_tokenizer": byte_level(), "model": without(model, "zqÃğ")}
    for behavior in ("Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            pattern = split(r"\s|[.,;]", behavior, invert) if invert else split(" ", behavior, invert, "String")
            yield f"{behavior} {invert}", {"pre_tokenizer": sequence(pattern, byte_level(regex=False)), "few": True}


def document(parts, model):
    model = parts.get("model", dict(model, ignore_merges=parts.get("ignore_merges", False)))
    keys = ("added_tokens", "normalizer", "pre_tokenizer", "post_processor")
    result = {"version": "1.0", "truncation": None, "padding": None, **{key: parts.get(key) for key in keys}}
    return result | {"added_tokens": parts.get("added_tokens", []), "decoder": byte_level(), "model": model}


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    texts = TEXTS + random_texts(int(sys.argv[2]) if len(sys.argv) > 2 else 60)
    folder.mkdir(exist_ok=True)
    model = train()
    results = []
    draw = random.Random(21)
    for name, parts in cases(model):
        tokenizer = Tokenizer.from_str(json.dumps(document(parts, model)))
        few = texts[:60] if parts.pop("few", False) else texts
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in few]
        whole = [tokenizer.encode(text).ids for text in few[:20]] if "post_processor" in parts else []
        drawn = [[draw.randrange(tokenizer.get_vocab_size()) for _ in range(draw.randint(1, 9))] for _ in range(12)]
        drawn += [[draw.randrange(256) for _ in range(draw.randint(1, 9))] for _ in range(12)]
        decoded = [
            {"ids": d, "text": tokenizer.decode(d, skip_special_tokens=False), "plain": tokenizer.decode(d)} for d in drawn
        ]
        results.append({"name": name, "parts": parts, "ids": ids, "with_template": whole, "decoded": decoded})
    # One text a line and one case a line keep differences readable.
    (folder / "model.json").write_text(json.dumps(model, separators=(",", ":")) + "\n")
    lines = ",\n".join(json.dumps(result, separators=(",", ":")) for result in results)
    (folder / "cases.json").write_text('{"texts":%s,\n"cases":[\n%s\n]}\n' % (json.dumps(texts, separators=(",", ":")), lines))


main()
