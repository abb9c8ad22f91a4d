/// Python that both sides of the pipe run: values of the library's types and of subclasses, over ``valueCodecSource``.
///
/// A subclass that adds no behaviour of its own crosses as an empty one with its name; names it adds are guarded, so that a
/// test which uses them ends as `protocol`. One that overrides how a value compares, counts, hashes or prints is refused.
let libraryValuesSource = #"""
  # What every class or every subclass has in its namespace.
  QUIET = frozenset(
      '__module__ __doc__ __dict__ __weakref__ __qualname__ __slots__ __firstlineno__ __static_attributes__ '
      '__annotations__ __annotate__ __annotate_func__ __annotations_cache__ __orig_bases__ __parameters__ '
      '__class_getitem__ __init_subclass__ __type_params__ __match_args__ __abstractmethods__ _abc_impl'.split())
  NAMED = QUIET | frozenset(
      '_fields _field_defaults __new__ _make __replace__ _replace __repr__ _asdict __getnewargs__ _fields_defaults '
      '_field_types'.split())
  DYNAMIC = 1 << 9
  VIEWS = 'keys', 'values', 'items'
  ITERATORS = {type(x for x in ()): 'generator', map: 'map', filter: 'filter', zip: 'zip', enumerate: 'enumerate',
               reversed: 'reversed', type(reversed([])): 'list_reverseiterator'}
  ENUMS = 'Enum', 'IntEnum', 'StrEnum', 'Flag', 'IntFlag'
  # The namespace of the program, or of the test: a class that both define is one.
  SPACE = {}


  def put_other(writer, value, kind):
      """Sends what is neither one of Python's own plain values nor a container, or raises NotPlain."""
      given = library_value(writer, value, kind)
      if given:
          name, *arguments = given
          writer.parts.append(b'X%x:%s' % (len(name), name.encode()))
          writer.put(tuple(arguments))
          return
      if 'enum' in sys.modules and isinstance(kind, sys.modules['enum'].EnumMeta):
          put_enum(writer, value, kind)
      elif is_named(kind):
          put_named(writer, value, kind)
      else:
          put_subclass(writer, value, kind)


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
              # Writing through one is seen by whoever has the memory.
              if value.ndim != 1 or not writer.is_answer:
                  raise not_plain(kind)
              return name, value.tobytes(), value.format, value.readonly
      if kind in ITERATORS or is_iterator(value, kind, is_dynamic):
          if writer.looks:
              return 'iterator',
          return ITERATORS.get(kind, 'iterator'), drained(value, kind, writer.left)
      source = origin(kind)
      if source is None:
          return None
      return library_number(value, source) or library_box(writer, value, source)


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


  def library_box(writer, value, source):
      if source in (('collections', 'UserDict'), ('collections', 'UserList'), ('collections', 'UserString')):
          if set(value.__dict__) == {'data'}:
              return source[1], value.data
      if source == ('collections', 'ChainMap'):
          return (source[1],) + tuple(value.maps)
      if source == ('types', 'SimpleNamespace') and writer.is_answer:
          return source[1], dict(value.__dict__)


  def is_iterator(value, kind, is_dynamic):
      """Whether it is one of Python's own: those of a program's classes may do more than iterate."""
      module = kind.__module__
      if not (module == 'itertools' and origin(kind) or module == 'builtins' and not is_dynamic):
          return False
      try:
          return iter(value) is value
      except TypeError:
          return False


  def drained(value, kind, left):
      try:
          # One more than may be, so that what is too long is found to be so.
          limit = min(max(left, 0), 1000000)
          items = tuple(itertools.islice(copied(value, kind), limit + 1))
      except MemoryError:
          raise
      except BaseException as error:
          # It would have been raised later, and perhaps not at all.
          raise NotPlain('%s raises %s' % (kind.__name__, type(error).__name__))
      if len(items) > limit:
          raise NotPlain('%s of too many values' % kind.__name__)
      return items


  def copied(value, kind):
      """Looking at an iterator that was sent does not use it up."""
      if kind is not type(iter([])):
          return value
      _, source, *at = value.__reduce__()
      return itertools.islice(source[0], at[0] if at else 0, None)


  def is_named(kind):
      """Whether a class is what namedtuple makes."""
      space = kind.__dict__
      fields = space.get('_fields')
      if kind.__bases__ != (tuple,) or type(kind) is not type or type(fields) is not tuple:
          return False
      code = getattr(space.get('__repr__'), '__code__', None)
      return (set(space) <= NAMED | set(fields)
              and code is not None and code.co_filename == library('collections').namedtuple.__code__.co_filename)


  def put_named(writer, value, kind):
      writer.parts.append(b'M')
      writer.put((kind.__name__, kind._fields, tuple(kind._field_defaults.items()), tuple(tuple.__iter__(value))))


  def put_subclass(writer, value, kind):
      guarded, has_init = set(), False
      for at, base in enumerate(kind.__mro__):
          if base in FIXED or container_tag(base) or at and is_named(base):
              break
          if base is object or type(base) is not type or not base.__flags__ & DYNAMIC:
              raise not_plain(kind)
          for name in base.__dict__:
              if name in ('__init__', '__new__'):
                  has_init = True
              elif name not in QUIET:
                  if name.startswith('__'):
                      raise not_plain(kind)
                  guarded.add(name)
      # A mix-in behind the base counts as well.
      for other in kind.__mro__[at + 1:]:
          if other.__flags__ & DYNAMIC and not is_named(other) and not set(other.__dict__) <= QUIET | {'_is_protocol'}:
              raise not_plain(kind)
      guarded.update(getattr(value, '__dict__', ()))
      if not writer.is_answer and (guarded or has_init):
          raise not_plain(kind)
      tag = container_tag(base)
      if tag and writer.is_known(value):
          return
      if tag and writer.looks:
          writer.parts.append(b'?')
          return
      writer.parts.append(b'S')
      writer.put((kind.__name__, tuple(sorted(guarded)), has_init))
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
      members = tuple((key, member.value) for key, member in kind.__members__.items())
      if name not in ENUMS or getattr(enum, name, None) is not base or len(mixed) > 1 or any(
              mixin not in FIXED for mixin in mixed):
          raise not_plain(kind)
      fresh = new_enum(name, kind.__name__, members, mixed[0].__name__ if mixed else None)
      own, plain = dict(kind.__dict__), dict(fresh.__dict__)
      for key in set(own) | set(plain):
          if key not in QUIET and key not in kind.__members__ and (
                  (key in own) != (key in plain) or callable(own[key]) and own[key] != plain[key]):
              raise not_plain(kind)
      writer.parts.append(b'E')
      # A combination of flags has no name.
      writer.put((name, kind.__name__, members, mixed[0].__name__ if mixed else None, value._name_, value._value_))


  def new_enum(base, name, members, mixed):
      kind = getattr(library('enum'), base)
      if base not in ENUMS or mixed not in (None,) + tuple(map(lambda fixed: fixed.__name__, FIXED)):
          raise Malformed('an unknown enumeration')
      more = {} if mixed is None else {'type': getattr(library('builtins'), mixed)}
      return kind(name, [(key, value) for key, value in members], **more)


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
      if tag == b'S':
          name, guarded, has_init = reader.take()
          tag = reader.bytes[reader.at:reader.at + 1]
          if tag in b'ledYQOCGA':
              reader.at += 1
              return reader.container(tag, subclass(container_kind(tag), name, guarded, has_init))
          value = reader.take()
          for base in FIXED:
              if isinstance(value, base):
                  return base.__new__(subclass(type(value), name, guarded, has_init), value)
      if tag == b'M':
          name, fields, defaults, values = reader.take()
          kind = remembered((name, fields, str(defaults)), lambda: named(name, fields, defaults))
          return tuple.__new__(kind, values)
      if tag == b'E':
          base, name, members, mixed, member, value = reader.take()
          kind = remembered((base, name, str(members), mixed), lambda: enumeration(base, name, members, mixed))
          return kind[member] if member in kind.__members__ else kind(value)
      raise Malformed('an unknown tag')


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


  def subclass(base, name, guarded, has_init):
      """An empty subclass, whose guarded names end the test."""
      if type(name) is not str or any(type(key) is not str or key.startswith('__') for key in guarded):
          raise Malformed('a wrong name')

      def make():
          if own_class(name):
              clash(name)
          space = {key: property(refusing('%s.%s' % (name, key))) for key in guarded}
          if has_init:
              space['__init__'] = refusing(name)
          return type(name, (base,), space)
      return remembered((base, name, guarded, has_init), make)


  def named(name, fields, defaults):
      known = own_class(name)
      if known and is_named(known) and known._fields == fields:
          return known
      if known:
          clash(name)
      return library('collections').namedtuple(name, fields, defaults=[value for _, value in defaults])


  def enumeration(base, name, members, mixed):
      known = own_class(name)
      if known and isinstance(known, library('enum').EnumMeta) and tuple(
              (key, member.value) for key, member in known.__members__.items()) == members:
          return known
      if known:
          clash(name)
      return new_enum(base, name, members, mixed)


  def whole_view(data, form, is_readonly):
      return memoryview(data if is_readonly else bytearray(data)).cast('B').cast(form)


  def boxed(name):
      def make(data):
          kind = getattr(library('collections'), name)
          value = kind.__new__(kind)
          value.data = data
          return value
      return make


  def clocked(name, count):
      """Times and dates with times: the last argument is the fold."""
      return lambda *given: getattr(library('datetime'), name)(*given[:-1], fold=given[-1])


  MAKERS = {
      'ellipsis': lambda: Ellipsis, 'NotImplementedType': lambda: NotImplemented, 'slice': slice,
      'keys': lambda mapping: mapping.keys(), 'values': lambda mapping: mapping.values(),
      'items': lambda mapping: mapping.items(), 'mappingproxy': lambda mapping: type(type.__dict__)(mapping),
      'memoryview': whole_view,
      'iterator': lambda items: iter(list(items)), 'generator': lambda items: (item for item in items),
      'map': lambda items: map(lambda item: item, items), 'filter': lambda items: filter(lambda _: True, items),
      'zip': lambda items: zip(*zip(*items)),
      'enumerate': lambda items: enumerate([item for _, item in items], items[0][0] if items else 0),
      'reversed': lambda items: reversed(items[::-1]),
      'list_reverseiterator': lambda items: reversed(list(items[::-1])),
      'Fraction': lambda over, under: library('fractions').Fraction(over, under),
      'Decimal': lambda text: library('decimal').Decimal(text),
      'UUID': lambda number: library('uuid').UUID(int=number),
      'timedelta': lambda *given: library('datetime').timedelta(*given),
      'date': lambda *given: library('datetime').date(*given),
      'timezone': lambda *given: library('datetime').timezone(*given),
      'time': clocked('time', 5), 'datetime': clocked('datetime', 8),
      'UserDict': boxed('UserDict'), 'UserList': boxed('UserList'), 'UserString': boxed('UserString'),
      'ChainMap': lambda *maps: library('collections').ChainMap(*maps),
      'SimpleNamespace': lambda given: library('types').SimpleNamespace(**given),
  }


  """#
