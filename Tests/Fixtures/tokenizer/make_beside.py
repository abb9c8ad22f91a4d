"""Writes beside.json: folders with tokens beside tokenizer.json, and the ids that transformers gives texts there.

Needs transformers 5.24 and tokenizers. Usage: python make_beside.py; python make_beside.py fuzz SEED COUNT FOLDER writes
folders with random ones, each with its expected.json, to try other readers with.
"""
import json, os, random, sys, tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from transformers import AutoTokenizer, PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
MERGES = ["d e", "de f", "Ġ =", "i n", "p r", "pr in", "prin t", "Ġ Ġ"]
LETTERS = [f"<0x{b:02X}>" for b in range(256)] + ["▁"] + [chr(c) for c in range(33, 127)]


def alphabet():
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in kept]
    return {**{b: chr(b) for b in kept}, **{b: chr(256 + i) for i, b in enumerate(rest)}}


def added(id, text, **over):
    return {"id": id, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **over}


def entry(text, **over):
    """An added token without an id, as the files beside have it."""
    return {k: v for k, v in added(0, text, **over).items() if k != "id"}


def typed(text, **over):
    return {"__type": "AddedToken", **entry(text, **over)}


def model(pieces, merges, **over):
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
            "byte_fallback": False, "ignore_merges": False, "vocab": {p: i for i, p in enumerate(pieces)}, "merges": [m.split(" ") for m in merges], **over}


LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BASES = {
    "bytes": {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": LEVEL, "post_processor": None,
              "decoder": LEVEL, "model": model([alphabet()[b] for b in range(256)] + [m.replace(" ", "") for m in MERGES], MERGES)},
    "marked": {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
               "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
               "pre_tokenizer": None, "post_processor": None,
               "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                                                           {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
               "model": model(["<unk>", "<s>", "</s>"] + LETTERS + ["de", "def"], ["d e", "de f"], unk_token="<unk>", fuse_unk=True, byte_fallback=True)},
}
COUNT = {name: len(base["model"]["vocab"]) for name, base in BASES.items()}
END = {"bytes": COUNT["bytes"], "marked": 1}   # the id of <s>; </s> follows


def own(base, *more):
    """The added tokens of tokenizer.json: <s> and </s>, and more behind all others."""
    two = [added(END[base], "<s>"), added(END[base] + 1, "</s>")]
    if base == "marked": two.insert(0, added(0, "<unk>"))
    start = max(COUNT[base], two[-1]["id"] + 1)
    return two + [added(start + i, t) if isinstance(t, str) else {"id": start + i, **t} for i, t in enumerate(more)]


NAMED = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
TEXTS = ["a<s> b</s>c  <|im_end|>", "<|im_start|>user\nhi<|im_end|> \n<|im_start|>", "x <a> y<b>z <c>", "def <img>print ( <boi> )", "zz yy  <p> </s> </s>x",
         " <e> <e>e", "<unk><pad>[PAD]<mask>", "in<|end|>in  <|end|>  q", "de de def  "]


def listed():
    """The cases that stand for kinds: name, base, added tokens of tokenizer.json, files beside."""
    C = lambda **k: {"tokenizer_config.json": {**NAMED, **k}}
    M = lambda c={}, **k: {**C(**c), "special_tokens_map.json": k}
    chat = ["<|im_start|>", "<|im_end|>"]
    for base in BASES:
        n = max(COUNT[base], END[base] + 2)
        yield "chat model, added_tokens_decoder", base, own(base), C(eos_token="<|im_end|>", added_tokens_decoder={
            str(END[base]): entry("<s>"), str(END[base] + 1): entry("</s>"), str(n): entry(chat[0]), str(n + 1): entry(chat[1])})
        yield "order of ids", base, own(base), C(added_tokens_decoder={str(n + 9): entry("<a>"), str(n + 3): entry("<b>"), str(n + 5): entry("<c>", special=False, normalized=True)})
        yield "an id that is another token's", base, own(base), C(added_tokens_decoder={str(END[base]): entry("<a>"), str(END[base] + 1): entry("<s>", lstrip=True)})
        yield "flags that differ", base, own(base, *chat), C(added_tokens_decoder={str(n + 1): entry("<|im_end|>", lstrip=True, rstrip=True), str(n): entry("<|im_start|>", rstrip=True)})
        yield "flags left out", base, own(base), C(added_tokens_decoder={str(n): {"content": "<a>"}, str(n + 1): {"content": "<b>", "special": True}})
        yield "a decoder hides the other files", base, own(base), {**M({"added_tokens_decoder": {str(END[base]): entry("<s>")}}, additional_special_tokens=chat), "added_tokens.json": {"zz": n}}
        yield "an empty decoder hides them, too", base, own(base), {**M({"added_tokens_decoder": {}}, additional_special_tokens=chat), "added_tokens.json": {"zz": n}}
        yield "additional", base, own(base), C(additional_special_tokens=chat)
        yield "additional with flags", base, own(base), C(additional_special_tokens=[typed("<a>", lstrip=True), "<b>", typed("<c>", special=False, normalized=True, rstrip=True)])
        yield "extra as a list", base, own(base), C(extra_special_tokens=["<a>", "</s>", "<b>"])
        yield "extra by name", base, own(base), C(extra_special_tokens={"image_token": "<img>", "boi": "<boi>"})
        yield "extra before additional", base, own(base), C(extra_special_tokens=["<a>"], additional_special_tokens=["<b>"])
        yield "an empty extra", base, own(base), C(extra_special_tokens=[], additional_special_tokens=["<b>"])
        yield "a role of the model's own", base, own(base), C(image_token="<img>", pad_token="<p>", add_bos_token=False)
        yield "roles that are new", base, own(base), C(pad_token="[PAD]", mask_token="<mask>", eos_token=typed("<e>", lstrip=True, normalized=True))
        yield "a role that is a piece", base, own(base), C(pad_token="def")
        yield "a role whose flags differ", base, own(base), C(eos_token=typed("</s>", lstrip=True, rstrip=True))
        yield "the map's roles", base, own(base), M(eos_token="<e>", pad_token={"content": "<p>", "lstrip": True, "normalized": False, "rstrip": True, "single_word": False})
        yield "the map's additional", base, own(base), M(additional_special_tokens=chat)
        yield "the map against the configuration", base, own(base), M({"additional_special_tokens": ["<c>"], "pad_token": "<p>"}, additional_special_tokens=["<a>"], pad_token="<b>")
        yield "the map takes a role away", base, own(base), M({"pad_token": "<p>"}, pad_token=None)
        yield "added_tokens.json", base, own(base), {**C(), "added_tokens.json": {"zz": n + 1, "yy": n, "<|end|>": n + 7}}
        yield "added_tokens.json, special by role", base, own(base), {**C(pad_token="zz", additional_special_tokens=["yy"]), "added_tokens.json": {"zz": n + 1, "yy": n, "<|end|>": n + 2}}
        yield "added_tokens.json, named by the map", base, own(base), {**M(additional_special_tokens=["zz"], pad_token="yy"), "added_tokens.json": {"zz": n + 1, "yy": n}}
        yield "added_tokens.json, again", base, own(base, *chat), {**C(), "added_tokens.json": {chat[1]: n + 1, chat[0]: n}}
        yield "added_tokens.json, other ids", base, own(base, *chat), {**C(), "added_tokens.json": {chat[1]: n + 5, chat[0]: n + 4}}
        yield "gaps and another order in tokenizer.json", base, own(base) + [added(n + 7, "<a>"), added(n + 9, "<c>"), added(n + 3, "<b>", lstrip=True)], C(pad_token="<p>")
        yield "a token within another", base, own(base, "<|im"), C(additional_special_tokens=["<|im_end|>", "<|im_end|>x"])
        yield "single words", base, own(base), C(added_tokens_decoder={str(n): entry("in", special=False, single_word=True), str(n + 1): entry("q", single_word=True)})
        yield "no configuration", base, own(base), {"special_tokens_map.json": {"pad_token": "<p>"}, "added_tokens.json": {"zz": n}}


def folder(path, base, tokens, files):
    os.makedirs(path, exist_ok=True)
    for name, value in {"tokenizer.json": {**BASES[base], "added_tokens": tokens}, "config.json": {"model_type": "llama"}, **files}.items():
        with open(f"{path}/{name}", "w", encoding="utf-8") as f: json.dump(value, f, ensure_ascii=False)


def expected(path):
    """Ids of all texts; None where the two ways to open the folder disagree or refuse."""
    try: found = [c.from_pretrained(path) for c in (AutoTokenizer, PreTrainedTokenizerFast)]
    except Exception as e: return None
    results = [{"ids": [t(x, add_special_tokens=False).input_ids for x in TEXTS], "eos": t.eos_token_id, "bos": t.bos_token_id, "count": len(t),
                "special": sorted(i for i, a in t.added_tokens_decoder.items() if a.special)} for t in found]
    return results[0] if results[0] == results[1] else None


def fixture():
    cases = []
    with tempfile.TemporaryDirectory() as top:
        for i, (name, base, tokens, files) in enumerate(listed()):
            folder(f"{top}/{i}", base, tokens, files)
            e = expected(f"{top}/{i}")
            if e is None: print("left out:", name, base); continue
            cases.append({"name": name, "base": base, "added_tokens": tokens, "files": files, **e})
    with open(HERE + "/beside.json", "w", encoding="utf-8") as f:
        f.write('{"texts": ' + json.dumps(TEXTS, ensure_ascii=False) + ',\n"bases": ' + json.dumps(BASES, ensure_ascii=False, separators=(",", ":")) + ',\n"cases": [\n')
        f.write(",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in cases) + "\n]}\n")
    print(len(cases), "cases")


def fuzz(seed, count, top):
    r = random.Random(seed); pool = ["<a>", "<b>", "<c>", "<img>", "<boi>", "<p>", "<e>", "<|im_start|>", "<|im_end|>", "<|end|>", "zz", "yy", "def", "q", "<mask>", "[PAD]", "</s>", "<s>", "x <a>"]
    flags = lambda: {k: r.random() < 0.3 for k in ("lstrip", "rstrip", "normalized", "single_word", "special")}
    some = lambda n: r.sample(pool, r.randint(0, n))
    for i in range(count):
        base = r.choice(list(BASES)); n = max(COUNT[base], END[base] + 2); c = dict(NAMED); files = {}
        tokens = own(base, *[entry(t, **flags()) for t in some(4) if t not in ("def", "q", "zz", "yy", "</s>", "<s>")])
        token = lambda t: typed(t, **flags()) if r.random() < 0.4 else t
        for k in ("eos_token", "pad_token", "mask_token", "image_token", "unk_token"):
            if r.random() < 0.25: c[k] = token(r.choice(pool))
        if r.random() < 0.3: c["additional_special_tokens"] = [token(t) for t in some(4)]
        if r.random() < 0.2: c["extra_special_tokens"] = [token(t) for t in some(3)] if r.random() < 0.6 else {f"k{j}": token(t) for j, t in enumerate(some(3))}
        if r.random() < 0.35: c["added_tokens_decoder"] = {str(r.randint(0, 8) + n - 3): entry(t, **flags()) for t in some(5)}
        if r.random() < 0.4:
            m = files["special_tokens_map.json"] = {}
            for k in ("eos_token", "pad_token", "cls_token"):
                if r.random() < 0.4: m[k] = r.choice([r.choice(pool), {k: v for k, v in entry(r.choice(pool), **flags()).items() if k != "special"}, None])
            if r.random() < 0.5: m["additional_special_tokens"] = some(3)
        if r.random() < 0.4: files["added_tokens.json"] = {t: n + j + r.randint(-1, 3) for j, t in enumerate(some(4))}
        if r.random() < 0.95: files["tokenizer_config.json"] = c
        folder(f"{top}/{i}", base, tokens, files)
        e = expected(f"{top}/{i}")
        if e is not None:
            with open(f"{top}/{i}/expected.json", "w") as f: json.dump({"texts": TEXTS, **e}, f)


if __name__ == "__main__":
    if sys.argv[1:2] == ["fuzz"]: fuzz(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else: fixture()
