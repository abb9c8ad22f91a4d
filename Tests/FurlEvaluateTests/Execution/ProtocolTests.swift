import FurlBase
import FurlEvaluate
import Testing

extension ExecutionTests {
  /// What crosses the pipe, and what the outcomes say.
  @Suite struct ProtocolTests {
    private func outcome(_ body: String, test: String) async throws -> ProgramResult {
      var program = Fixtures.program(body)
      program.test = "import math\ndef check(candidate):\n    \(test)\n"
      return try await Fixtures.run(program)
    }

    /// The program returns what the test passes it; the test compares type and value.
    @Test(arguments: [
      "None", "True", "False", "0", "-1", "10**3000", "-(2**64)", "0.1", "-0.0", "float('inf')", "1e308", "5e-324",
      "''", "'a\\x00b\\n'", "'\\ud800'", "'\\U0001F426'", "[]", "[1, [2, [3]]]", "()", "(1, (2, (3,)))", "{}",
      "{1: 'a', 'b': [2], (1, 2): None}", "set()", "{1, 2, 'a'}", "frozenset([1])", "{frozenset([1]), frozenset()}",
      "[None, True, 1.5, 'x', (1,), {2}, {3: 4}]",
    ])
    func plainValuesCross(_ value: String) async throws {
      let test = "v = \(value); r = candidate(v); assert r == v and repr(r) == repr(v), repr(r)"
      let result = try await outcome("def f(x): return x", test: test)
      #expect(result.outcome == .passed, "\(result)")
    }

    @Test func notANumberCrosses() async throws {
      let result = try await outcome("def f(x): return [float('nan')]", test: "assert math.isnan(candidate(1)[0])")
      #expect(result.outcome == .passed, "\(result)")
    }

    @Test(arguments: [
      ("collections.OrderedDict(a=1)", "{'a': 1}"), ("collections.Counter('aab')", "{'a': 2, 'b': 1}"),
      ("collections.namedtuple('P', 'x y')(1, 2)", "(1, 2)"), ("enum.IntEnum('E', 'A')(1)", "1"),
      ("type('S', (str,), {})('a')", "'a'"), ("type('F', (float,), {})(-0.0)", "-0.0"),
      ("type('L', (list,), {})([1])", "[1]"), ("collections.defaultdict(int, {1: 2})", "{1: 2}"),
    ])
    func subclassesEqualTheirBaseAndAreNot(_ made: String, _ expected: String) async throws {
      let result = try await outcome(
        "import collections, enum\ndef f(x): return \(made)",
        test: "r = candidate(0); e = \(expected); assert r == e and type(r) is not type(e) and isinstance(r, type(e))")
      #expect(result.outcome == .passed, "\(result)")
    }

    @Test func argumentsWithNamesCross() async throws {
      let result = try await outcome("def f(x, *, y): return x - y", test: "assert candidate(3, y=1) == 2")
      #expect(result.outcome == .passed, "\(result)")
    }

    @Test(arguments: [
      ("raise ValueError('v')", "ValueError"), ("return {}['k']", "KeyError"), ("return 1 / 0", "ZeroDivisionError"),
      ("return b'\\xff'.decode()", "ValueError"), ("return f(x)", "RecursionError"), ("assert False", "AssertionError"),
      ("raise type('Own', (LookupError,), {})('v')", "LookupError"), ("return missing", "NameError"),
    ])
    func exceptionsAreRaisedAgain(_ statement: String, _ name: String) async throws {
      let source = "def f(x):\n    \(statement)\n"
      let caught = "try: candidate(1)\n    except \(name): return\n    assert False"
      let result = try await outcome(source, test: caught)
      #expect(result.outcome == .passed, "\(result)")
      // Without the handler it ends the test, as an error of the program.
      #expect(try await outcome(source, test: "candidate(1)").outcome == .error)
    }

    @Test func ownExceptionIsNoneOfTheBuiltinOnes() async throws {
      let source = "class Own(Exception): pass\ndef f(x):\n    raise Own('why\\n\\x1b[31m' + 'x' * 1000)\n"
      let result = try await outcome(source, test: "try: candidate(1)\n    except Exception: return")
      #expect(result.outcome == .passed, "\(result)")
      let ended = try await outcome(source, test: "candidate(1)")
      #expect(ended.outcome == .error)
      #expect(ended.detail?.hasPrefix("Own: why\\u{a}\\u{1b}[31mxxx") == true)
      #expect(ended.detail?.count == 200)
    }

    @Test(arguments: [
      ("def f(x) return x", Outcome.error, "SyntaxError"), ("import numpy", .error, "ModuleNotFoundError"),
      ("def g(x): return 3", .error, "NameError: the program does not define 'f'"), ("f = 3", .error, "TypeError"),
      ("def f(x): return 4", .wrongAnswer, "AssertionError"), ("def f(x): return None", .wrongAnswer, "AssertionError"),
      ("def f(): return 3", .error, "TypeError"), ("", .error, "NameError"), ("def f(x): return 3 # \u{0}", .error, ""),
    ])
    func wrongProgramsSayWhy(_ source: String, _ outcome: Outcome, _ detail: String) async throws {
      let result = try await Fixtures.run(Fixtures.program(source))
      #expect(result.outcome == outcome)
      #expect(result.detail?.hasPrefix(detail) == true, "\(result)")
    }

    @Test func testCallsHelpersOfThePromptAndTheEntryPointByName() async throws {
      var program = Fixtures.program("def double(x): return 0\ndef f(x): return x + 1")
      program.prompt = "def double(x):\n    return 2 * x\n\ndef f(x):\n    # one more\n"
      program.test = "def check(candidate):\n    assert double(candidate(1)) == double(f(1)) == 4\n"
      #expect(try await Fixtures.run(program).outcome == .passed)
    }

    @Test(arguments: [
      "def f(x):\n", "def f(x):", "class A:\n    def f(self, x):\n", "if True:\n    def f(x):\n        # todo",
    ])
    func unfinishedPromptsAreCompleted(_ prompt: String) async throws {
      var program = Fixtures.program("def f(x): return x + 1")
      program.prompt = prompt
      #expect(try await Fixtures.run(program).outcome == .passed)
    }

    @Test(arguments: [
      ("def f(x)", "def check(candidate): pass", "the prompt is no Python"),
      ("import nothing_there\ndef f(x):", "def check(candidate): pass", "the prompt fails"),
      ("def f(x):", "def check(candidate)", "the test is no Python"),
      ("def f(x):", "x = 1", "does not define check"),
      ("def f(x):", "def check(candidate): undefined", "fails before it calls the program"),
      ("def f(x):", "def check(candidate): candidate(object())", "passes what cannot be sent"),
    ])
    func wrongProblemsAreErrors(_ prompt: String, _ test: String, _ problem: String) async throws {
      var program = Fixtures.program("def f(x): return 3")
      program.prompt = prompt
      program.test = test
      let error = await #expect(throws: FurlError.self) { try await Fixtures.run(program) }
      #expect(error?.kind == .input)
      #expect(error?.description.contains("problem t: ") == true)
      #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
    }

    @Test func orderOfSetsIsAlwaysTheSame() async throws {
      let source = "def f(x): return list({'apple', 'pear', 'fig', 'plum', 'kiwi', 'lime'})"
      let test = "def check(candidate): raise ValueError(candidate(0))"
      var details: Set<String> = []
      for _ in 0..<3 {
        var program = Fixtures.program(source)
        program.test = test
        details.insert(try await Fixtures.run(program).detail ?? "")
      }
      #expect(details.count == 1)
    }
  }
}
