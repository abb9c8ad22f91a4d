"""Values of the library's types, on both sides of the pipe, over `value_codec.py`.

A class that is written in Python is one of the library's only as long as nothing in it was changed.
"""

import sys

DYNAMIC, IMMUTABLE = 1 << 9, 1 << 8
VIEWS = 'keys', 'values', 'items'
# The namespace of the program, or of the test: a class that both define is one.
SPACE = {}


def put_other(writer, value, kind):
    """Sends what is neither one of Python's own plain values nor a container, or raises NotPlain."""
    if is_iterator(value, kind):
        put_iterator(writer, value, kind)
        return
    given = library_value(writer, value, kind)
    if given:
        put_made(writer, b'X', *given)
        return
    parts = box_parts(value)
    if parts:
        if not writer.is_known(value):
            if not is_sound(kind) or not writer.is_answer and parts[0] == 'SimpleNamespace':
                raise not_plain(kind)
            writer.heap.add(value)
            put_made(writer, b'B', *parts)
    elif 'enum' in sys.modules and isinstance(kind, sys.modules['enum'].EnumMeta):
        put_enum(writer, value, kind)
    elif is_named(kind):
        put_named(writer, value, kind)
    else:
        put_subclass(writer, value, kind)


def put_made(writer, tag, name, *arguments):
    writer.parts.append(b'%s%x:%s' % (tag, len(name), name.encode()))
    writer.put(arguments)


def not_plain(kind):
    return NotPlain('%s is not a plain value' % type.__getattribute__(kind, '__name__'))


def library_value(writer, value, kind):
    """A name of MAKERS and what it is to be called with, or nil."""
    is_dynamic = kind.__flags__ & DYNAMIC
    name = type.__getattribute__(kind, '__name__')
    if not is_dynamic and kind.__module__ == 'builtins':
        if value is Ellipsis or value is NotImplemented:
            return (name,)
        if kind is slice:
            return 'slice', value.start, value.stop, value.step
        view = name.partition('_')[2]
        if name.partition('_')[0] in ('dict', 'odict') and view in VIEWS:
            return view, library('gc').get_referents(value)[0]
        if name == 'mappingproxy':
            return name, library('gc').get_referents(value)[0]
        if kind is memoryview:
            # What is written through one is seen by whoever has the memory.
            whole = value.obj
            if (not writer.is_answer or type(whole) not in (bytes, bytearray) or value.nbytes != len(whole)
                    or value.ndim != 1 or value.strides != (value.itemsize,)):
                raise not_plain(kind)
            return name, whole, value.format, value.readonly
    source = origin(kind)
    if source is None:
        return None
    given = library_number(value, source)
    if given and not is_sound(kind):
        raise not_plain(kind)
    return given


def library_number(value, source):
    module, name = source
    if module == 'fractions' and name == 'Fraction':
        return name, int(value.numerator), int(value.denominator)
    if module == 'decimal' and name == 'Decimal':
        return name, str(value)
    if module == 'uuid' and name == 'UUID':
        return name, value.int
    if module != 'datetime':
        return None
    if name == 'timedelta':
        return name, value.days, value.seconds, value.microseconds
    if name == 'date':
        return name, value.year, value.month, value.day
    if name == 'timezone':
        return (name,) + value.__getinitargs__()
    clock = (value.hour, value.minute, value.second, value.microsecond, value.tzinfo) if name in ('time', 'datetime') else ()
    if name == 'time':
        return (name,) + clock + (value.fold,)
    if name == 'datetime':
        return (name, value.year, value.month, value.day) + clock + (value.fold,)


BOXES = ('collections', 'UserDict'), ('collections', 'UserList'), ('collections', 'UserString')


def box_parts(value):
    """The name and the parts of a value that others can change, or nothing."""
    source = origin(type(value))
    if source in BOXES:
        return (source[1], value.data) if set(value.__dict__) == {'data'} else ()
    if source == ('collections', 'ChainMap'):
        return (source[1],) + tuple(value.maps) if set(value.__dict__) == {'maps'} else ()
    if source == ('types', 'SimpleNamespace'):
        return source[1], dict(value.__dict__)
    return ()


# Modules of the library as their sources make them.
FRESH = {}
# Classes that were just found to be what they are in the library.
SOUND = set()


def is_sound(kind):
    """Whether a class of the library is as the library makes it: a program can change one that is written in Python."""
    if kind in SOUND:
        return True
    for base in kind.__mro__:
        if base.__flags__ & DYNAMIC and not base.__flags__ & IMMUTABLE:
            name, module = base.__name__, base.__module__.replace('collections.abc', '_collections_abc')
            if module == 'candidate' or module not in sys.modules or not is_same_class(base, fresh(module).get(name)):
                return False
    SOUND.add(kind)
    return True


def fresh(name):
    if name not in FRESH:
        module = sys.modules[name]
        space = {key: getattr(module, key, None) for key in ('__name__', '__package__', '__spec__', '__path__', '__file__')}
        FRESH[name] = space
        try:
            exec(module.__spec__.loader.get_code(module.__spec__.name), space)
        except Exception:
            pass
    return FRESH[name]


def is_same_class(kind, other):
    if other is None:
        return False
    own, plain = dict(kind.__dict__), dict(other.__dict__)
    return all(key in QUIET or key in own and key in plain and is_same(own[key], plain[key]) for key in set(own) | set(plain))


def is_same(one, other):
    """Whether two members of classes are written alike."""
    kind = type(one)
    if one is other:
        return True
    if (kind.__module__, kind.__name__) != (type(other).__module__, type(other).__name__):
        return False
    if kind is FUNCTION:
        return (one.__code__ == other.__code__ and one.__name__ == other.__name__
                and shape(one.__defaults__) == shape(other.__defaults__)
                and shape(one.__kwdefaults__) == shape(other.__kwdefaults__))
    if kind in (classmethod, staticmethod):
        return is_same(one.__func__, other.__func__)
    if hasattr(kind, 'fget') or hasattr(one, 'fget'):
        return is_same(one.fget, other.fget) and is_same(one.fset, other.fset) and is_same(one.fdel, other.fdel)
    if kind.__name__ == '_tuplegetter':
        return one.__reduce__()[1][0] == other.__reduce__()[1][0]
    if kind in (int, str, tuple, bool):
        return one == other
    # Descriptors of the interpreter are told by their names.
    return getattr(one, '__name__', None) == getattr(other, '__name__', None)


FUNCTION = type(fresh)


def shape(defaults):
    # An object that marks what is not given is another in each module.
    return [value if type(value) in (int, float, str, bool, type(None)) else type(value).__name__
            for value in (defaults.values() if type(defaults) is dict else defaults or ())]


# The classes that were made, by what they were made of.
CLASSES = {}


def apart(make):
    """A value whose classes are none of those made so far."""
    global CLASSES
    known, CLASSES = CLASSES, {}
    try:
        return make()
    finally:
        CLASSES = known


def set_space(space):
    global SPACE
    SPACE = space


def take_other(reader, tag):
    if tag == b'X':
        maker = MAKERS.get(reader.raw().decode())
        if maker is None:
            raise Malformed('an unknown name')
        return maker(*reader.take())
    if tag == b'B':
        place = reader.heap.number()
        value = MAKERS[reader.raw().decode()](*reader.take())
        reader.heap.put(place, value)
        return value
    if tag == b'I':
        return take_iterator(reader)
    if tag == b'S':
        form = reader.take()
        tag = reader.bytes[reader.at:reader.at + 1]
        if tag in b'ledYQOCGA':
            reader.at += 1
            return reader.container(tag, subclass(container_kind(tag), *form))
        value = reader.take()
        for base in FIXED:
            if isinstance(value, base):
                return base.__new__(subclass(type(value), *form), value)
    if tag == b'M':
        name, fields, defaults, values = reader.take()
        kind = remembered((name, fields, str(defaults)), lambda: named(name, fields, defaults))
        return tuple.__new__(kind, values)
    if tag == b'E':
        *form, member, value = reader.take()
        kind = remembered(str(form), lambda: enumeration(*form))
        return kind[member] if member in kind.__members__ else kind(value)
    raise Malformed('an unknown tag')


def whole_view(memory, form, is_readonly):
    value = memoryview(memory).cast('B').cast(form)
    return value.toreadonly() if is_readonly else value


def boxed(name):
    def make(data):
        kind = getattr(library('collections'), name)
        value = kind.__new__(kind)
        value.data = data
        return value
    return make


def clocked(name):
    """Times and dates with times: the last argument is the fold."""
    return lambda *given: getattr(library('datetime'), name)(*given[:-1], fold=given[-1])


MAKERS = {
    'ellipsis': lambda: Ellipsis, 'NotImplementedType': lambda: NotImplemented, 'slice': slice,
    'keys': lambda mapping: mapping.keys(), 'values': lambda mapping: mapping.values(),
    'items': lambda mapping: mapping.items(), 'mappingproxy': lambda mapping: type(type.__dict__)(mapping),
    'memoryview': whole_view,
    'Fraction': lambda over, under: library('fractions').Fraction(over, under),
    'Decimal': lambda text: library('decimal').Decimal(text),
    'UUID': lambda number: library('uuid').UUID(int=number),
    'timedelta': lambda *given: library('datetime').timedelta(*given),
    'date': lambda *given: library('datetime').date(*given),
    'timezone': lambda *given: library('datetime').timezone(*given),
    'time': clocked('time'), 'datetime': clocked('datetime'),
    'UserDict': boxed('UserDict'), 'UserList': boxed('UserList'), 'UserString': boxed('UserString'),
    'ChainMap': lambda *maps: library('collections').ChainMap(*maps),
    'SimpleNamespace': lambda given: library('types').SimpleNamespace(**given),
}
