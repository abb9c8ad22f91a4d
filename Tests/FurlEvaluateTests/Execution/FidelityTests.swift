@testable import FurlEvaluate
import Foundation
import Testing

extension ExecutionTests {
  /// Two processes judge as one would: what a program answers, raises and changes arrives as it was.
  @Suite struct FidelityTests {
    private func run(_ source: String, _ test: String, timeout: Double = 10) async throws -> ProgramResult {
      var program = Fixtures.program(source, timeout: timeout)
      program.test = "def check(c):\n" + test.split(separator: "\n").map { "    \($0)\n" }.joined()
      return try await Fixtures.run(program)
    }

    @Test(
      arguments: [
        "assert all(map(lambda p: c(p[0]) == p[1], [(1, 2), (2, 3)]))",
        "for a, b in zip(map(c, [1, 2]), [2, 3]): assert a == b",
      ], ["StopIteration", "StopAsyncIteration", "type('Own', (StopIteration,), {})", "IndexError"])
    func raisingEndsNoIterationOfTheTest(_ test: String, _ name: String) async throws {
      let result = try await run("def f(x): raise \(name)", test)
      #expect(result.outcome == .error, "\(result)")
    }

    @Test func whatALibraryCatchesIsTheTestsBusiness() async throws {
      let result = try await run(
        "def f(x): raise ValueError", "import unittest\nunittest.TestCase().assertRaises(ValueError, c, 1)")
      #expect(result.outcome == .passed, "\(result)")
    }

    @Test func raisingEndsNoSequenceOfTheTest() async throws {
      let result = try await run(
        "def f(x): raise IndexError",
        "class S:\n    def __getitem__(self, i): return c(i)\nfor v in S(): assert False")
      #expect(result.outcome == .error, "\(result)")
    }

    @Test func answersThatAreTooLargeToPassOnAreTheProgramsFault() async throws {
      let deep = "def f(x):\n    r = 1\n    for _ in range(99): r = [r]\n    return r"
      #expect(try await run(deep, "assert c(c(5)) == 5").outcome == .wrongAnswer)
      let large = "def f(x): return [0] * 900000"
      #expect(try await run(large, "v = c(5)\nassert c([v, list(v), v[:]]) == 5").outcome == .protocol)
    }

    @Test(arguments: [
      ("raise ValueError('bad', 3)", "ValueError", "e.args == ('bad', 3)"),
      ("return {}['k']", "KeyError", "str(e) == repr('k') and e.args == ('k',)"),
      ("return b'\\xff'.decode()", "UnicodeDecodeError", "e.object == b'\\xff' and e.start == 0"),
      ("return open('/tmp/absent')", "FileNotFoundError", "e.errno == 2 and e.filename == '/tmp/absent'"),
      ("raise type('Own', (KeyError,), {'__str__': lambda s: 'own'})(1)", "KeyError", "'own' in str(e)"),
      ("raise Exception('a', 1)", "Exception", "e.args == ('a', 1)"),
    ])
    func exceptionsKeepTheirArguments(_ statement: String, _ kind: String, _ expected: String) async throws {
      let test = "try:\n    c(1)\nexcept \(kind) as e:\n    assert \(expected), e.args\nelse:\n    assert False"
      let result = try await run("def f(x):\n    \(statement)", test)
      #expect(result.outcome == .passed, "\(result)")
    }

    @Test(arguments: [
      ("range(x)", "list(v) == [0, 1, 2] and v == range(3)"), ("b'abc'", "v == b'abc'"),
      ("complex(1, -0.5)", "v == complex(1, -0.5)"), ("(i for i in range(x))", "tuple(v) == (0, 1, 2)"),
      ("map(str, range(x))", "list(v) == ['0', '1', '2']"), ("zip([1], [2])", "list(v) == [(1, 2)]"),
      ("filter(None, [0, 1])", "next(v) == 1"), ("{1: 2}.keys()", "v == {1} and v != [1]"),
      ("{1: 2}.values()", "list(v) == [2] and v != [2]"), ("{1: 2}.items()", "list(v) == [(1, 2)]"),
      ("[iter([1]), b'']", "list(v[0]) == [1] and v[1] == b''"),
      ("type('B', (bytes,), {})(b'x')", "type(v) is not bytes and v == b'x'"),
      ("range(10**30, 0, -7)", "v[0] == 10**30"),
    ])
    func answersCross(_ made: String, _ expected: String) async throws {
      let result = try await run("def f(x): return \(made)", "v = c(3)\nassert \(expected), v")
      #expect(result.outcome == .passed, "\(result)")
    }

    @Test(arguments: [
      ("class L(list):\n    def size(self): return 7\ndef f(x): return L()", "assert c(1).size() == 7"),
      ("class L(list):\n    def size(self): return 7\ndef f(x): return L()", "assert not hasattr(c(1), 'size')"),
      ("class L(list):\n    def __init__(self): self.n = 7\ndef f(x): return L()", "assert type(c(1))([1]) == [1]"),
      ("import collections\ndef f(x): return collections.defaultdict(lambda: 7)", "assert c(1)['x'] == 7"),
      (
        "import collections\ndef f(x): return collections.defaultdict(lambda: 7)",
        "try: c(1)['x']\nexcept BaseException: pass"
      ),
      (
        "class K(list): pass\ndef f(x): return K()",
        "class K(list): pass\nglobals()['K'] = K\nassert not isinstance(c(1), K)"
      ),
    ])
    func whatOnlyTheProgramKnowsDecidesNothing(_ source: String, _ test: String) async throws {
      let result = try await run(source, test)
      #expect(result.outcome == .protocol, "\(result)")
    }

    @Test(arguments: [
      "from collections import namedtuple\nP = namedtuple('P', 'x y')",
      "from enum import Enum\nclass P(Enum):\n    A = 1\n    B = 2",
      "from enum import IntEnum\nclass P(IntEnum):\n    A = 1",
    ])
    func classesOfThePromptAreOne(_ prompt: String) async throws {
      let isNamed = prompt.contains("namedtuple")
      var program = Fixtures.program("\(prompt)\ndef f(x): return x if x else \(isNamed ? "P(1, 2)" : "P.A")")
      program.prompt = prompt + "\ndef f(x):\n"
      let value = isNamed ? "P(1, 2)" : "P.A"
      program.test =
        "def check(c):\n    assert c(0) == \(value) and isinstance(c(0), P) and c(\(value)) == \(value) and c(0) in {\(value)}\n"
      let result = try await Fixtures.run(program)
      #expect(result.outcome == .passed, "\(result)")
    }

    @Test func endlessIteratorsAreTooLarge() async throws {
      let result = try await run("import itertools\ndef f(x): return itertools.count()", "assert c(1)")
      #expect(result.outcome == .protocol, "\(result)")
    }

    @Test(arguments: [
      ("x.sort()", "v = [3, 1]; c(v); assert v == [1, 3]"), ("x['a'] = 1", "v = {'b': 2}; c(v); assert v['a'] == 1"),
      ("x.clear()", "v = {1}; c(x=v); assert v == set()"), ("x = sorted(x)", "v = [3, 1]; c(v); assert v == [3, 1]"),
      ("return list(x[0])", "assert c([iter([1, 2])]) == [1, 2]"),
      ("x.append(1); raise ValueError", "v = []\ntry: c(v)\nexcept ValueError: pass\nassert v == [1]"),
    ])
    func argumentsChangeInPlace(_ body: String, _ test: String) async throws {
      let result = try await run("def f(x):\n    \(body)", test)
      #expect(result.outcome == .passed, "\(result)")
    }

    /// Of the call `f([2], 1, b'')` the list has number 0 and the mapping of its names 1; what changes is told by number.
    @Test(arguments: [
      "b'd1:i0;d1:i1;i2;'", "b'l1:i1;'", "b'a0;1:i1;i2;'", "b'a7;1:i1;'", "b'a-1;1:i1;'", "b'a1;'", "b'a1;9:i1;'",
      "b'a2;1:i1;'",
      "b'a1;1:X6:system'",
    ])
    func forgedChangesAreRefused(_ changes: String) async throws {
      let source = """
        import sys
        def f(x, y, z):
            space = sys._getframe(2).f_globals
            space['changes'] = lambda *a: \(changes)
            return 3
        """
      let result = try await run(source, "v = [2]\nassert c(v, 1, b'') == 3 and v == [2]")
      #expect(result.outcome == .protocol, "\(result)")
    }

    /// Values that no honest encoder writes.
    @Test(arguments: [
      "b'S' + encode(('L', ('__eq__',), False)) + b'l0:'", "b'S' + encode((1, (), False)) + b'l0:'",
      "b'X4:eval' + encode(('1',))",
      "b'S' + encode(('L', (), False)) + b'N'", "b'M' + encode(('P', ('x y',), (), (1,)))",
      "b'M' + encode(('P', ('__eq__',), (), (1,)))", "b'E' + encode(('type', 'K', (('A', 1),), None, 'A', 1))",
      "b'E' + encode(('Enum', 'K', (('mro', 1),), None, 'mro', 1))", "b'a99;'", "b'lffffffff:'", "b'Gs5:print0:'",
      "b'As1:O0:'", "b'X4:list' + encode(())", "b'Q' + encode('x') + b'0:'", "b'e1:l0:'", "b'X4:keys' + encode((1,))",
    ])
    func forgedValuesAreRefused(_ value: String) async throws {
      let source = """
        import sys
        def f(x):
            space = sys._getframe(2).f_globals
            encode, send = space['encode'], space['send']
            space['send'] = lambda to, letter, token, data: send(to, b'v', token, \(value))
        """
      let result = try await run(source, "assert c(2) == 3")
      #expect(result.outcome == .protocol, "\(result)")
    }

    /// The test's process goes on after its verdict, which stands all the same.
    @Test func verdictStandsThoughTheProcessStays() async throws {
      let result = try await run(
        "def f(x): return 3",
        "import posix, time\nposix._exit = lambda code: time.sleep(60)\nassert c(2) == 3", timeout: 2)
      #expect(result.outcome == .passed, "\(result)")
      #expect(result.seconds < 30)
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv"), "needs setpriv"))
    func withoutASandboxProgramsEndWithTheirParent() throws {
      let tools = try Sandbox.detect(unsandboxed: true).tools
      let command = tools.command("", filter: nil, memory: 64, processor: 1)
      #expect(command.starts(with: ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--"]))
    }
  }
}
