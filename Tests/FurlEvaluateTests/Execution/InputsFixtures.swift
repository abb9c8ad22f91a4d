import FurlSpec
import FurlBase
import FurlEvaluate
import FurlTestSupport

/// What the tests of programs that are put to inputs share.
enum Inputs {
  /// A problem in the form of HumanEval+: `f`, its own solution, and inputs as JSON.
  static func problem(
    _ solution: String, base: String, plus: String = "[]", atol: Double = 0, id: String = "t/0",
    entryPoint: String = "f"
  ) -> ProgramProblem {
    let line: JSON = [
      "task_id": .string(id), "prompt": "\n", "entry_point": .string(entryPoint),
      "canonical_solution": .string(solution),
      "atol": .number(atol),
    ]
    let text = String(line.compactText.dropLast()) + ", \"base_input\": \(base), \"plus_input\": \(plus)}"
    return ProgramProblem(
      taskID: id, prompt: "\n", entryPoint: entryPoint,
      inputs: InputTests(line: Array(text.utf8), solution: solution, hasPlus: plus != "[]"))
  }

  static func settings(sanitize: SuiteProtocol.Sanitizer = .none) -> SuiteProtocol {
    var settings = SuiteProtocol(defaultsOf: .passAt1)
    settings.tests = .plus
    settings.sanitize = sanitize
    settings.timeout = 60
    settings.memory = 4096
    return settings
  }

  /// What whole programs for one problem come to.
  static func results(
    _ problem: ProgramProblem, _ sources: [String], _ settings: SuiteProtocol = settings()
  ) async throws -> [ProgramResult] {
    let runner = ProgramRunner(sandbox: try Sandbox.detect(), workers: 2)
    return try await runner.run(sources.map { Program(problem, source: $0, protocol: settings) })
  }

  /// The content of a file that may be compressed.
  static func unpacked(_ path: String) throws -> [UInt8] {
    let bytes = try TestData.bytes(path)
    return Gzip.isCompressed(bytes) ? try Gzip.decompress(bytes, file: path, limit: 1 << 28) : bytes
  }
}
