import FurlBase
@testable import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// Granite 4 without Mamba layers is llama.cpp's `granite` or `granitemoe`, with what is shared beside experts, and perhaps
/// heads that are not turned.
@Suite struct GGUFGraniteTests {
  /// The fixture of Granite with experts, and a seeded MLP beside them or in their place.
  private static func write(isSparse: Bool, turns: Bool, to folder: String) throws {
    var sample = try SampleCheckpoint(folder: GGUFFamilyTests.path("granitemoe"))
    let config = JSON.object(sample.config)
    let (hidden, layers) = (
      try #require(config["hidden_size"]?.integer), try #require(config["num_hidden_layers"]?.integer)
    )
    sample.configure("model_type", "granitemoehybrid")
    sample.configure("layer_types", .array((0..<layers).map { _ in "attention" }))
    sample.configure("shared_intermediate_size", 10)
    sample.configure("position_embedding_type", turns ? "rope" : "nope")
    if !isSparse {
      sample.configure("num_local_experts", 0)
      sample.tensors = sample.tensors.filter { !$0.key.contains("block_sparse_moe") }
    }
    var draws = SplitMix64(seed: 9)
    for layer in 0..<layers {
      let prefix = "model.layers.\(layer).shared_mlp."
      sample.tensors[prefix + "input_linear.weight"] = .init(
        shape: [20, hidden], values: draws.floats(20 * hidden, scale: 0.4))
      sample.tensors[prefix + "output_linear.weight"] = .init(
        shape: [hidden, 10], values: draws.floats(10 * hidden, scale: 0.4))
    }
    try sample.write(to: folder)
  }

  private static func logits(_ path: String) throws -> [[Float]] {
    let context = try Fixtures.context()
    let session = try Session(ModelFile(path: path).load(pool: context.pool), context: context, format: .float32)
    return try Fixtures.logits(session, [3, 7, 1, 9, 4, 4, 2, 8])
  }

  @Test(arguments: [false, true], [false, true])
  func filesComputeWhatCheckpointsDo(isSparse: Bool, turns: Bool) throws {
    try TestData.withTemporaryFolder { folder in
      try Self.write(isSparse: isSparse, turns: turns, to: folder + "/model")
      let (file, result) = try ExportFixtures.gguf(SampleSource(folder + "/model"), .f32, in: folder)
      let name = isSparse && turns ? "granitemoe" : "granite"
      #expect(file.metadata["general.architecture"] == .text(name) && result.notes.isEmpty)
      #expect(file.metadata[name + ".rope.scaling.finetuned"] == (turns ? nil : .bool(false)))
      #expect(file.metadata[name + ".expert_shared_feed_forward_length"] == (isSparse ? .integer(10) : nil))
      let checkpoint = try Checkpoint(path: folder + "/x.gguf")
      #expect(checkpoint.config["model_type"] == (isSparse || !turns ? "granitemoehybrid" : "granite"))
      #expect((checkpoint.spec.blocks[0].attention?.rotary == nil) == !turns)
      let (own, other) = (try Self.logits(folder + "/model"), try Self.logits(folder + "/x.gguf"))
      #expect(zip(own, other).allSatisfy { zip($0, $1).allSatisfy { abs($0 - $1) <= 1e-5 } })
      // A file that says nothing has heads that are turned, and llama.cpp's granitemoe has no others, whatever files say.
      var text = file.text
      text.set(name + ".rope.scaling.finetuned", isSparse && turns ? .bool(0) : nil)
      try TestData.write(text.bytes, to: folder + "/y.gguf")
      guard isSparse else {
        #expect(try Checkpoint(path: folder + "/y.gguf").spec.blocks[0].attention?.rotary != nil)
        return
      }
      let error = #expect(throws: FurlError.self) { try Checkpoint(path: folder + "/y.gguf") }
      #expect(error?.place == name + (turns ? ".rope.scaling.finetuned" : ".expert_count"))
    }
  }
}
