"""Makes the fixtures of SentencePiece models with `sentencepiece` and `transformers`.

    pip install sentencepiece==0.2.3 transformers==5.23.0 protobuf
    python make_sentencepiece.py

Writes `sentencepiece.model`, a small BPE model with byte fallback that is trained here, and `sentencepiece.json`: for
the texts of `families.json` the ids by `sentencepiece` ("plain"; it knows no special tokens in texts), and those by
`transformers` with tokens that a tokenizer_config.json adds ("llama"); and for some ids the text.
"""

import json
import pathlib
import random
import tempfile

import sentencepiece
from transformers import AutoTokenizer

FOLDER = pathlib.Path(__file__).parent

TRAINING = [
    "def add(a, b):", "    return a + b", "for i in range(10):", "    print(i, i * 2)", "class Node:",
    "    def __init__(self, value=None):", "        self.value = value", "        self.next = None",
    "if x == 1234567890 and y != 0x10:", "    continue", "import os, sys", "We'll see what they're doing; it's fine.",
    "They said the same thing over and over again.", "na\u00efve caf\u00e9, Stra\u00dfe, \u0440\u0443\u0441\u0441\u043a\u0438\u0439",
    "return self.values[index] if index < len(self.values) else None  # a comment",
] * 3


def flags(content, **changes):
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return {"content": content, **{name: changes.get(name, name == "special") for name in names}}


def main():
    texts = json.loads((FOLDER / "families.json").read_text())["texts"]
    with tempfile.TemporaryDirectory() as folder:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TRAINING), model_prefix=folder + "/m", model_type="bpe", vocab_size=400,
            byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
            character_coverage=0.99, num_threads=1, allow_whitespace_only_pieces=True)
        model = pathlib.Path(folder, "m.model").read_bytes()
    (FOLDER / "sentencepiece.model").write_bytes(model)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    size = processor.get_piece_size()
    config = {
        "tokenizer_class": "LlamaTokenizer", "legacy": False, "add_bos_token": True,
        "added_tokens_decoder": {
            "0": flags("<unk>"), "1": flags("<s>"), "2": flags("</s>"), str(size): flags("<mask>", lstrip=True),
            str(size + 1): flags("<word>", single_word=True, special=False),
            str(size + 2): flags("\u2581<PRE>"),
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "tokenizer.model").write_bytes(model)
        pathlib.Path(folder, "config.json").write_text(json.dumps({"model_type": "llama"}))
        pathlib.Path(folder, "tokenizer_config.json").write_text(json.dumps(config))
        llama = AutoTokenizer.from_pretrained(folder)
    draw = random.Random(33)
    drawn = [[draw.randrange(size) for _ in range(draw.randint(1, 9))] for _ in range(12)]
    result = {
        "texts": texts, "config": config, "plain": [processor.encode(text) for text in texts],
        "llama": [llama.encode(text, add_special_tokens=False) for text in texts],
        "decoded": [{"ids": ids, "text": llama.decode(ids), "plain": llama.decode(ids, skip_special_tokens=True)} for ids in drawn],
    }
    (FOLDER / "sentencepiece.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")


main()
