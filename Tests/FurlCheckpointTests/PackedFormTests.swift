import Foundation
import FurlBase
import FurlCheckpoint
import FurlTensor
import FurlTestSupport
import Testing

/// Quantized checkpoints, against what the forms' own packages decode (`Fixtures/packed/make_packed.py`).
@Suite struct PackedFormTests {
  private struct Expected: Decodable {
    struct Weight: Decodable {
      let shape: [Int]
      let sha256: String
    }

    let form: String
    let weights: [String: Weight]
  }

  static let root = TestData.root + "/Tests/Fixtures/packed"

  static let forms = [
    "gptq2", "gptq3", "gptq4", "gptq8", "gptq4-order", "gptq4-v2", "gptq4-symmetric", "gptq4-stored8", "awq",
    "ct-int4-group", "ct-int4-zero", "ct-int8-channel", "ct-int3-group", "ct-bytes", "ct-fp8", "ct-fp8-block",
    "fp8-block", "fp8-tensor", "bnb-nf4", "bnb-fp4", "bnb-nf4-double", "bnb-int8", "mlx2", "mlx3", "mlx4", "mlx6",
    "mlx8",
  ]

  /// Furl's names of the tensors of a Llama of one block.
  static let names = [
    "model.embed_tokens": "embedding", "self_attn.q_proj": "attention.query", "self_attn.k_proj": "attention.key",
    "self_attn.v_proj": "attention.value", "self_attn.o_proj": "attention.output", "mlp.gate_proj": "mlp.gate",
    "mlp.up_proj": "mlp.up", "mlp.down_proj": "mlp.down",
  ]

  static func name(_ stored: String) -> String? {
    let module = stored.replacing(".weight", with: "").replacing("model.layers.0.", with: "")
    return names[module].map { stored.contains("layers") ? "blocks.0." + $0 : $0 }
  }

  @Test(arguments: forms)
  func weightsAreThoseOfTheFormsOwnCode(_ form: String) throws {
    let checkpoint = try Checkpoint(path: Self.root + "/" + form)
    let expected = try JSONDecoder().decode(
      Expected.self, from: Data(TestData.bytes(Self.root + "/\(form)/expected.json")))
    #expect(expected.weights.count >= 5)
    for (stored, weight) in expected.weights {
      let source = try checkpoint.source(#require(Self.name(stored)))
      #expect([source.rows, source.columns] == weight.shape)
      let values = source.readAll()
      #expect(Digest(of: TestData.littleEndian(values)).hex == weight.sha256, "\(form) \(stored)")
      #expect(source.storedForm == expected.form)
      // Rows by themselves, and as encoders load them.
      let last = source.rows - 1
      #expect(source.read(rows: last..<source.rows) == Array(values[last * source.columns..<values.count]))
      let part = try source.loadFloats(rows: 3..<9, with: ReadBuffer())
      #expect(part == Array(values[3 * source.columns..<9 * source.columns]))
    }
    // What is read are plain numbers, and nothing that is made of them says otherwise.
    #expect(checkpoint.config["quantization_config"] == nil && checkpoint.config["quantization"] == nil)
    #expect(checkpoint.notes.contains { $0.contains("decoded to FP32") } && checkpoint.leftOut.isEmpty)
  }
}

/// Quantized checkpoints whose parts do not fit each other.
@Suite struct HostilePackedTests {
  /// A fixture with its configuration and tensors changed.
  static func open(
    _ form: String, in root: String = PackedFormTests.root, config: (String) -> String = { $0 },
    tensors change: ([SafetensorsText.Tensor]) -> [SafetensorsText.Tensor] = { $0 }
  ) throws -> Checkpoint {
    let folder = root + "/" + form
    let text = config(String(decoding: try TestData.bytes(folder + "/config.json"), as: UTF8.self))
    let tensors = try change(AdapterTests.tensors(folder + "/model.safetensors"))
    return try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(text.utf8), to: folder + "/config.json")
      try TestData.write(SafetensorsText(tensors).bytes, to: folder + "/model.safetensors")
      return try Checkpoint(path: folder)
    }
  }

  /// Without these a module is read all the same.
  private static let optional = ["bias", "g_idx", "weight_format", "activation_scale"]

  @Test(arguments: PackedFormTests.forms)
  func everyTensorIsNeededInItsShapeAndType(_ form: String) throws {
    let stem = "model.layers.0.self_attn.q_proj."
    let names = try AdapterTests.tensors(PackedFormTests.root + "/\(form)/model.safetensors").map(\.name)
      .filter { $0.hasPrefix(stem) && !Self.optional.contains(String($0.dropFirst(stem.count))) }
    #expect(!names.isEmpty)
    func refused(_ name: String, _ change: (SafetensorsText.Tensor) -> SafetensorsText.Tensor?) throws {
      let error = try #require(throws: FurlError.self, "\(name)") {
        try Self.open(form, tensors: { $0.compactMap { $0.name == name ? change($0) : $0 } })
      }
      #expect(error.kind == .input, "\(error)")
    }
    for name in names {
      try refused(name) { _ in nil }
      try refused(name) { .init($0.name, "BOOL", [$0.bytes.count], $0.bytes) }
      try refused(name) { tensor in
        let isTurnable = tensor.shape.count == 2 && tensor.shape[0] != tensor.shape[1] && tensor.shape[1] != 1
        let shape = isTurnable ? tensor.shape.reversed() : [1, 1] + tensor.shape + [1]
        return .init(tensor.name, tensor.type, shape, tensor.bytes)
      }
    }
  }

  @Test(arguments: [
    ("gptq4", "\"bits\": 4", "\"bits\": 5", "quantization_config.bits"),
    ("gptq4", "\"group_size\": 16", "\"group_size\": 0", "quantization_config.group_size"),
    ("gptq4", "\"sym\"", "\"checkpoint_format\": \"marlin\", \"sym\"", "quantization_config.checkpoint_format"),
    ("awq", "\"gemm\"", "\"gemv\"", "quantization_config.version"),
    ("awq", "\"zero_point\": true", "\"zero_point\": false", "quantization_config.zero_point"),
    ("ct-int4-group", "\"pack-quantized\"", "\"marlin-24\"", "quantization_config.format"),
    (
      "ct-int4-group", "\"num_bits\": 4", "\"num_bits\": 9",
      "quantization_config.config_groups.group_0.weights.num_bits"
    ),
    (
      "ct-int4-group", "\"strategy\": \"group\"", "\"strategy\": \"other\"",
      "quantization_config.config_groups.group_0.weights.strategy"
    ),
    ("fp8-block", "\"e4m3\"", "\"e3m4\"", "quantization_config.fmt"),
    ("mlx4", "\"affine\"", "\"nvfp4\"", "quantization.mode"),
    ("mlx4", "\"bits\": 4", "\"bits\": 7", "quantization.bits"),
  ])
  func parametersThatAreNotReadAreRefusedByName(_ sample: (form: String, from: String, to: String, place: String))
    throws
  {
    let error = try #require(throws: FurlError.self) {
      try Self.open(sample.form, config: { $0.replacing(sample.from, with: sample.to) })
    }
    #expect(error.kind == .input && error.place == sample.place, "\(error)")
  }

  @Test func sizesOfGroupsHaveToBeThoseOfTheTensors() throws {
    let changes = [
      ("gptq4", "\"group_size\": 16", "\"group_size\": 8"), ("awq", "\"group_size\": 16", "\"group_size\": 32"),
      ("gptq4", "\"bits\": 4", "\"bits\": 8"), ("mlx4", "\"group_size\": 32", "\"group_size\": 16"),
      ("ct-int4-group", "\"group_size\": 16", "\"group_size\": 4"),
      ("ct-int4-group", "\"symmetric\": true", "\"symmetric\": false"),
    ]
    for (form, from, to) in changes {
      let error = try #require(throws: FurlError.self) { try Self.open(form, config: { $0.replacing(from, with: to) }) }
      #expect(error.kind == .input && error.place?.hasPrefix("model.") == true, "\(form): \(error)")
    }
  }

  @Test func groupsThatThereAreNotAreRefused() throws {
    for group: Int32 in [4, -1, .max, .min] {
      let error = try #require(throws: FurlError.self) {
        try Self.open(
          "gptq4-order",
          tensors: { tensors in
            tensors.map { tensor in
              guard tensor.name.hasSuffix("k_proj.g_idx") else { return tensor }
              let last = withUnsafeBytes(of: group.littleEndian) { Array($0) }
              return .init(tensor.name, tensor.type, tensor.shape, Array(tensor.bytes.dropLast(4)) + last)
            }
          })
      }
      #expect(error.problem.contains("says group \(group)"), "\(error)")
    }
  }

  @Test func aBiasOfZerosIsPassedOverAndNoOther() throws {
    #expect(throws: Never.self) { try Self.open("gptq4") }
    let error = try #require(throws: FurlError.self) {
      try Self.open(
        "gptq4",
        tensors: { tensors in
          tensors.map { tensor in
            guard tensor.name.hasSuffix(".bias") else { return tensor }
            return .init(tensor.name, tensor.type, tensor.shape, tensor.bytes.map { _ in 0x3C })
          }
        })
    }
    #expect(error.problem.contains("is not part of"))
  }
}
