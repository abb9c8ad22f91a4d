#!/usr/bin/env python3
"""Makes verdicts.json: EvalPlus's own verdicts on changed and cut solutions of HumanEval+.

    pip install evalplus==0.3.1
    python make_verdicts.py HumanEvalPlus.jsonl(.gz) verdicts.json

A row is [problem, start, end, text, sha, base, plus]: characters start..<end of prompt + canonical_solution become text; sha
is the beginning of the sha256 of what EvalPlus's sanitizer makes of that; base and plus are its verdicts (p pass, f fail,
t timeout). Time limits are those of EvalPlus's repository (4 s, 4 times the reference), which its package does not have yet.
HumanEval/32 is left out: the package cannot judge it.
"""
import gzip
import hashlib
import json
import os
import random
import re
import sys
import tempfile

source, output = sys.argv[1:3]
opened = gzip.open if source.endswith(".gz") else open
with opened(source, "rt") as file:
    text = file.read()
with tempfile.NamedTemporaryFile("w", suffix=".jsonl", delete=False) as plain:
    plain.write(text)
os.environ["HUMANEVAL_OVERRIDE_PATH"] = plain.name

from evalplus.data import get_human_eval_plus  # noqa: E402
from evalplus.eval import untrusted_check  # noqa: E402
from evalplus.gen.util import trusted_exec  # noqa: E402
from evalplus.sanitize import sanitize  # noqa: E402

SWAPS = [
    ("<=", "<"), (">=", ">"), (" < ", " <= "), (" > ", " >= "), ("==", "!="), (" + ", " - "), (" - ", " + "),
    (" and ", " or "), (" or ", " and "), ("True", "False"), ("False", "True"), ("min(", "max("), ("max(", "min("),
    ("[0]", "[1]"), ("range(", "range(1 + "), (" % ", " // "), (" * ", " + "), ("not ", ""), ("sorted(", "list("),
    (".lower()", ".upper()"), ("return ", "return not "), ("sum(", "len("), ("append(", "insert(0, "),
]
TAILS = [
    "\n\ndef main():\n    return 1\n", "<|endoftext|>", "\nprint(1)\n", "\n\nThis function is right.\n",
    "\n```\nDone.", "\nif __name__ == '__main__':\n    main()\n", "\n\n# a remark\nX = 1\n", "\n    return (1 + \n",
]


def change(draw, prompt, solution):
    """Start, end and replacement of one change of prompt + solution."""
    base = len(prompt)
    kind = draw.random()
    if kind < 0.3:
        # Cut somewhere, as a limit on tokens does.
        return base + draw.randrange(len(solution)), base + len(solution), ""
    if kind < 0.4:
        return base + len(solution), base + len(solution), draw.choice(TAILS)
    if kind < 0.5:
        # A line is missing.
        lines = [m for m in re.finditer(r"[^\n]*\n", solution) if m.group().strip()]
        line = draw.choice(lines)
        return base + line.start(), base + line.end(), ""
    if kind < 0.65:
        numbers = list(re.finditer(r"(?<![\w.])\d+(?![\w.])", solution))
        if numbers:
            number = draw.choice(numbers)
            return base + number.start(), base + number.end(), str(int(number.group()) + 1)
    places = [(m.start(), old, new) for old, new in SWAPS for m in re.finditer(re.escape(old), solution)]
    if not places:
        return base + len(solution) // 2, base + len(solution), ""
    at, old, new = draw.choice(places)
    return base + at, base + at + len(old), new


def main():
    problems = list(get_human_eval_plus().values())
    draw = random.Random(20)
    rows = []
    chosen = [index for index in range(len(problems)) for _ in range(4)]
    draw.shuffle(chosen)
    references = {}
    for index in chosen:
        if len(rows) == 500:
            break
        problem = problems[index]
        if problem["entry_point"] == "find_zero":
            continue
        name = problem["entry_point"]
        start, end, new = change(draw, problem["prompt"], problem["canonical_solution"])
        whole = problem["prompt"] + problem["canonical_solution"]
        code = sanitize(whole[:start] + new + whole[end:], name)
        if index not in references:
            references[index] = [
                trusted_exec(whole, problem[key], name, record_time=True) for key in ("base_input", "plus_input")
            ]
        verdicts = []
        for key, (expected, times) in zip(("base_input", "plus_input"), references[index]):
            status, _ = untrusted_check(
                "humaneval", code, problem[key], name, expected, problem["atol"], times, fast_check=True,
                min_time_limit=4.0, gt_time_limit_factor=4.0)
            verdicts.append(status[0])
        rows.append([index, start, end, new, hashlib.sha256(code.encode()).hexdigest()[:12]] + verdicts)
        print(len(rows), problem["task_id"], *verdicts, flush=True)
    with open(output, "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


main()
