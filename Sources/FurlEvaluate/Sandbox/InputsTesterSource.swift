import FurlBase

/// Python of the process that puts a problem's inputs to a program and compares its answers with those of the problem's own
/// solution: EvalPlus's procedure.
///
/// It is given the problem's line of JSON as it lies, since numbers of any size and the difference of `1` and `1.0` matter.
/// First it runs as `reference`: the program is the problem's own solution, and its answers and times stay in the
/// problem's file. Then it runs as `judge` with that file's content, once for each program. Expected values never reach the
/// program's process; its answers are compared as bytes, and only where they differ, as values. Bytes in marshal's form are
/// read only when they come from the problem's own solution, never from the program.
let inputsTesterSource = #"""
  import _signal, marshal, math, time, zlib


  def parse(text):
      """Parses JSON as the json module does, without the 5 ms that importing it takes."""
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


  def tuples(value):
      return tuple(map(tuples, value)) if isinstance(value, list) else value


  def inner(value):
      return list(map(tuple, value))


  # MBPP's inputs that JSON cannot hold, by the task: what becomes of each argument.
  FORMS = {}
  for numbers, form in (
      ((2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809),
       lambda given: list(map(tuple, given))),
      ((63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780), lambda given: list(map(inner, given))),
      ((75, 413, 444, 753), lambda given: [inner(given[0]), given[1]]),
      ((106, 750), lambda given: [given[0], tuple(given[1])]),
      ((115,), lambda given: [[set(x) if isinstance(x, list) and x else {} for x in given[0]]]),
      ((124,), lambda given: [float(given[0]), complex(given[1])]),
      ((250, 405, 446, 617, 720, 763, 808), lambda given: [tuple(given[0]), given[1]]),
      ((259, 401, 445), lambda given: [tuple(inner(x)) for x in given]),
      ((278,), lambda given: [tuple(tuple(x) if isinstance(x, list) else x for x in given[0])]),
      ((307,), lambda given: [tuple(given[0]), given[1], given[2]]),
      ((722,), lambda given: [{key: tuple(x) for key, x in given[0].items()}] + given[1:]),
      ((252,), lambda given: [complex(given[0])]),
      ((580, 615, 791), lambda given: list(tuples(given))),
  ):
      FORMS.update(dict.fromkeys(numbers, form))

  # MBPP's tasks whose answers are compared as sets, and those where any answer but None will do.
  AS_SETS = {'similar_elements', 'find_char_long', 'common_in_nested_lists', 'extract_singly', 'larg_nnum',
             'intersection_array', 'find_dissimilar', 'Diff'}
  ANY_ANSWER = {'check_str', 'text_match_three', 'text_starta_endb'}


  # A float that is not equal to itself, as marshal writes it.
  NANS = b'\0\0\0\0\0\0\xf8\x7f', b'\0\0\0\0\0\0\xf8\xff'


  def packed(data):
      """An expected answer, from marshal's form to what is kept: itself, or its digest and what it is compressed to."""
      if len(data) < 4096:
          return data
      from _sha256 import sha256
      # A text equals nothing but the same text, so that its value is not needed.
      is_text = data[:1] in b'uaszAZ'
      return sha256(data).digest(), None if is_text else zlib.compress(data, 1)


  def is_same(data, expected):
      """Whether an answer is what is expected, byte for byte. Equal bytes are equal values; others may be, too."""
      if type(expected) is bytes:
          return data == expected
      if len(expected) == 1 or len(data) < 4096:
          return False
      from _sha256 import sha256
      return sha256(data).digest() == expected[0]


  class LongText:
      """Equals the text that has its digest."""

      def __init__(self, digest):
          self.digest = digest

      def __eq__(self, other):
          from _sha256 import sha256
          return isinstance(other, str) and sha256(marshal.dumps(str.__str__(other), 2)).digest() == self.digest


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


  class InputsTester(Tester):
      # The input that is being answered, and whether all the time that the inputs have is what ends next.
      index, is_last_call = -1, False

      def finish(self, word, detail=''):
          _signal.setitimer(_signal.ITIMER_REAL, 0)
          # What did not come to an end by itself: the process is gone, or all the time is up.
          is_gone = word == 'exited' and detail == 'the process ended'
          is_unfinished = is_gone or word == 'timeout' and (self.is_last_call or self.index < 0)
          Tester.finish(self, '%s %d %d' % (word, self.index, is_unfinished), detail)

      def put_within(self, seconds, letter, data):
          self.limit = seconds
          _signal.setitimer(_signal.ITIMER_REAL, max(seconds, 1e-3))
          result = self.put(letter, data)
          _signal.setitimer(_signal.ITIMER_REAL, 0)
          return result

      def is_late(self, *_):
          self.finish('timeout', '%s: not done after %.3g s' % (self.doing, self.limit))

      def refuse(self, letter, data):
          """Ends with what an answer that is no value says."""
          try:
              value = decode(data) if data else None
              if letter == b'x':
                  name, _, text = value[:3]
                  value = '%s: %s' % (name, text) if text else '%s' % name
          except Exception:
              letter, value = b'p', 'a malformed answer'
          word = {b'x': 'error', b'q': 'exited', b'm': 'memory'}.get(letter, 'protocol')
          self.finish(word, '%s: %s' % (self.doing, value or 'MemoryError'))

      def run(self):
          mode, self.name, line, expected, settings = decode(whole(3))
          sanitizes, lists, load_limit, least, factor, most = map(float, settings.split())
          self.load_limit, self.least, self.factor, self.most = load_limit, least, factor, most
          self.doing = 'starting'
          widen()
          _signal.signal(_signal.SIGALRM, self.is_late)
          self.read_hello()
          posix.write(self.verdict, b'R')
          task = parse_any(line.decode('utf-8'))
          name, _, number = str(task['task_id']).rpartition('/')
          self.is_mbpp = name == 'Mbpp'
          form = FORMS.get(int(number)) if self.is_mbpp and number.isdecimal() else None
          # 0: the base inputs, 1: the further ones after them, 2: the further ones alone.
          parts = [task['base_input']] if lists < 2 else []
          if lists:
              parts.append(task.get('plus_input') or [])
          if form:
              parts = [list(map(form, inputs)) for inputs in parts]
          self.tolerance = task.get('atol', 0)
          if sanitizes:
              self.doing = 'sanitizing'
              self.limit = 20
              _signal.setitimer(_signal.ITIMER_REAL, 20)
              self.sanitize(self.name)
          if mode == 'reference':
              self.leave(marshal.dumps([self.reference(inputs) for inputs in parts]))
          else:
              expected = marshal.loads(expected)
              if lists == 2:
                  expected = expected[1:] or [([], [])]
              for inputs, (answers, times) in zip(parts, expected):
                  self.judge(inputs, answers, times)
                  # What has been decided stands, whatever happens to the rest.
                  posix.write(self.verdict, b'B')
          self.finish('passed')

      def load(self, limit):
          self.doing = 'loading'
          self.index = -1
          letter, data = self.put_within(limit, b'l', encode(self.name))
          if letter != b'v':
              self.refuse(letter, data)

      def call(self, given, seconds):
          if has_nan(given):
              # It may come back, and is then itself.
              return self.put_within(seconds, b'k', encode((tuple(given), {}), SLACK, None, False))
          letter = b'n' if self.is_mbpp and self.name in ANY_ANSWER else b'e'
          return self.put_within(seconds, letter, marshal.dumps(given))

      def kept(self, letter, data):
          """What is kept of an answer of the problem's own solution."""
          if letter == b'w':
              # Marshal writes an array like its bytes, and forgets which object is no number.
              is_ambiguous = b's' in data and has_bytes(marshal.loads(data))
              if not is_ambiguous and not any(nan in data for nan in NANS):
                  return packed(data)
              letter, data = self.put_within(120, b't', b'')
          if letter != b'v':
              self.refuse(letter, data)
          return (data,)

      def reference(self, inputs):
          self.load(60)
          answers, times = [], []
          for index, given in enumerate(inputs):
              self.doing = 'input %d' % index
              start = time.monotonic()
              letter, data = self.call(given, 120)
              times.append(time.monotonic() - start)
              answers.append(self.kept(letter, data))
          return answers, times

      def judge(self, inputs, answers, times):
          self.load(self.load_limit)
          limits = [max(self.least, self.factor * seconds) for seconds in times]
          end = time.monotonic() + min(self.most, sum(limits)) + 1
          comparison = Comparison(self.name, self.is_mbpp, self.tolerance)
          compared = 0
          for index, (given, answer, limit) in enumerate(zip(inputs, answers, limits)):
              self.doing = 'input %d' % index
              self.index = index
              left = end - time.monotonic()
              seconds = min(limit, left)
              self.is_last_call = left < limit
              letter, data = self.call(given, seconds)
              if letter not in (b'v', b'w'):
                  self.refuse(letter, data)
              if letter == b'w' and is_same(data, answer):
                  continue
              self.is_last_call = False
              if letter == b'w':
                  letter, data = self.put_within(max(seconds, 4), b't', b'')
                  if letter != b'v':
                      self.refuse(letter, data)
              try:
                  value = answered(data, given)
              except MemoryError:
                  self.finish('memory', 'the answer is too large')
              except Exception as error:
                  self.finish('protocol', '%s: a malformed answer: %s' % (self.doing, error))
              try:
                  # A tolerance that an earlier value has brought is in force.
                  while comparison.atol == 0 and compared < index:
                      if is_floats(unpacked(answers[compared], inputs[compared])):
                          comparison.atol = 1e-6
                      compared += 1
                  accepted = comparison.accepts(given, value, unpacked(answer, given))
              except Exception:
                  accepted = False
              if not accepted:
                  self.finish('wrong_answer', 'input %d' % index)


  """#
