import FurlBase
import FurlSpec
import FurlCheckpoint
import FurlTensor
import FurlTestSupport
import Testing

/// `config.json` and weights of the families newer than GPT-2 as an enemy would write them: an error that names the
/// key or the tensor, at once.
@Suite struct HostileFamilyTests {
  static let sizes = [
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "intermediate_size", "max_position_embeddings", "head_dim", "sliding_window",
  ]

  @Test(arguments: SmallDecoder.families)
  func sizesThatAreMissingOrWrongAreRefused(_ family: String) throws {
    let small = SmallDecoder(family)
    for key in Self.sizes.prefix(4) + ["intermediate_size"] {
      #expect(try small.error([key: nil]).place == key)
      #expect(try small.error([key: "null"]).place == key)
    }
    for key in Self.sizes {
      for value in [
        "\"12\"", "1.5", "-1", "true", "[]", "{}", "1e3", "9223372036854775807", "9223372036854775808",
        "-9223372036854775808", "4611686018427387904", "2305843009213693952", "4294967296", "1099511627776", "0",
      ] {
        // A window is not read where no block can have one.
        if key == "sliding_window", ["phi", "llama"].contains(family) { continue }
        let error = try small.error([key: value])
        #expect(error.kind == .input && error.file != nil && error.place != nil, "\(key) = \(value): \(error)")
        #expect(!error.description.contains("\n"))
      }
    }
  }

  @Test(arguments: SmallDecoder.families)
  func sizesThatDoNotFitAreRefused(_ family: String) throws {
    let small = SmallDecoder(family)
    for (key, value) in [
      ("num_attention_heads", "3"), ("num_attention_heads", "16"), ("hidden_size", "15"), ("hidden_size", "17"),
      ("vocab_size", "9"), ("vocab_size", "16777217"), ("num_hidden_layers", "3"), ("num_hidden_layers", "1"),
      ("num_hidden_layers", "4097"), ("intermediate_size", "23"), ("num_key_value_heads", "3"),
      ("num_key_value_heads", "4"), ("head_dim", "16"), ("head_dim", "7"), ("head_dim", "4097"),
      ("max_position_embeddings", "16777217"),
    ] {
      let error = try small.error([key: value])
      #expect(error.kind == .input && error.file != nil && error.place != nil, "\(key) = \(value): \(error)")
    }
  }

  @Test(arguments: SmallDecoder.families)
  func whatIsNotSupportedIsRefusedByKey(_ family: String) throws {
    let small = SmallDecoder(family)
    func check(_ key: String, _ value: String, at place: String? = nil) throws {
      let error = try small.error([key: value])
      #expect(error.kind == .input && error.place == place ?? key, "\(key) = \(value): \(error)")
      #expect(error.file?.hasSuffix("/config.json") == true && !error.description.contains("\n"))
    }
    for value in ["\"relu6\"", "\"magic\"", "7", "[]"] { try check("hidden_act", value) }
    try check("tie_word_embeddings", "\"true\"")
    for value in ["false", "null", "0", "\"true\""] { try check("is_causal", value) }
    for (key, value) in [
      ("per_layer_config", "{\"1\": {\"sliding_window\": 3}}"), ("kv_sharing_modes", "[\"store\", \"reuse\"]"),
      ("pruned_heads", "{\"0\": [1]}"), ("is_encoder_decoder", "true"), ("text_config", "{}"),
      ("decoder", "{\"model_type\": \"llama\"}"), ("attention_chunk_size", "4"),
      ("attribute_map", "{\"hidden_act\": \"other\"}"),
    ] { try check(key, value) }
    let kind = family == "mistral" ? "sliding_attention" : "full_attention"
    try check("layer_types", "[\"\(kind)\", \"chunked_attention\"]", at: "layer_types[1]")
    try check("layer_types", "[\"full_attention\"]")
    try check("rope_theta", "\"10000\"")
    for value in ["0", "-1", "0.5", "1e13", "1e400"] { #expect(try small.error(["rope_theta": value]).kind == .input) }
    let epsilon = ["starcoder2": "norm_epsilon", "phi": "layer_norm_eps"][family] ?? "rms_norm_eps"
    for value in ["-1", "2", "\"x\""] { try check(epsilon, value) }
    for kind in ["mrope", "proportional", "axial", "nonsense"] {
      try check("rope_scaling", "{\"type\": \"\(kind)\", \"factor\": 2}", at: "rope_scaling.type")
      try check("rope_scaling", "{\"rope_type\": \"\(kind)\", \"factor\": 2}", at: "rope_scaling.rope_type")
      try check("rope_parameters", "{\"rope_type\": \"\(kind)\"}", at: "rope_parameters.rope_type")
    }
    for value in ["[]", "7", "\"linear\"", "true"] {
      try check("rope_scaling", value)
      try check("rope_parameters", value)
    }
    try check("rope_scaling", #"{"type": "linear"}"#, at: "rope_scaling.factor")
    try check("rope_scaling", #"{"type": "dynamic"}"#, at: "rope_scaling.factor")
    try check("rope_scaling", #"{"type": "yarn", "factor": "2"}"#, at: "rope_scaling.factor")
    try check("rope_scaling", #"{"type": "yarn", "factor": 2, "beta_fast": "32"}"#, at: "rope_scaling.beta_fast")
    try check("rope_scaling", #"{"type": "longrope", "factor": 2}"#, at: "rope_scaling.short_factor")
    try check(
      "rope_scaling", #"{"type": "longrope", "factor": 2, "short_factor": [1], "long_factor": [1]}"#,
      at: "rope_scaling.short_factor")
    try check("rope_scaling", #"{"type": "linear", "factor": 0}"#, at: "rope_scaling.factor")
    try check("rope_scaling", #"{"type": "linear", "factor": "2"}"#, at: "rope_scaling.factor")
    try check("rope_scaling", #"{"type": 3}"#, at: "rope_scaling.type")
    for (missing, rest) in [
      ("factor", #""low_freq_factor": 1, "high_freq_factor": 4"#),
      ("low_freq_factor", #""factor": 8, "high_freq_factor": 4"#),
      ("high_freq_factor", #""factor": 8, "low_freq_factor": 1"#),
    ] {
      try check("rope_parameters", "{\"rope_type\": \"llama3\", \(rest)}", at: "rope_parameters.\(missing)")
    }
    let turned = #"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1}"#
    #expect(try small.error(["rope_parameters": turned]).place == "rotary.scaling")
    try check("rope_parameters", #"{"full_attention": {"rope_theta": 1e4}}"#, at: "rope_parameters.full_attention")
    switch family {
    case "phi":
      try check("qk_layernorm", "true")
      try check("tie_word_embeddings", "true")
    case "llama":
      try check("attention_bias", "1")
      #expect(try small.error(["attention_bias": "true"]).place == "layers.0.self_attn.q_proj.bias")
      #expect(try small.error(["mlp_bias": "true"]).place == "layers.0.mlp.gate_proj.bias")
    case "starcoder2":
      try check("use_bias", "\"yes\"")
      #expect(try small.error(["use_bias": "false"]).problem.contains("is not part of"))
    case "qwen2":
      try check("use_sliding_window", "\"no\"")
      try check("max_window_layers", "-1")
    default: break
    }
  }

  /// Sizes that are allowed one by one and absurd together cost no memory: the weights do not match.
  @Test(arguments: SmallDecoder.families)
  func hugeSizesAreRefusedAtOnce(_ family: String) throws {
    let error = try SmallDecoder(family).error([
      "vocab_size": String(1 << 24), "hidden_size": String(1 << 17), "num_hidden_layers": "4096",
      "num_attention_heads": "4096", "num_key_value_heads": "4096", "intermediate_size": String(1 << 20),
      "max_position_embeddings": String(1 << 24),
    ])
    #expect(error.kind == .input)
  }

  @Test(arguments: SmallDecoder.families)
  func unknownMissingAndMisshapenTensorsAreNamed(_ family: String) throws {
    let whole = SmallDecoder(family)
    for name in [
      "model.layers.2.input_layernorm.weight", "extra", "model.layers.0.self_attn.q_proj.scales", "lm_head.scale",
      "model.model.norm.weight", "model.layers.0.self_attn.rotary_emb.inv_freq2", "model.layers.0.self_attn.qkv.weight",
    ] {
      var small = whole
      small.weights.tensors.append(.init(name, [16], [Float](repeating: 0, count: 16)))
      #expect(try small.error([:]).place == name)
    }
    for index in whole.weights.tensors.indices {
      var small = whole
      let removed = small.weights.tensors.remove(at: index)
      let missing = try small.error([:])
      #expect(missing.place.map { removed.name.hasSuffix($0) } == true && missing.problem.contains("is missing"))
      small = whole
      small.weights.tensors[index].shape.append(1)
      let misshapen = try small.error([:])
      #expect(misshapen.place == removed.name && misshapen.problem.contains("has shape"), "\(misshapen)")
    }
  }

  /// Changed letters in `config.json`: an error, or a checkpoint whose every tensor can be read.
  @Test(arguments: SmallDecoder.families)
  func noChangedConfigCrashes(_ family: String) throws {
    var small = SmallDecoder(family)
    small.config["rope_parameters"] =
      #"{"rope_type":"llama3","rope_theta":5e5,"factor":8,"low_freq_factor":1,"high_freq_factor":4}"#
    var draws = SplitMix64(seed: 3)
    try TestData.withTemporaryFolder { folder in
      try TestData.write(small.weights.bytes, to: folder + "/model.safetensors")
      for _ in 0..<300 {
        var config = Array(small.configText.utf8)
        for _ in 0..<Int.random(in: 1...2, using: &draws) {
          config[Int.random(in: 0..<config.count, using: &draws)] = UInt8.random(in: 0x20..<0x7F, using: &draws)
        }
        try TestData.write(config, to: folder + "/config.json")
        guard let checkpoint = try? Checkpoint(folder: folder) else { continue }
        for tensor in checkpoint.spec.tensors {
          #expect(try checkpoint.source(tensor.name).readAll().count == tensor.elementCount)
        }
      }
    }
  }
}
