"""Answers of a problem's own solution, as they are kept and as they are compared with a program's.

Answers are compared as bytes, and only where they differ, as values. Bytes in marshal's form are read only when they come
from the problem's own solution, never from the program.
"""

import marshal, zlib

# A float that is not equal to itself, as marshal writes it.
NANS = b'\0\0\0\0\0\0\xf8\x7f', b'\0\0\0\0\0\0\xf8\xff'


def digest(data):
    try:
        from _sha2 import sha256
    except ImportError:
        # Before Python 3.12.
        from _sha256 import sha256
    return sha256(data).digest()


def packed(data):
    """An expected answer, from marshal's form to what is kept: itself, or its digest and what it is compressed to."""
    if len(data) < 4096:
        return data
    # A text equals nothing but the same text, so that its value is not needed.
    is_text = data[:1] in b'uaszAZ'
    return digest(data), None if is_text else zlib.compress(data, 1)


def is_expected(data, expected):
    """Whether an answer is what is expected, byte for byte. Equal bytes are equal values; others may be, too."""
    if type(expected) is bytes:
        return data == expected
    if len(expected) == 1 or len(data) < 4096:
        return False
    return digest(data) == expected[0]


class LongText:
    """Equals the text that has its digest."""

    def __init__(self, digest):
        self.digest = digest

    def __eq__(self, other):
        return isinstance(other, str) and digest(marshal.dumps(str.__str__(other), 2)) == self.digest


def unpacked(expected, given):
    """The value of an expected answer to an input."""
    if type(expected) is bytes:
        return marshal.loads(expected)
    if len(expected) == 1:
        # The solution's classes are not the program's.
        return apart(lambda: answered(expected[0], given))
    return LongText(expected[0]) if expected[1] is None else marshal.loads(zlib.decompress(expected[1]))


def answered(data, given):
    """An answer that may hold parts of its input, which it may have changed: its value."""
    heap = Heap()
    if has_nan(given):
        given = library('copy').deepcopy(given)
        encode((tuple(given), {}), SLACK, heap, False)
    reader = Reader(data, heap)
    value = deeply(reader.take)
    apply(reader)
    return value


def has_nan(given):
    data = marshal.dumps(given, 2)
    return any(nan in data for nan in NANS)


def has_bytes(value):
    if isinstance(value, dict):
        return has_bytes(list(value.items()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(has_bytes, value))
    return isinstance(value, bytes)
