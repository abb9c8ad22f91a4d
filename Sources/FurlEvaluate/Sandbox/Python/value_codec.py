"""Plain values as bytes, on both sides of the pipe.

A value is a tag and what the tag asks for; nothing in it is ever evaluated. Whatever arrives is rebuilt as a value of
Python's own types or its library's (`library_values.py`), or as one of an empty subclass of these, and nothing else:
what a program's own class does never reaches a test. What would not behave as it does in the program's process is
refused.

Containers are numbered as they are met (`shared_heap.py`). One that is met again is sent as its number, so that an
answer can be an argument itself, and what a call changes in place is told by number.
"""

import sys

MAX_BYTES = 16 << 20
MAX_DEPTH = 100
MAX_VALUES = 1000000
# A call may hold what earlier answers gave, and then it is a little larger than any of them.
SLACK = 2


def widen():
    """Where values are compared as bytes first, and seldom sent like this, they may be larger."""
    global MAX_VALUES, MAX_BYTES
    if MAX_VALUES > 1000000:
        return
    MAX_VALUES, MAX_BYTES = MAX_VALUES * 8, MAX_BYTES * 8


class NotPlain(Exception):
    pass


class Malformed(Exception):
    pass


# Of containers that can be changed, the tag of each type; those of the library are added as they are met.
TAGS = {list: b'l', set: b'e', dict: b'd', bytearray: b'Y'}
LIBRARY_TAGS = {('collections', 'deque'): b'Q', ('collections', 'OrderedDict'): b'O',
                ('collections', 'Counter'): b'C', ('collections', 'defaultdict'): b'G', ('array', 'array'): b'A'}
KINDS = {tag: kind for kind, tag in TAGS.items()}
MAPPINGS, RAW = b'dOCG', b'YA'
# What cannot be changed and may be subclassed.
FIXED = (int, float, complex, str, bytes, tuple, frozenset)
# What makes an empty entry of a defaultdict; any other factory ends the test when it is called.
FACTORIES = {kind.__name__: kind for kind in (int, float, complex, str, bytes, bool, list, tuple, dict, set, frozenset)}


def library(name):
    module = sys.modules.get(name)
    if module is None:
        module = __import__(name)
    return module


def origin(kind):
    """Where a class of the library comes from: module and name; nil for others."""
    name = type.__getattribute__(kind, '__name__')
    module = type.__getattribute__(kind, '__module__')
    if type(module) is str and getattr(sys.modules.get(module), name, None) is kind:
        return module, name


def container_tag(kind):
    """The tag of the exact type of a container, or nil."""
    tag = TAGS.get(kind)
    if tag is None:
        tag = LIBRARY_TAGS.get(origin(kind))
        if tag:
            TAGS[kind], KINDS[tag] = tag, kind
    return tag


def base_tag(kind):
    """The tag of the container that a type is or derives from, or nil."""
    for base in kind.__mro__:
        tag = container_tag(base)
        if tag:
            return tag


def container_kind(tag):
    if tag not in KINDS:
        for (module, name), known in LIBRARY_TAGS.items():
            if known == tag:
                KINDS[tag] = getattr(library(module), name)
                TAGS[KINDS[tag]] = tag
    return KINDS[tag]


def encode(value, slack=1, heap=None, is_answer=True):
    SOUND.clear()
    writer = Writer(heap, slack, is_answer)
    deeply(writer.put, value)
    return writer.data()


def deeply(action, *given):
    """A level of a value takes a few calls."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 8 * SLACK * MAX_DEPTH)
    try:
        return action(*given)
    finally:
        sys.setrecursionlimit(limit)


class Writer:
    # Only looks whether something has changed: uses up no iterator and numbers nothing.
    looks = False

    def __init__(self, heap=None, slack=1, is_answer=True):
        self.parts, self.slack = [], slack
        self.heap = Heap() if heap is None else heap
        self.left, self.depth = MAX_VALUES * slack, MAX_DEPTH * slack
        # An answer may be of a class of the program's own, whose methods a test must not miss.
        self.is_answer = is_answer

    def data(self):
        data = b''.join(self.parts)
        if len(data) > MAX_BYTES * self.slack:
            raise NotPlain('a value of %d bytes is too large' % len(data))
        return data

    def put(self, value):
        self.left -= 1
        if self.left < 0:
            raise NotPlain('a value of too many parts')
        kind = type(value)
        parts = self.parts
        if value is None:
            parts.append(b'N')
        elif kind is bool:
            parts.append(b'T' if value else b'F')
        elif kind is int:
            parts.append(b'i%x;' % value)
        elif kind is str:
            data = str.encode(value, 'utf-8', 'surrogatepass')
            parts.append(b's%x:' % len(data))
            parts.append(data)
        elif kind is float:
            self.put_float(value)
        elif kind in TAGS:
            self.put_container(value, TAGS[kind])
        elif kind is tuple or kind is frozenset:
            self.enter()
            parts.append(b'%s%x:' % (b't' if kind is tuple else b'z', len(value)))
            for item in value:
                self.put(item)
            self.depth += 1
        elif kind is bytes:
            parts.append(b'b%x:' % len(value))
            parts.append(value)
        elif kind is complex:
            parts.append(b'c%s,%s;' % (float.hex(value.real).encode(), float.hex(value.imag).encode()))
        elif kind is range:
            parts.append(b'r%x,%x,%x;' % (value.start, value.stop, value.step))
        elif container_tag(kind):
            self.put_container(value, TAGS[kind])
        else:
            self.enter()
            put_other(self, value, kind)
            self.depth += 1

    def enter(self):
        self.depth -= 1
        if self.depth < 0:
            raise NotPlain('a value of too many levels')

    def put_float(self, value):
        # One that is not a number equals nothing, but a list that holds it equals another that holds the very same.
        if value != value:
            if value is getattr(sys.modules.get('math'), 'nan', None):
                self.parts.append(b'n')
                return
            if self.is_known(value):
                return
            if not self.looks:
                self.heap.add(value)
        self.parts.append(b'f%s;' % float.hex(value).encode())

    def is_known(self, value):
        place = self.heap.places.get(id(value))
        if place is not None:
            self.parts.append(b'a%x;' % place)
        return place is not None

    def is_said(self, value):
        """Whether nothing more is to be said of it: it is known, or the writer only looks."""
        if self.is_known(value):
            return True
        if self.looks:
            self.parts.append(b'?')
        return self.looks

    def put_container(self, value, tag):
        if self.is_said(value):
            return
        self.heap.add(value)
        self.enter()
        self.parts.append(tag)
        if tag == b'Q':
            self.put(value.maxlen)
        elif tag == b'C' and not is_sound(KINDS[tag]):
            raise not_plain(KINDS[tag])
        elif tag == b'G':
            factory = value.default_factory
            name = getattr(factory, '__name__', None)
            name = None if factory is None else name if FACTORIES.get(name) is factory else ''
            if name == '' and not self.is_answer:
                raise NotPlain('a default factory of its own is not a plain value')
            self.put(name)
        elif tag == b'A':
            self.put(value.typecode)
        self.put_content(value, tag)
        self.depth += 1

    def put_content(self, value, tag):
        kind = KINDS[tag]
        if tag in RAW:
            data = bytes(value)
            self.parts.append(b'%x:' % len(data))
            self.parts.append(data)
            return
        self.parts.append(b'%x:' % kind.__len__(value))
        if tag in MAPPINGS:
            for key, item in kind.items(value):
                self.put(key)
                self.put(item)
        else:
            for item in kind.__iter__(value):
                self.put(item)


def decode(data, slack=1, heap=None):
    reader = Reader(data, heap, slack)
    value = deeply(reader.take)
    if reader.at != len(data):
        raise Malformed('bytes after the value')
    return value


class Reader:
    def __init__(self, data, heap=None, slack=1):
        self.bytes, self.at = data, 0
        self.heap = Heap() if heap is None else heap
        self.left, self.depth = MAX_VALUES * slack, MAX_DEPTH * slack

    def until(self, end):
        start = self.at
        stop = self.bytes.index(end, start)
        self.at = stop + 1
        return self.bytes[start:stop]

    def count(self):
        count = int(self.until(b':'), 16)
        if count < 0 or count > len(self.bytes) - self.at:
            raise Malformed('a count past the end')
        return count

    def raw(self):
        count = self.count()
        self.at += count
        return self.bytes[self.at - count:self.at]

    def take(self):
        self.left -= 1
        if self.left < 0:
            raise Malformed('too many values')
        tag = self.bytes[self.at:self.at + 1]
        self.at += 1
        if tag == b'N':
            return None
        if tag == b'T':
            return True
        if tag == b'F':
            return False
        if tag == b'i':
            return int(self.until(b';'), 16)
        if tag == b's':
            return self.raw().decode('utf-8', 'surrogatepass')
        if tag == b'f':
            value = float.fromhex(self.until(b';').decode())
            if value != value:
                self.heap.add(value)
            return value
        if tag == b'n':
            return library('math').nan
        if tag == b'b':
            return self.raw()
        if tag == b'c':
            real, imaginary = self.until(b';').decode().split(',')
            return complex(float.fromhex(real), float.fromhex(imaginary))
        if tag == b'r':
            return range(*[int(part, 16) for part in self.until(b';').split(b',')])
        if tag == b'a':
            return self.heap.objects[self.place()]
        self.depth -= 1
        if self.depth < 0:
            raise Malformed('too many levels')
        if tag == b't':
            value = tuple(self.items(self.count()))
        elif tag == b'z':
            value = frozenset(self.items(self.count()))
        elif tag in b'ledYQOCGA':
            value = self.container(tag)
        else:
            value = take_other(self, tag)
        self.depth += 1
        return value

    def place(self):
        place = int(self.until(b';'), 16)
        if place not in self.heap.objects:
            raise Malformed('an unknown number')
        return place

    def items(self, count):
        return [self.take() for _ in range(count)]

    def container(self, tag, kind=None):
        """A container, of a subclass if need be. It is numbered before what is in it."""
        base = container_kind(tag)
        kind = kind or base
        number = self.heap.number()
        if tag == b'Q':
            value = base.__new__(kind)
            base.__init__(value, (), self.take())
        elif tag == b'G':
            value = base.__new__(kind)
            base.__init__(value, factory(self.take()))
        elif tag == b'A':
            value = base.__new__(kind, self.take())
        else:
            value = base.__new__(kind)
            base.__init__(value)
        self.heap.put(number, value)
        self.fill(value, tag)
        return value

    def fill(self, value, tag):
        """Gives a container its content, in place of what it has."""
        kind = container_kind(tag)
        if tag in RAW:
            data = self.raw()
            if tag == b'A':
                del value[:]
                kind.frombytes(value, data)
            else:
                kind.__setitem__(value, slice(None), data)
        elif tag in MAPPINGS:
            pairs = [(self.take(), self.take()) for _ in range(self.count())]
            kind.clear(value)
            for key, item in pairs:
                kind.__setitem__(value, key, item)
        else:
            items = self.items(self.count())
            kind.clear(value)
            if tag == b'e':
                kind.update(value, items)
            else:
                kind.extend(value, items)


def factory(name):
    if name is None:
        return None
    return FACTORIES[name] if name else refusing('a default factory')


def refusing(what):
    def refuse(*_, **__):
        REFUSE[0]('the test asks for what only the program can do: %s' % what)
    return refuse


# What happens where a test needs what did not cross.
def not_here(what):
    raise NotPlain(what)


REFUSE = [not_here]
