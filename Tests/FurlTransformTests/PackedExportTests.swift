import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Testing

/// Checkpoints whose quantized layers stay what they are. That transformers computes the same with them is what
/// `scripts/check-packed` shows.
@Suite struct PackedExportTests {
  /// Compresses a small llama, exports it and gives its `config.json`.
  private static func export(_ step: String, as packing: WeightPacking, in folder: String) throws -> JSON {
    try ChainCheckpoint().write(to: folder + "/m")
    let recipe = try Fixtures.recipe("  - quantize: {\(step)}")
    let pool = WorkerPool(threads: 1)
    _ = try Compressor(Checkpoint(path: folder + "/m"), recipe: recipe).write(to: folder + "/a.furl", pool: pool)
    let export = try SafetensorsExport(numbers: .f32, shardBytes: 1 << 30, packing: packing)
    _ = try export.write(ExportedModel(ModelFile(path: folder + "/a.furl")), to: folder + "/x", pool: pool)
    return try JSON.parse(TestData.bytes(folder + "/x/config.json"), file: nil)
  }

  @Test func theConfigurationSaysWhatLiesThere() throws {
    try TestData.withTemporaryFolder { folder in
      let config = try Self.export("weights: int4, block: 32", as: .compressedTensors, in: folder)[
        "quantization_config"]
      #expect(config?["quant_method"] == "compressed-tensors" && config?["format"] == "pack-quantized")
      let weights = config?["config_groups"]?["group_0"]?["weights"]
      #expect(weights?["num_bits"] == 4 && weights?["group_size"] == 32 && weights?["strategy"] == "group")
    }
    try TestData.withTemporaryFolder { folder in
      let config = try Self.export("weights: int8, block: row", as: .gptq, in: folder)["quantization_config"]
      #expect(config?["bits"] == 8 && config?["group_size"] == -1 && config?["checkpoint_format"] == "gptq")
    }
  }

  static let refused: [(String, WeightPacking, String)] = [
    ("weights: nf4, block: 32", .compressedTensors, "compress with weights: int4, zero: symmetric, or int8"),
    ("weights: int4, zero: minimum, block: 32", .gptq, "compress with weights: int4, zero: symmetric, or int8"),
    ("weights: int4, block: 32, scales: u8", .gptq, "compress with scales: f16"),
    ("weights: int4, block: 128", .compressedTensors, "no whole blocks of 128"),
    ("weights: int4, block: 32, overrides: [{match: blocks.0.mlp.up, weights: int8}]", .gptq, "without overrides"),
  ]

  @Test(arguments: refused) func whatNoLayoutHoldsIsRefused(_ step: String, _ packing: WeightPacking, _ words: String)
    throws
  {
    try TestData.withTemporaryFolder { folder in
      let error = #expect(throws: FurlError.self) { try Self.export(step, as: packing, in: folder) }
      #expect(error?.kind == .input && "\(error!)".contains(words), "\(error!)")
    }
  }
}
