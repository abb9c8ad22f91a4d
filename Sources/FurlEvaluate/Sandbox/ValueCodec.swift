/// Python that both sides of the pipe run: messages, and plain values as bytes.
///
/// A message is eight hexadecimal digits (the length of the rest), a letter, and sixteen hexadecimal digits that
/// name the call it belongs to. A value is a tag and what the tag asks for; nothing in it is ever evaluated, so
/// whatever arrives is rebuilt as None, bool, int, float, complex, str, bytes, range, Fraction, Decimal, list, tuple,
/// dict, (frozen) set or an iterator over a list, and nothing else. An iterator is run to its end before it is sent.
/// Subclasses are sent as their base: the base's own methods read them, not what they override.
let valueCodecSource = #"""
  import itertools, posix, sys

  MAX_BYTES = 16 << 20
  MAX_DEPTH = 100
  MAX_VALUES = 1000000
  # A call may hold what earlier answers gave, and then it is a little larger than any of them.
  SLACK = 2
  BASES = (int, float, complex, str, bytes, list, tuple, dict, set, frozenset)


  VIEWS = (type({}.keys()), type({}.values()), type({}.items()))
  # Where values are compared for equality and nothing else, what equals no plain value is refused at once.
  STRICT = [False]


  def widen():
      """Where values are compared as bytes first, and seldom sent like this, they may be larger."""
      global MAX_VALUES, MAX_BYTES
      STRICT[0] = True
      MAX_VALUES, MAX_BYTES = MAX_VALUES * 8, MAX_BYTES * 8


  class NotPlain(Exception):
      pass


  class Malformed(Exception):
      pass


  def encode(value, slack=1):
      parts = []
      budget = [MAX_VALUES * slack]
      put(value, parts, MAX_DEPTH * slack, budget)
      data = b''.join(parts)
      if len(data) > MAX_BYTES * slack:
          raise NotPlain('a value of %d bytes is too large' % len(data))
      return data


  def put(value, parts, depth, budget):
      budget[0] -= 1
      if budget[0] < 0:
          raise NotPlain('a value of too many parts')
      kind = type(value)
      if value is None:
          parts.append(b'N')
      elif kind is bool:
          parts.append(b'T' if value else b'F')
      elif kind is int:
          parts.append(b'i%x;' % value)
      elif kind is float:
          parts.append(b'f%s;' % float.hex(value).encode())
      elif kind is str:
          data = str.encode(value, 'utf-8', 'surrogatepass')
          parts.append(b's%x:' % len(data))
          parts.append(data)
      elif kind is bytes:
          parts.append(b'b%x:' % len(value))
          parts.append(value)
      elif kind is complex:
          parts.append(b'c%s,%s;' % (float.hex(value.real).encode(), float.hex(value.imag).encode()))
      elif kind is range:
          parts.append(b'r%x,%x,%x;' % (value.start, value.stop, value.step))
      elif kind is list or kind is tuple or kind is set or kind is frozenset or kind is dict:
          if depth == 0:
              raise NotPlain('a value of too many levels')
          tag = {list: b'l', tuple: b't', set: b'e', frozenset: b'z', dict: b'd'}[kind]
          parts.append(b'%s%x:' % (tag, kind.__len__(value)))
          if kind is dict:
              for key, item in dict.items(value):
                  put(key, parts, depth - 1, budget)
                  put(item, parts, depth - 1, budget)
          else:
              for item in kind.__iter__(value):
                  put(item, parts, depth - 1, budget)
      elif kind in VIEWS:
          if STRICT[0]:
              if kind is VIEWS[1]:
                  raise NotPlain('dict_values is not a plain value')
              put(frozenset(value), parts, depth, budget)
          else:
              put(list(value), parts, depth, budget)
      else:
          for base in BASES:
              if issubclass(kind, base):
                  put(plain(value, base), parts, depth, budget)
                  return
          if is_number(kind, 'fractions', 'Fraction'):
              parts.append(b'q%x,%x;' % (int(value.numerator), int(value.denominator)))
              return
          if is_number(kind, 'decimal', 'Decimal'):
              data = kind.__mro__[-2].__str__(value).encode()
              parts.append(b'D%x:' % len(data))
              parts.append(data)
              return
          if is_iterator(value) and not STRICT[0]:
              if depth == 0:
                  raise NotPlain('a value of too many levels')
              # One more than is left, so that what is too long is found to be so.
              items = list(itertools.islice(copied(value, kind), budget[0] + 1))
              parts.append(b'o%x:' % len(items))
              for item in items:
                  put(item, parts, depth - 1, budget)
              return
          raise NotPlain('%s is not a plain value' % type.__getattribute__(kind, '__name__'))


  def is_number(kind, module, name):
      """Whether a class is one of the library's numbers, or derived from it."""
      module = sys.modules.get(module)
      return module is not None and issubclass(kind, getattr(module, name))


  def is_iterator(value):
      try:
          return iter(value) is value
      except TypeError:
          return False


  def copied(value, kind):
      """Looking at an iterator that was sent does not use it up."""
      if kind is not type(iter([])):
          return value
      _, source, *at = value.__reduce__()
      return itertools.islice(source[0], at[0] if at else 0, None)


  def plain(value, base):
      if base is int:
          return int.__pos__(value)
      if base is complex:
          return complex.__pos__(value)
      if base is bytes:
          return bytes.__getitem__(value, slice(None))
      if base is float:
          return float.__pos__(value)
      if base is str:
          return str.__str__(value)
      if base is dict:
          return dict(dict.items(value))
      return base(base.__iter__(value))


  def decode(data, slack=1):
      value, end = decode_first(data, 0, slack)
      if end != len(data):
          raise Malformed('bytes after the value')
      return value


  def decode_first(data, at, slack=1):
      return take(data, at, MAX_DEPTH * slack, [MAX_VALUES * slack])


  def take(data, at, depth, budget):
      budget[0] -= 1
      if budget[0] < 0:
          raise Malformed('too many values')
      tag = data[at:at + 1]
      at += 1
      if tag == b'N':
          return None, at
      if tag == b'T':
          return True, at
      if tag == b'F':
          return False, at
      if tag == b'i':
          end = data.index(b';', at)
          return int(data[at:end], 16), end + 1
      if tag == b'f':
          end = data.index(b';', at)
          return float.fromhex(data[at:end].decode()), end + 1
      if tag == b'c':
          end = data.index(b';', at)
          real, imaginary = data[at:end].decode().split(',')
          return complex(float.fromhex(real), float.fromhex(imaginary)), end + 1
      if tag == b'q':
          end = data.index(b';', at)
          over, under = data[at:end].split(b',')
          from fractions import Fraction
          return Fraction(int(over, 16), int(under, 16)), end + 1
      if tag == b'r':
          end = data.index(b';', at)
          start, stop, step = data[at:end].split(b',')
          return range(int(start, 16), int(stop, 16), int(step, 16)), end + 1
      colon = data.index(b':', at)
      count = int(data[at:colon], 16)
      at = colon + 1
      if count < 0 or count > len(data) - at:
          raise Malformed('a count past the end')
      if tag == b's':
          return data[at:at + count].decode('utf-8', 'surrogatepass'), at + count
      if tag == b'b':
          return data[at:at + count], at + count
      if tag == b'D':
          from decimal import Decimal
          return Decimal(data[at:at + count].decode()), at + count
      if depth == 0:
          raise Malformed('too many levels')
      items = []
      for _ in range(2 * count if tag == b'd' else count):
          item, at = take(data, at, depth - 1, budget)
          items.append(item)
      if tag == b'l':
          return items, at
      if tag == b't':
          return tuple(items), at
      if tag == b'o':
          return iter(items), at
      if tag == b'e':
          return set(items), at
      if tag == b'z':
          return frozenset(items), at
      if tag == b'd':
          return dict(zip(items[::2], items[1::2])), at
      raise Malformed('an unknown tag')


  def send(to, letter, token, data):
      message = memoryview(b'%08x%s%s%s' % (17 + len(data), letter, token, data))
      while message:
          message = message[posix.write(to, message):]


  def receive(source):
      header = read(source, 8)
      try:
          count = int(header, 16)
      except ValueError:
          raise Malformed('no message')
      if count < 17 or count > SLACK * MAX_BYTES + 4096:
          raise Malformed('a message of %d bytes' % count)
      body = read(source, count)
      return body[:1], body[1:17], body[17:]


  def read(source, count):
      data = posix.read(source, count)
      if len(data) < count:
          parts = [data]
          count -= len(data)
          while count:
              if not data:
                  raise EOFError
              data = posix.read(source, min(count, 1 << 20))
              parts.append(data)
              count -= len(data)
          data = b''.join(parts)
      return data


  def whole(source):
      parts = []
      while True:
          data = posix.read(source, 1 << 20)
          if not data:
              return b''.join(parts)
          parts.append(data)


  def silence():
      """Moves the pipes away from the standard descriptors, which then lead nowhere."""
      # 0 to 3 are what this process was given; whatever else is open came here by accident.
      for number in map(int, posix.listdir('/proc/self/fd')):
          if number > 3:
              try:
                  posix.close(number)
              except OSError:
                  pass
      pipes = [posix.dup(number) for number in (0, 1, 2)]
      nowhere = posix.open('/dev/null', posix.O_RDWR)
      for number in (0, 1, 2):
          posix.dup2(nowhere, number)
      posix.close(nowhere)
      posix.chdir('/tmp')
      sys.path[:] = [folder for folder in sys.path if folder]
      return pipes


  """#
