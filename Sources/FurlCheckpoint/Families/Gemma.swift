import FurlBase
import FurlSpec
import FurlTensor

/// Gemma (Gemma Team 2024, https://arxiv.org/abs/2403.08295): llama whose norms multiply with one more than their weights and
/// whose embedding is multiplied with the square root of the hidden size; both are folded into the weights.
enum Gemma: Architecture {
  static let modelType = "gemma"
  static let models = "Gemma 2B and 7B, CodeGemma"
  static let configurationKeys = ConfigurationKeys()

  static let gguf: GGUFFamily? = GGUFFamily("gemma", "GemmaForCausalLM").with {
    $0.fixed = ["hidden_activation": "gelu_pytorch_tanh"]
    $0.switches = ["attention_bias": ["attn_q.bias", "attn_qkv.bias"]]
    $0.folds = { _, spec in storedFolds(spec) }
    $0.hasHeadSize = true
    $0.possibleBiases = GGUFFamily.attentionBiases
    $0.head = .embedding
  }

  /// Of GGUF files, whose norms have one more than those of checkpoints.
  private static func storedFolds(_ spec: ModelSpec) -> Folds {
    let root = Float(Double(spec.hiddenSize).squareRoot())
    var folds: Folds = ["embedding": .init(factor: root)]
    if spec.tiedEmbeddings { folds["norm"] = .init(factor: 1 / root) }
    return folds
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, .init(context: 8192, kvHeads: 16, headSize: 256))
    try refuseBothWays(config)
    let rotary = try decoder.rotary()
    let biases: Set<TensorRole> =
      try decoder.flag("attention_bias", assumed: false) ? [.query, .key, .value, .attentionOutput] : []
    let neurons = FeedForwardSpec(size: decoder.mlpSize, isGated: true, activation: try activation(config))
    return try decoder.llama(modelType, assumesTied: true) { _ in
      decoder.attention(rotary: rotary, biases: biases)
    } mlp: { _ in
      .feedForward(neurons)
    }
  }

  /// The first files said `gelu` and meant its tanh form.
  private static func activation(_ config: DocumentReader) throws -> ModelSpec.Activation {
    let stated = try config.activation("hidden_act", assumed: .geluTanh)
    return config.optional("hidden_act") == "gelu" ? .geluTanh : stated
  }

  static func refuseBothWays(_ config: DocumentReader) throws {
    try config.refuse("use_bidirectional_attention", unless: false)
  }

  static func folds(_ config: DocumentReader, _ spec: ModelSpec) throws -> Folds {
    let root = Float(Double(spec.hiddenSize).squareRoot())
    let more = WeightSource.Fold(addend: 1)
    var folds: Folds = ["embedding": .init(factor: root)]
    for name in [
      "attention.norm", "attention.output_norm", "mlp.norm", "mlp.output_norm", "attention.query_norm",
      "attention.key_norm",
    ] {
      folds[name] = more
    }
    // The head is the embedding, with its factor.
    folds["norm"] = spec.tiedEmbeddings ? .init(factor: 1 / root, addend: 1 / root) : more
    return folds
  }
}
