import Foundation
import FurlBase
import FurlCheckpoint
import FurlTensor
import FurlTestSupport
import Testing

/// Mixtures whose experts are stored in one tensor for all of a block, against what MLX, transformers and
/// compressed-tensors decode (`Fixtures/packed/make_stacked.py`).
@Suite struct StackedExpertTests {
  private struct Expected: Decodable {
    struct Weight: Decodable {
      let shape: [Int]
      let sha256: String
      let form: String
    }

    let weights: [String: Weight]
  }

  static let forms = [
    "experts-mlx", "experts-mlx4", "experts-mlx8", "experts-mlx-mixtral", "experts-mlx-phimoe", "experts-mlx-granite",
    "experts-mlx-granite-dense", "experts-mlx-mellum", "experts-mlx-laguna", "experts-mlx-deepseek2",
    "experts-mlx-deepseek3", "experts-mlx-glm", "experts-mlx-gemma4", "experts-mxfp4", "experts-mxfp8",
    "experts-fp8-block", "experts-fp8-high", "experts-fp8-tensor", "experts-fp8-gemma4", "experts-phimoe",
    "experts-granite", "experts-laguna", "experts-ct4", "experts-ct4-zero", "experts-ct8",
  ]

  @Test(arguments: forms)
  func weightsAreThoseOfTheFormsOwnCode(_ form: String) throws {
    let checkpoint = try Checkpoint(path: PackedFormTests.root + "/" + form)
    let expected = try JSONDecoder().decode(
      Expected.self, from: Data(TestData.bytes(PackedFormTests.root + "/\(form)/expected.json")))
    #expect(form.hasSuffix("dense") || expected.weights.keys.count { $0.contains(".experts.") } % 9 == 0)
    #expect(expected.weights.count >= 4)
    for (name, weight) in expected.weights {
      let source = try checkpoint.source(name)
      #expect([source.rows, source.columns] == weight.shape)
      let values = source.readAll()
      #expect(Digest(of: TestData.littleEndian(values)).hex == weight.sha256, "\(form) \(name)")
      #expect(source.storedForm == weight.form, "\(form) \(name)")
      // Rows by themselves.
      let last = source.rows - 1
      #expect(source.read(rows: last..<source.rows) == Array(values[last * source.columns..<values.count]))
    }
    #expect(checkpoint.config["quantization_config"] == nil && checkpoint.config["quantization"] == nil)
    #expect(checkpoint.leftOut.isEmpty)
  }

  /// Codes are taken over from experts in one tensor as from others.
  @Test(arguments: [
    ("experts-ct4", Scheme.int4(.columns(32))), ("experts-ct8", .int8(.row)), ("experts-mxfp4", .mxfp4),
  ])
  func codesThatALayoutHoldsAreHeld(_ sample: (form: String, scheme: Scheme)) throws {
    let checkpoint = try Checkpoint(path: PackedFormTests.root + "/" + sample.form)
    for part in ["gate", "up", "down"] {
      let source = try checkpoint.source("blocks.0.mlp.experts.2.\(part)")
      #expect(source.holding() == .held(sample.scheme))
      try HeldCodesTests.check(source, sample.scheme)
    }
  }
}

/// Such mixtures whose parts do not fit each other.
@Suite struct HostileStackedExpertTests {
  private typealias Change = (SafetensorsText.Tensor) -> SafetensorsText.Tensor?

  private static func refusal(
    _ form: String, config: (String, String)? = nil, tensor suffix: String = "", _ change: Change = { $0 }
  ) throws -> FurlError {
    try #require(throws: FurlError.self, "\(form) \(suffix)") {
      try HostilePackedTests.open(
        form, config: { text in config.map { text.replacing($0.0, with: $0.1) } ?? text },
        tensors: { $0.compactMap { $0.name.hasSuffix(suffix) ? change($0) : $0 } })
    }
  }

  private static func experts(_ form: String) throws -> [String] {
    try AdapterTests.tensors(PackedFormTests.root + "/\(form)/model.safetensors").map(\.name)
      .filter { $0.contains("experts.") && !$0.contains("e_score") || $0.contains("switch_") || $0.contains("linear.") }
  }

  @Test(arguments: StackedExpertTests.forms.filter { !$0.hasSuffix("dense") })
  func everyTensorIsNeededInItsShapeAndType(_ form: String) throws {
    let names = try Self.experts(form)
    #expect(names.count >= 2)
    func refused(_ name: String, _ change: @escaping Change) throws {
      let error = try Self.refusal(form, tensor: name, change)
      #expect(error.kind == .input && !error.problem.contains("\n"), "\(error)")
    }
    for name in names {
      try refused(name) { _ in nil }
      try refused(name) { .init($0.name, "BOOL", [$0.bytes.count], $0.bytes) }
      // One expert less, none, all in one matrix, and one dimension more.
      guard !name.hasSuffix("_shape"), !name.contains("shared") else { continue }
      try refused(name) { tensor in
        .init(tensor.name, tensor.type, [2] + tensor.shape.dropFirst(), Array(tensor.bytes.prefix(tensor.bytes.count / 3 * 2)))
      }
      try refused(name) { .init($0.name, $0.type, [0] + $0.shape.dropFirst(), []) }
      try refused(name) { .init($0.name, $0.type, [3 * $0.shape[1]] + $0.shape.dropFirst(2), $0.bytes) }
      try refused(name) { .init($0.name, $0.type, [1] + $0.shape, $0.bytes) }
    }
  }

  @Test(arguments: [
    ("experts-mlx4", "\"num_experts\": 3", "\"num_experts\": 4"),
    ("experts-mlx4", "\"group_size\": 32", "\"group_size\": 24"),
    ("experts-mlx4", "\"moe_intermediate_size\": 32", "\"moe_intermediate_size\": 64"),
    ("experts-mxfp4", "\"num_local_experts\": 3", "\"num_local_experts\": 2"),
    ("experts-fp8-block", "\"num_local_experts\": 3", "\"num_local_experts\": 4096"),
    ("experts-fp8-block", "16,\n", "64,\n"), ("experts-fp8-block", "16,\n", "24,\n"),
    ("experts-ct4", "\"num_experts\": 3", "\"num_experts\": 5"),
    ("experts-ct4", "\"group_size\": 32", "\"group_size\": 16"),
  ])
  func countsHaveToBeThoseOfTheConfiguration(_ sample: (form: String, from: String, to: String)) throws {
    let error = try Self.refusal(sample.form, config: (sample.from, sample.to))
    #expect(error.kind == .input && error.place?.contains("model.layers.0.") == true, "\(error)")
  }

  @Test(arguments: [
    ("experts-mlx4", "\"bits\": 4", "\"bits\": 7", "quantization.bits"),
    ("experts-mlx4", "\"affine\"", "\"nvfp4\"", "quantization.mode"),
    ("experts-mxfp4", "\"group_size\": 32", "\"group_size\": 16", "quantization.group_size"),
    ("experts-mxfp4", "\"bits\": 4", "\"bits\": 8", "quantization.bits"),
  ])
  func parametersThatAreNotReadAreRefusedByName(_ sample: (form: String, from: String, to: String, place: String))
    throws
  {
    let error = try Self.refusal(sample.form, config: (sample.from, sample.to))
    #expect(error.kind == .input && error.place == sample.place, "\(error)")
  }

  /// Codes in words that are said to be GPTQ's.
  @Test func aFormWithoutStacksIsRefusedByName() throws {
    let error = try Self.refusal(
      "experts-ct4", config: ("\"compressed-tensors\"", "\"gptq\", \"bits\": 4, \"group_size\": 32"), tensor: "_packed"
    ) { .init($0.name.replacing("weight_packed", with: "qweight"), $0.type, $0.shape, $0.bytes) }
    #expect(error.problem.contains("GPTQ") && error.place?.hasSuffix("gate_proj.qweight") == true, "\(error)")
  }
}
