import FurlSpec
import FurlEvaluate

/// What the tests of execution share.
enum Fixtures {
  /// Nil, with the reason printed once, where this machine has no sandbox.
  static let sandbox: Sandbox? = {
    do {
      return try Sandbox.detect()
    } catch {
      print("tests of execution are skipped: \(error)")
      return nil
    }
  }()

  /// A program of its own, with a test that expects `f(2) == 3`.
  static func program(
    _ source: String, prompt: String = "def f(x):\n    \"\"\"One more.\"\"\"\n", entryPoint: String = "f",
    test: String = "def check(candidate):\n    assert candidate(2) == 3\n", timeout: Double = 10, memory: Int = 1024
  ) -> Program {
    var settings = SuiteProtocol(defaultsOf: .passAt1)
    settings.timeout = timeout
    settings.memory = memory
    var program = Program(
      ProgramProblem(taskID: "t", prompt: prompt, entryPoint: entryPoint, test: test), completion: "",
      protocol: settings)
    program.source = source
    return program
  }

  static func run(_ program: Program) async throws -> ProgramResult {
    let sandbox = try Sandbox.detect()
    return try await ProgramRunner(sandbox: sandbox, workers: 1).run(program)
  }
}
