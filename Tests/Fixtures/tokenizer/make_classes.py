"""Writes classes.json: folders whose tokenizer_config.json names a class of transformers, and the ids that it gives there.

The vocabulary has 258 entries: the byte alphabet, "<|endoftext|>" = 256 and "ab" = 257; it comes as vocab.json and
merges.txt, or in a tokenizer.json. Needs transformers 5.24 and tokenizers. Usage: python make_classes.py;
python make_classes.py fuzz SEED COUNT FOLDER writes folders with random files beside, each with its expected.json.
"""
import json, os, random, sys, tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from transformers import AutoTokenizer
from make_beside import added, alphabet, entry, typed

HERE = os.path.dirname(os.path.abspath(__file__))
END = "<|endoftext|>"
VOCAB = {**{alphabet()[b]: b for b in range(256)}, END: 256, "ab": 257}
LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
SPLIT = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
QWEN = {"normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
    {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}, {**LEVEL, "use_regex": False}]}}
TEXTS = ["ab<|endoftext|>ab", "a<|im_end|> b <|im_start|>", "x<A>y<B> <Q> ", "ab<ab", " <e>  <e>e <p>", "q12 ab 34", "<m><x>"]


def document(**over):
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False,
             "byte_fallback": False, "ignore_merges": False, "vocab": VOCAB, "merges": [["a", "b"]]}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [added(256, END)], "normalizer": None, "pre_tokenizer": LEVEL,
            "post_processor": None, "decoder": LEVEL, "model": model, **over}


def listed():
    """Name, the configuration of the tokenizer or None, other files, and members of tokenizer.json or None."""
    G = lambda **k: {"tokenizer_class": "GPT2Tokenizer", **k}
    IM = "<|im_end|>"
    yield "plain", G(), {}, None
    yield "no configuration", None, {}, None
    yield "eot_token", G(eot_token=IM), {}, None
    yield "extra by name", G(extra_special_tokens={"x": IM}), {}, None
    yield "extra as a list", G(extra_special_tokens=[IM, "<A>"]), {}, None
    yield "additional here and in the map", G(additional_special_tokens=["<A>"]), {"special_tokens_map.json": {"additional_special_tokens": ["<B>"]}}, None
    yield "extra and additional", G(extra_special_tokens=["<A>"], additional_special_tokens=["<B>"]), {}, None
    yield "the map's additional", G(), {"special_tokens_map.json": {"additional_special_tokens": ["<B>"], "pad_token": "<p>"}}, None
    yield "added_tokens.json with another id", G(), {"added_tokens.json": {"<Q>": 280}}, None
    yield "added_tokens.json out of order", G(pad_token="<p>"), {"added_tokens.json": {"<Q>": 270, "<A>": 269, "<p>": 300}}, None
    yield "added_tokens_decoder with other ids", G(added_tokens_decoder={"256": entry(END), "280": entry("<Q>"), "290": entry("<A>", lstrip=True)}), {}, None
    yield "a decoder that names a piece", G(added_tokens_decoder={"256": entry(END), "280": entry("ab")}), {}, None
    yield "an end of its own", G(eos_token=IM, pad_token=typed("<p>", lstrip=True)), {}, None
    yield "no beginning", G(bos_token=None), {}, None
    yield "the map's end", G(), {"special_tokens_map.json": {"eos_token": "<e>"}}, None
    yield "Qwen2", {"tokenizer_class": "Qwen2Tokenizer", "additional_special_tokens": [IM, "<A>"]}, {}, None
    yield "Qwen2, its own end", {"tokenizer_class": "Qwen2Tokenizer", "eos_token": IM, "eot_token": "<m>"}, {"added_tokens.json": {IM: 262, "<x>": 261}}, None
    yield "Qwen2, flags", {"tokenizer_class": "Qwen2Tokenizer", "eos_token": typed("<e>", lstrip=True, rstrip=True)}, {}, None
    yield "Qwen2, by model", None, {"config.json": {"model_type": "qwen2"}}, None
    yield "CodeGen", {"tokenizer_class": "CodeGenTokenizer", "mask_token": "<m>"}, {}, None
    yield "file, plain", G(), {}, {}
    yield "file, no configuration", None, {}, {}
    yield "file, no configuration, no model", None, {"config.json": {}}, {}
    yield "file, fast", {"tokenizer_class": "PreTrainedTokenizerFast"}, {}, {}
    yield "file, fast with a key that says nothing", {"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": True}, {}, {}
    yield "file, prefix as it says", G(add_prefix_space=False), {}, {}
    yield "file, the same in both", G(add_prefix_space=True), {}, {"pre_tokenizer": {**LEVEL, "add_prefix_space": True}}
    yield "file, eot_token", G(eot_token=IM), {}, {}
    yield "file, Qwen2", {"tokenizer_class": "Qwen2Tokenizer", "eos_token": IM}, {}, QWEN
    yield "file, Qwen2 by model", None, {"config.json": {"model_type": "qwen2"}}, QWEN
    yield "file, a token twice", {"tokenizer_class": "PreTrainedTokenizerFast"}, {}, {"added_tokens": [added(256, END), added(258, "<e>"), added(258, "<e>", lstrip=True)]}
    yield "file, a piece under another id", {"tokenizer_class": "PreTrainedTokenizerFast"}, {}, {"added_tokens": [added(256, END), added(258, "ab"), added(259, "<Q>")]}
    yield "file, a token under two ids", {"tokenizer_class": "PreTrainedTokenizerFast"}, {}, {"added_tokens": [added(258, "<e>"), added(259, "<e>", rstrip=True), added(260, "<A>")]}


def write(path, config, files, members):
    os.makedirs(path, exist_ok=True)
    files = {"config.json": {"model_type": "gpt2"}, **files}
    if members is None:
        files["vocab.json"] = VOCAB
        with open(path + "/merges.txt", "w", encoding="utf-8") as f: f.write("#version: 0.2\na b\n")
    else: files["tokenizer.json"] = document(**members)
    if config is not None: files["tokenizer_config.json"] = config
    for name, value in files.items():
        with open(f"{path}/{name}", "w", encoding="utf-8") as f: json.dump(value, f, ensure_ascii=False)


def expected(path):
    try: t = AutoTokenizer.from_pretrained(path)
    except Exception as e: return {"error": f"{type(e).__name__}: {e}"[:200]}
    return {"class": type(t).__name__, "ids": [t(x, add_special_tokens=False).input_ids for x in TEXTS], "bos": t.bos_token_id, "eos": t.eos_token_id, "count": len(t),
            "special": sorted(i for i, a in t.added_tokens_decoder.items() if a.special)}


def fixture():
    cases = []
    with tempfile.TemporaryDirectory() as top:
        for i, (name, config, files, members) in enumerate(listed()):
            write(f"{top}/{i}", config, files, members)
            e = expected(f"{top}/{i}")
            if "error" in e: print("left out:", name, e["error"]); continue
            cases.append({"name": name, "config": config, "files": files, "members": members, **e})
    with open(HERE + "/classes.json", "w", encoding="utf-8") as f:
        f.write('{"texts": ' + json.dumps(TEXTS, ensure_ascii=False) + ',\n"document": ' + json.dumps(document(), ensure_ascii=False, separators=(",", ":")) + ',\n"cases": [\n')
        f.write(",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in cases) + "\n]}\n")
    print(len(cases), "cases")


def fuzz(seed, count, top):
    r = random.Random(seed); pool = ["<A>", "<B>", "<Q>", "<e>", "<p>", "<m>", "<x>", "<|im_start|>", "<|im_end|>", "ab", END]
    flags = lambda: {k: r.random() < 0.3 for k in ("lstrip", "rstrip", "normalized", "single_word", "special")}
    some = lambda n: r.sample(pool, r.randint(0, n))
    token = lambda t: typed(t, **flags()) if r.random() < 0.4 else t
    for i in range(count):
        kind = r.choice(["GPT2Tokenizer", "Qwen2Tokenizer", "CodeGenTokenizer"]); c = {"tokenizer_class": kind}; files = {}
        for k in ("bos_token", "eos_token", "pad_token", "mask_token", "eot_token", "unk_token"):
            if r.random() < 0.25: c[k] = token(r.choice(pool))
        if r.random() < 0.3: c["additional_special_tokens"] = [token(t) for t in some(4)]
        if r.random() < 0.2: c["extra_special_tokens"] = [token(t) for t in some(3)] if r.random() < 0.6 else {f"k{j}": token(t) for j, t in enumerate(some(3))}
        if r.random() < 0.35: c["added_tokens_decoder"] = {str(r.randint(256, 290)): entry(t, **flags()) for t in some(5)}
        if r.random() < 0.4:
            m = files["special_tokens_map.json"] = {k: r.choice(pool) for k in ("eos_token", "pad_token", "cls_token") if r.random() < 0.4}
            if r.random() < 0.5: m["additional_special_tokens"] = some(3)
        if r.random() < 0.4: files["added_tokens.json"] = {t: 258 + j + r.randint(-1, 30) for j, t in enumerate(some(4))}
        members = None if r.random() < 0.6 else QWEN if kind == "Qwen2Tokenizer" else {}
        write(f"{top}/{i}", c if r.random() < 0.95 else None, files, members)
        with open(f"{top}/{i}/expected.json", "w") as f: json.dump({"texts": TEXTS, **expected(f"{top}/{i}")}, f)


if __name__ == "__main__":
    if sys.argv[1:2] == ["fuzz"]: fuzz(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else: fixture()
