import FurlBase
import FurlSpec

/// MPT (MosaicML 2023): no positions but slopes of scores (Press et al., "Train short, test long", 2022), LayerNorm without
/// bias, query, key and value fused.
enum MPT: Architecture {
  static let modelType = "mpt"
  static let models = "MPT 7B and 30B, Replit Code V1 3B in transformers' form"
  static let prefix = "transformer."
  static let configurationKeys = ConfigurationKeys(
    layers: "n_layers", hidden: "d_model", heads: "n_heads", kvHeads: nil, headSize: nil, mlp: "ffn_hidden_size",
    context: "max_seq_len", normEpsilon: "layer_norm_epsilon")
  static let aliases: KeyValuePairs = [
    "num_attention_heads": "n_heads", "hidden_size": "d_model", "num_hidden_layers": "n_layers",
  ]
  static let names = TensorNames(
    model: ["embedding": "wte", "norm": "norm_f"], layer: "blocks",
    block: [
      "attention.norm": "norm_1", "attention.output": "attn.out_proj", "mlp.norm": "norm_2", "mlp.up": "ffn.up_proj",
      "mlp.down": "ffn.down_proj",
    ],
    fusions: [.init(name: "attn.Wqkv", parts: ["attention.query", "attention.key", "attention.value"])])

  static let gguf: GGUFFamily? = GGUFFamily("mpt", "MptForCausalLM").with {
    $0.names = GGUFFamily.names(fusions: [GGUFFamily.fusedQueries])
    $0.epsilon = GGUFFamily.layerNormEpsilon
    $0.numbers = ["attention.max_alibi_bias": slopeLimit]
  }

  /// Of all models that transformers runs.
  private static let slopeLimit = 8.0

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    // The MLP is four times as wide, whatever expansion_ratio says.
    let decoder = try DecoderConfig(config, .init(context: 2048, mlpFactor: 4), keys: configurationKeys)
    let scale = try attention(config)
    let norm = NormSpec(.layerNorm, epsilon: try decoder.epsilon("layer_norm_epsilon", assumed: 1e-5))
    let neurons = FeedForwardSpec(size: decoder.mlpSize, isGated: false, activation: .gelu)
    return try decoder.model(modelType, norm: norm, before: norm, assumesTied: true) { _ in
      var attention = decoder.attention()
      attention.scale = scale
      attention.slopeLimit = slopeLimit
      return attention
    } mlp: { _ in
      .feedForward(neurons)
    }
  }

  /// The scale of scores, where it is said.
  private static func attention(_ config: DocumentReader) throws -> Double? {
    guard let attention = try config.reader("attn_config") else { return nil }
    try attention.refuse("alibi", unless: true)
    try attention.refuse("qk_ln", unless: false)
    try attention.refuse("prefix_lm", unless: false)
    try attention.refuse("alibi_bias_max", unless: slopeLimit)
    if let value = attention.optional("clip_qkv"), value != .bool(false), value != .integer(0) {
      throw attention.error("clip_qkv", "\(value.compactText.prefix(40)) is not supported yet")
    }
    return try attention.number("softmax_scale", in: 1e-6...1e6)
  }
}
