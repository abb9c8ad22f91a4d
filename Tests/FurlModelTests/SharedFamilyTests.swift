import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// Tiny checkpoints of the families of today, with logits of Hugging Face transformers: texts beyond every window, every
/// original context and every set of experts.
@Suite(.enabled(if: TestData.shared != nil, "needs the shared fixtures (FURL_SHARED)"))
struct SharedFamilyTests {
  private static let root = (TestData.shared ?? "") + "/fixtures/families/"

  /// What Furl refuses by name: recurrent layers.
  private static let refused: Set = [
    "granitemoehybrid", "mamba2", "qwen3_5", "qwen3_5_text", "qwen3_next",
  ]

  static let families: [String] = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? [])
    .filter { FileManager.default.fileExists(atPath: root + $0 + "/expected.json") && !refused.contains($0) }.sorted()

  private struct Case {
    let ids: [Int]
    let first, last: [Double]
  }

  private static func cases(_ folder: String) throws -> [Case] {
    let expected = try JSON.parse(TestData.bytes(folder + "/expected.json"), file: nil)
    return try #require(expected["cases"]?.array).map { entry in
      Case(
        ids: try #require(entry["input_ids"]?.array).compactMap(\.integer),
        first: try #require(entry["first_logits"]?.array).compactMap(\.number),
        last: try #require(entry["last_logits"]?.array).compactMap(\.number))
    }
  }

  private static func difference(_ one: [Float], _ other: [Double]) -> Double {
    guard one.count == other.count else { return .infinity }
    return zip(one, other).reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
  }

  @Test(arguments: families)
  func equalsTransformers(_ family: String) throws {
    let folder = Self.root + family
    let context = try Fixtures.context()
    let model = try ModelFile(path: folder).load(pool: context.pool)
    for sample in try Self.cases(folder) {
      let session = try Session(model, context: context, contextLength: sample.ids.count, format: .float32)
      let whole = try Fixtures.logits(session, sample.ids)
      #expect(Self.difference(try #require(whole.first), sample.first) < 1e-4)
      #expect(Self.difference(try #require(whole.last), sample.last) < 1e-4)
      let stepped = try Fixtures.logits(session, sample.ids, pieces: [1])
      #expect(zip(whole, stepped).allSatisfy { zip($0, $1).allSatisfy { abs($0 - $1) < 1e-4 } })
    }
  }

  /// Through a file for llama.cpp and back.
  @Test(arguments: ["deepseek_v2", "deepseek_v3", "glm4_moe_lite", "granitemoehybrid-dense", "mpt", "laguna"])
  func ggufFilesEqualTransformers(_ family: String) throws {
    let folder = Self.root + family
    try TestData.withTemporaryFolder { output in
      _ = try ExportFixtures.gguf(SampleSource(folder), .f32, in: output)
      let context = try Fixtures.context()
      let model = try ModelFile(path: output + "/x.gguf").load(pool: context.pool)
      for sample in try Self.cases(folder) {
        let session = try Session(model, context: context, contextLength: sample.ids.count, format: .float32)
        let logits = try Fixtures.logits(session, sample.ids)
        #expect(Self.difference(try #require(logits.first), sample.first) < 1e-4)
        #expect(Self.difference(try #require(logits.last), sample.last) < 1e-4)
      }
    }
  }

  /// Slopes other than those that the model has.
  @Test(arguments: [("attention.max_alibi_bias", 4), ("attention.max_alibi_bias", nil), ("attention.clamp_kqv", 6)])
  func otherSlopesAreRefused(_ key: String, _ value: Float?) throws {
    try TestData.withTemporaryFolder { folder in
      var text = try ExportFixtures.gguf(SampleSource(Self.root + "mpt"), .f32, in: folder).file.text
      text.set("mpt." + key, value.map { .float32($0) })
      try TestData.write(text.bytes, to: folder + "/x.gguf")
      let error = #expect(throws: FurlError.self) { try Checkpoint(path: folder + "/x.gguf") }
      #expect(error?.place == "mpt." + key)
    }
  }

  @Test(arguments: ["mamba2", "qwen3_next", "granitemoehybrid"])
  func recurrentLayersAreRefusedByName(_ family: String) throws {
    #expect {
      _ = try ModelFile(path: Self.root + family)
    } throws: { error in
      (error as? FurlError)?.kind == .input && "\(error)".contains("config.json")
    }
  }
}
