import FurlSpec
import FurlBase
import FurlEvaluate
import FurlTestSupport
import Foundation
import Testing

extension ExecutionTests {
  @Suite struct CorrectProgramTests {
    /// Runs every problem's own solution; gives what did not pass.
    private func failures(problems path: String, workers: Int = 2) async throws -> [ProgramResult] {
      let suite = try Suite(path: path)
      let problems = try #require(suite.problems.programs)
      #expect(problems.count == 164)
      let lines = try JSON.parseLines(Inputs.unpacked(path), file: path)
      let solutions = lines.map { $0["canonical_solution"]?.string ?? "" }
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

    /// The completions of the FP32 model, judged as its authors' harness judged them.
    @Test(.enabled(if: TestData.shared != nil, "needs the reference's completions"))
    func completionsOfTheReferenceAreJudgedAsThere() async throws {
      let folder = try #require(TestData.shared) + "/reference-model"
      let suite = try Suite(path: folder + "/minieval.jsonl")
      let problems = try #require(suite.problems.programs)
      let reference = try JSON.parse(TestData.bytes(folder + "/reference.json"), file: nil)["fp32"]
      let entries = reference?["minieval"]?.array ?? []
      #expect(entries.count == 164)
      let programs = zip(problems, entries).map { problem, entry in
        Program(problem, completion: entry["completion"]?.string ?? "", protocol: suite.protocol)
      }
      let results = try await ProgramRunner(sandbox: try Sandbox.detect(), workers: 2).run(programs)
      #expect(results.map { $0.outcome == .passed } == entries.map { $0["passed"]?.bool })
      #expect(results.map(\.id.description) == entries.map { $0["task_id"]?.string })
      #expect(Set(results.map(\.outcome)) == [.passed, .wrongAnswer])
    }

    @Test(.enabled(if: TestData.shared != nil, "needs HumanEval"))
    func everySolutionOfHumanEvalPasses() async throws {
      let folder = try #require(TestData.shared)
      #expect(try await failures(problems: folder + "/data/HumanEval.jsonl.gz") == [])
    }
  }
}
