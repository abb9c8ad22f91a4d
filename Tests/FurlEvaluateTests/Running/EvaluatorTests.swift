import FurlBase
import FurlEvaluate
import FurlModel
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

@Suite struct EvaluatorTests {
  @Test func resultsDoNotDependOnSlotsOrThreads() async throws {
    try await TestData.withTemporaryFolder { folder in
      let suite = try Suite(path: Running.writeLines(30, named: "tiny", in: folder))
      var found: [Evaluator.EvaluationOutcome] = []
      for (slots, threads) in [(1, 1), (7, 2), (64, 2)] {
        let subject = try LoadedModel(path: TestData.minipy, context: Running.context(threads: threads))
        found.append(try await Evaluator(.init(slots: slots)).run(suite, on: subject))
      }
      #expect(
        found.allSatisfy { $0.completions == found[0].completions && $0.report.results == found[0].report.results })
    }
  }

  /// Truths and another model's completions are checked before anything is generated; nothing of the results shows it.
  @Test func resultsDoNotDependOnDrafts() async throws {
    try await TestData.withTemporaryFolder { folder in
      let suite = try Suite(path: Running.writeLines(60, named: "tiny", in: folder))
      let subject = try Running.minipy()
      var options = Evaluator.EvaluationOptions()
      options.verifiesLines = false
      let plain = try await Evaluator(options).run(suite, on: subject)
      options.verifiesLines = true
      let verified = try await Evaluator(options).run(suite, on: subject)
      #expect(plain.completions == verified.completions && plain.report.results == verified.report.results)
      options.drafts = Dictionary(uniqueKeysWithValues: plain.completions.map { ($0.id, $0.text) })
      let drafted = try await Evaluator(options).run(suite, on: subject)
      #expect(plain.completions == drafted.completions && plain.report.results == drafted.report.results)
      // A compressed model with FP32's completions for drafts.
      let path = folder + "/int4.furl"
      try Running.writeArtifact(of: TestData.minipy, to: path, scheme: .int4(.columns(32)))
      let artifact = try LoadedModel(path: path, context: Running.context())
      let checked = try await Evaluator(options).run(suite, on: artifact)
      options.drafts = [:]
      options.verifiesLines = false
      let generated = try await Evaluator(options).run(suite, on: artifact)
      #expect(checked.completions == generated.completions && checked.completions != plain.completions)
    }
  }

  @Test(.enabled(if: Fixtures.sandbox != nil, "needs a sandbox"))
  func severalCompletionsGivePassAtK() async throws {
    let suite = try Suite(path: TestData.minipy + "/minieval.yaml")
    var options = Evaluator.EvaluationOptions(limit: 5)
    options.overrides.draws = 4
    await Running.expectError(.usage, "all the same at temperature 0") {
      _ = try await Evaluator(options).run(suite, on: Running.minipy())
    }
    options.overrides.temperature = 3
    options.overrides.maxTokens = 32
    let subject = try Running.minipy()
    let outcome = try await Evaluator(options).run(suite, on: subject)
    #expect(outcome.completions.count == 20 && outcome.report.limit == 5)
    #expect(Set(outcome.completions.map(\.text)).count > 8)
    let items = try #require(outcome.report.results.programs)
    #expect(items.count == 5 && items.allSatisfy { $0.draws.count == 4 && $0.draws[0] == $0.outcome })
    #expect(outcome.report.passCounts == [1, 4] && outcome.report.passAt(5) == nil)
    let passes = items.map { Double($0.draws.count { $0 == .passed }) }
    #expect(abs((outcome.report.passAt(1) ?? -1) - passes.reduce(0, +) / 20) < 1e-12)
    #expect(outcome.report.passAt(4) == Double(passes.count { $0 > 0 }) / 5)
    #expect(try EvaluationReport(outcome.report.json, file: nil) == outcome.report)
    // The same seeds give the same completions, whatever else is generated.
    options.slots = 3
    #expect(try await Evaluator(options).run(suite, on: subject).completions == outcome.completions)
    options.overrides.seed = 1
    #expect(try await Evaluator(options).run(suite, on: subject).completions != outcome.completions)
    options.overrides.seed = nil
    // And they score the same when they come from a file.
    try await TestData.withTemporaryFolder { folder in
      let path = folder + "/s.jsonl"
      try TestData.write(Array(Samples.text(outcome.report.results, outcome.completions).utf8), to: path)
      let given = try Samples.completions(path: path, of: suite.problems.prefix(5), draws: 4)
      #expect(given == outcome.completions)
      let scored = try await Evaluator(options).score(given, of: suite, origin: path)
      #expect(scored.report.results == outcome.report.results)
      #expect(throws: FurlError.self) { try Samples.completions(path: path, of: suite.problems.prefix(5), draws: 3) }
    }
  }

  @Test func limitsAndOverridesAreReported() async throws {
    try await TestData.withTemporaryFolder { folder in
      let suite = try Suite(path: Running.writeLines(12, named: "tiny", in: folder))
      var options = Evaluator.EvaluationOptions(limit: 5)
      options.overrides.maxTokens = 3
      options.overrides.context = 64
      let outcome = try await Evaluator(options).run(suite, on: Running.minipy())
      #expect(outcome.completions.count == 5 && outcome.completions.allSatisfy { ($0.tokens ?? 9) <= 3 })
      #expect(outcome.report.limit == 5 && outcome.report.suite.count == 12)
      #expect(outcome.report.protocol.maxTokens == 3 && outcome.report.protocol.context == 64)
      #expect(outcome.report.overrides == ["max_tokens", "context"])
      #expect(try EvaluationReport(outcome.report.json, file: nil) == outcome.report)
      // A limit beyond the suite is none.
      options.limit = 100
      #expect(try await Evaluator(options).run(suite, on: Running.minipy()).report.limit == nil)
    }
  }

  @Test func settingsThatLeaveNoRoom() async throws {
    try await TestData.withTemporaryFolder { folder in
      let suite = try Suite(path: Running.writeLines(2, named: "tiny", in: folder))
      for (tokens, context) in [(512, nil), (600, 300), (20, 20)] as [(Int, Int?)] {
        var options = Evaluator.EvaluationOptions()
        options.overrides.maxTokens = tokens
        options.overrides.context = context
        let subject = try Running.minipy()
        await Running.expectError(.usage, "max_tokens \(tokens)", "leaves no room") {
          _ = try await Evaluator(options).run(suite, on: subject)
        }
      }
      // A report never says a context that the model does not have.
      var options = Evaluator.EvaluationOptions()
      options.overrides.context = 513
      let subject = try Running.minipy()
      await Running.expectError(.usage, "513 is longer than the model's 512", "--context") {
        _ = try await Evaluator(options).run(suite, on: subject)
      }
    }
  }

  @Test(.enabled(if: Fixtures.sandbox != nil, "needs a sandbox"))
  func completionsFromElsewhereScoreTheSame() async throws {
    try await TestData.withTemporaryFolder { folder in
      let subject = try Running.minipy()
      for name in ["minieval", "lines"] {
        let suite = try Suite(path: TestData.minipy + "/\(name).yaml")
        let own = try await Evaluator(.init(limit: 20)).run(suite, on: subject)
        let path = folder + "/\(name).jsonl"
        try TestData.write(Array(Samples.text(own.report.results, own.completions).utf8), to: path)
        let given = try Samples.completions(path: path, of: suite.problems.prefix(20))
        #expect(given == own.completions)
        let scored = try await Evaluator(.init(limit: 20)).score(given, of: suite, origin: path)
        #expect(scored.report.results == own.report.results && scored.report.limit == 20)
        #expect(scored.report.model == .init(path: "\(name).jsonl", digest: nil))
        // Completions beyond the limit are left out.
        let fewer = try await Evaluator(.init(limit: 7)).score(given, of: suite, origin: path)
        #expect(fewer.report.limit == 7 && fewer.completions.count == 7)
      }
    }
  }

  @Test func aTextHasNoCompletions() async throws {
    let suite = try Suite(path: TestData.minipy + "/validation.yaml")
    await Running.expectError(.usage, "no completions") { _ = try await Evaluator().score([], of: suite, origin: "x") }
  }
}

/// Perplexity and KL divergence.
@Suite struct TextTests {
  private func suite(_ folder: String, bytes count: Int, context: Int) throws -> Suite {
    let text = try TestData.bytes(TestData.minipy + "/validation.txt").prefix(count)
    try TestData.write(Array(text), to: folder + "/text.txt")
    var suite = try Suite(path: folder + "/text.txt")
    suite.protocol.context = context
    return suite
  }

  /// The perplexity and its interval by a GPT-2 written in NumPy (double precision), over the same tokens.
  @Test func perplexityEqualsNumPy() async throws {
    let suite = try Suite(path: TestData.minipy + "/validation.yaml")
    let report = try await Evaluator().run(suite, on: Running.minipy()).report
    let figures = try #require(report.results.text)
    #expect(figures.tokens == 14_280 && figures.klDivergence == nil)
    #expect(abs(figures.perplexity / 2.257470851126059 - 1) < 1e-4)
    #expect(abs((figures.interval95?.lowerBound ?? 0) / 2.173554848390847 - 1) < 1e-4)
    #expect(abs((figures.interval95?.upperBound ?? 0) / 2.3446266596201504 - 1) < 1e-4)
  }

  @Test func aModelDoesNotDivergeFromItself() async throws {
    try await TestData.withTemporaryFolder { folder in
      let suite = try suite(folder, bytes: 8000, context: 128)
      let model = try Running.minipy()
      let same = try await Evaluator().run(suite, on: model, baseline: Running.minipy())
      let alone = try await Evaluator().run(suite, on: model)
      #expect(same.report.klDivergence == 0 && alone.report.klDivergence == nil)
      let figures = try #require(same.report.results.text)
      #expect(figures.comparison?.sameTop.value == 1)
      #expect(same.report.perplexity == alone.report.perplexity)
      // Quantized, it diverges a little, and more with fewer bits.
      var last = 0.0
      for scheme in [Scheme.int8(.columns(32)), .int4(.columns(32))] {
        let path = folder + "/\(scheme.codingName).furl"
        try Running.writeArtifact(of: TestData.minipy, to: path, scheme: scheme)
        let artifact = try LoadedModel(path: path, context: Running.context())
        let outcome = try await Evaluator().run(suite, on: artifact, baseline: model)
        let divergence = outcome.report.klDivergence ?? .infinity
        #expect(divergence > 4 * last && divergence < 0.5)
        let figures = try #require(outcome.report.results.text)
        #expect((0.7..<1).contains(figures.comparison?.sameTop.value ?? 0))
        last = max(divergence, 1e-6)
      }
    }
  }

  @Test func textsThatCannotBeScored() async throws {
    try await TestData.withTemporaryFolder { folder in
      let subject = try Running.minipy()
      let short = try suite(folder, bytes: 40, context: 128)
      await Running.expectError(.input, "one chunk has 128") { _ = try await Evaluator().run(short, on: subject) }
      let narrow = try suite(folder, bytes: 4000, context: 3)
      await Running.expectError(.usage, "too short") { _ = try await Evaluator().run(narrow, on: subject) }
    }
  }
}
