"""Writes values.json: programs, tests of their answers, and what CPython says of each, found by executing both in this process.

    python3 generate.py

`answers`: [imports, value, tests, their truth as digits or "p", expected values, whether each equals the answer or "p"]. "p" marks
what may not be decided in two processes and has to end as `protocol`. `calls`: [program, test, whether it passes, or null where it has to end as `protocol`].
"""
import json
import pathlib

C, E, D, N = "import collections", "import enum", "import datetime", "import math"
COMMON = ["bool(r)", "len(r)", "isinstance(r, list)", "isinstance(r, tuple)", "isinstance(r, dict)", "isinstance(r, int)",
          "isinstance(r, str)", "type(r) in (list, tuple, dict, set, frozenset, int, float, str, bytes, bool, complex)",
          "r == r", "iter(r)", "hash(r)", "r[0]", "sorted(r)", "2 in r"]
LISTS = ["[1, 2]", "(1, 2)", "{1, 2}"]
TEXTS = ["'ab'", "b'ab'", "['a', 'b']"]
NUMBERS = ["2", "2.0", "True", "'2'"]
MAPS = ["{1: 2}", "[1]", "[(1, 2)]", "{1}"]


def entry(imports, value, tests, expected): return (imports, value, tests, expected)


ANSWERS = []


def add(imports, values, tests, expected):
    ANSWERS.extend(entry(imports, value, tests, expected) for value in values)


add("", ["[1, 2]", "(1, 2)", "[True, 2]", "[1.0, 2.0]", "range(1, 3)", "[1, [2, (3,)]]", "[[]] * 3", "[]", "()", "[0] * 999",
         "list('ab')", "[None, ..., NotImplemented]", "[1, 2][::-1]", "(1, 2) * 2", "[b'1', bytearray(b'2')]"],
    ["r == [1, 2]", "r == (1, 2)", "list(r) == [1, 2]", "r + [3] == [1, 2, 3]", "repr(r) == '[1, 2]'", "r[::-1]", "r.count(1) == 1"],
    LISTS + ["range(1, 3)", "[]", "()"])
add("", ["2", "True", "2.0", "False", "0", "-0.0", "0.0", "1e308", "5e-324", "float('inf')", "-float('inf')", "10 ** 30", "-(2 ** 64)",
         "1 << 5000", "2 + 0j", "1j", "-0j", "float('nan')", "2 ** 0.5"],
    ["r == 2", "r is True", "r + 1 == 3", "str(r) == '2'", "r == r", "r != r", "r < 3", "str(r)[0] == '-'", "r % 2 == 0", "r // 1 == r"],
    NUMBERS + ["0", "10 ** 30", "float('inf')", "2 + 0j", "[2]"])
add("", ["'ab'", "''", "'a\\x00b'", "'\\ud800'", "'\\U0001F426'", "'2'", "b'ab'", "b''", "bytearray(b'ab')", "bytearray()", "memoryview(b'ab')",
         "memoryview(bytearray(b'ab'))", "memoryview(b'abcd').cast('H')", "[memoryview(b'ab')]", "{'k': bytearray(b'ab')}"],
    ["r == 'ab'", "r == b'ab'", "r[0] == 'a'", "r[0] == 97", "bytes(r) == b'ab'", "isinstance(r, bytes)", "r + b'c' == b'abc'", "r.upper()",
     "list(r) == [97, 98]", "r == [97, 98]"],
    TEXTS + ["bytearray(b'ab')", "[97, 98]", "''"])
add("", ["{1: 2}", "{1: 2}.keys()", "{1: 2}.values()", "{1: 2}.items()", "{}.keys()", "{}.items()", "{1: [2]}.items()", "{'a': 1, 'b': 2}.keys()",
         "[{1: 2}.keys()]", "({1: 2}.items(), 1)", "{1: {2: 3}.keys()}", "{1: 2, 3: 4}.values()", "{2: 1, 1: 2}", "{True: 2}", "{1.0: 2}"],
    ["r == {1: 2}", "r == [1]", "r == {1}", "r == [2]", "r == [(1, 2)]", "r == {(1, 2)}", "list(r) == [1]", "set(r) == {1}", "1 in r", "r & {1}",
     "dict(r) == {1: 2}", "r | {3} == {1, 3}", "list(reversed(r))", "r.isdisjoint([5])", "type(r).__name__ == 'dict_keys'"],
    MAPS + ["{1: 2}.keys()", "{1: 2}.items()", "{(1, 2)}", "[2]"])
add(C, ["collections.OrderedDict([(1, 2)])", "collections.OrderedDict([(1, 2)]).keys()", "collections.OrderedDict([(1, 2)]).items()",
        "collections.OrderedDict([(1, 2)]).values()", "collections.defaultdict(int, {1: 2})", "collections.defaultdict(list, {1: [2]})",
        "collections.defaultdict(None, {1: 2})", "collections.Counter({1: 2})", "collections.Counter()",
        "collections.ChainMap({1: 2}, {3: 4})", "collections.UserDict({1: 2})", "{1: collections.Counter('ab')}", "[collections.OrderedDict(a=1)]",
        "collections.OrderedDict([(1, 2), (3, 4)])", "collections.defaultdict(dict, {1: {}})"],
    ["r == {1: 2}", "isinstance(r, dict)", "type(r) is dict", "dict(r) == {1: 2}", "list(r) == [1]", "r[1] == 2", "r.get(9) is None", "len(r) == 1",
     "r.popitem() == (1, 2)", "repr(r) == '{1: 2}'", "sorted(r.items()) == [(1, 2)]", "r | {5: 6}"],
    MAPS + ["{}", "{3: 4, 1: 2}", "{1: [2]}"])
add(C, ["collections.defaultdict(lambda: 0, {1: 2})"], ["r == {1: 2}", "r[1] == 2", "isinstance(r, dict)", "type(r) is dict", "len(r) == 1", "3 in r"], MAPS)
add(C, ["collections.Counter('aab')", "collections.Counter([1, 1, 2])"],
    ["r['zz'] == 0", "r.most_common(1)[0][1] == 2", "sum(r.values()) == 3", "r + r", "r == {'a': 2, 'b': 1, 'c': 0}", "sorted(r.elements())"],
    ["{'a': 2, 'b': 1}", "{1: 2, 2: 1}", "['a', 'b']"])
add(C, ["collections.deque([1, 2])", "collections.deque([1, 2], 2)", "collections.deque()", "[collections.deque([1])]", "collections.UserList([1, 2])",
        "collections.UserString('ab')", "(collections.deque(), 1)"],
    ["r == [1, 2]", "list(r) == [1, 2]", "len(r) == 2", "r[0] == 1", "r[:1]", "r.popleft() == 1", "r.maxlen == 2",
     "isinstance(r, list)", "r == 'ab'", "r.append(5) is None and list(r)[-1] == 5"],
    LISTS + ["[]", "'ab'"])
add("import array", ["array.array('i', [1, 2])", "array.array('b', b'ab')", "[array.array('B', b'ab')]", "array.array('d', [1.5])", "array.array('B')"],
    ["r == [1, 2]", "list(r) == [1, 2]", "r == b'ab'", "r.typecode == 'i'", "len(r) == 2", "r.tolist() == [1, 2]", "isinstance(r, list)"],
    ["[1, 2]", "b'ab'", "[b'ab']", "[1.5]", "(1, 2)"])
POINT = C + "\nP = collections.namedtuple('P', 'x y')"
add(POINT, ["P(1, 2)", "[P(1, 2)]", "P(1, [2])", "P(P(1, 2), 2)", "{P(1, 2): 3}", "{P(1, 2)}", "P(1, 2)._asdict()", "(P(1, 2), P(1, 2))"],
    ["r == (1, 2)", "r == [1, 2]", "r.x == 1", "r._fields == ('x', 'y')", "repr(r) == 'P(x=1, y=2)'", "r._replace(x=5) == (5, 2)", "r == [(1, 2)]",
     "type(r).__name__ == 'P'", "(1, 2) in r", "tuple(r) == (1, 2)", "r[0].x == 1"],
    LISTS + ["[(1, 2)]", "((1, 2), 2)", "{(1, 2)}", "{'x': 1, 'y': 2}"])
add("import typing\nclass Q(typing.NamedTuple):\n    x: int\n    y: int = 2", ["Q(1)", "[Q(1, 3)]"],
    ["r == (1, 2)", "r.y == 2", "repr(r) == 'Q(x=1, y=2)'", "r._field_defaults == {'y': 2}"], ["(1, 2)", "[(1, 3)]"])
add(C + "\nclass P(collections.namedtuple('P', 'x y')):\n    __slots__ = ()\n    def norm(self): return self.x", ["P(1, 2)"],
    ["r == (1, 2)", "r.x == 1", "type(r) is tuple", "repr(r) == 'P(x=1, y=2)'"], LISTS)
NUM = E + "\nclass K(enum.IntEnum):\n    ONE = 1\n    TWO = 2"
add(NUM, ["K.TWO", "[K.ONE, K.TWO]", "{K.ONE: K.TWO}", "(K.TWO, 2)", "{K.ONE}", "K.ONE + K.ONE", "list(K)"],
    ["r == 2", "r == [1, 2]", "r.name == 'TWO'", "r.value == 2", "isinstance(r, int)", "type(r) is int", "repr(r) == '<K.TWO: 2>'", "r + 1 == 3",
     "r[0] is r[0]", "r in (1, 2)", "r == {1: 2}"], NUMBERS + ["[1, 2]", "{1: 2}", "(2, 2)", "{1}"])
add(E + "\nclass K(enum.Enum):\n    A = 'a'\n    B = 'b'", ["K.A", "[K.A]", "{K.A: 1}", "K['B']"],
    ["r == 'a'", "r.value == 'a'", "r.name == 'A'", "r == ['a']", "str(r) == 'K.A'", "r is r"], ["'a'", "['a']", "{'a': 1}", "'K.A'"])
add(E + "\nclass K(str, enum.Enum):\n    A = 'a'", ["K.A", "[K.A]"], ["r == 'a'", "r.value == 'a'", "isinstance(r, str)", "r.upper() == 'A'", "r == ['a']"],
    ["'a'", "['a']"])
add(E + "\nclass K(enum.IntFlag):\n    A = 1\n    B = 2", ["K.A", "K.A | K.B", "[K.B]"], ["r == 1", "r == 3", "r & 1", "isinstance(r, int)", "r == [2]"],
    ["1", "3", "[2]"])
add(E + "\nclass K(enum.IntFlag, boundary=enum.EJECT):\n    A = 1\n    B = 2", ["K.A", "K.A | K.B"], ["r == 1", "type(r | 8) is int", "type(r | 8).__name__ == 'K'"], ["1", "3"])
add(E + "\nclass K(enum.Flag, boundary=enum.KEEP):\n    A = 1\n    B = 2", ["K.A", "K(9)"], ["r.value == 9", "r.value == 1", "(r | type(r)(8)).value == 9"], ["9", "1"])
add("class S(list):\n    'text'\n    __slots__ = ()", ["S([1, 2])"], ["r == [1, 2]", "hasattr(r, '__dict__')", "r.__doc__ == 'text'", "setattr(r, 'x', 1)", "type(r).__bases__ == (list,)"], LISTS)
add("class S(list): pass", ["S([1, 2])"], ["setattr(r, 'x', 1) is None and r.x == 1", "vars(r) == {}", "r.__doc__ is None", "type(r).__mro__[1:] == (list, object)"], LISTS)
add("b = bytearray(b'ab')", ["(memoryview(b), b)", "[b, memoryview(b), memoryview(b).toreadonly()]"], ["r[0] == r[1]", "len(r)", "r[1].__setitem__(0, 65) is None and r[0] == b'Ab'"], ["[1]"])
add(E + "\nclass K(enum.Flag):\n    A = 1\n    B = 2", ["K.A", "K.A | K.B"], ["r == 1", "r.value == 3", "bool(r)"], ["1", "3"])
add("from fractions import Fraction as F\nfrom decimal import Decimal as M", ["F(4, 2)", "F(1, 3)", "M(2)", "M('0.1')", "M('nan')", "M('-0')", "[F(1, 2), M(1)]",
    "{F(2): M(2)}", "F(1, 10 ** 50)", "M('1E+5')"],
    ["r == 2", "r == 2.0", "r + 1 == 3", "str(r) == '2'", "r == r", "isinstance(r, int)", "float(r) == 0.1", "r * 2", "r == 0", "r < 1"],
    NUMBERS + ["0.5", "[0.5, 1]", "{2: 2}", "100000", "0"])
add(D, ["datetime.date(2020, 2, 29)", "datetime.datetime(2020, 2, 29, 1, 2, 3)", "datetime.timedelta(days=1, seconds=2)", "datetime.time(1, 2)",
        "datetime.datetime(2020, 2, 29, tzinfo=datetime.timezone.utc)", "datetime.timezone(datetime.timedelta(hours=2))", "[datetime.date(1, 1, 1)]"],
    ["r.year == 2020", "str(r) == '2020-02-29'", "r.isoformat()", "r.total_seconds() == 86402", "r == '2020-02-29'", "r < r", "r.tzinfo is None"],
    ["'2020-02-29'", "86402", "['0001-01-01']"])
add("import uuid, types", ["uuid.UUID(int=5)", "types.SimpleNamespace(a=1)", "types.MappingProxyType({1: 2})", "slice(1, 2)", "Ellipsis", "NotImplemented", "[...]"],
    ["r == {1: 2}", "r.int == 5", "r.a == 1", "r[1] == 2", "r is ...", "r.start == 1", "isinstance(r, dict)", "r == [...]"], ["{1: 2}", "...", "[...]", "5"])
add("", ["iter([1, 2])", "(x for x in (1, 2))", "map(int, '12')", "filter(None, [0, 1, 2])", "zip([1], [2])", "enumerate('ab')", "reversed([2, 1])",
         "reversed((2, 1))", "iter((1, 2))", "iter({1: 2})", "iter('ab')", "zip()", "enumerate('ab', 3)", "iter(range(1, 3))", "[iter([1, 2])]"],
    ["r == [1, 2]", "list(r) == [1, 2]", "next(r) == 1", "r[0] == 1", "iter(r) is r", "isinstance(r, list)", "tuple(r)", "sum(r) == 3", "isinstance(r, zip)",
     "isinstance(r, map)", "list(r) == [(1, 2)]", "dict(r) == {0: 'a', 1: 'b'}", "type(r).__name__ == 'generator'"], LISTS + ["[(1, 2)]", "'ab'"])
add("import itertools", ["itertools.chain([1], [2])", "itertools.islice([1, 2, 3], 2)", "itertools.permutations('ab')", "itertools.accumulate([1, 1])"],
    ["list(r) == [1, 2]", "r == [1, 2]", "next(r)", "len(r)", "list(r) == [('a', 'b'), ('b', 'a')]"], LISTS)
for base, value, more in (("list", "[1, 2]", LISTS), ("tuple", "(1, 2)", LISTS), ("dict", "{1: 2}", MAPS), ("set", "{1, 2}", LISTS), ("str", "'ab'", TEXTS),
                          ("int", "2", NUMBERS), ("float", "2.0", NUMBERS), ("bytes", "b'ab'", TEXTS), ("frozenset", "{1, 2}", LISTS), ("complex", "2j", NUMBERS),
                          ("bytearray", "b'ab'", TEXTS)):
    tests = ["r == %s" % one for one in more] + ["type(r) is %s" % base, "isinstance(r, %s)" % base, "type(r).__name__ == 'S'", "str(r)", "r != 5"]
    add("class S(%s): pass" % base, ["S(%s)" % value, "[S(%s)]" % value], tests, more + ["[%s]" % one for one in more])
    add("class S(%s):\n    def __init__(self, *_): self.note = 1\n    def size(self): return 1" % base, ["S(%s)" % value] if base not in ("list", "dict", "set", "bytearray") else ["S()"],
        tests, more)
add(C + "\nclass S(collections.Counter): pass", ["S('aab')"], ["r == {'a': 2, 'b': 1}", "r['x'] == 0", "isinstance(r, dict)"], MAPS)
add(C + "\nclass S(collections.OrderedDict): pass", ["S({1: 2})"], ["r == {1: 2}", "list(r) == [1]", "type(r) is dict"], MAPS)
add(C + "\nclass S(collections.deque): pass", ["S([1, 2])"], ["list(r) == [1, 2]", "r == [1, 2]"], LISTS)
add("import math", ["math.nan", "[math.nan]", "[float('nan')]", "(math.nan, 1)", "{math.nan: 1}", "[math.inf, -math.inf]", "{'a': -0.0}", "[-0.0]", "[0.0]"],
    ["r == r", "r != r", "r[0] != r[0]", "r[0] in r", "len(r) == 1", "str(r)"], ["math.nan", "[math.nan]", "[float('nan')]", "(math.nan, 1)", "[0.0]", "{'a': 0}"])
add("", ["frozenset([1])", "{frozenset([1]), frozenset()}", "{1, 'a', None}", "set()", "{(1, 2): {3}}", "[{1}, {2}]", "{(): frozenset()}"],
    ["r == {1}", "r == set()", "1 in r", "len(r)", "r | {5}", "isinstance(r, set)", "r == [1]"], ["{1}", "set()", "[{1}, {2}]", "frozenset([1])", "{}"])
add("def deep(n):\n    r = 1\n    for _ in range(n): r = [r]\n    return r", ["deep(5)", "deep(60)", "deep(95)"], ["r[0]", "r != 1", "len(r) == 1"], ["[[[[[1]]]]]", "1"])
add("a = [1]", ["[a, a]", "[a] * 50", "{'x': a, 'y': a}", "(a, [a, (a,)])"], ["r[0] is r[1]", "r[0].append(2) is None and r[1] == [1, 2]", "len(r)", "r['x'] is r['y']"],
    ["[[1], [1]]", "{'x': [1], 'y': [1]}", "([1], [[1], ([1],)])"])
add("a = []\na.append(a)\nb = {}\nb['b'] = b", ["a", "b", "[a, b]"], ["len(r) == 1", "r[0] is r", "r['b'] is r", "r == 1", "repr(r) == '[[...]]'"], ["1", "[]", "{}"])
UNDECIDED = [  # what only the program's own process can answer for
    ("", "lambda: 1"), ("", "int"), ("", "len"), ("", "object()"), ("import math", "math"), ("def deep(n):\n    r = 1\n    for _ in range(n): r = [r]\n    return r", "deep(300)"), ("import re", "re.match('a', 'a')"),
    ("import re", "re.compile('a')"), ("class O: pass", "O()"), ("class O:\n    def __eq__(self, other): return True", "O()"), ("class O(list):\n    def __eq__(self, other): return True", "O()"),
    ("class O(list):\n    def __len__(self): return 7", "O()"), ("class O(int):\n    def __hash__(self): return 7", "O()"), ("class O(int):\n    def __eq__(self, o): return True\n    __hash__ = int.__hash__", "O()"),
    ("class O(str):\n    def __repr__(self): return 'x'", "O()"), ("class O(dict):\n    def __missing__(self, key): return 1", "O()"), ("class O(tuple):\n    def __lt__(self, o): return True", "O()"),
    ("class O(float):\n    def __add__(self, o): return 5", "O(1)"), ("class M(type):\n    def __eq__(self, o): return True\n    __hash__ = type.__hash__\nclass O(list, metaclass=M): pass", "O()"),
    ("class X:\n    def __eq__(self, o): return True\nclass O(list, X): pass", "O()"), ("import dataclasses\n@dataclasses.dataclass\nclass O:\n    x: int = 1", "O()"), ("", "[object()]"), ("", "{1: lambda: 1}.keys()"),
    ("class I:\n    def __iter__(self): return self\n    def __next__(self): raise StopIteration\n    def __len__(self): return 5", "I()"),
    (E + "\nclass O(enum.IntEnum):\n    A = 1\n    def __eq__(self, o): return True\n    __hash__ = int.__hash__", "O.A"), (E + "\nclass O(enum.Enum):\n    A = 1\n    def __str__(self): return 'a'", "O.A"),
    (C + "\nclass O(collections.namedtuple('O', 'x')):\n    def __eq__(self, o): return True", "O(1)"), ("import typing\nclass O(typing.NamedTuple):\n    x: int\n    def __str__(self): return 'x'", "O(1)"),
    ("", "ValueError('x')"), ("", "type"), ("import sys", "sys"), ("async def g(): return 1", "g()"), ("", "open('/dev/null')"), ("import weakref\nclass O: pass\nk = O()", "weakref.ref(k)"),
    ("import functools", "functools.partial(int)"), ("", "[1].append"), ("import operator", "operator.itemgetter(1)"), ("import io", "io.StringIO('a')"), ("import random", "random.Random(1)"),
    ("import itertools", "itertools.groupby('aab')"), ("import itertools", "itertools.tee([1])"),
    ("class A(list): pass\nclass B(A): pass", "B([1])"), ("class A(dict): pass\nclass B(A): pass", "B()"), ("class M: pass\nclass B(list, M): pass", "B([1])"),
    (C + "\nP = collections.namedtuple('P', 'x')\nP.x = property(lambda s: 99)", "P(1)"), (C + "\nP = collections.namedtuple('P', 'x')\nP._asdict = lambda s: {}", "P(1)"),
    (C + "\nP = collections.namedtuple('P', 'x y')\nP.x, P.y = P.y, P.x", "P(1, 2)"), (C + "\nP = collections.namedtuple('P', 'x')\nP.__new__ = lambda c, *a: tuple.__new__(c, (5,))", "P(1)"),
    ("from fractions import Fraction as F\nF.__eq__ = lambda a, b: False", "F(1, 2)"), ("from fractions import Fraction as F\nF.limit_denominator = lambda s, n=0: s", "F(1, 2)"),
    (C + "\ncollections.Counter.most_common = lambda s, n=None: []", "collections.Counter('a')"), (C + "\ncollections.Counter.elements = collections.Counter.total = None", "collections.Counter('a')"),
    (C + "\ncollections.UserList.count = lambda s, v: 9", "collections.UserList([1])"), (C + "\nimport collections.abc\ncollections.abc.MutableSequence.extra = 1", "collections.UserList([1])"),
    ("import uuid\nuuid.UUID.__str__ = lambda s: 'x'", "uuid.UUID(int=1)"), (E + "\nenum.Enum.__str__ = lambda s: 'x'\nclass K(enum.Enum):\n    A = 1", "K.A"),
    (E + "\nclass K(enum.Enum):\n    A = 1\nK.A.z = 3", "K.A"), (E + "\nclass K(enum.Enum):\n    A = 1\n    B = 2\nK.A._sort_order_ = 9", "K.A"),
    (E + "\nclass K(enum.Enum):\n    A = 1\n    B = 2\nK._member_names_.reverse()", "K.A"), (E + "\nclass K(enum.IntFlag):\n    A = 1\nK._flag_mask_ = 7", "K.A"),
    ("import itertools", "itertools.count()"), ("import itertools", "itertools.cycle([1])"), ("", "memoryview(b'abcd').cast('B', (2, 2))"),
]

CALLS = [(program, test) for program, tests in (
    ("def f(x):\n    x.sort()\n    return x", ["v = [2, 1]; r = c(v); assert v == [1, 2] and r is v", "v = [2, 1]; assert c(v) is not v", "v = [2, 1]; c(v).append(3); assert v == [1, 2, 3]"]),
    ("def f(x): return x", ["v = [1]; assert c(v) is v", "v = {}; c(v)[1] = 2; assert v == {1: 2}", "v = {1}; assert c(v) is v", "v = [[1]]; assert c(v)[0] is v[0]", "v = (1, [2]); assert c(v) == v and c(v)[1] is v[1]",
                              "v = bytearray(b'a'); assert c(v) is v", "import collections; v = collections.deque([1]); assert c(v) is v", "v = float('nan'); assert [c(v)] == [v]",
                              "v = [float('nan')]; assert c(v) == v", "import math; assert c([math.nan]) == [math.nan]", "import math; assert c(math.nan) == math.nan", "a = []; a.append(a); r = c(a); assert r is a"]),
    ("def f(x): return list(x)", ["v = [[1]]; r = c(v); assert r is not v and r[0] is v[0]", "v = [[1]]; c(v)[0].append(2); assert v == [[1, 2]]", "v = [float('nan')]; assert c(v) == v", "assert c(x for x in 'ab') == ['a', 'b']",
                                    "assert c({1: 2}.items()) == [(1, 2)]", "assert c(iter([1, 2])) == [1, 2]", "assert c(b'ab') == [97, 98]", "assert c('ab') == ['b', 'a']"]),
    ("import copy\ndef f(x): return copy.deepcopy(x)", ["v = [[1]]; c(v)[0].append(2); assert v == [[1]]", "v = [[1]]; assert c(v)[0] is v[0]", "v = [float('nan')]; assert c(v) == v", "a = [1]; r = c([a, a]); assert r[0] is r[1]"]),
    ("def f(x):\n    x[0].append(9)\n    return x", ["v = [[1]]; w = v[0]; c(v); assert w == [1, 9]", "a = [1]; v = [a, a]; c(v); assert v == [[1, 9], [1, 9]] and v[0] is a", "a = [1]; t = (a,); c(t); assert a == [1, 9]",
                                                     "a = [1]; d = {0: a}; c(d); assert a == [1, 9]", "a = [1]; c([a]); assert a == [1]"]),
    ("def f(x):\n    x.clear()", ["import collections; v = collections.OrderedDict(a=1); c(v); assert not v", "import collections; v = collections.defaultdict(list, a=[1]); c(v); assert v == {} and v['q'] == []",
                                  "import collections; v = collections.deque([1], 3); c(v); assert len(v) == 0 and v.maxlen == 3", "v = bytearray(b'abc'); c(v); assert v == b''", "v = {1, 2}; c(v); assert v == set()", "v = [1]; c(v); assert v == [1]"]),
    ("def f(x):\n    x.update(b=2)\n    return x", ["import collections; v = collections.Counter(a=1); c(v); assert v['b'] == 2 and v['c'] == 0", "v = {}; assert c(v) is v and v == {'b': 2}"]),
    ("def f(x):\n    x.append(x)\n    return 1", ["v = []; c(v); assert v[0] is v", "v = []; c(v); assert v == []"]),
    ("def f(x, acc=[]):\n    acc.append(x)\n    return acc", ["assert c(1) == [1] and c(2) == [2]", "assert c(1) == [1] and c(2) == [1, 2]"]),
    ("def f(x):\n    x[1] = [x[0]]\n    raise ValueError(x)", ["v = [[1], 2]\ntry: c(v)\nexcept ValueError as e: assert e.args[0] is v and v[1][0] is v[0]", "v = [1, 2]\ntry: c(v)\nexcept ValueError: pass\nassert v == [1, 2]"]),
    ("def f(x):\n    if x < 0: raise ValueError\n    yield x", ["assert list(c(1)) == [1]", "assert next(c(1)) == 1", "assert c(1) == [1]"]),
    ("import collections\ndef f(x): return type(x).__name__", ["import collections; assert c(collections.Counter()) == 'Counter'", "import collections; assert c(collections.namedtuple('P', 'x')(1)) == 'P'", "assert c(bytearray()) == 'bytearray'",
                                                              "assert c({}.keys()) == 'dict_keys'", "assert c(range(3)) == 'range'", "assert c(True) == 'int'"]),
    ("def f(x): return {x: 1}", ["assert c((1, 2)) == {(1, 2): 1}", "assert c(frozenset([1])) == {frozenset([1]): 1}", "try: c([1])\nexcept TypeError: pass\nelse: assert False", "assert c(1.0) == {1: 1}"]),
    # What lives across calls.
    ("def f(x, acc=[]):\n    acc.append(x)\n    return acc", ["a = c(1); b = c(2); assert a == [1]", "a = c(1); b = c(2); assert a == [1, 2] and a is b", "a = c(1); a.clear(); assert c(2) == [2]", "a = c([1]); a[0].append(5); assert c(2) == [[1, 5], 2]"]),
    ("b = []\ndef f(x):\n    b[:] = x\n    return b", ["r = c([1]); s = c([2]); assert r == [1] and s == [2]", "assert c([1]) == [1] and c([2]) == [2]", "assert c([1]) is c([2])"]),
    ("M = {}\ndef f(n):\n    if n not in M: M[n] = [n]\n    return M[n]", ["r = c(1); r.append(9); assert c(1) == [1]", "r = c(1); r.append(9); assert c(1) == [1, 9]", "assert all(c(i) == [i] for i in range(9) for _ in 'ab')", "r = [c(i) for i in range(40)]; assert all(c(i) is r[i] for i in range(40))"]),
    ("S = []\ndef f(x):\n    S.append(x)\n    return [list(s) for s in S]", ["a = [1]; c(a); a.append(2); assert c([3]) == [[1], [3]]", "a = [1]; c(a); a.append(2); assert c([3]) == [[1, 2], [3]]"]),
    ("def f(k, d={}):\n    d[k] = 1\n    return d", ["a = c('x'); b = c('y'); assert a == {'x': 1}", "a = c('x'); b = c('y'); assert a == b == {'x': 1, 'y': 1}"]),
    ("T = ([],)\ndef f():\n    T[0].append(1)\n    return T", ["a = c(); b = c(); assert a == ([1],)", "a = c(); c(); assert a == ([1, 1],)"]),
    ("n = float('nan')\ndef f(): return [n]", ["assert c() != c()", "assert c() == c()"]),
    ("B = bytearray(b'ab')\ndef f(): return B", ["b = c(); b[0] = 65; assert c() == b'Ab'", "b = c(); b += b'c'; assert c() == b'ab'"]),
    ("import collections\nQ = collections.deque([1])\ndef f(): return Q", ["q = c(); q.append(2); assert len(c()) == 2", "q = c(); c().clear(); assert q"]),
    ("import collections\nU = collections.UserList([1])\ndef f(): return U", ["u = c(); u.append(2); assert c() is u and c() == [1, 2]", "u = c(); u.append(2); assert c() == [1]"]),
    ("def f(d):\n    d.setdefault('x', []).append(1)\n    return d['x']", ["d = {}; r = c(d); r.append(2); c(d); assert d == {'x': [1, 2, 1]} and r is d['x']", "d = {}; r = c(d); c(d); assert r == [1]"]),
    ("def f(xs):\n    def go(i): return [] if i == len(xs) else [xs[i]] + go(i + 1)\n    return go(0)", ["v = [list(range(i)) for i in range(50)]\nfor x in v: assert c(x) == x and c(x) is not x"]),
    # Iterators stay where they are.
    ("def f(a):\n    a.sort()\n    yield a", ["a = [2, 1]; c(a); assert a == [1, 2]", "a = [2, 1]; next(c(a)); assert a == [1, 2]"]),
    ("def f(a, o): return map(o.append, a)", ["o = []; c([1, 2], o); assert o == [1, 2]", "o = []; list(c([1, 2], o)); assert o == [1, 2]"]),
    ("def f(a): return (x for x in a)", ["a = [1]; g = c(a); a.append(2); assert list(g) == [1]", "a = [1]; g = c(a); a.append(2); assert list(g) == [1, 2]", "assert sum(c(range(200))) == 19900"]),
    ("def f(a): return map(str, a)", ["a = [1]; g = c(a); a.append(2); assert list(g) == ['1']", "assert list(c([1, 2])) == ['1', '2']", "m = c([1]); assert list(m) == ['1'] and list(m) == []"]),
    ("def f(a): return iter(a)", ["a = [1]; g = c(a); a.append(2); assert list(g) == [1]", "a = [1]; g = c(a); a.append(2); assert list(g) == [1, 2]", "assert list(c({1: 2})) == [1]", "assert list(c(range(3))) == [0, 1, 2]"]),
    ("def f():\n    i = iter([1, 2])\n    return [i, i]", ["r = c(); assert next(r[0]) == 1 and next(r[1]) == 1", "r = c(); assert next(r[0]) == 1 and next(r[1]) == 2"]),
    ("def f():\n    yield 1\n    return 5", ["g = c(); next(g)\ntry: next(g)\nexcept StopIteration as e: assert e.value is None", "g = c(); next(g)\ntry: next(g)\nexcept StopIteration as e: assert e.value == 5", "assert list(c()) == [1]"]),
    ("def f():\n    yield 1\n    raise ValueError('x')", ["assert next(c()) == 1", "assert list(c()) == [1]", "g = c(); next(g)\ntry: next(g)\nexcept ValueError as e: assert e.args == ('x',)\nelse: assert False"]),
    ("N = 0\ndef f():\n    global N\n    while N < 3:\n        N += 1\n        yield N", ["assert next(c()) == 1 and next(c()) == 2", "assert next(c()) == 1 and next(c(), None) is None"]),
    ("def f(a):\n    try: yield 1\n    finally: a.append(3)", ["a = []; g = c(a); next(g); g.close(); assert a == [3]", "a = []; g = c(a); g.close(); assert a == [3]", "a = []; g = c(a); next(g); assert a == [3]"]),
    ("def f():\n    x = 0\n    while True: x = ((yield x) or x) + 1", ["g = c(); next(g); assert g.send(5) == 6 and next(g) == 7", "g = c(); assert next(g) == 0 and next(g) == 0"]),
    ("def f(a): return map(lambda x: 10 // x, a)", ["m = c([1, 0, 2]); next(m)\ntry: next(m)\nexcept ZeroDivisionError: pass\nassert next(m) == 5", "assert list(c([1, 0]))"]),
    ("import itertools\ndef f(a): return itertools.chain(a, zip(a, a), enumerate(a), reversed(a))", ["assert list(c('a')) == ['a', ('a', 'a'), (0, 'a'), 'a']", "import itertools; assert isinstance(c('a'), itertools.chain)"]),
    ("def f(xs): return sum(xs)", ["g = (x for x in [1, 2]); assert c(g) == 3 and list(g) == []", "g = iter([1, 2]); assert c(g) == 3 and list(g) == [1, 2]"]),
    # Exceptions.
    ("class E(ValueError): pass\ndef f(): raise E('x', 3)", ["try: c()\nexcept ValueError as e: assert type(e) is ValueError", "try: c()\nexcept ValueError as e: assert type(e).__name__ == 'E' and e.args == ('x', 3)", "try: c()\nexcept TypeError: pass"]),
    ("def f(): raise ValueError('x') from KeyError('k')", ["try: c()\nexcept ValueError as e: assert e.__cause__ is None", "try: c()\nexcept ValueError as e: assert type(e.__cause__) is KeyError and e.__cause__.args == ('k',)"]),
    ("def f():\n    try: {}['k']\n    except KeyError: raise ValueError('x') from None", ["try: c()\nexcept ValueError as e: assert e.__suppress_context__ and e.__cause__ is None and type(e.__context__) is KeyError", "try: c()\nexcept ValueError as e: assert e.__context__ is None"]),
    ("def f():\n    e = ValueError('x')\n    e.code = 3\n    raise e", ["try: c()\nexcept ValueError as e: assert not hasattr(e, 'code')", "try: c()\nexcept ValueError as e: assert e.code == 3"]),
    ("class A(Exception): pass\nclass B(A):\n    def __init__(self, n):\n        super().__init__('m')\n        self.n = n\n    def __str__(self): return 'B%d' % self.n\ndef f(): raise B(4)", ["try: c()\nexcept Exception as e: assert str(e) == 'B4' and e.n == 4 and e.args == ('m',)", "try: c()\nexcept Exception as e: assert [k.__name__ for k in type(e).__mro__[:3]] == ['B', 'A', 'Exception']", "try: c()\nexcept Exception as e: assert str(e) == 'm'"]),
    ("import json\ndef f(): json.loads('{')", ["try: c()\nexcept ValueError as e: assert e.pos == 1 and type(e).__name__ == 'JSONDecodeError'", "import json\ntry: c()\nexcept json.JSONDecodeError as e: assert e.lineno == 1", "try: c()\nexcept ValueError as e: assert type(e) is ValueError"]),
    ("def f(x):\n    'text'\n    return x", ["assert c.__doc__ == 'text' and c.__name__ == 'f' and callable(c)", "assert c(1) and c.__doc__ is None", "import types; assert isinstance(c, types.FunctionType) and not isinstance(c, type)", "assert list(map(c, [1, 2])) == [1, 2]"]),
) for test in tests]


UNDECIDED_CALLS = (  # what a program's own process alone can tell
    ("it = iter([1, 2, 3])\ndef f(): return it", "assert list(c()) == [1, 2, 3] and list(c()) == [1, 2, 3]"),
    ("def f(x=iter([1, 2])): return x", "assert list(c()) == [1, 2] and list(c()) == [1, 2]"),
    ("def f(x): return next(x)", "i = iter([1, 2]); assert c(i) == 1 and next(i) == 1"),
    ("def f(x): return 0", "g = (x for x in [1, 2]); c(g); assert list(g) == []"),
    ("def f(x): return next(x)", "g = (x for x in [1, 2]); c(g); assert list(g) == []"),
    ("K = []\ndef f(x):\n    K.append(x)\n    return 0", "m = map(int, '12'); c(m); assert list(m) == []"),
    ("def f(): yield 1", "g = c(); next(g); g.throw(ValueError)"),
    ("import collections\nU = collections.UserList([1])\ndef f(): return U", "u = c(); u.data = [5]; assert c() == [1]"),
    ("import collections\nD = collections.defaultdict(int)\ndef f(): return D", "d = c(); d.default_factory = list; assert c()['x'] == 0"),
    ("class S(list):\n    def __init__(self): self.note = 1\ndef f(): return S()", "assert c().__dict__ == {}"),
    ("class S(list):\n    def __init__(self): self.note = 1\ndef f(): return S()", "assert not hasattr(c(), 'note')"),
    ("def f(x, y=2): return 1", "assert c(1) == 1 and c.__defaults__ is None"),
    ("def f(x): return 1\nf.memo = {}", "assert c(1) == 1 and not hasattr(c, 'memo')"),
    ("class f(list): pass", "assert c([1]) == [1] and not isinstance(c, type)"),
    ("def f(x): return f.n", "c.n = 1; assert c(1) == 1"),
    ("def f(): raise ValueError(object())", "try: c()\nexcept ValueError as e: assert 'object object' in str(e)"),
    ("def f(): raise ValueError(object())", "try: c()\nexcept ValueError as e: assert isinstance(e.args[0], str)"),
    ("class E(ValueError):\n    def __eq__(self, other): return True\ndef f(): raise E", "try: c()\nexcept ValueError as e: assert e != 1"),
    ("class E(ValueError):\n    def more(self): return 1\ndef f(): raise E", "try: c()\nexcept ValueError as e: assert not hasattr(e, 'more')"),
)


def value_of(imports, value):
    space = {}
    exec(imports, space)
    return eval(value, space)


def truth(test, space):
    try:
        return bool(eval(test, space))
    except BaseException:
        return False


def equals(make, make_other):
    try:
        return bool(make() == make_other())
    except Exception:
        return False


def passes(program, test):
    space = {}
    exec(program, space)
    try:
        exec("def check(c):\n" + "".join("    %s\n" % line for line in test.split("\n")), space)
        space["check"](space["f"])
        return True
    except Exception:
        return False


def main():
    answers = []
    for imports, value, tests, expected in ANSWERS:
        # What an own factory makes only the program knows.
        tests = tests + ([] if "lambda" in value else COMMON)
        # An answer of its own for each test, which may use it up; what the test names is the test's.
        digits = "".join("01"[truth(test, {"r": value_of(imports, value)})] for test in tests)
        equal = "".join("01"[equals(lambda: value_of(imports, value), lambda: value_of(imports, one))] for one in expected)
        answers.append([imports, value, tests, digits, expected, equal])
    for imports, value in UNDECIDED:
        answers.append([imports, value, ["r == 1"], "p", ["1"], "p"])
    # Tests that many share are written once.
    tests = sorted({test for row in answers for test in row[2]})
    for row in answers:
        row[2] = [tests.index(test) for test in row[2]]
    calls = [[program, test, passes(program, test)] for program, test in CALLS]
    calls += [[program, test, None] for program, test in UNDECIDED_CALLS]
    path = pathlib.Path(__file__).with_name("values.json")
    rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in answers)
    path.write_text('{"tests":%s,\n"answers":[\n%s],\n"calls":%s}\n' % (json.dumps(tests), rows, json.dumps(calls, separators=(",", ":"))))
    print(len(answers), "answers,", len(calls), "calls,", sum(map(lambda row: len(row[2]) + len(row[4]), answers)), "tests")


if __name__ == "__main__":
    main()
