import FurlBase
@testable import FurlEvaluate
import FurlSpec
import FurlTestSupport
import Testing

/// What holds for every kind of suite.
@Suite struct SuiteTypeTests {
  @Test func wordsStandForTheirTypes() {
    for kind in SuiteKind.allCases { #expect(kind.type.kind == kind) }
  }

  /// A gate on a suite bounds a figure of one kind, and a bound that compares has something to compare.
  @Test func everyMetricIsAFigureOfOneKind() {
    for metric in Gate.Metric.allCases {
      let types = SuiteKind.types.filter { $0.figure(metric) != nil }
      #expect(types.count == (metric.needsSuite ? 1 : 0), "\(metric)")
      #expect(
        (metric.figure?.needsBaseline ?? false) == Gate(suite: "s", metric: metric).needsBaselineModel, "\(metric)")
    }
    #expect(SuiteKind.types.map { $0.headline.metric } == [.passAt1, .exactMatch, .perplexity])
  }

  @Test func reportsHaveTheFiguresOfTheirKind() throws {
    for report in [try Made.programs([true, false]), try Made.lines(["a", "b"], gt: ["a", "c"]), try Made.text()] {
      let type = report.suite.kind.type
      for figure in type.figures where !figure.needsBaseline {
        #expect(report.json[figure.key]?.number == report.value(figure.metric) && report.value(figure.metric) != nil)
      }
      for other in SuiteKind.types where other.kind != type.kind {
        #expect(other.figures.allSatisfy { report.value($0.metric) == nil && report.json[$0.key] == nil })
      }
      #expect(report.results.found.samples.count == report.results.ids.count)
    }
  }

  @Test func keysOfAProtocolComeOnce() {
    for kind in SuiteKind.allCases {
      let settings = SuiteProtocol(defaultsOf: kind)
      let keys = settings.json.members?.map(\.key) ?? []
      #expect(keys == kind.type.keys + kind.type.laterKeys && Set(keys).count == keys.count)
    }
  }

  /// A file that does for no kind is told what each of them looks for.
  @Test func filesAreOfTheFirstKindThatTakesThem() throws {
    // MBPP's lines have a key of PY150's files, too.
    #expect(SuiteKind.types.first { $0.takes(["task_id", "text", "code", "test_list"]) }?.kind == .passAt1)
    #expect(SuiteKind.types.first { $0.takes(["code"]) }?.kind == .lines)
    #expect(SuiteKind.types.first { $0.takes(nil) }?.kind == .text)
    #expect(!SuiteKind.types.contains { $0.takes([]) })
    let error = #expect(throws: FurlError.self) { try ProblemFile.kind(of: Array("{}".utf8), file: "a.jsonl") }
    for form in SuiteKind.types.compactMap({ $0.form }) { #expect(error?.problem.contains(form) == true) }
  }

  // MARK: One scorer for all sources

  private static let problems = (0..<3).map { LineProblem(id: .integer($0), input: "i", gt: "g\($0)", source: "s") }
  private static let suite = Suite(
    name: "lines", file: "l.jsonl", sha256: Digest(of: [2]), protocol: SuiteProtocol(defaultsOf: .lines),
    problems: .lines(problems))

  @Test func givenCompletionsAreScored() async throws {
    let completions = (0..<3).map { Completion(id: .integer($0), text: $0 == 1 ? "x" : "g\($0)", tokens: 1) }
    let outcome = try await Evaluator().score(completions, of: Self.suite, origin: "/a/c.jsonl")
    #expect(try outcome.report.results == .scoring(completions, of: Self.problems))
    #expect(outcome.completions == completions && outcome.report.exactMatch == Proportion(successes: 2, count: 3))
    #expect(outcome.report.model.path == "c.jsonl" && outcome.report.results.lines?.map(\.source) == ["s", "s", "s"])
    // Fewer are a part of the suite.
    let part = try await Evaluator().score(Array(completions.prefix(2)), of: Self.suite, origin: "c")
    #expect(part.report.limit == 2)
  }

  @Test func completionsOfOtherProblemsAreADefect() async throws {
    let others = [Completion(id: .integer(7), text: "")]
    await Running.expectError(.defect, "completion 7 is not of problem 0") {
      _ = try await Evaluator().score(others, of: Self.suite, origin: "c")
    }
    let many = (0..<4).map { Completion(id: .integer($0), text: "") }
    await Running.expectError(.defect, "more completions than problems") {
      _ = try await Evaluator().score(many, of: Self.suite, origin: "c")
    }
    #expect(try await Evaluator(.init(limit: 2)).score(many, of: Self.suite, origin: "c").completions.count == 2)
  }
}
