import FurlTensor
import FurlBase
import FurlCheckpoint
import FurlSpec
import FurlTestSupport
import Testing

/// What the keys of `config.json` mean, for the families newer than GPT-2. What is assumed for a missing key is what
/// the configuration classes of transformers 5 assume.
@Suite struct FamilyConfigTests {
  @Test(arguments: SmallDecoder.families, ["model.", ""])
  func namesComeWithAndWithoutAPrefix(_ family: String, _ prefix: String) throws {
    let checkpoint = try SmallDecoder(family, prefix: prefix).open()
    #expect(checkpoint.spec.parameterCount == checkpoint.spec.tensors.reduce(0) { $0 + $1.elementCount })
    for tensor in checkpoint.spec.tensors {
      #expect(try checkpoint.source(tensor.name).readAll().count == tensor.elementCount)
    }
  }

  @Test func whatIsMissingIsAsTransformersAssumes() throws {
    let shapes: [(family: String, context: Int, epsilon: Double, tied: Bool, window: Int?)] = [
      ("starcoder2", 4096, 1e-5, true, nil), ("phi", 2048, 1e-5, false, nil), ("llama", 2048, 1e-6, false, nil),
      ("mistral", 131_072, 1e-6, false, 4096), ("qwen2", 32_768, 1e-6, true, nil),
    ]
    for shape in shapes {
      let spec = try SmallDecoder(shape.family).spec(["max_position_embeddings": nil])
      #expect(spec.contextLength == shape.context && spec.norm.epsilon == shape.epsilon, "\(shape.family)")
      #expect(spec.tiedEmbeddings == shape.tied && spec.blocks.allSatisfy { $0.widths.window == shape.window })
      #expect(spec.uniform?.activation == (["starcoder2", "phi"].contains(shape.family) ? .geluTanh : .silu))
      #expect(spec.uniform?.positions == .rotary(.init(theta: 10_000, dimensions: shape.family == "phi" ? 4 : 8)))
    }
    // The class's own number of key/value heads where the file says nothing, one for each head where it says null.
    #expect(try SmallDecoder("starcoder2").error(["num_key_value_heads": nil]).problem.contains("says [16, 16]"))
    for family in ["mistral", "qwen2"] {
      #expect(try SmallDecoder(family).error(["num_key_value_heads": nil]).place == "num_key_value_heads")
    }
    for family in ["starcoder2", "llama", "mistral", "qwen2"] {
      #expect(try SmallDecoder(family).error(["num_key_value_heads": "null"]).problem.contains("says [16, 16]"))
    }
    #expect(try SmallDecoder("phi").spec(["num_key_value_heads": nil]).blocks[0].widths.kvHeads == 2)
    #expect(
      try SmallDecoder("qwen2").error(["tie_word_embeddings": nil]).place == "lm_head.weight", "untied by default")
  }

  @Test func sizesAndSwitchesAreRead() throws {
    let starcoder2 = SmallDecoder("starcoder2")
    #expect(try starcoder2.spec(["sliding_window": "5"]).blocks.map(\.widths.window) == [5, 5])
    #expect(try starcoder2.spec(["norm_epsilon": "0.001"]).norm.epsilon == 0.001)
    var noBiases = starcoder2
    noBiases.weights.tensors.removeAll { $0.name.hasSuffix(".bias") && !$0.name.contains("norm") }
    #expect(try noBiases.spec(["use_bias": "false"]).biases == [.norm])
    var untied = starcoder2
    untied.weights.tensors.append(.init("lm_head.weight", [10, 16], [Float](repeating: 1, count: 160)))
    #expect(try untied.spec(["tie_word_embeddings": "false"]).tensors.last?.name == "head")

    var biased = SmallDecoder("llama")
    for tensor in biased.weights.tensors where tensor.name.contains("_proj") {
      let name = tensor.name.replacing(".weight", with: ".bias")
      biased.weights.tensors.append(.init(name, [tensor.shape[0]], [Float](repeating: 0, count: tensor.shape[0])))
    }
    #expect(
      try biased.spec(["attention_bias": "true", "mlp_bias": "true"]).biases
        == [.query, .key, .value, .attentionOutput, .gate, .up, .down])
    #expect(try biased.error([:]).problem.contains("is not part of"))
    #expect(try SmallDecoder("mistral").spec(["sliding_window": "null"]).blocks.map(\.widths.window) == [nil, nil])
    #expect(try SmallDecoder("mistral").spec(["sliding_window": "7"]).blocks.map(\.widths.window) == [7, 7])
  }

  /// A head size of its own: two heads of 8 are also one of 16.
  @Test func theHeadSizeMayBeStated() throws {
    var small = SmallDecoder("llama")
    for index in small.weights.tensors.indices {
      let tensor = small.weights.tensors[index]
      guard tensor.name.contains("self_attn") else { continue }
      let isOutput = tensor.name.contains("o_proj")
      let rows = tensor.name.contains("q_proj") ? 48 : 24
      let shape = isOutput ? [16, 48] : [rows, 16]
      small.weights.tensors[index] = .init(tensor.name, shape, [Float](repeating: 0.5, count: shape[0] * shape[1]))
    }
    let spec = try small.spec(["head_dim": "24"])
    #expect(spec.blocks[0].widths == .init(heads: 2, kvHeads: 1, headSize: 24, mlpSize: 24))
    #expect(spec.uniform?.positions == .rotary(.init(theta: 10_000, dimensions: 24)))
    #expect(try SmallDecoder("llama").spec(["head_dim": "null"]).blocks[0].widths.headSize == 8)
  }

  @Test func windowsOfQwen2() throws {
    let small = SmallDecoder("qwen2")
    func windows(_ changes: [String: String?]) throws -> [Int?] { try small.spec(changes).blocks.map(\.widths.window) }
    #expect(try windows(["use_sliding_window": "true", "sliding_window": "6", "max_window_layers": "1"]) == [nil, 6])
    #expect(try windows(["use_sliding_window": "true", "sliding_window": "6"]) == [nil, nil], "28 by default")
    #expect(try windows(["use_sliding_window": "true", "max_window_layers": "0"]) == [4096, 4096])
    #expect(
      try windows(["use_sliding_window": "false", "sliding_window": "6", "max_window_layers": "0"]) == [nil, nil])
    #expect(
      try windows(["use_sliding_window": "true", "sliding_window": "null", "max_window_layers": "0"]) == [nil, nil])
    let words = "[\"sliding_attention\", \"full_attention\"]"
    #expect(
      try windows(["use_sliding_window": "true", "sliding_window": "6", "layer_types": words]) == [6, nil],
      "layer_types goes before max_window_layers")
    for changes in [
      ["layer_types": words], ["layer_types": "[\"full_attention\"]"],
      ["layer_types": "[\"full_attention\", \"chunked_attention\"]"], ["layer_types": "\"full_attention\""],
      ["layer_types": "[1, 2]"],
    ] {
      #expect(try small.error(changes).place?.hasPrefix("layer_types") == true)
    }
  }

  @Test(arguments: SmallDecoder.families)
  func whereRotaryKeysStand(_ family: String) throws {
    let small = SmallDecoder(family)
    let dimensions = family == "phi" ? 4 : 8
    func check(_ changes: [String: String?], _ theta: Double, _ scaling: ModelSpec.Rotary.Scaling = .none) throws {
      #expect(try small.rotary(changes) == .init(theta: theta, dimensions: dimensions, scaling: scaling), "\(changes)")
    }
    try check(["rope_theta": "500000"], 500_000)
    try check(["rope_parameters": #"{"rope_type": "default", "rope_theta": 2e6}"#], 2e6)
    try check(["rope_parameters": #"{"rope_theta": 2e6}"#, "rope_theta": "3e6"], 2e6)
    try check(["rope_parameters": "{}", "rope_theta": "3e6"], 3e6)
    try check(["rope_scaling": "null", "rope_theta": "3e6"], 3e6)
    for key in ["type", "rope_type"] {
      try check(
        ["rope_scaling": "{\"\(key)\": \"linear\", \"factor\": 4}", "rope_theta": "3e6"], 3e6, .linear(factor: 4))
    }
    try check(
      ["rope_scaling": #"{"type": "linear", "factor": 4}"#, "rope_parameters": #"{"rope_theta": 5e5}"#], 10_000,
      .linear(factor: 4))
    let llama3 = #"{"rope_type": "llama3", "rope_theta": 5e5, "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4"#
    func scaled(_ context: Int) -> ModelSpec.Rotary.Scaling {
      .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: context)
    }
    try check(["rope_parameters": llama3 + #", "original_max_position_embeddings": 8192}"#], 5e5, scaled(8192))
    try check(["rope_parameters": llama3 + "}"], 5e5, scaled(12))
    try check(["rope_parameters": llama3 + "}", "original_max_position_embeddings": "100"], 5e5, scaled(100))
  }

  @Test func thePartThatPhiTurns() throws {
    let phi = SmallDecoder("phi")
    func dimensions(_ changes: [String: String?]) throws -> Int? { try phi.rotary(changes)?.dimensions }
    #expect(try dimensions(["partial_rotary_factor": "1.0"]) == 8)
    #expect(try dimensions(["partial_rotary_factor": "0.25"]) == 2)
    #expect(try dimensions(["rope_parameters": #"{"partial_rotary_factor": 0.25}"#]) == 2)
    #expect(
      try dimensions(["rope_parameters": #"{"partial_rotary_factor": 0.25}"#, "partial_rotary_factor": "1"]) == 2)
    #expect(try dimensions(["partial_rotary_factor": "0.8"]) == 6, "6.4 towards zero")
    for value in ["0", "0.4", "-1", "1.5", "\"half\""] {
      #expect(try phi.error(["partial_rotary_factor": value]).kind == .input)
    }
    for family in SmallDecoder.families where family != "phi" {
      let small = SmallDecoder(family)
      #expect(try small.rotary(["partial_rotary_factor": "1.0"])?.dimensions == 8)
      #expect(try small.error(["partial_rotary_factor": "0.5"]).place == "partial_rotary_factor")
      #expect(
        try small.error(["rope_parameters": #"{"partial_rotary_factor": 0.5}"#]).place == "partial_rotary_factor")
    }
  }

  @Test(arguments: [
    ("gelu", ModelSpec.Activation.gelu), ("gelu_python", .gelu), ("gelu_new", .geluTanh), ("gelu_fast", .geluTanh),
    ("gelu_pytorch_tanh", .geluTanh), ("quick_gelu", .quickGelu), ("silu", .silu), ("swish", .silu), ("relu", .relu),
    ("tanh", .tanh),
  ])
  func activationsByTheirNames(_ name: String, _ activation: ModelSpec.Activation) throws {
    for family in SmallDecoder.families {
      #expect(try SmallDecoder(family).spec(["hidden_act": "\"\(name)\""]).uniform?.activation == activation)
    }
    var gpt2 = SmallGPT2()
    gpt2.config["activation_function"] = "\"\(name)\""
    #expect(try gpt2.open().spec.uniform?.activation == activation)
  }

  /// What old versions of transformers saved beside the weights.
  @Test(arguments: SmallDecoder.families, ["model.", ""])
  func tablesOfFrequenciesAreIgnored(_ family: String, _ prefix: String) throws {
    var small = SmallDecoder(family, prefix: prefix)
    let plain = try small.open().spec
    for block in 0..<2 {
      small.weights.tensors.append(
        .init(prefix + "layers.\(block).self_attn.rotary_emb.inv_freq", [4], [Float](repeating: 1, count: 4)))
    }
    #expect(try small.open().spec == plain)
  }
}
