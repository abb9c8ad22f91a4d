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
