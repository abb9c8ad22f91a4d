import FurlBase
@testable import FurlEvaluate
import FurlTestSupport
import Foundation
import Testing

extension ExecutionTests {
  /// Programs that are put to inputs, as EvalPlus does it.
  @Suite struct InputsTests {
    @Test func baseAndFurtherInputsDecide() async throws {
      let problem = Inputs.problem("def f(x): return abs(x)", base: "[[1], [2]]", plus: "[[-1]]")
      let results = try await Inputs.results(
        problem,
        [
          "def f(x): return max(x, -x)", "def f(x): return x", "def f(x): return 1", "def g(x): return x", "def f(x:",
          "def f(x): return 1 // (x + 1) and x", "import sys\ndef f(x): sys.exit(0)", "def f(x): return object()",
        ])
      #expect(
        results.map(\.outcome) == [
          .passed, .wrongAnswer, .wrongAnswer, .error, .error, .wrongAnswer, .exited, .protocol,
        ])
      #expect(
        results.map(\.base) == [.passed, .passed, .wrongAnswer, .error, .error, .wrongAnswer, .exited, .protocol])
      #expect(results[1].detail == "input 0")
      var settings = Inputs.settings()
      settings.tests = .base
      #expect(try await Inputs.results(problem, ["def f(x): return x"], settings).map(\.outcome) == [.passed])
    }

    /// Answers and verdicts of EvalPlus itself.
    @Test(.enabled(if: Vectors.file != nil, "needs the vectors"))
    func comparisonsAreEvalPluss() async throws {
      let vectors = Vectors.list("output_compare")
      #expect(vectors.count == 27)
      for vector in vectors {
        let expected = try #require(vector["expected"]?.string)
        let outputs = try #require(vector["outputs"]?.array).compactMap(\.string)
        let inputs = "[" + outputs.indices.map { "[\($0)]" }.joined(separator: ",") + "]"
        let problem = Inputs.problem(
          "from math import inf, nan\ndef f(i): return \(expected)[i]", base: inputs, atol: vector["atol"]?.number ?? 0)
        let source = "def f(i): return (\(outputs.joined(separator: ", ")),)[i]"
        let result = try await Inputs.results(problem, [source])
        #expect((result[0].outcome == .passed) == (vector["status"]?.string == "pass"), "\(vector) \(result)")
      }
    }

    @Test(.enabled(if: Vectors.file != nil, "needs the vectors"))
    func sanitizerIsEvalPluss() async throws {
      let vectors = Vectors.list("sanitize")
      #expect(vectors.count == 24)
      for vector in vectors {
        let entry = try #require(vector["entry_point"]?.string)
        let problem = Inputs.problem("def \(entry)(x): return x", base: "[[1]]", entryPoint: entry)
        var program = Program(
          problem, source: try #require(vector["code"]?.string), protocol: Inputs.settings())
        program.sanitizes = true
        let result = try await ProgramRunner(sandbox: try Sandbox.detect(), workers: 1).run(program)
        #expect(result.solution == vector["expected"]?.string)
      }
    }

    @Test func tabsOfCompletionsBecomeSpaces() async throws {
      let problem = Inputs.problem("def f(x): return x", base: "[[\"a\"]]")
      let program = Program(
        problem, completion: "def f(x):\n\treturn '\t' and x\nprint(f(1))",
        protocol: Inputs.settings(sanitize: .evalplus))
      let result = try await ProgramRunner(sandbox: try Sandbox.detect(), workers: 1).run(program)
      #expect(result.solution == "def f(x):\n    return '    ' and x" && result.outcome == .passed)
    }

    @Test func numbersStayWhatTheyAre() async throws {
      let big = "123456789012345678901234567890123"
      let problem = Inputs.problem(
        "def f(x): return [str(x), type(x).__name__, x]", base: "[[\(big)], [1], [1.0], [-0.0], [1e300], [[1, 1.0]]]")
      let exact = """
        def f(x):
            if isinstance(x, list): return [str(x), 'list', x]
            names = {'\(big)': 'int', '1': 'int', '1.0': 'float', '-0.0': 'float', '1e+300': 'float'}
            return [repr(x), names[repr(x)], x]
        """
      let results = try await Inputs.results(
        problem, [exact, "def f(x): return [str(float(x)), 'float', x]"])
      #expect(results.map(\.outcome) == [.passed, .wrongAnswer])
    }

    /// Whatever equals the expected value by Python's own rules is right, and what its class overrides is not asked.
    @Test func equalValuesOfOtherClassesPass() async throws {
      let problem = Inputs.problem(
        "def f(i): return [{'a': 1}, 3, {1, 2}, [1, 2], (1, 2), 2][i]", base: "[[0],[1],[2],[3],[4],[5]]")
      let source = """
        import collections, enum, fractions, decimal
        class N(enum.IntEnum):
            THREE = 3
        class L(list): pass
        P = collections.namedtuple('P', 'x y')
        def f(i):
            return [collections.Counter('a'), N.THREE, {1: 0, 2: 0}.keys(), L([1, 2]), P(1, 2), fractions.Fraction(4, 2)][i]
        """
      let others = ["iter([1, 2])", "range(1, 3)", "(1, 2)", "{1: 1, 2: 2}.values()", "[1, 2].__iter__", "'[1, 2]'"].map
      {
        "def f(i): return \($0) if i == 3 else [{'a': 1}, 3, {1, 2}, [1, 2], (1, 2), 2][i]"
      }
      let results = try await Inputs.results(
        problem, [source, source.replacing("fractions.Fraction(4, 2)", with: "decimal.Decimal(2)")] + others)
      #expect(results.prefix(2).map(\.outcome) == [.passed, .passed], "\(results)")
      #expect(results.dropFirst(2).allSatisfy { $0.outcome != .passed }, "\(results)")
    }

    @Test func largeAnswersAreCompared() async throws {
      let problem = Inputs.problem(
        "def f(n): return list(range(n)) if n % 2 else 'x' * n", base: "[[300001], [200000]]", plus: "[[1000001]]")
      let results = try await Inputs.results(
        problem,
        [
          "def f(n): return [*range(n)] if n % 2 else 'x' * n",
          "def f(n): return [float(i) for i in range(n)] if n % 2 else 'x' * n",
          "def f(n): return [*range(n - 1), 0] if n % 2 else 'x' * n",
          "def f(n): return [*range(n)] if n % 2 else 'y' * n",
        ])
      #expect(results.map(\.outcome) == [.passed, .passed, .wrongAnswer, .wrongAnswer], "\(results)")
    }

    @Test func timeHasItsLimits() async throws {
      var settings = Inputs.settings()
      settings.loadTimeout = 0.5
      settings.inputTimeout = 0.5
      settings.timeout = 1
      let problem = Inputs.problem("def f(x): return x", base: "[[0], [1], [2], [3], [4], [5], [6]]")
      let start = ContinuousClock.now
      let results = try await Inputs.results(
        problem,
        [
          "while True: pass", "def f(x):\n    while x == 2: pass\n    return x",
          "import time\ndef f(x):\n    time.sleep(0.4)\n    return x",
          "import time\ndef f(x):\n    try:\n        while x: pass\n    except BaseException: pass\n    return x",
        ], settings)
      #expect(results.map(\.outcome) == [.timeout, .timeout, .timeout, .timeout], "\(results)")
      #expect(results[0].detail?.hasPrefix("loading") == true && results[1].detail?.hasPrefix("input 2") == true)
      #expect(start.duration(to: .now) < .seconds(20))
    }

    @Test func wrongReferencesAreErrorsOfTheSuite() async throws {
      let problem = Inputs.problem("def f(x): return 1 // x", base: "[[0]]")
      await Running.expectError(.input, "problem t/0", "its own solution", "ZeroDivisionError") {
        _ = try await Inputs.results(problem, ["def f(x): return x"])
      }
    }

    /// The input as it was given is judged, so that a program cannot change the question.
    @Test func rootsAreJudgedOnTheInputAsGiven() async throws {
      let problem = Inputs.problem(
        "def find_zero(xs): return -0.5", base: "[[[1, 2]]]", atol: 1e-4, id: "HumanEval/32", entryPoint: "find_zero")
      let results = try await Inputs.results(
        problem,
        ["-0.5", "-0.50001", "-0.501"].map { "def find_zero(xs): return \($0)" }
          + ["def find_zero(xs):\n    xs[:] = [0, 0]\n    return 7.0"])
      #expect(results.map(\.outcome) == [.passed, .passed, .wrongAnswer, .wrongAnswer])
    }

    @Test(arguments: CheatingProgramTests.values + CheatingProgramTests.spies + CheatingProgramTests.forgers)
    func cheatDoesNotPass(_ cheat: CheatingProgramTests.Cheat) async throws {
      let problem = Inputs.problem("def f(x): return 31337", base: "[[2]]", plus: "[[3]]")
      let result = try await Inputs.results(problem, [cheat.source])[0]
      #expect(result.outcome != .passed && result.base != .passed, "\(result)")
    }

    /// Cheats on this procedure's own ways.
    @Test func cheatsOnInputsDoNotPass() async throws {
      let problem = Inputs.problem("def f(x): return [31337, x]", base: "[[2], [2]]", plus: "[[3]]")
      let sources = [
        // Answers in marshal's form that the tester must not read.
        "import marshal\nmarshal.dumps = lambda *a: b'['\ndef f(x): return 1",
        "import sys\nsys.modules['__main__'].marshal = type('M', (), {'dumps': lambda *a: b'', 'loads': lambda *a: []})\ndef f(x): return 1",
        // Other values when asked a second time.
        "import sys\nsys.modules['__main__'].LAST = [[31337, 2]]\ndef f(x): return [0.0, x]",
        "import sys\nm = sys.modules['__main__']\nm.encode = lambda *a: b'l2:i7a69;i2;'[:1]\ndef f(x): return [0, x]",
        // Everything is an iterator over the answers so far.
        "class A(list):\n    def __len__(self): return 2\n    def __iter__(self): return iter([31337, 2])\ndef f(x): return A()",
        "def f(x):\n    f.__globals__['f'] = lambda x: [31337, x]\n    return None",
        "import gc\ndef f(x): return [o for o in gc.get_objects() if type(o) is list and 31337 in o][0]",
        "import os\ndef f(x):\n    for n in range(64):\n        try: os.write(n, b'00000012v' + b'0' * 16)\n        except OSError: pass\n    return 1",
        "import signal\nsignal.raise_signal = None\ndef f(x):\n    import os\n    os.kill(os.getppid(), 14)\n    return 1",
        "float.__eq__ = lambda a, b: True\ndef f(x): return 1.0",
      ]
      let results = try await Inputs.results(problem, sources)
      #expect(results.allSatisfy { $0.outcome != .passed && $0.base != .passed }, "\(results)")
    }

    @Test(
      arguments: HostileProgramTests.files + HostileProgramTests.network + HostileProgramTests.processes
        + HostileProgramTests.exits)
    func attackComesToNothing(_ attack: HostileProgramTests.Attack) async throws {
      // It answers 3 to everything, which is right for the first input alone.
      let outcomes = attack.name == "reads its input" ? [.wrongAnswer] : attack.outcomes
      let problem = Inputs.problem("def f(x): return x + 1", base: "[[2]]", plus: "[[3]]")
      let result = try await Inputs.results(problem, [attack.source])[0]
      #expect(outcomes.contains(result.outcome), "\(result)")
      for folder in ["", "/usr", "/dev", "/tmp", "/dev/shm"] {
        #expect(!FileManager.default.fileExists(atPath: folder + "/furl-hostile"))
      }
    }
  }
}
