"""JSON as the json module reads it, without the 5 ms that importing that takes."""

import math, sys


def parse(text):
    try:
        import _json
    except ImportError:
        import json
        return json.loads(text)

    class Context:
        strict = True
        object_hook = object_pairs_hook = None
        parse_float, parse_int = float, int
        # Not math's own: what is no number equals nothing but itself, in a list.
        parse_constant = {'-Infinity': -math.inf, 'Infinity': math.inf, 'NaN': float('nan')}.__getitem__

    start = len(text) - len(text.lstrip())
    return _json.make_scanner(Context())(text, start)[0]


def parse_any(text):
    """The same with integers of any length."""
    limit = getattr(sys, 'get_int_max_str_digits', int)()
    if not limit:
        return parse(text)
    sys.set_int_max_str_digits(0)
    try:
        return parse(text)
    finally:
        sys.set_int_max_str_digits(limit)
