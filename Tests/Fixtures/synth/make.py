"""Ids of some texts by the `tokenizers` package (0.23), for a tokenizer that `furl synth` has written.

    furl synth --model codegpt --blocks 1 --output FOLDER
    python3 make.py FOLDER/tokenizer.json > vectors.json
"""

import hashlib
import json
import sys

from tokenizers import Tokenizer

TEXTS = [
    "",
    "def add(a, b):\n    return a + b\n",
    "for i in range(10):\n\tprint(i, end='')\r\n",
    "   leading and trailing   ",
    "x = \"é日本語🙂\"  # naïve",
    "<s>not a token</s>",
    "ABCxyz_0123456789!@#$%^&*()[]{}",
    "\x00\x01\x7f\u00a0\u00ad\ufeff",
    "SELECT * FROM t WHERE a >= 1e-05;",
]

path = sys.argv[1]
tokenizer = Tokenizer.from_file(path)
vectors = []
for text in TEXTS:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text, text
    vectors.append({"text": text, "ids": ids})
digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
print(json.dumps({"tokenizer_sha256": digest, "vectors": vectors}, ensure_ascii=True, indent=1))
