import FurlBase
import FurlEvaluate
import FurlReport
import FurlSpec
import Foundation
import Testing

/// Verdicts as people and build servers read them.
@Suite struct GateDrawingTests {
  private func evaluation(_ passed: [Bool]) throws -> EvaluationReport {
    let problems = passed.indices.map {
      ProgramProblem(taskID: "p/\($0)", prompt: "p", entryPoint: "f", test: "t")
    }
    let suite = Suite(
      name: "minieval", file: "p.jsonl", sha256: Digest(of: [0]), protocol: SuiteProtocol(defaultsOf: .passAt1),
      problems: .programs(problems))
    return try EvaluationReport(
      suite: suite, model: .init(path: "a.furl", digest: Digest(of: [1])), seconds: 1,
      results: .programs(
        passed.enumerated().map { index, passed in
          .init(
            id: .text("p/\(index)"), outcome: passed ? .passed : .wrongAnswer, detail: nil, tokens: 1,
            stopReason: "eos")
        }))
  }

  private func report(_ passed: [Bool], baseline: [Bool], name: String = "a.furl") throws -> GateReport {
    let gates = [
      Gate(suite: "minieval", metric: .passAt1, min: 0.5, maxDrop: 0.05),
      Gate(suite: "minieval", metric: .passAt1, maxDrop: 0.001),
    ]
    let checks = try gates.flatMap { try $0.check(evaluation(passed), baseline: evaluation(baseline)) }
    return try GateReport(artifact: name, gatesFrom: "g.yaml", checks: checks)
  }

  private let solved = [Bool](repeating: true, count: 200)

  @Test func annotationsAreEscaped() throws {
    let mixed = try report((0..<200).map { $0 >= 101 }, baseline: solved, name: "100%,\r\nx:y.furl")
    let lines = GitHubText.annotations(mixed)
    #expect(lines.filter { $0.hasPrefix("::error ") }.count == 3)
    #expect(lines.allSatisfy { !$0.contains("\n") && !$0.contains("\r") })
    let title = "100%25%2C\\u{d}\\u{a}x%3Ay.furl%3A minieval pass_at_1 min 0.5"
    #expect(lines[0].hasPrefix("::error title=\(title)::99 of 200"))
    #expect(lines.last?.hasPrefix("::notice title=furl verify::") == true)
    let unsure = try report(solved, baseline: solved)
    #expect(GitHubText.annotations(unsure).map { String($0.prefix(9)) } == ["::warning", "::notice "])
  }

  /// That a machine was busy changes what a verdict is worth, wherever it is read.
  @Test func notesAreShown() throws {
    func noted(_ notes: [String]) throws -> EvaluationReport {
      var report = try evaluation(solved)
      report.notes = notes
      return report
    }
    var evidence = GateReport.Evidence()
    evidence.add(try noted(["the machine was busy"]), baseline: try noted(["2 < 3 programs are no Python"]))
    let check = try Gate(suite: "minieval", metric: .passAt1, min: 0.5).check(evaluation(solved))
    let report = try GateReport(artifact: "a.furl", gatesFrom: "g.yaml", checks: check, evidence: evidence)
    let notes = ["minieval: the machine was busy", "minieval of the baseline: 2 < 3 programs are no Python"]
    #expect(report.json["notes"]?.array?.map(\.string) == notes)
    for note in notes {
      #expect(GateText.lines(report).contains("note: " + note))
      #expect(GateExplanation.lines(report).contains("note: " + note))
    }
    #expect(GitHubText.summary(report).contains("- note: minieval of the baseline: 2 \\< 3 programs"))
    #expect(report.junit.contains("<property name=\"note 1\" value=\"minieval: the machine was busy\"/>"))
    #expect(report.junit.contains("value=\"minieval of the baseline: 2 &lt; 3 programs are no Python\"/>"))
  }

  @Test func onlySoManyAnnotations() throws {
    var many = try report((0..<200).map { $0 >= 101 }, baseline: solved)
    many.checks = [GateCheck](repeating: many.checks[0], count: 40)
    #expect(GitHubText.annotations(many).count == 11)
  }

  @Test func summaryIsMarkdown() throws {
    let summary = GitHubText.summary(try report(solved, baseline: solved, name: "a*b.furl"))
    #expect(summary.hasPrefix("### \u{26A0}\u{FE0F} furl verify a\\*b.furl: inconclusive\n\n| gate"))
    #expect(summary.contains("\n- minieval pass\\_at\\_1: 200 problems are too few"))
    #expect(summary.hasSuffix("Gates of g.yaml.\n\n"))
  }

  @Test func explanationsSayWhereVerdictsComeFrom() throws {
    let text = GateExplanation.lines(try report((0..<200).map { $0 >= 4 }, baseline: solved)).joined(separator: "\n")
    for words in [
      "minieval pass_at_1, min 0.5: pass", "the bound is exact on this fixed set",
      "baseline 100.0 %; 4 regressions and 0 fixes among 200 problems: flips 2.0 %", "(Tango)", "(Newcombe)",
      "McNemar's exact p of no change at all: 0.125", "this sample shows a drop of at most", "one-sided limits",
      "2 gates compare with the baseline", "a.furl: fail (gates of g.yaml: 2 pass, 1 fail)",
    ] { #expect(text.contains(words), "\(words)\n\(text)") }
  }
}
