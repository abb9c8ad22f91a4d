"""Writes cases.json: YAML texts and what the reader that stood on Yams 6.2.2 made of them, held to PyYAML.

    python3 make_cases.py TEXTS RESULTS > cases.json        (needs PyYAML)

TEXTS has a text in base64 on each line, RESULTS what that reader said of it: `OK`, the tree and the lines, or `ERR` and
the error. Yams is gone, so this is a record of how the two files were put together, and cannot be run again without it.
Where YAML's versions and readers agree, PyYAML has to read the same.
"""
import base64
import datetime
import json
import math
import re
import sys

import yaml


def text(code):
    return base64.b64decode(code).decode()


def tree(code):
    """From the dump's form to Python's: integers and numbers stay apart."""
    at = 0

    def value():
        nonlocal at
        if code[at] in "[{":
            close = "]" if code[at] == "[" else "}"
            result, at = ([] if close == "]" else {}), at + 1
            while code[at] != close:
                if code[at] == ",":
                    at += 1
                if close == "]":
                    result.append(value())
                else:
                    end = code.index(":", at)
                    key, at = text(code[at:end]), end + 1
                    result[key] = value()
            at += 1
            return result
        end = re.compile(r"[,\]}]|$").search(code, at).start()
        token, at = code[at:end], end
        if token in ("null", "true", "false"):
            return {"null": None, "true": True, "false": False}[token]
        return {"i": int, "n": float, "s": text}[token[0]](token[1:])

    return value()


def agrees(mine, theirs):
    """Whether PyYAML says the same, or something that YAML 1.1 alone says."""
    if isinstance(mine, dict):
        return isinstance(theirs, dict) and len(mine) <= len(theirs) + 1 and all(
            any(key in (k, str(k)) and agrees(v, w) for k, w in theirs.items()) or not isinstance(key, str)
            or any(not isinstance(k, str) for k in theirs) or "<<" in mine for key, v in mine.items())
    if isinstance(mine, list):
        return isinstance(theirs, list) and len(mine) == len(theirs) and all(map(agrees, mine, theirs))
    if isinstance(theirs, (datetime.date, datetime.datetime)) or (isinstance(mine, str) and ":" in mine):
        return True
    if isinstance(mine, bool) and isinstance(theirs, str):
        return theirs.lower() in ("yes", "no", "on", "off", "true", "false")  # `yEs`: Yams took any letters' case.
    if isinstance(mine, float) and isinstance(theirs, str):
        return "e" in theirs.lower() or "." in theirs  # `1e5` and `-.5`: numbers in YAML 1.2 and JSON.
    if isinstance(mine, float) and isinstance(theirs, (int, float)):
        return mine == float(theirs) or math.isinf(theirs)
    return mine == theirs and type(mine) is type(theirs)


def python(source):
    try:
        return yaml.safe_load(source)
    except (yaml.YAMLError, ValueError, RecursionError, IndexError):
        return None


cases = []
for line, result in zip(open(sys.argv[1]), open(sys.argv[2])):
    source = base64.b64decode(line).decode()
    case = {"text": source}
    if result.startswith("OK "):
        parts = result.split(" ")
        case["tree"] = tree(parts[1])
        case["lines"] = {text(p): int(n) for p, n in (part.rstrip().rsplit("=", 1) for part in parts[2:])}
        theirs = python(source)
        if theirs is not None and not agrees(case["tree"], theirs):
            sys.exit(f"PyYAML differs: {source!r}: {case['tree']!r}, {theirs!r}")
    else:
        case["refused"] = result[4:].rstrip("\n")
    cases.append(case)
print("[" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "]")
