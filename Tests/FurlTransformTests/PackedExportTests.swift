import Foundation
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
  private enum Sample { case llama, gpt2 }

  /// Compresses a small llama, or a block of minipy, exports it and gives its `config.json`.
  private static func export(
    _ step: String, of sample: Sample = .llama, as packing: WeightPacking, in folder: String
  ) throws -> JSON {
    switch sample {
    case .llama: try ChainCheckpoint().write(to: folder + "/m")
    case .gpt2:
      var minipy = try SampleCheckpoint(folder: TestData.root + "/checkpoints/minipy")
      minipy.keepBlocks(1)
      try minipy.write(to: folder + "/m")
    }
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
    ("weights: nf4, block: 32", .compressedTensors, "compress with weights: int4, zero: symmetric or point"),
    ("weights: int3, zero: minimum, block: 32", .gptq, "compress with weights: int4, zero: symmetric or point"),
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

  // MARK: Zero points

  @Test(arguments: WeightPacking.allCases) func minimumsOfAnyKindAreRefused(_ packing: WeightPacking) throws {
    try TestData.withTemporaryFolder { folder in
      let error = #expect(throws: FurlError.self) {
        try Self.export("weights: int4, zero: minimum, block: 32", of: .gpt2, as: packing, in: folder)
      }
      #expect(error?.kind == .input && error?.problem.contains("is no whole multiple of its scale") == true)
      #expect(
        error?.remedy?.contains("compress with zero: point") == true && error?.place?.hasPrefix("blocks.0.") == true)
      #expect(!FileManager.default.fileExists(atPath: folder + "/x/config.json"))
    }
  }

  @Test(arguments: ["nearest", "nearest, search: true"], WeightPacking.allCases)
  func zeroPointsAreWritten(_ method: String, _ packing: WeightPacking) throws {
    try TestData.withTemporaryFolder { folder in
      let config = try Self.export(
        "weights: int4, zero: point, block: 32, method: \(method), embeddings: int4", as: packing, in: folder)
      let declared = config["quantization_config"]
      if packing == .gptq {
        #expect(declared?["sym"] == false && declared?["checkpoint_format"] == "gptq")
      } else {
        #expect(declared?["config_groups"]?["group_0"]?["weights"]?["symmetric"] == false)
        #expect(declared?["dequantize"] == true)
      }
      try Self.expectTheSameWeights(folder)
      #expect(try Artifact(path: folder + "/a.furl").description.recipe.text.contains("point"))
    }
  }

  /// What is read from the export by the readers that are held to the forms' packages, against what the artifact computes with.
  private static func expectTheSameWeights(_ folder: String) throws {
    let decoded = try Fixtures.decoded(folder + "/a.furl")
    let exported = try Checkpoint(path: folder + "/x")
    var packed = 0
    for tensor in exported.spec.tensors where tensor.shape.count == 2 {
      let source = try exported.source(tensor.name)
      if source.isCoded { packed += 1 }
      let rows = try #require(decoded[tensor.name])
      #expect(rows.joined().elementsEqual(source.readAll()), "\(tensor.name)")
    }
    #expect(packed >= 6)
  }

  // MARK: Conv1D

  static let steps = [
    "weights: int4, block: 64", "weights: int4, zero: point, block: 32", "weights: int4, block: row",
    "weights: int8, block: 32", "weights: int4, zero: point, block: row",
  ]

  @Test(arguments: steps) func conv1DIsGPTQLikeAnyOther(_ step: String) throws {
    try TestData.withTemporaryFolder { folder in
      let config = try Self.export("\(step), embeddings: fp32", of: .gpt2, as: .gptq, in: folder)
      #expect(config["quantization_config"]?["lm_head"] == false)
      try Self.expectTheSameWeights(folder)
      let stored = try StoredTensors(folder: folder + "/x").tensors
      #expect(stored["transformer.h.0.mlp.c_fc.qweight"]?.shape == [step.contains("int8") ? 64 : 32, 1024])
      #expect(stored.keys.filter { $0.hasSuffix(".qweight") }.count == 4)
    }
  }

  /// (integer - zero) * scale of what compressed-tensors' `unpack_from_int32` and `dequantize` find: words along the outputs,
  /// blocks along the inputs.
  @Test(arguments: steps) func conv1DIsDecodedByBlocksOfInputs(_ step: String) throws {
    try TestData.withTemporaryFolder { folder in
      let declared = try Self.export("\(step), embeddings: fp32", of: .gpt2, as: .compressedTensors, in: folder)[
        "quantization_config"]
      #expect(declared?["dequantize"] == true && declared?["format"] == "pack-quantized")
      let group = declared?["config_groups"]?["group_0"]
      #expect(group?["targets"] == ["Conv1D"] && group?["weights"]?["strategy"] == "block")
      let sizes = group?["weights"]?["block_structure"]?.array?.compactMap { $0.integer }
      let structure = try #require(sizes)
      #expect(structure[1] == 1 && group?["weights"]?["group_size"] == .null)
      let bits = try #require(group?["weights"]?["num_bits"]?.integer)
      #expect(group?["weights"]?["symmetric"] == .bool(!step.contains("point")))
      let stored = try StoredTensors(folder: folder + "/x").tensors
      let decoded = try Fixtures.decoded(folder + "/a.furl")
      for (module, names) in [
        ("attn.c_attn", ["attention.query", "attention.key", "attention.value"]), ("attn.c_proj", ["attention.output"]),
        ("mlp.c_fc", ["mlp.up"]), ("mlp.c_proj", ["mlp.down"]),
      ] {
        let rows = try names.flatMap { try #require(decoded["blocks.0.\($0)"]) }
        let values = try Self.values(stored, "transformer.h.0.\(module).", bits: bits, height: structure[0], step)
        #expect(values.count == rows[0].count)
        for (input, line) in values.enumerated() {
          #expect(line == rows.map { $0[input] }, "\(module), input \(input)")
        }
      }
    }
  }

  /// [inputs][outputs]
  private static func values(
    _ stored: [String: StoredTensors.Tensor], _ stem: String, bits: Int, height: Int, _ step: String
  ) throws -> [[Float]] {
    func bytes(_ name: String, _ type: String, _ size: Int) throws -> (shape: [Int], bytes: [UInt8]) {
      let tensor = try #require(stored[stem + name])
      #expect(tensor.typeName == type)
      let count = tensor.shape.reduce(size, *)
      return (tensor.shape, Array(tensor.file.bytes(tensor.offset..<tensor.offset + count)))
    }
    func number(_ bytes: [UInt8], _ index: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[4 * index + $1]) << UInt32(8 * $1) }
    }
    let shape = try bytes("weight_shape", "I64", 8).bytes
    let (inputs, outputs) = (Int(number(shape, 0)), Int(number(shape, 2)))
    let (packed, scales) = (try bytes("weight_packed", "I32", 4), try bytes("weight_scale", "F32", 4))
    let zeros = step.contains("point") ? try bytes("weight_zero_point", "I8", 1) : nil
    let groups = (inputs - 1) / height + 1
    #expect(packed.shape == [inputs, outputs * bits / 32] && scales.shape == [groups, outputs])
    #expect(zeros.map { $0.shape == [groups, outputs] } ?? (stored[stem + "weight_zero_point"] == nil))
    return (0..<inputs).map { input in
      (0..<outputs).map { output in
        let word = number(packed.bytes, input * packed.shape[1] + output * bits / 32)
        let code = Int(word >> UInt32(output * bits % 32) & (1 << UInt32(bits) - 1)) - (1 << (bits - 1))
        let place = input / height * outputs + output
        let zero = zeros.map { Int(Int8(bitPattern: $0.bytes[place])) } ?? 0
        return Float(code - zero) * Float(bitPattern: number(scales.bytes, place))
      }
    }
  }

  @Test func layersOfConv1DAreDecodedAlike() throws {
    try TestData.withTemporaryFolder { folder in
      let error = #expect(throws: FurlError.self) {
        try Self.export(
          "weights: int4, block: 64, overrides: [{match: blocks.0.mlp.up, weights: int8}]", of: .gpt2,
          as: .compressedTensors, in: folder)
      }
      #expect("\(error!)".contains("decodes all layers that are transformers' Conv1D alike"), "\(error!)")
    }
    try TestData.withTemporaryFolder { folder in
      // What is kept is plain, and passed over.
      let config = try Self.export(
        "weights: int4, block: 64, keep: [norm, bias, blocks.0.mlp.up]", of: .gpt2, as: .compressedTensors, in: folder)
      #expect(config["quantization_config"]?["ignore"] == ["transformer.h.0.mlp.c_fc", "lm_head"])
    }
  }
}
