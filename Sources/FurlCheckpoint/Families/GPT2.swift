import FurlBase
import FurlSpec

/// GPT-2 (Radford et al. 2019) as Hugging Face writes it. Linear layers are "Conv1D": stored input x output, with
/// query, key and value fused.
enum GPT2: Architecture {
  static let modelType = "gpt2"
  static let models = "GPT-2, CodeGPT, CodeParrot"
  static let prefix = "transformer."
  static let configurationKeys = ConfigurationKeys(
    layers: "n_layer", hidden: "n_embd", heads: "n_head", kvHeads: nil, headSize: nil, mlp: "n_inner",
    context: "n_positions", normEpsilon: "layer_norm_epsilon")

  /// What transformers calls sizes in every family; here they stand for the older names, and go first.
  static let aliases: KeyValuePairs = [
    "hidden_size": "n_embd", "max_position_embeddings": "n_positions", "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
  ]

  static let names = naming(isTransposed: true)

  /// Of this family and of those that were made from it.
  static func naming(isTransposed: Bool, attention: [String: String] = [:], fused: String? = "attn.c_attn")
    -> TensorNames
  {
    TensorNames(
      model: ["embedding": "wte", "positions": "wpe", "norm": "ln_f"], layer: "h",
      block: [
        "attention.norm": "ln_1", "attention.output": "attn.c_proj", "mlp.norm": "ln_2", "mlp.up": "mlp.c_fc",
        "mlp.down": "mlp.c_proj",
      ].merging(attention) { $1 },
      fusions: fused.map { [.init(name: $0, parts: ["attention.query", "attention.key", "attention.value"])] } ?? [],
      isTransposed: isTransposed)
  }

  static let gguf: GGUFFamily? = GGUFFamily("gpt2", "GPT2LMHeadModel").with {
    $0.names = GGUFFamily.names(fusions: [GGUFFamily.fusedQueries])
    $0.fixed = ["activation_function": "gelu_new"]
    $0.epsilon = GGUFFamily.layerNormEpsilon
    $0.neededBiases = GGUFFamily.linearBiases.union([.norm])
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    try config.refuse("scale_attn_weights", unless: true)
    try config.refuse("scale_attn_by_inverse_layer_idx", unless: false)
    try config.refuse("add_cross_attention", unless: false)
    _ = try config.size("n_positions")
    let decoder = try DecoderConfig(config, .init(context: 1024, mlpFactor: 4), keys: configurationKeys)
    return try spec(decoder, modelType)
  }

  /// A model that is built like GPT-2 but for its key/value heads.
  static func spec(_ decoder: DecoderConfig, _ architecture: String, kvHeads: Int? = nil) throws -> ModelSpec {
    var widths = decoder.blocks { _ in nil }
    if let kvHeads { for index in widths.indices { widths[index].kvHeads = kvHeads } }
    return ModelSpec(
      architecture: architecture, vocabularySize: decoder.vocabularySize, hiddenSize: decoder.hiddenSize,
      contextLength: decoder.contextLength, norm: .layerNorm,
      normEpsilon: try decoder.epsilon("layer_norm_epsilon", assumed: 1e-5), residual: .sequential,
      positions: .learned, mlp: .plain,
      activation: try decoder.reader.activation("activation_function", assumed: .geluTanh),
      biases: [.norm, .query, .key, .value, .attentionOutput, .up, .down],
      tiedEmbeddings: try decoder.flag("tie_word_embeddings", assumed: true), blocks: widths)
  }
}
