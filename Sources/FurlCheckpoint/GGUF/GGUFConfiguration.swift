import FurlBase
import FurlTensor

/// The `config.json` that a GGUF model would have in Hugging Face's form, so that one reader serves both.
///
/// Keys of the metadata: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; what a missing key means is what
/// llama.cpp takes it for.
struct GGUFConfiguration {
  private let file: GGUFFile
  private let metadata: GGUFMetadata
  /// By the format's name: `phi2`.
  let architecture: String
  private let shapes: [String: [Int]]

  /// Architectures by the format's name for them, and `model_type` of Hugging Face.
  static let modelTypes: KeyValuePairs = [
    "llama": "llama", "qwen2": "qwen2", "starcoder2": "starcoder2", "phi2": "phi", "gpt2": "gpt2",
  ]

  /// - Throws: ``FurlError`` of kind `input` when the architecture is not among them.
  init(_ file: GGUFFile) throws {
    try file.refuseOtherKinds()
    let key = "general.architecture"
    guard let architecture = try file.metadata.string(key) else { throw file.metadata.error(key, "is missing") }
    guard GGUFConfiguration.modelTypes.contains(where: { $0.key == architecture }) else {
      throw file.metadata.error(
        key, "\"\(architecture)\" is not supported yet",
        remedy: "supported: \(GGUFConfiguration.modelTypes.map { $0.key }.joined(separator: ", "))")
    }
    self.file = file
    metadata = file.metadata
    self.architecture = architecture
    shapes = Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.tensor.name, $0.tensor.shape) })
  }

  /// - Throws: ``FurlError`` of kind `input` naming the key, also for what Furl does not compute.
  func json() throws -> JSON {
    try refuseOthers()
    var members = architecture == "gpt2" ? try gpt2() : try decoder()
    members.append(.init("tie_word_embeddings", .bool(shapes["output.weight"] == nil)))
    for (key, name) in [("bos_token_id", "bos"), ("eos_token_id", "eos")] {
      // An id that no row has stands for none, as in llama.cpp.
      if let id = try metadata.integer("tokenizer.ggml.\(name)_token_id"), try (0..<vocabularySize()).contains(id) {
        members.append(.init(key, .integer(id)))
      }
    }
    return .object(members)
  }

  // MARK: Families

  private func gpt2() throws -> [JSON.Member] {
    let heads = try required("attention.head_count")
    guard try perBlock("attention.head_count_kv") ?? heads == heads else {
      throw metadata.error(name("attention.head_count_kv"), "fewer key/value heads are not supported yet for gpt2")
    }
    return [
      .init("model_type", "gpt2"), .init("architectures", ["GPT2LMHeadModel"]),
      .init("vocab_size", .integer(try vocabularySize())),
      .init("n_positions", .integer(try required("context_length"))),
      .init("n_embd", .integer(try required("embedding_length"))),
      .init("n_layer", .integer(try required("block_count"))),
      .init("n_head", .integer(heads)), .init("n_inner", .integer(try required("feed_forward_length"))),
      .init("activation_function", "gelu_new"),
      .init("layer_norm_epsilon", .number(try epsilon("attention.layer_norm_epsilon"))),
    ]
  }

  private func decoder() throws -> [JSON.Member] {
    let heads = try required("attention.head_count")
    let hidden = try required("embedding_length")
    let headSize = try headSize(hidden: hidden, heads: heads)
    var members: [JSON.Member] = [
      .init("vocab_size", .integer(try vocabularySize())), .init("hidden_size", .integer(hidden)),
      .init("intermediate_size", .integer(try required("feed_forward_length"))),
      .init("num_hidden_layers", .integer(try required("block_count"))), .init("num_attention_heads", .integer(heads)),
      .init("num_key_value_heads", .integer(try perBlock("attention.head_count_kv") ?? heads)),
      .init("max_position_embeddings", .integer(try required("context_length"))),
    ]
    let (product, overflow) = headSize.multipliedReportingOverflow(by: heads)
    if overflow || product != hidden { members.append(.init("head_dim", .integer(headSize))) }
    let turned = try metadata.integer(name("rope.dimension_count")) ?? headSize
    members += try GGUFRotary(file: file, architecture: architecture, dimensions: turned).members()
    let hasAttentionBias = has("blk.0.attn_q.bias") || has("blk.0.attn_qkv.bias")
    if architecture != "phi2", turned != headSize {
      throw metadata.error(
        name("rope.dimension_count"),
        "\(turned) of \(headSize) numbers of a head are turned, which is not supported for \(architecture)")
    }
    switch architecture {
    case "llama":
      members.insert(.init("model_type", "llama"), at: 0)
      members.insert(.init("architectures", ["LlamaForCausalLM"]), at: 1)
      members += [
        .init("hidden_act", "silu"), .init("rms_norm_eps", .number(try epsilon("attention.layer_norm_rms_epsilon"))),
        .init("attention_bias", .bool(hasAttentionBias)), .init("mlp_bias", .bool(has("blk.0.ffn_up.bias"))),
      ]
    case "qwen2":
      members.insert(.init("model_type", "qwen2"), at: 0)
      members.insert(.init("architectures", ["Qwen2ForCausalLM"]), at: 1)
      members += [
        .init("hidden_act", "silu"), .init("rms_norm_eps", .number(try epsilon("attention.layer_norm_rms_epsilon"))),
        .init("use_sliding_window", false),
      ]
    case "starcoder2":
      members.insert(.init("model_type", "starcoder2"), at: 0)
      members.insert(.init("architectures", ["Starcoder2ForCausalLM"]), at: 1)
      let window = try metadata.integer(name("attention.sliding_window")).flatMap { $0 == 0 ? nil : $0 }
      members += [
        .init("hidden_act", "gelu_pytorch_tanh"),
        .init("norm_epsilon", .number(try epsilon("attention.layer_norm_epsilon"))),
        .init("sliding_window", .optional(window)), .init("use_bias", .bool(hasAttentionBias)),
      ]
    default:
      members.insert(.init("model_type", "phi"), at: 0)
      members.insert(.init("architectures", ["PhiForCausalLM"]), at: 1)
      members += [
        .init("hidden_act", "gelu_new"),
        .init("layer_norm_eps", .number(try epsilon("attention.layer_norm_epsilon"))),
        .init("partial_rotary_factor", .number(share(turned, of: headSize))),
        .init("qk_layernorm", false),
      ]
    }
    return members
  }

  /// The share of a head that gives its turned numbers back when it is multiplied and cut off.
  private func share(_ turned: Int, of headSize: Int) -> Double {
    let share = Double(turned) / Double(max(1, headSize))
    return Int(exactly: (Double(headSize) * share).rounded(.towardZero)) == turned ? share : share.nextUp
  }

  // MARK: Keys

  private func name(_ key: String) -> String { architecture + "." + key }

  private func has(_ tensor: String) -> Bool { shapes[tensor] != nil }

  private func required(_ key: String) throws -> Int {
    guard let value = try perBlock(key) else { throw metadata.error(name(key), "is missing") }
    return value
  }

  /// An integer, or a list with one for every block if all are the same.
  private func perBlock(_ key: String) throws -> Int? {
    guard metadata.count(name(key)) != nil else { return try metadata.integer(name(key)) }
    guard let list = try metadata.integers(name(key)), let first = list.first, list.allSatisfy({ $0 == first }) else {
      throw metadata.error(name(key), "differs from block to block, which is not supported yet")
    }
    return first
  }

  private func epsilon(_ key: String) throws -> Double {
    guard let value = try metadata.number(name(key)) else { throw metadata.error(name(key), "is missing") }
    return value
  }

  private func vocabularySize() throws -> Int {
    guard let shape = shapes["token_embd.weight"], shape.count == 2 else {
      throw FurlError.input(file.path, "token_embd.weight", "is missing or no matrix")
    }
    return shape[0]
  }

  private func headSize(hidden: Int, heads: Int) throws -> Int {
    let size = try metadata.integer(name("attention.key_length"))
    if let other = try metadata.integer(name("attention.value_length")), other != size {
      throw metadata.error(name("attention.value_length"), "is not as attention.key_length, which is not supported yet")
    }
    if let size { return size }
    guard heads > 0, hidden % heads == 0 else {
      throw metadata.error(
        name("attention.head_count"), "\(heads) heads do not divide an embedding length of \(hidden)")
    }
    return hidden / heads
  }

  /// Keys that change what a model computes, where their values are not the ones that mean nothing.
  private func refuseOthers() throws {
    for (key, harmless) in [
      ("expert_count", 0.0), ("attention.scale", 0), ("attention.clamp_kqv", 0), ("attention.max_alibi_bias", 0),
      ("logit_scale", 0), ("attn_logit_softcapping", 0), ("final_logit_softcapping", 0), ("embedding_scale", 0),
      ("residual_scale", 0), ("rope.scaling.attn_factor", 1),
    ] {
      guard let value = try metadata.number(name(key)), value != harmless else { continue }
      throw metadata.error(name(key), "\(value) is not supported yet")
    }
    if try metadata.bool(name("attention.causal")) == false {
      throw metadata.error(name("attention.causal"), "false is not supported")
    }
    if architecture != "starcoder2", let window = try metadata.integer(name("attention.sliding_window")), window != 0 {
      throw metadata.error(name("attention.sliding_window"), "\(window) is not supported yet for \(architecture)")
    }
  }
}
