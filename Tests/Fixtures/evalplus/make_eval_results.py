#!/usr/bin/env python3
"""Makes eval_results.json and eval_results_samples.jsonl: what EvalPlus writes for some solutions of HumanEval+.

    pip install evalplus==0.3.1
    python make_eval_results.py HumanEvalPlus.jsonl(.gz) FOLDER

EvalPlus judges the problems below only, from a file of their lines as they stand; its time limits are 1 s and 4 times the
reference.
"""
import gzip
import json
import os
import sys
import tempfile

source, folder = sys.argv[1:3]

SOLUTIONS = {
    "HumanEval/0": [
        # Right.
        "def has_close_elements(numbers, threshold):\n"
        "    s = sorted(numbers)\n    return any(b - a < threshold for a, b in zip(s, s[1:]))\n",
        # Neighbours only.
        "def has_close_elements(numbers, threshold):\n"
        "    return any(abs(b - a) < threshold for a, b in zip(numbers, numbers[1:]))\n",
        # An exception of its own.
        "def has_close_elements(numbers, threshold):\n"
        "    if len(numbers) > 5:\n        raise ValueError('too many \"numbers\"')\n"
        "    s = sorted(numbers)\n    return any(b - a < threshold for a, b in zip(s, s[1:]))\n",
    ],
    "HumanEval/3": [
        # Ends its process at an input.
        "import os\ndef below_zero(operations):\n    total = 0\n    for x in operations:\n        total += x\n"
        "        if total < 0:\n            os._exit(3)\n    return False\n",
        # Does not end.
        "def below_zero(operations):\n    total = 0\n    for x in operations:\n        total += x\n"
        "        while total < 0:\n            pass\n    return False\n",
        # Asks to end.
        "def below_zero(operations):\n    total = 0\n    for x in operations:\n        total += x\n"
        "        if total < 0:\n            raise SystemExit(0)\n    return False\n",
    ],
    "HumanEval/13": [
        # No Python; another name; ends its process before it is called.
        "def greatest_common_divisor(a, b):\n    return (1 +\n",
        "def gcd(a, b):\n    return 1\n",
        "import os\nos._exit(0)\ndef greatest_common_divisor(a, b):\n    return 1\n",
    ],
    "HumanEval/53": [
        # Right about small numbers only.
        "def add(x, y):\n    return x + y if abs(x) < 10 ** 5 else 0\n",
        # No value; more memory than there is.
        "def add(x, y):\n    return object()\n",
        "def add(x, y):\n    return x + y + 0 * len(bytearray(1 << 50))\n",
    ],
    "HumanEval/2": [
        # Wrong about a base input only; off by little; wrong about large ones only.
        "def truncate_number(number):\n    return 0.25 if number == 3.5 else number % 1.0\n",
        "def truncate_number(number):\n    return number % 1.0 + 1e-5\n",
        "def truncate_number(number):\n    return number % 1.0 if number < 200 else -1.0\n",
    ],
}

opened = gzip.open if source.endswith(".gz") else open
with opened(source, "rt") as file:
    lines = [line for line in file if json.loads(line)["task_id"] in SOLUTIONS]
work = tempfile.mkdtemp()
os.environ["HUMANEVAL_OVERRIDE_PATH"] = work + "/problems.jsonl"
with open(work + "/problems.jsonl", "w") as file:
    file.writelines(lines)
samples = work + "/samples.jsonl"
with open(samples, "w") as file:
    for task, texts in SOLUTIONS.items():
        file.writelines(json.dumps({"task_id": task, "solution": text}) + "\n" for text in texts)

from evalplus.evaluate import evaluate  # noqa: E402

if __name__ == "__main__":
    evaluate("humaneval", samples, parallel=1, min_time_limit=1.0, gt_time_limit_factor=4.0)
    os.replace(samples, folder + "/eval_results_samples.jsonl")
    with open(work + "/samples_eval_results.json") as file:
        text = file.read()
    with open(folder + "/eval_results.json", "w") as file:
        file.write(text + "\n")
