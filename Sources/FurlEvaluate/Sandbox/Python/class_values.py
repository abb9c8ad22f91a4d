"""Values of classes that a program makes, on both sides of the pipe, over `library_values.py`.

A subclass that adds no behaviour of its own crosses as an empty one with its name; names it adds are guarded, so that a
test which uses them ends as `protocol`. One that overrides how a value compares, counts, hashes or prints is refused.
"""

import sys

# What every class or every subclass has in its namespace.
QUIET = frozenset(
    '__module__ __doc__ __dict__ __weakref__ __qualname__ __slots__ __firstlineno__ __static_attributes__ '
    '__annotations__ __annotate__ __annotate_func__ __annotations_cache__ __orig_bases__ __parameters__ '
    '__class_getitem__ __init_subclass__ __type_params__ __match_args__ __abstractmethods__ _abc_impl'.split())
ENUMS = 'Enum', 'IntEnum', 'StrEnum', 'Flag', 'IntFlag'
# Plain named tuples by their fields, and classes that the other side's values are of.
NAMED, MADE = {}, set()


def is_named(kind):
    """Whether a class is what namedtuple makes."""
    fields = kind.__dict__.get('_fields')
    if kind.__bases__ != (tuple,) or type(kind) is not type or type(fields) is not tuple:
        return False
    if kind in SOUND:
        return True
    try:
        if fields not in NAMED:
            NAMED[fields] = library('collections').namedtuple('plain', fields)
        defaults = tuple(kind._field_defaults.items())
        own, plain = dict(kind.__dict__), NAMED[fields].__dict__
    except (ValueError, TypeError, AttributeError):
        return False
    own.pop('_field_defaults')
    if not set(own) ^ set(plain) - {'_field_defaults'} <= QUIET:
        return False
    news = own.pop('__new__').__func__, plain['__new__'].__func__
    if news[0].__code__ != news[1].__code__ or (news[0].__defaults__ or ()) != tuple([value for _, value in defaults]):
        return False
    if not all(key in QUIET or key in ('_fields', '_fields_defaults') or is_same(own[key], plain[key]) for key in own):
        return False
    SOUND.add(kind)
    return True


def put_named(writer, value, kind):
    writer.parts.append(b'M')
    writer.put((kind.__name__, kind._fields, tuple(kind._field_defaults.items()), tuple(tuple.__iter__(value))))


def attributes(value):
    """Names of what an instance holds besides what its base does."""
    kind = type(value)
    if not kind.__flags__ & DYNAMIC or kind in MADE:
        return ()
    return tuple(sorted(map(str, getattr(value, '__dict__', ()))))


def put_subclass(writer, value, kind):
    base = kind.__bases__[0] if len(kind.__bases__) == 1 else object
    tag = container_tag(base)
    # One class alone over what is known: a test sees those between.
    if type(kind) is not type or not (tag or base in FIXED or is_named(base)):
        raise not_plain(kind)
    if tag and writer.is_known(value):
        return
    if tag and writer.looks:
        writer.parts.append(b'?')
        return
    members, has_init = [], False
    for name in kind.__dict__:
        if name in ('__init__', '__new__'):
            has_init = True
        elif name not in QUIET:
            if name.startswith('__'):
                raise not_plain(kind)
            members.append(name)
    own, doc = attributes(value), kind.__dict__.get('__doc__')
    if not writer.is_answer and (members or has_init or own):
        raise not_plain(kind)
    writer.parts.append(b'S')
    writer.put((kind.__name__, tuple(sorted(members)), own, has_init, doc if type(doc) is str else None,
                kind.__dictoffset__ != 0))
    if tag:
        writer.put_container(value, tag)
    elif is_named(base):
        put_named(writer, value, base)
    else:
        writer.put(plain(value, base))


def plain(value, base):
    """A value as one of its base, whatever its class overrides."""
    if base is int or base is float or base is complex:
        return base.__pos__(value)
    if base is str:
        return str.__str__(value)
    return base(base.__iter__(value))


def put_enum(writer, value, kind):
    """Of an enumeration that adds nothing to its members."""
    enum = sys.modules['enum']
    *mixed, base = kind.__bases__
    name = base.__name__
    if name not in ENUMS or getattr(enum, name, None) is not base or len(mixed) > 1 or any(
            mixin not in FIXED for mixin in mixed) or not is_sound(base) or not is_sound(type(kind)):
        raise not_plain(kind)
    members = tuple((key, member.value) for key, member in kind.__members__.items())
    form = (name, kind.__name__, members, mixed[0].__name__ if mixed else None,
            getattr(getattr(kind, '_boundary_', None), 'name', None), kind.__dict__.get('__doc__'))
    fresh = new_enum(*form)
    own, plain = dict(kind.__dict__), dict(fresh.__dict__)
    for key in set(own) | set(plain):
        # Combinations of flags are remembered by their values as they are met.
        if key in kind.__members__ or key in QUIET or key == '_value2member_map_':
            continue
        if key not in own or key not in plain or not is_same_part(own[key], plain[key]):
            raise not_plain(kind)
    for key, member in kind._member_map_.items():
        if state(member) != state(fresh._member_map_[key]):
            raise not_plain(kind)
    writer.parts.append(b'E')
    # A combination of flags has no name.
    writer.put(form + (value._name_, value._value_))


def is_same_part(one, other):
    if type(one) in (dict, list) and type(one) is type(other):
        return list(one) == list(other)
    if isinstance(one, type) or isinstance(other, type) or type(one) in (int, str, bool, type(None)):
        return one == other
    return is_same(one, other) or type(one).__module__ == 'enum' and type(one) is type(other)


def state(member):
    # What a flag remembers of its opposite, and what each class has of its own.
    passing = '_inverted_', '__objclass__', '_hashable_values_'
    return {key: value for key, value in member.__dict__.items() if key not in passing}


def new_enum(base, name, members, mixed, boundary, doc):
    kind = getattr(library('enum'), base)
    if base not in ENUMS or mixed not in (None,) + tuple(map(lambda fixed: fixed.__name__, FIXED)):
        raise Malformed('an unknown enumeration')
    more = {} if mixed is None else {'type': getattr(library('builtins'), mixed)}
    if boundary is not None:
        more['boundary'] = library('enum').FlagBoundary[boundary]
    made = kind(name, [(key, value) for key, value in members], **more)
    made.__doc__ = doc if type(doc) is str else None
    return made


def remembered(key, make):
    if key not in CLASSES:
        CLASSES[key] = make()
    return CLASSES[key]


def own_class(name):
    """A class of that name that this side knows."""
    known = SPACE.get(name)
    return known if isinstance(known, type) else None


def clash(name):
    # The test's class and the program's would be one in one process.
    REFUSE[0]('a class %s of the program and of the test' % name)


def guard(name):
    refuse = refusing(name)
    return property(refuse, refuse, refuse)


def subclass(base, name, members, own, has_init, doc, has_dict):
    """An empty subclass, whose guarded names end the test."""
    if type(name) is not str or any(type(key) is not str or key.startswith('__') for key in members):
        raise Malformed('a wrong name')

    def make():
        if own_class(name):
            clash(name)
        space = {key: guard('%s.%s' % (name, key)) for key in members}
        space['__doc__'] = doc
        if not has_dict:
            space['__slots__'] = ()
        if own:
            def missing(self, key):
                if key in own:
                    refusing('%s.%s' % (name, key))()
                raise AttributeError("'%s' object has no attribute '%s'" % (name, key))
            space['__getattr__'], space['__dict__'] = missing, guard('%s.__dict__' % name)
        if has_init:
            space['__init__'] = refusing(name)
        kind = type(name, (base,), space)
        MADE.add(kind)
        return kind
    return remembered((base, name, members, own, has_init, doc, has_dict), make)


def named(name, fields, defaults):
    known = own_class(name)
    if known and is_named(known) and known._fields == fields:
        return known
    if known:
        clash(name)
    return library('collections').namedtuple(name, fields, defaults=[value for _, value in defaults])


def enumeration(base, name, members, mixed, boundary, doc):
    known = own_class(name)
    if known and isinstance(known, library('enum').EnumMeta) and tuple(
            (key, member.value) for key, member in known.__members__.items()) == members:
        return known
    if known:
        clash(name)
    return new_enum(base, name, members, mixed, boundary, doc)
