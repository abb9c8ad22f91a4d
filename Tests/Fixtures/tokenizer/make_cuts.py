"""Makes the fixtures of vocabularies that are cut, with the PyPI package `tokenizers` (0.23.3).

    pip install tokenizers==0.23.3 transformers==5.23.0 gguf==0.19.0
    python make_cuts.py

Writes `cuts.json`: for some configurations of `cases.json` and `families.json` which ids stay when a share of all that
can go is taken out, in what order those go, and the ids that `tokenizers` gives for the texts when its tokenizer.json is
cut by hand. Which go is computed here without Furl: a token goes when nothing is merged of it any more, the one that the
texts use least first, of equal ones the one with the highest id; its uses are then those of the two parts of its first
merge.
"""

import json
import pathlib

from tokenizers import Tokenizer

from make_families import document

FOLDER = pathlib.Path(__file__).parent
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
CASES = [
    ("cases", "gpt2", 0.5), ("cases", "llama3", 0.8), ("families", "llama, normalizer", 0.6),
    ("families", "odd tokens, normalizer", 0.9), ("families", "no bytes", 0.5), ("families", "bytes that merge", 1.0),
    ("families", "whole texts", 0.3),
]


def read(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def whole(source, parts, spm):
    if source == "families":
        return document(parts, spm)
    model = parts.get("model") or read("model")
    if parts.get("ignore_merges"):
        model["ignore_merges"] = True
    keys = ("added_tokens", "normalizer", "pre_tokenizer", "post_processor")
    return {"version": "1.0", "truncation": None, "padding": None, **{key: parts.get(key) for key in keys},
            "added_tokens": parts.get("added_tokens") or [], "decoder": BYTE_LEVEL, "model": model}


def is_byte(piece):
    return len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")


def stays(file):
    """The pieces that nothing but the form of the tokenizer needs."""
    vocab, model = file["model"]["vocab"], file["model"]
    kept = {token["content"] for token in file["added_tokens"]} | {model["unk_token"]}
    marked = file["decoder"]["type"] != "ByteLevel"
    merged = {part for merge in model["merges"] for part in merge}
    spelled = (model["byte_fallback"] and sum(map(is_byte, vocab)) == 256 and "ByteFallback" in json.dumps(file["decoder"])
               and not any(is_byte(part) for part in merged))
    for piece in vocab:
        if marked and is_byte(piece):
            kept.add(piece)
        if len(piece) == 1 and not (marked and spelled and piece > "\x7f" and piece != "\u2581"):
            kept.add(piece)
    return kept


def order(file, uses):
    """All pieces that can go, first to last."""
    vocab, kept, gone = file["model"]["vocab"], stays(file), []
    merges = [tuple(merge) for merge in file["model"]["merges"]]
    while True:
        needed = {part for left, right in merges for part in (left, right)}
        free = [piece for piece in vocab if piece not in kept and piece not in needed and piece not in gone]
        if not free:
            return gone
        piece = min(free, key=lambda piece: (uses[vocab[piece]], -vocab[piece]))
        own = [merge for merge in merges if "".join(merge) == piece]
        for part in own[0] if own else ():
            uses[vocab[part]] += uses[vocab[piece]]
        merges = [merge for merge in merges if "".join(merge) != piece]
        gone.append(piece)


def main():
    spm, result = read("spm"), []
    for source, name, share in CASES:
        fixture = read(source)
        parts = next(case["parts"] for case in fixture["cases"] if case["name"] == name)
        file, texts = whole(source, parts, spm), fixture["texts"]
        tokenizer = Tokenizer.from_str(json.dumps(file))
        size = tokenizer.get_vocab_size(with_added_tokens=True)
        uses = [0] * size
        for text in texts:
            for id in tokenizer.encode(text, add_special_tokens=False).ids:
                uses[id] += 1
        vocab = file["model"]["vocab"]
        all_gone = order(file, uses)
        gone = set(all_gone[:int(share * len(all_gone))])
        kept = [id for id in range(size) if id not in {vocab[piece] for piece in gone}]
        numbers = {old: new for new, old in enumerate(kept)}
        cut = json.loads(json.dumps(file))
        cut["model"]["vocab"] = {piece: numbers[id] for piece, id in vocab.items() if piece not in gone}
        cut["model"]["merges"] = [merge for merge in cut["model"]["merges"] if "".join(merge) not in gone]
        for token in cut["added_tokens"]:
            token["id"] = numbers[token["id"]]
        for token in ((cut["post_processor"] or {}).get("special_tokens") or {}).values():
            token["ids"] = [numbers[id] for id in token["ids"]]
        tokenizer = Tokenizer.from_str(json.dumps(cut))
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        result.append({"source": source, "name": name, "order": [vocab[piece] for piece in all_gone], "gone": len(gone),
                       "ids": ids})
        print(name, size, len(all_gone), len(gone), len(texts))
    (FOLDER / "cuts.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")


main()
