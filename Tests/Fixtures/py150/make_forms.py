#!/usr/bin/env python3
"""Makes forms.json: PY150's normal form of small texts by CPython's own tokenizer.

    python3.11 make_forms.py literals.json forms.json [FOLDER digests.json]

Python 3.8 to 3.11 (later ones take f-strings apart). With FOLDER also digests.json: for each .py file below it the beginning of
the sha256 of its normal form, to compare a whole standard library with.
"""
import hashlib
import io
import json
import os
import re
import sys
import tokenize

assert (3, 8) <= sys.version_info < (3, 12)
with open(sys.argv[1]) as file:
    KEPT = json.load(file)


def string(token):
    prefix = re.match("[a-z]*", token).group()
    rest = inside = token[len(prefix):]
    start = end = ""
    for quote in ("'''", '"""', "'", '"'):
        if rest.startswith(quote):
            start, inside = quote, inside[len(quote):]
            if rest.endswith(quote):
                end, inside = quote, inside[:-len(quote)]
            break
    inside = inside.replace(" ", "U+0020").replace(",", "U+002C")
    return prefix + start + ("<STR_LIT:%s>" % inside if inside in KEPT["str"] else "<STR_LIT>") + end


def form(data):
    out = []
    try:
        text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8").read()
        for kind, value, *_ in tokenize.tokenize(io.BytesIO(text.encode()).readline):
            value = " ".join(value.split())
            if kind == tokenize.STRING:
                out.append(string(value))
            elif kind == tokenize.NUMBER:
                out.append("<NUM_LIT:%s>" % value if value in KEPT["num"] else "<NUM_LIT>")
            elif kind in (tokenize.NEWLINE, tokenize.NL):
                if out[-1:] != ["<EOL>"]:
                    out.append("<EOL>")
            elif value and kind not in (tokenize.COMMENT, tokenize.INDENT, tokenize.ENCODING, tokenize.ENDMARKER):
                out.append(value)
        if out[0] == "<EOL>":
            out = out[1:]
        if out[-1] == "<EOL>":
            out = out[:-1]
    except Exception:
        out = []
    return " ".join(["<s>"] + out + ["</s>"])


TEXTS = [
    "", "\n\n", "# only a remark", "x", "x = 1\n", "print \"py2\"\n", "a = 0777 + 0xFFL + 1_000 + 1__0 + 0b12 + 0o78 + 1e5 + 1.e-3 + .5j + 1..real\n",
    "x = 1if y else 2\n", "s = ur'a' + Rb'b' + bR\"c\" + f'{x}' + F'{x}' + rb'' + u''\n", "s = 'a\\\nb' + 'c'\n",
    "s = 'open\nt = 1\n", "s = '''a\n  b ' c\n''' + \"\"\"d\\\"\"\"\"\n", "s = '''never closed\n", "f(a,\n  b, # why\n\n  c)\n", "f(a,\n",
    "if x:\n\ty\n        z\n", "if x:\n    y\n  z\n", "a = b \\\n  + c\n", "a \\ b\n", "a ? b $ c ! d != e <> f\n", "\u00e9t\u00e9 = '\u00e9' + \u03c0\u00b2\n", "a\u0301 = 1\n",
    "x\u00a0= 1\n", "\x0cclass A:\n\x0c    pass\n", "a = 1\r\nb = 2\rc = 3", "def f():\n    pass\n    ", "def f():\n    pass\n    # end", "@dec\nasync def f(a: int = 1, *, b) -> None: ...\n",
    "a := b; c -> d ** e // f **= 1 >>= 2 ... .. .\n", "x = 'a, b' + ' ' + ',' + \"utf-8\"\n", "\ufeffx = 1\n", "# -*- coding: latin-1 -*-\n\u00e9 = 1\n", "# coding: latin-1\nx = '\u00e9'\n",
    "lambda: (yield)\n", "x = [1, 2,\n\n\n3]\n", "x = }\n", "x = )\n\n  y\n", "'a' 'b'\n", "x = '\\'' + \"\\\"\" + '\\\\'\n", "x = 'a\\\n", "print(f\"{x!r:>{w}}\")\n", "1_ = 2\n", "0_0 00 0x 0b 0o 1e 1e+ 1E5J 0xe+1\n",
    "a = '''x''' '''y\nz'''\n\n\nb\n", "if a:\n  b\nelse:\n  c\n\n\n# x\n  # y\nd\n", "\\\nx = 1\n", "x = 1 \\", "x = 1\n\\\n\ny = 2\n",
]


def main():
    with open(sys.argv[2], "w") as file:
        rows = [[text, form(text.encode())] for text in TEXTS]
        file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    if len(sys.argv) > 3:
        found = {}
        for folder, _, names in sorted(os.walk(sys.argv[3])):
            for name in names:
                path = os.path.join(folder, name)
                if name.endswith(".py") and not os.path.islink(path):
                    with open(path, "rb") as file:
                        found[os.path.relpath(path, sys.argv[3])] = hashlib.sha256(form(file.read()).encode()).hexdigest()[:16]
        with open(sys.argv[4], "w") as file:
            json.dump(found, file)
        print(len(found), "files")


main()
