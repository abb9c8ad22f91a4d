#!/usr/bin/env python3
"""Continues a text with Furl's C library (Sources/FurlC/furl.h), by nothing but ctypes.

    FURL_LIBRARY=libFurlC.so python3 complete.py MODEL TEXT [TOKENS]
"""

import ctypes
import os
import sys


class Options(ctypes.Structure):
    _fields_ = [
        ("max_tokens", ctypes.c_int32), ("temperature", ctypes.c_double), ("top_k", ctypes.c_int32),
        ("top_p", ctypes.c_double), ("seed", ctypes.c_uint64), ("stop", ctypes.c_char_p),
    ]


Piece = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)

furl = ctypes.CDLL(os.environ.get("FURL_LIBRARY", "libFurlC.so"))
furl.furl_open.restype = ctypes.c_void_p
furl.furl_open.argtypes = [ctypes.c_char_p, ctypes.c_int32, ctypes.POINTER(ctypes.c_void_p)]
furl.furl_generate.argtypes = [
    ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(Options), Piece, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)]
furl.furl_close.argtypes = [ctypes.c_void_p]
furl.furl_free.argtypes = [ctypes.c_void_p]


def fail(error, status):
    print(ctypes.string_at(error).decode(), file=sys.stderr)
    furl.furl_free(error)
    sys.exit(status)


def main():
    path, text, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 64
    error = ctypes.c_void_p()
    model = furl.furl_open(path.encode(), 0, ctypes.byref(error))
    if not model:
        fail(error, 65)

    @Piece
    def show(piece, _):
        sys.stdout.buffer.write(piece)
        sys.stdout.flush()
        return 0

    status = furl.furl_generate(model, text.encode(), Options(max_tokens=tokens), show, None, ctypes.byref(error))
    furl.furl_close(model)
    if status:
        fail(error, status)
    print()


main()
