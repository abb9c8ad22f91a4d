import Foundation
import FurlBase
import FurlCheckpoint
import FurlTensor
import FurlTestSupport
import Testing

/// Mixtures whose experts are stored in one tensor for all of a block, against what MLX, transformers and
/// compressed-tensors decode (`Fixtures/stacked/make_stacked.py`).
@Suite struct StackedExpertTests {
  private struct Expected: Decodable {
    struct Weight: Decodable {
      let shape: [Int]
      let sha256: String
      let form: String
    }

    let weights: [String: Weight]
  }

  static let root = TestData.root + "/Tests/Fixtures/stacked"

  static let forms = [
    "mlx", "mlx4", "mlx8", "mlx-mixtral", "mlx-phimoe", "mlx-granite",
    "mlx-granite-dense", "mlx-mellum", "mlx-laguna", "mlx-deepseek2",
    "mlx-deepseek3", "mlx-glm", "mlx-gemma4", "mxfp4", "mxfp8",
    "fp8-block", "fp8-high", "fp8-tensor", "fp8-gemma4", "phimoe",
    "granite", "laguna", "ct4", "ct4-zero", "ct8",
  ]

  @Test(arguments: forms)
  func weightsAreThoseOfTheFormsOwnCode(_ form: String) throws {
    let checkpoint = try Checkpoint(path: StackedExpertTests.root + "/" + form)
    let expected = try JSONDecoder().decode(
      Expected.self, from: Data(TestData.bytes(StackedExpertTests.root + "/\(form)/expected.json")))
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
    ("ct4", Scheme.int4(.columns(32)), Scheme.int4(.row)), ("ct8", .int8(.row), .int8(.row)),
    ("mlx-mixtral", .int4Minimum(.columns(32)), .int4Minimum(.row)), ("mxfp4", .mxfp4, .mxfp4),
  ])
  func codesThatALayoutHoldsAreHeld(_ sample: (form: String, up: Scheme, down: Scheme)) throws {
    let checkpoint = try Checkpoint(path: StackedExpertTests.root + "/" + sample.form)
    for (part, scheme) in [("gate", sample.up), ("up", sample.up), ("down", sample.down)] {
      let source = try checkpoint.source("blocks.0.mlp.experts.2.\(part)")
      #expect(source.holding() == .held(scheme), "\(sample.form) \(part)")
      try HeldCodesTests.check(source, scheme)
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
        form, in: StackedExpertTests.root, config: { text in config.map { text.replacing($0.0, with: $0.1) } ?? text },
        tensors: { $0.compactMap { $0.name.hasSuffix(suffix) ? change($0) : $0 } })
    }
  }

  private static func experts(_ form: String) throws -> [String] {
    try AdapterTests.tensors(StackedExpertTests.root + "/\(form)/model.safetensors").map(\.name)
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
        let bytes = tensor.bytes.prefix(tensor.bytes.count / 3 * 2)
        return .init(tensor.name, tensor.type, [2] + tensor.shape.dropFirst(), Array(bytes))
      }
      try refused(name) { .init($0.name, $0.type, [0] + $0.shape.dropFirst(), []) }
      // One scale for each expert is the same by either shape.
      if !form.hasSuffix("tensor") || !name.hasSuffix("down_proj_scale_inv") {
        try refused(name) { .init($0.name, $0.type, [3 * $0.shape[1]] + $0.shape.dropFirst(2), $0.bytes) }
      }
      try refused(name) { .init($0.name, $0.type, [1] + $0.shape, $0.bytes) }
    }
  }

  @Test(arguments: [
    ("mlx4", "\"num_experts\": 3", "\"num_experts\": 4"),
    ("mlx4", "\"group_size\": 32", "\"group_size\": 24"),
    ("mlx4", "\"moe_intermediate_size\": 32", "\"moe_intermediate_size\": 64"),
    ("mxfp4", "\"num_local_experts\": 3", "\"num_local_experts\": 2"),
    ("fp8-block", "\"num_local_experts\": 3", "\"num_local_experts\": 4096"),
    ("fp8-block", "16,\n", "64,\n"), ("fp8-block", "16,\n", "24,\n"),
    ("ct4", "\"num_experts\": 3", "\"num_experts\": 5"),
    ("ct4", "\"group_size\": 32", "\"group_size\": 16"),
  ])
  func countsHaveToBeThoseOfTheConfiguration(_ sample: (form: String, from: String, to: String)) throws {
    let error = try Self.refusal(sample.form, config: (sample.from, sample.to))
    #expect(error.kind == .input && error.place?.hasPrefix("model.") == true, "\(error)")
  }

  @Test(arguments: [
    ("mlx4", "\"bits\": 4", "\"bits\": 7", "quantization.bits"),
    ("mlx4", "\"affine\"", "\"nvfp4\"", "quantization.mode"),
    ("mxfp4", "\"group_size\": 32", "\"group_size\": 16", "quantization.group_size"),
    ("mxfp4", "\"bits\": 4", "\"bits\": 8", "quantization.bits"),
  ])
  func parametersThatAreNotReadAreRefusedByName(_ sample: (form: String, from: String, to: String, place: String))
    throws
  {
    let error = try Self.refusal(sample.form, config: (sample.from, sample.to))
    #expect(error.kind == .input && error.place == sample.place, "\(error)")
  }

  /// Codes in words that are said to be GPTQ's.
  @Test func aFormWithoutStacksIsRefusedByName() throws {
    let error = try #require(throws: FurlError.self) {
      try HostilePackedTests.open(
        "ct4", in: StackedExpertTests.root,
        config: {
          $0.replacing("\"compressed-tensors\"", with: "\"gptq\", \"bits\": 4, \"group_size\": 32")
            .replacing("pack-quantized", with: "gptq")
        },
        tensors: { tensors in
          tensors.map {
            .init($0.name.replacing("weight_packed", with: "qweight"), $0.type, $0.shape, $0.bytes)
          }
        })
    }
    #expect(error.problem.contains("GPTQ") && error.place?.hasSuffix("_proj.qweight") == true, "\(error)")
  }
}
