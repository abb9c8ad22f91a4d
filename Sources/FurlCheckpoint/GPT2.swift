import FurlBase
import FurlSpec

/// GPT-2 (Radford et al. 2019) as Hugging Face writes it. Linear layers are "Conv1D": stored input x output, with
/// query, key and value fused.
enum GPT2: Architecture {
  static let modelType = "gpt2"
  static let prefix = "transformer."
  static let configurationKeys = ConfigurationKeys(
    layers: "n_layer", hidden: "n_embd", heads: "n_head", kvHeads: nil, headSize: nil, mlp: "n_inner")

  /// What transformers calls sizes in every family; here they stand for the older names, and go first.
  static let aliases: KeyValuePairs = [
    "hidden_size": "n_embd", "max_position_embeddings": "n_positions", "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
  ]

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    func size(_ key: String) throws -> Int {
      guard let value = try config.integer(key, in: 0...Int.max) else { throw config.error(key, "is missing") }
      return value
    }
    let hiddenSize = try size("n_embd")
    let heads = try size("n_head")
    guard heads > 0, hiddenSize % heads == 0 else {
      throw config.error("n_head", "\(heads) heads do not divide a hidden size of \(hiddenSize)")
    }
    try config.refuse("scale_attn_weights", unless: true)
    try config.refuse("scale_attn_by_inverse_layer_idx", unless: false)
    try config.refuse("add_cross_attention", unless: false)
    let mlpSize = try config.integer("n_inner", in: 1...Int.max) ?? 4 * min(hiddenSize, 1 << 40)
    let layers = try size("n_layer")
    guard layers <= 4096 else {
      throw config.error("n_layer", "\(layers) is out of range", remedy: "allowed: 0 to 4096")
    }
    let contextLength = try size("n_positions")
    try ConfigurationRules(reader: config).check(layers: layers, contextLength: contextLength, keepsWindows: false)
    return ModelSpec(
      architecture: modelType, vocabularySize: try size("vocab_size"), hiddenSize: hiddenSize,
      contextLength: contextLength, norm: .layerNorm,
      normEpsilon: try config.number("layer_norm_epsilon", in: 0...1) ?? 1e-5, residual: .sequential,
      positions: .learned, mlp: .plain, activation: try config.activation("activation_function", assumed: .geluTanh),
      biases: [.norm, .query, .key, .value, .attentionOutput, .up, .down],
      tiedEmbeddings: try config.bool("tie_word_embeddings") ?? true,
      blocks: Array(
        repeating: UniformDecoder.Widths(heads: heads, kvHeads: heads, headSize: hiddenSize / heads, mlpSize: mlpSize),
        count: layers))
  }

  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation {
    let isBias = tensor.role == .bias
    let suffix = isBias ? ".bias" : ".weight"
    let base = isBias ? String(tensor.name.dropLast(".bias".count)) : tensor.name
    guard let block = tensor.block else {
      switch base {
      case "embedding": return TensorLocation(name: "wte" + suffix)
      case "positions": return TensorLocation(name: "wpe" + suffix)
      case "norm": return TensorLocation(name: "ln_f" + suffix)
      default: return TensorLocation(name: "lm_head" + suffix)
      }
    }
    let prefix = "h.\(block)."
    func linear(_ name: String, part: Int? = nil) -> TensorLocation {
      let width = spec.hiddenSize
      return TensorLocation(
        name: prefix + name + suffix, isTransposed: !isBias, part: part.map { ($0 * width, 3 * width) })
    }
    switch base.dropFirst("blocks.\(block).".count) {
    case "attention.norm": return TensorLocation(name: prefix + "ln_1" + suffix)
    case "attention.query": return linear("attn.c_attn", part: 0)
    case "attention.key": return linear("attn.c_attn", part: 1)
    case "attention.value": return linear("attn.c_attn", part: 2)
    case "attention.output": return linear("attn.c_proj")
    case "mlp.norm": return TensorLocation(name: prefix + "ln_2" + suffix)
    case "mlp.up": return linear("mlp.c_fc")
    default: return linear("mlp.c_proj")
    }
  }
}
