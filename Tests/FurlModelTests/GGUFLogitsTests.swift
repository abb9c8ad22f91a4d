import FurlBase
import FurlCheckpoint
import FurlModel
import FurlTensor
import FurlTestSupport
import Testing

/// GGUF models of every family, as llama.cpp's converter writes them, against what transformers computes
/// (`Fixtures/gguf/make_models.py`).
@Suite struct GGUFLogitsTests {
  @Test(arguments: ["llama", "llama3", "qwen2", "starcoder2-00001-of-00003", "phi", "gpt2"])
  func equalsTransformers(_ file: String) throws {
    let folder = TestData.root + "/Tests/Fixtures/gguf/"
    let json = try JSON.parse(TestData.bytes(folder + "expected.json"), file: nil)
    let name = String(file.split(separator: "-")[0])
    let expected = try #require(json["models"]?[name])
    let ids = try #require(expected["input_ids"]?.array).compactMap(\.integer)
    let last = try #require(expected["last_logits"]?.array).compactMap(\.number)
    let best = try #require(expected["argmax"]?.array).compactMap(\.integer)
    let pool = WorkerPool(threads: 2)
    let context = ComputeContext(pool: pool, kernels: try Kernels())
    let session = try Session(
      LanguageModel(Checkpoint(path: folder + file + ".gguf"), pool: pool), context: context, contextLength: 32)
    var argmax: [Int?] = []
    var found: [Float] = []
    try Likelihood(session).forEachPosition(ids) { _, logits, row in
      argmax.append(logits[0].argmax(row: row, context.kernels))
      found = logits[0][row]
    }
    #expect(found.count == last.count && argmax == best)
    #expect(zip(found, last).allSatisfy { abs(Double($0) - $1) <= 1e-4 })
  }
}
