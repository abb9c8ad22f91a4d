"""Writes digests.json: the messages of NIST's CAVP files for SHA-256 and what Python's hashlib makes of them.

    python3 make_digests.py FOLDER > digests.json

FOLDER has SHA256ShortMsg.rsp, SHA256LongMsg.rsp and SHA256Monte.rsp (NIST's shabytetestvectors.zip; also in the package
cryptography_vectors of PyPI). NIST's digests are held to hashlib's here. Of the long messages every fourth is kept, the
longest among them: their lengths are multiples of 163 bytes. MD5's messages are those of RFC 1321, and bytes by a rule.
"""
import base64
import hashlib
import json
import re
import sys


def records(name):
    text = open(f"{sys.argv[1]}/{name}.rsp").read()
    for length, message, digest in re.findall(r"Len = (\d+)\s+Msg = (\w+)\s+MD = (\w+)", text):
        message = bytes.fromhex(message)[: int(length) // 8]
        assert hashlib.sha256(message).hexdigest() == digest
        yield {"message": base64.b64encode(message).decode(), "digest": digest}


def monte():
    """The 100 digests of SHAVS, section 6.4: of each thousand the last one begins the next."""
    text = open(f"{sys.argv[1]}/SHA256Monte.rsp").read()
    seed = bytes.fromhex(re.search(r"Seed = (\w+)", text)[1])
    expected = re.findall(r"MD = (\w+)", text)
    last, digests = seed, []
    for _ in range(100):
        three = [last, last, last]
        for _ in range(1000):
            three = three[1:] + [hashlib.sha256(b"".join(three)).digest()]
        last = three[2]
        digests.append(last.hex())
    assert digests == expected
    return {"seed": seed.hex(), "digests": digests}


rfc_1321 = [
    "", "a", "abc", "message digest", "abcdefghijklmnopqrstuvwxyz",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "1234567890" * 8,
]
by_rule = [bytes((7 * i + n) % 256 for i in range(n)) for n in range(200)]
json.dump({
    "sha256": list(records("SHA256ShortMsg")) + list(records("SHA256LongMsg"))[3::4],
    "monte": monte(),
    "md5": [{"text": text, "digest": hashlib.md5(text.encode()).hexdigest()} for text in rfc_1321],
    # Of n bytes, (7 i + n) mod 256, for every n below 200.
    "md5_by_rule": [hashlib.md5(message).hexdigest() for message in by_rule],
}, sys.stdout, indent=1)
print()
