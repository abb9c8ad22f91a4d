import FurlBase
@testable import FurlEvaluate
import FurlTestSupport
import Foundation
import Testing

extension ExecutionTests {
  /// HumanEval+ against EvalPlus's own verdicts. Some problems by default; all with `FURL_THOROUGH` set.
  @Suite(.enabled(if: TestData.shared != nil, "needs HumanEval+"))
  struct EvalPlusTests {
    private func problems(_ name: String) throws -> [ProgramProblem] {
      let suite = try Suite(path: try #require(TestData.shared) + "/data/\(name)")
      let problems = try #require(suite.problems.programs)
      #expect(problems.count == 164 && suite.protocol.tests == .plus && suite.protocol.prompt == .evalplus)
      return problems
    }

    private func settings() -> SuiteProtocol {
      var settings = Inputs.settings(sanitize: .evalplus)
      settings.tests = .plus
      return settings
    }

    @Test func ownSolutionsPass() async throws {
      let all = try problems("HumanEvalPlus-Mini.jsonl.gz")
      let chosen =
        TestData.isThorough
        ? all : all.filter { ["0", "2", "32", "38", "50", "115"].contains($0.taskID.split(separator: "/")[1]) }
      let settings = settings()
      let programs = chosen.map { problem in
        var program = Program(problem, source: problem.prompt + (problem.inputs?.solution ?? ""), protocol: settings)
        program.sanitizes = true
        return program
      }
      let results = try await ProgramRunner(sandbox: try Sandbox.detect(), workers: 2).run(programs)
      #expect(results.filter { $0.outcome != .passed || $0.base != .passed } == [])
    }

    /// See Tests/Fixtures/evalplus/make_verdicts.py.
    @Test func verdictsOnChangedSolutionsAreEvalPluss() async throws {
      let all = try problems("HumanEvalPlus.jsonl.gz")
      let file = TestData.root + "/Tests/Fixtures/evalplus/verdicts.json"
      let rows = try #require(JSON.parse(TestData.bytes(file), file: file).array)
      #expect(rows.count == 500)
      // Those whose own solution takes long are for thorough runs.
      let slow: Set = [15, 36, 39, 55, 59, 63, 83, 94, 96, 100, 123, 129, 130, 139]
      let chosen = rows.filter { row in
        let index = row[0]?.integer ?? 0
        return TestData.isThorough || (!slow.contains(index) && index % 7 == 3)
      }
      let settings = settings()
      let programs = chosen.map { row in
        let problem = all[row[0]?.integer ?? 0]
        let whole = Array((problem.prompt + (problem.inputs?.solution ?? "")).unicodeScalars)
        var text = String.UnicodeScalarView(whole[..<(row[1]?.integer ?? 0)])
        text.append(contentsOf: (row[3]?.string ?? "").unicodeScalars)
        text.append(contentsOf: whole[(row[2]?.integer ?? 0)...])
        var program = Program(problem, source: String(text), protocol: settings)
        program.sanitizes = true
        return program
      }
      let results = try await ProgramRunner(sandbox: try Sandbox.detect(), workers: 2).run(programs)
      var compared = 0
      for (row, result) in zip(chosen, results) {
        let digest = Digest(of: Array((result.solution ?? "").utf8)).hex.prefix(12)
        #expect(digest == row[4]?.string ?? "", "\(row): \(result)")
        let (base, plus) = (row[5]?.string, row[6]?.string)
        // What one of the two ran out of time on depends on the machine.
        if base == "t" || plus == "t" || result.outcome == .timeout { continue }
        compared += 1
        #expect((result.base == .passed) == (base == "p"), "\(row): \(result)")
        #expect((result.outcome == .passed) == (base == "p" && plus == "p"), "\(row): \(result)")
      }
      print("\(compared) of \(chosen.count) verdicts compared with EvalPlus's")
      #expect(compared > chosen.count * 9 / 10)
    }
  }
}
