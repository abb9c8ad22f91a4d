"""Exceptions of a program, with their arguments, attributes and causes, on both sides of the pipe.

A class of the program's own becomes one of the same name below the same class of Python's; what it adds is guarded.
"""

import sys


def text_of(error):
    try:
        text = str(error)
        return str.__getitem__(text, slice(0, 400))
    except BaseException:
        return ''


def python_bases(kind):
    return tuple([base.__name__ for base in type.mro(kind) if base.__module__ == 'builtins'])


def describe(error, heap):
    """The name, the bases and the text of an exception, and all the rest where it can be sent."""
    kind, count = type(error), heap.count
    short = (kind.__name__, python_bases(kind), text_of(error))
    try:
        return encode(short + (described(error),), heap=heap)
    except BaseException:
        heap.forget(count)
        return encode(short + (None,), heap=heap)


def described(error, levels=8):
    if error is None:
        return None
    if levels == 0:
        raise NotPlain('an exception with a long history')
    classes, module = own_classes(type(error))
    try:
        # What rebuilds it: a file's name is not among an OSError's arguments.
        arguments = OSError.__reduce__(error)[1] if isinstance(error, OSError) else error.args
    except Exception:
        arguments = error.args
    held = dict(error.__dict__)
    for key in ('name', 'path'):
        # Those that Python itself sets.
        value = getattr(error, key, None) if isinstance(error, (NameError, AttributeError, ImportError)) else None
        if value is not None:
            held[key] = value
    return (classes, module, python_bases(type(error)), text_of(error), tuple(arguments), held,
            described(error.__cause__, levels - 1), described(error.__context__, levels - 1), error.__suppress_context__)


def own_classes(kind):
    """The classes of the program's own that a class begins with, and where the first of the library is."""
    found = []
    while kind.__module__ != 'builtins':
        source = origin(kind)
        if source and source[0] != 'candidate':
            return tuple(found), source
        if len(kind.__bases__) != 1 or type(kind) is not type:
            raise NotPlain('an exception of several classes')
        names = [name for name in kind.__dict__ if name not in QUIET and name not in ('__init__', '__new__')]
        if not {name for name in names if name.startswith('__')} <= {'__str__', '__repr__', '__reduce__'}:
            raise NotPlain('an exception with a behaviour of its own')
        found.append((kind.__name__, tuple(sorted(names)), kind.__doc__ if '__doc__' in kind.__dict__ else None))
        kind = kind.__bases__[0]
    return tuple(found), ('builtins', kind.__name__)


def rebuilt(given):
    """The exception that `described` has described."""
    if given is None:
        return None
    classes, (module, name), bases, text, arguments, held, cause, context, is_suppressed = given
    # The first of these that is here: a test that does not know a module cannot ask for its classes.
    kind = getattr(sys.modules.get(module), name, None)
    if not is_exception(kind) or python_bases(kind) != bases:
        kind = next(known for known in map(built_in, bases) if is_exception(known))
        if module != 'builtins':
            kind = own_exception(kind, name, ('__str__',), None, held)
    base = next(known for known in map(built_in, bases) if known in kind.__mro__)
    for own, names, doc in reversed(classes):
        kind = own_exception(kind, own, names, doc, held)
    if kind is base:
        error = kind(*arguments)
    else:
        error = base.__new__(kind, *arguments)
        base.__init__(error, *arguments)
    for key, value in held.items():
        object.__setattr__(error, key, value)
    error.__cause__, error.__context__ = rebuilt(cause), rebuilt(context)
    error.__suppress_context__ = is_suppressed
    TEXTS[id(error)] = error, text
    if text_of(error) != text:
        raise Malformed('an exception with another text')
    return error


# The texts of exceptions by their ids: a class may write them in a way of its own.
TEXTS = {}


def built_in(name):
    return getattr(library('builtins'), name, None)


def is_exception(kind):
    return isinstance(kind, type) and issubclass(kind, Exception)


def own_exception(base, name, names, doc, held):
    known = own_class(name)
    if known and known.__bases__ == (base,) and {key for key in known.__dict__ if key not in QUIET} - {
            '__init__', '__new__'} == set(names):
        return known
    if known:
        clash(name)

    def make():
        space = {key: guard('%s.%s' % (name, key)) for key in names if not key.startswith('__') and key not in held}
        space['__doc__'] = doc
        if '__str__' in names:
            space['__str__'] = own_text
        if '__repr__' in names:
            space['__repr__'] = refusing('repr(%s)' % name)
        kind = type(name, (base,), space)
        MADE.add(kind)
        return kind
    return remembered(('exception', base, name, names, doc, tuple(sorted(held))), make)


def own_text(error):
    known = TEXTS.get(id(error))
    return known[1] if known and len(known[1]) < 400 else refusing('a long text')()
