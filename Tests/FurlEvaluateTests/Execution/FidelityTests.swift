import Foundation
@testable import FurlEvaluate
import FurlTensor
import Testing

extension ExecutionTests {
  /// Two processes judge as one would: what a program answers, raises and changes arrives as it was.
  @Suite struct FidelityTests {
    private func run(_ source: String, _ test: String, timeout: Double = 10) async throws -> ProgramResult {
      var program = Fixtures.program(source, timeout: timeout)
      program.test = "def check(c):\n" + test.split(separator: "\n").map { "    \($0)\n" }.joined()
      return try await Fixtures.run(program)
    }

    @Test(arguments: [
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

    @Test(arguments: [
      ("raise ValueError('bad', 3)", "ValueError", "e.args == ('bad', 3)"),
      ("return {}['k']", "KeyError", "str(e) == repr('k') and e.args == ('k',)"),
      ("return b'\\xff'.decode()", "UnicodeDecodeError", "e.object == b'\\xff' and e.start == 0"),
      ("return open('/tmp/absent')", "FileNotFoundError", "e.errno == 2 and e.filename == '/tmp/absent'"),
      ("raise ValueError(object())", "ValueError", "'object object' in str(e)"),
      ("raise type('Own', (KeyError,), {'__str__': lambda s: 'own'})(1)", "KeyError", "'own' in str(e)"),
      ("raise Exception('a', 1)", "Exception", "e.args == ('a', 1)"),
    ])
    func exceptionsKeepTheirArguments(_ statement: String, _ kind: String, _ expected: String) async throws {
      let test = "try:\n    c(1)\nexcept \(kind) as e:\n    assert \(expected), e.args\nelse:\n    assert False"
      let result = try await run("def f(x):\n    \(statement)", test)
      #expect(result.outcome == .passed, "\(result)")
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
