import FurlEvaluate
import FurlSpec
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

@Suite(.enabled(if: Fixtures.sandbox != nil, "needs a sandbox"))
struct CorrectProgramTests {
  /// Runs every problem's own solution; gives what did not pass.
  private func failures(problems path: String, workers: Int = 2) async throws -> [ProgramResult] {
    let suite = try Suite(path: path)
    guard case .programs(let problems) = suite.problems else { return [] }
    #expect(problems.count == 164)
    let solutions = try JSON.parseLines(TestData.bytes(path), file: path).map { $0["canonical_solution"]?.string ?? "" }
    var settings = suite.protocol
    settings.prompt = .raw
    settings.timeout = 30
    let programs = zip(problems, solutions).map { Program($0, completion: $1, protocol: settings) }
    let runner = ProgramRunner(sandbox: try Sandbox.detect(), workers: workers)
    let start = ContinuousClock.now
    let results = try await runner.run(programs)
    print("\(path): \(start.duration(to: .now)) in \(runner.sandbox.protection.rawValue)")
    #expect(results.map(\.id) == programs.map(\.id))
    return results.filter { $0.outcome != .passed }
  }

  @Test(.enabled(if: TestData.shared != nil, "needs MiniEval"))
  func everySolutionOfMiniEvalPasses() async throws {
    let folder = try #require(TestData.shared)
    #expect(try await failures(problems: folder + "/reference-model/minieval.jsonl") == [])
  }

  @Test(.enabled(if: TestData.shared != nil, "needs HumanEval"))
  func everySolutionOfHumanEvalPasses() async throws {
    let folder = try #require(TestData.shared)
    try await TestData.withTemporaryFolder { temporary in
      let file = temporary + "/humaneval.jsonl"
      FileManager.default.createFile(atPath: file, contents: nil)
      let gzip = Process()
      gzip.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      gzip.arguments = ["gzip", "-dc", folder + "/data/HumanEval.jsonl.gz"]
      gzip.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
      try gzip.run()
      gzip.waitUntilExit()
      #expect(try await failures(problems: file) == [])
    }
  }
}
