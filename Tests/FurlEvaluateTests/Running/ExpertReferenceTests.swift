import FurlBase
import FurlEvaluate
import FurlModel
import FurlTestSupport
import Testing

/// Suites on minimoe, a mixture of experts, against what Hugging Face transformers generates, problem by problem.
@Suite(.serialized) struct ExpertReferenceTests {
  private static func reference() throws -> JSON {
    let path = TestData.root + "/Tests/Fixtures/minimoe/reference.json"
    return try #require(JSON.parse(TestData.bytes(path), file: path)["fp32"])
  }

  private static func model() throws -> LoadedModel {
    try LoadedModel(path: TestData.minimoe, context: Running.context())
  }

  /// Some of the problems by default: what is left says nothing else.
  @Test(.enabled(if: Fixtures.sandbox != nil, "needs a sandbox"))
  func programsEqualTransformers() async throws {
    let all = try #require(Self.reference()["minieval"]?.array)
    let expected = Array(all.prefix(TestData.isThorough ? 164 : 48))
    let outcome = try await Evaluator(.init(limit: expected.count)).run(
      Suite(path: TestData.minimoe + "/minieval.yaml"), on: Self.model())
    #expect(all.count == 164 && outcome.completions.count == expected.count)
    let other = zip(outcome.completions, expected).filter { $0.text != $1["completion"]?.string }
    #expect(other.count <= (TestData.isThorough ? 2 : 1))
    let items = try #require(outcome.report.results.programs)
    #expect(zip(items, expected).filter { $0.passed != $1["passed"]?.bool }.count <= 1)
    guard TestData.isThorough else { return }
    #expect(abs((outcome.report.passAt1?.successes ?? 0) - 140) <= 1)
  }

  @Test func linesEqualTransformers() async throws {
    let reference = try Self.reference()
    let all = try #require(reference["lines"]?.array)
    let expected = Array(all.prefix(TestData.isThorough ? 1000 : 100))
    let outcome = try await Evaluator(.init(limit: expected.count)).run(
      Suite(path: TestData.minimoe + "/lines.yaml"), on: Self.model())
    let items = try #require(outcome.report.results.lines)
    #expect(all.count == 1000 && items.count == expected.count)
    #expect(zip(items, expected).filter { $0.exact != $1["exact"]?.bool }.count <= 1)
    let other = zip(outcome.completions, expected).filter { $0.text != $1["completion"]?.string }
    #expect(other.count <= max(1, expected.count / 200))
    guard TestData.isThorough else { return }
    #expect(abs((outcome.report.exactMatch?.value ?? 0) - 0.339) <= 0.001)
    #expect(abs((outcome.report.editSimilarity ?? 0) - (reference["edit_similarity"]?.number ?? 9)) < 0.001)
  }
}
