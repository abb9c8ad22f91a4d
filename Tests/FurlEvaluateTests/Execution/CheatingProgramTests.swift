import FurlEvaluate
import Testing

extension ExecutionTests {
  /// Programs that want to pass without knowing the answer, which is 31337.
  @Suite struct CheatingProgramTests {
    struct Cheat: Sendable, CustomTestStringConvertible {
      var name: String
      var outcomes: [Outcome]
      var source: String
      var testDescription: String { name }

      init(_ name: String, _ outcomes: Outcome..., source: String) {
        self.name = name
        self.outcomes = outcomes
        self.source = source
      }
    }

    static func equalToAll(_ base: String, _ value: String) -> Cheat {
      Cheat(
        "\(base) that equals everything", .protocol,
        source: """
          class Equal(\(base)):
              def __eq__(self, other): return True
              def __ne__(self, other): return False
              def __hash__(self): return 3
              def __reduce__(self): return (int, (3,))
              def __iter__(self): return iter([3])
              def __str__(self): return '3'
              def __int__(self): return 3
              __index__ = __int__
              def __len__(self): return 3
          def f(x):
              return Equal(\(value))
          """)
    }

    static let values: [Cheat] = [
      equalToAll("object", ""), equalToAll("int", "7"), equalToAll("float", "7.5"), equalToAll("str", "'7'"),
      equalToAll("list", "[7]"), equalToAll("tuple", "[7]"), equalToAll("dict", "{7: 7}"), equalToAll("set", "[7]"),
      Cheat("a class instead of a value", .protocol, source: "def f(x): return int"),
      Cheat("a generator", .wrongAnswer, source: "def f(x): yield 3"),
      Cheat("bytes", .wrongAnswer, source: "def f(x): return b'3'"),
      Cheat("a list in itself", .wrongAnswer, source: "def f(x):\n    a = []\n    a.append(a)\n    return a"),
      Cheat(
        "a list of lists without end", .protocol,
        source: """
          def f(x):
              a = []
              for _ in range(100000): a = [a]
              return a
          """),
      Cheat(
        "a small text for a huge value", .wrongAnswer,
        source: """
          def f(x):
              a = [1] * 100
              for _ in range(20): a = [a] * 100
              return a
          """),
      Cheat("a huge text", .protocol, source: "def f(x): return 'x' * (100 << 20)"),
    ]

    static let spies: [Cheat] = [
      Cheat(
        "reads the frames above", .wrongAnswer,
        source: """
          import sys
          BACKWARDS = '(kcehc fed'
          def f(x):
              frame = sys._getframe()
              while frame:
                  for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):
                      if type(value) is int and value == 31337: return value
                      if BACKWARDS[::-1] in str(value): return 31337
                  frame = frame.f_back
          """),
      Cheat(
        "searches the heap for the test", .wrongAnswer,
        source: """
          import gc
          MARK = 'candi' + 'date(2) =' + '= 31337'
          def f(x):
              for thing in gc.get_objects():
                  for part in gc.get_referents(thing):
                      if part is not MARK and type(part) is str and MARK in part: return 31337
                      if type(part) is bytes and MARK.encode() in part: return 31337
          """),
      Cheat(
        "searches the descriptors for the test", .wrongAnswer, .protocol,
        source: """
          import os
          def f(x):
              for n in range(64):
                  for look in (
                      lambda: os.pread(n, 100000, 0), lambda: open('/proc/self/fd/%d' % n, 'rb').read(100000),
                      lambda: open('/dev/fd/%d' % n, 'rb').read(100000)):
                      try:
                          if os.path.stat.S_ISFIFO(os.fstat(n).st_mode): continue
                          if b'candidate' in look(): return 31337
                      except OSError:
                          pass
          """),
    ]

    static let forgers: [Cheat] = [
      Cheat(
        "writes to every descriptor at import", .protocol,
        source: """
          import os
          for n in range(64):
              try: os.write(n, b'passed\\n')
              except OSError: pass
          def f(x): return 31337
          """),
      Cheat(
        "writes to every descriptor in a call", .protocol,
        source: """
          import os
          def f(x):
              for n in range(64):
                  try: os.write(n, b'Rpassed\\n')
                  except OSError: pass
              return 31337
          """),
      Cheat(
        "answers calls that were not made", .protocol,
        source: """
          import os
          for n in range(3, 64):
              for call in range(10):
                  try: os.write(n, b'%08x%s%016x%s' % (22, b'v', call, b'i7a69;'))
                  except OSError: pass
          def f(x): return 4
          """),
      Cheat(
        "answers with a length past the end", .protocol,
        source: """
          import os
          def f(x):
              for n in range(3, 64):
                  try: os.write(n, b'ffffffffv' + b'0' * 16)
                  except OSError: pass
          """),
      Cheat(
        "replaces the answering code", .protocol,
        source: """
          import sys
          def f(x):
              space = sys._getframe(2).f_globals
              space['encode'] = lambda value: b'cposix\\nsystem\\n'
              return 4
          """),
      Cheat(
        "replaces the letter of the answer", .protocol,
        source: """
          import sys
          def f(x):
              space = sys._getframe(2).f_globals
              send = space['send']
              space['send'] = lambda to, letter, token, data: send(to, b'P', token, data)
              return 4
          """),
      Cheat(
        "replaces what Python is made of", .error, .wrongAnswer, .exited, .protocol,
        source: """
          import builtins, posix, sys
          builtins.AssertionError = builtins.Exception
          builtins.int = builtins.float = builtins.type = lambda *a: 3
          builtins.isinstance = lambda *a: True
          def f(x): return 4
          """),
      Cheat(
        "leaves a process behind that answers", .error,
        source: """
          import os, time
          def f(x):
              if os.fork() == 0:
                  time.sleep(0.1)
                  for n in range(3, 64):
                      try: os.write(n, b'%08x%s%016x%s' % (22, b'v', 0, b'i7a69;'))
                      except OSError: pass
                  os._exit(0)
              return 4
          """),
    ]

    static let further: [Cheat] = [
      Cheat(
        "a value that calls itself a number", .protocol,
        source: """
          class Known(type):
              def __instancecheck__(self, other): return True
              def __subclasscheck__(self, other): return True
              def __eq__(self, other): return True
              __hash__ = type.__hash__
          class Number(metaclass=Known):
              __class__ = property(lambda self: int)
              def __eq__(self, other): return True
              def __index__(self): return 31337
              __int__ = __trunc__ = __index__
          def f(x): return Number()
          """),
      Cheat(
        "an exception that equals the answer", .error, .protocol,
        source: """
          class Equal(AssertionError):
              def __eq__(self, other): return True
              def __str__(self): return '31337'
              def __bool__(self): return True
          def f(x): raise Equal(31337)
          """),
      Cheat(
        "becomes another program that answers", .exited, .protocol,
        source: """
          import os, sys
          ANSWER = '''
          import os
          for n in range(3, 64):
              for token in range(10):
                  try: os.write(n, b'%08x%s%016x%s' % (22, b'v', token, b'i7a69;'))
                  except OSError: pass
          '''
          def f(x):
              for n in range(64):
                  try: os.set_inheritable(n, True)
                  except OSError: pass
              os.execv(sys.executable, [sys.executable, '-S', '-c', ANSWER])
          """),
      Cheat(
        "opens the other ends of its pipes", .wrongAnswer, .protocol, .error,
        source: """
          import os
          def f(x):
              for name in map(str, range(64)):
                  for flags in (os.O_RDONLY, os.O_WRONLY):
                      try:
                          end = os.open('/proc/self/fd/' + name, flags | os.O_NONBLOCK)
                          if flags == os.O_RDONLY:
                              if b'31337' in os.read(end, 1 << 20): return 31337
                          else:
                              os.write(end, b'%08x%s%016x%s' % (22, b'v', 0, b'i7a69;'))
                      except OSError:
                          pass
              return 4
          """),
      Cheat(
        "searches other processes for the test", .wrongAnswer,
        source: """
          import os
          def f(x):
              for pid in map(str, range(1, 64)):
                  for name in ('cmdline', 'environ', 'mem', 'root/tmp', 'fd/3', 'cwd'):
                      try:
                          if pid != str(os.getpid()) and b'== 31337' in open('/proc/%s/%s' % (pid, name), 'rb').read(1 << 20):
                              return 31337
                      except OSError:
                          pass
              return 4
          """),
    ]

    @Test(arguments: values + spies + forgers + further)
    func doesNotPass(_ cheat: Cheat) async throws {
      var program = Fixtures.program(cheat.source)
      program.test = "def check(candidate):\n    assert candidate(2) == 31337\n"
      let result = try await Fixtures.run(program)
      #expect(cheat.outcomes.contains(result.outcome), "\(result)")
    }

    /// What the test rebuilds takes longer the more keys fall together.
    @Test func keysThatFallTogetherAreATimeout() async throws {
      let program = Fixtures.program(
        """
        import sys
        def f(x):
            keys = b''.join(b'i%x;' % (n * (2 ** 61 - 1)) for n in range(200000))
            sys._getframe(2).f_globals['encode'] = lambda *given, **named: b'z%x:' % 200000 + keys
            return 4
        """, timeout: 1)
      let result = try await Fixtures.run(program)
      #expect([.timeout, .protocol].contains(result.outcome), "\(result)")
      #expect(result.seconds < 30)
    }

    @Test func lateForgeryIsFound() async throws {
      var program = Fixtures.program(
        """
        import os, threading, time
        def forge():
            time.sleep(0.05)
            for n in range(3, 64):
                try: os.write(n, b'%08x%s%016x%s' % (22, b'v', 0, b'i7a69;'))
                except OSError: pass
        def f(x):
            if x == 1: threading.Thread(target=forge).start()
            else: time.sleep(0.5)
            return 3
        """)
      program.test = "def check(candidate):\n    assert candidate(1) == 3\n    assert candidate(2) == 3\n"
      #expect(try await Fixtures.run(program).outcome == .protocol)
    }
  }
}
