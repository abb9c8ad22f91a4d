import FurlSpec
import FurlBase
import FurlEvaluate
import FurlModel
import FurlTestSupport
import Foundation
import Testing

/// Suites on minipy against what Hugging Face transformers generates, problem by problem.
@Suite(.serialized) struct ReferenceTests {
  private static func reference() throws -> JSON {
    let path = TestData.root + "/Tests/Fixtures/minipy/reference.json"
    return try JSON.parse(TestData.bytes(path), file: path)
  }

  @Test(.enabled(if: Fixtures.sandbox != nil, "needs a sandbox"))
  func programsEqualTransformers() async throws {
    let expected = try #require(Self.reference()["fp32"]?["minieval"]?.array)
    let outcome = try await Evaluator().run(Suite(path: TestData.minipy + "/minieval.yaml"), on: Running.minipy())
    #expect(outcome.completions.count == 164 && expected.count == 164)
    let other = zip(outcome.completions, expected).filter { $0.text != $1["completion"]?.string }
    for (completion, _) in other { print("another completion than transformers': \(completion.id)") }
    #expect(other.count <= 2)
    // Furl counts the token that ends the text, the reference does not.
    for (completion, one) in zip(outcome.completions, expected) where completion.text == one["completion"]?.string {
      let ending = completion.stopReason == "eos" ? 1 : 0
      #expect(completion.tokens == (one["tokens"]?.integer ?? -9) + ending, "\(completion.id)")
    }
    let items = try #require(outcome.report.results.programs)
    let flips = zip(items, expected).filter { $0.passed != $1["passed"]?.bool }
    #expect(flips.count <= 2)
    let passed = try #require(outcome.report.passAt1).successes
    #expect(abs(passed - 160) <= 1)
    #expect(outcome.report.limit == nil && outcome.report.model.path == "minipy")
  }

  /// A fifth of the lines by default: what is left says nothing else.
  @Test func linesEqualTransformers() async throws {
    let reference = try #require(Self.reference()["fp32"])
    let all = try #require(reference["lines"]?.array)
    #expect(all.count == 1000)
    let expected = all.prefix(TestData.isThorough ? 1000 : 200)
    let outcome = try await Evaluator(.init(limit: expected.count)).run(
      Suite(path: TestData.minipy + "/lines.yaml"), on: Running.minipy())
    let items = try #require(outcome.report.results.lines)
    #expect(items.count == expected.count && outcome.report.suite.count == 1000)
    #expect(zip(items, expected).filter { $0.exact != $1["exact"]?.bool }.count <= 1)
    let other = zip(outcome.completions, expected).filter { $0.text != $1["completion"]?.string }
    #expect(other.count <= expected.count / 200)
    for (item, one) in zip(items, expected) where item.exact == one["exact"]?.bool {
      #expect(abs(item.editSimilarity - (one["edit_similarity"]?.number ?? 0)) < 0.5)
    }
    let similarity = try #require(outcome.report.editSimilarity)
    let similarities = expected.map { $0["edit_similarity"]?.number ?? 0 }
    #expect(abs(similarity - similarities.reduce(0, +) / Double(expected.count)) < 0.001)
    let exact = Double(expected.count { $0["exact"]?.bool == true }) / Double(expected.count)
    #expect(abs((outcome.report.exactMatch?.value ?? 0) - exact) <= 0.001)
    guard TestData.isThorough else { return }
    #expect(abs(exact - 0.382) < 1e-9 && abs(similarity - (reference["edit_similarity"]?.number ?? 0)) < 0.001)
  }

  /// The first blocks alone: every layer has to be right for wrong texts to be wrong in the same way.
  @Test(.enabled(if: Fixtures.sandbox != nil, "needs a sandbox"), arguments: [1, 2, 3])
  func truncatedModelsEqualTransformers(_ gone: Int) async throws {
    let expected = try #require(Self.reference()["drop\(gone)"])
    let path = TestData.root + "/Tests/Fixtures/minipy/lines.json"
    let texts = try #require(JSON.parse(TestData.bytes(path), file: path)["drop\(gone)"]?.array).compactMap(\.string)
    try await Running.withCheckpoint(blocks: 6 - gone) { _, folder in
      let subject = try LoadedModel(path: folder, context: Running.context())
      #expect(subject.model.spec.blocks.count == 6 - gone)
      let lines = try Suite(path: folder + "/lines.yaml")
      let completions = try await Evaluator(.init(limit: texts.count)).run(lines, on: subject).completions
      #expect(completions.map(\.text) == texts)
      // Where no program passes, the texts never end, and a few say what all do.
      let programs = try Suite(path: folder + "/minieval.yaml")
      let limit = gone == 1 || TestData.isThorough ? nil : 20
      let passed = try await Evaluator(.init(limit: limit)).run(programs, on: subject).report.passAt1?.successes
      #expect(abs((passed ?? 0) - (expected["passed"]?.integer ?? -9)) <= 1)
      guard TestData.isThorough else { return }
      let whole = try await Evaluator().run(lines, on: subject).report
      #expect(abs((whole.exactMatch?.value ?? 0) - (expected["exact_match"]?.number ?? -9)) <= 0.001)
      #expect(abs((whole.editSimilarity ?? 0) - (expected["edit_similarity"]?.number ?? -9)) <= 0.001)
    }
  }
}
