import FurlTensor
import FurlSpec
import FurlBase
import FurlModel
import FurlTestSupport
import Testing

/// Checkpoints of every family against what Hugging Face transformers computes from them.
@Suite struct FamilyLogitsTests {
  /// What the families' usual checkpoints leave out: every logit of a text longer than the windows.
  @Test(
    arguments: [
      "gpt2-relu", "llama-scaled", "llama-linear", "mistral-window", "phi-quarter", "qwen2-some-windows",
      "starcoder2-plain",
    ])
  func variantsEqualTransformers(_ name: String) throws {
    let fixture = try FamilyFixture(name)
    let context = try Fixtures.context()
    let session = try Session(
      ModelFile(path: fixture.folder).load(pool: context.pool), context: context, format: .float32)
    let actual = try Fixtures.logits(session, fixture.ids, pieces: [11, 1, 2])
    #expect(actual.joined().count == fixture.logits.count)
    #expect(fixture.difference(actual) <= 2e-4)
  }

  /// The shared checkpoints are larger than those in the project.
  @Suite(.enabled(if: TestData.shared != nil, "needs the shared fixtures (FURL_SHARED)"))
  struct Shared {
    static let families = ["gpt2", "starcoder2", "phi", "llama", "qwen2"]
    static let fixtures = (TestData.shared ?? "") + "/fixtures/"

    @Test(arguments: families, [1, 2])
    func equalsTransformers(_ family: String, threads: Int) throws {
      let folder = Self.fixtures + family
      try LogitsTests.compare(folder, with: folder + "/expected.json", threads: threads)
    }

    /// The same weights in several files, and rounded to 16 bits. What rounding does to the logits is 0.0302 and
    /// 0.0043 in transformers too.
    @Test(arguments: [("sharded", 1e-3), ("bf16", 3.1e-2), ("f16", 5e-3)])
    func everyStoredFormGivesTheSame(_ format: (name: String, bound: Double)) throws {
      try LogitsTests.compare(
        Self.fixtures + "formats/" + format.name, with: Self.fixtures + "starcoder2/expected.json", threads: 2,
        bound: format.bound, lossBound: format.name == "sharded" ? 1e-4 : 5e-3)
    }

    /// Token by token is what the whole sequence gives at once.
    @Test(arguments: families)
    func decodingEqualsTheWholeSequence(_ family: String) throws {
      let context = try Fixtures.context()
      let model = try ModelFile(path: Self.fixtures + family).load(pool: context.pool)
      let session = try Session(model, context: context, format: .float32)
      let ids = Fixtures.ids(60, below: model.spec.vocabularySize, seed: 2)
      let whole = try Fixtures.logits(session, ids)
      let stepped = try Fixtures.logits(session, ids, pieces: [1])
      let difference = zip(whole, stepped).flatMap { zip($0, $1).map { abs($0 - $1) } }.max() ?? .infinity
      #expect(difference <= 1e-5)
    }
  }
}
