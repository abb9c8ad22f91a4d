import FurlBase
import FurlSpec
import FurlTensor

/// Granite (IBM 2024, https://arxiv.org/abs/2405.04324): llama with four multipliers, which are folded into the weights.
enum Granite: Architecture {
  static let modelType = "granite"
  static let models = "Granite 3.0 to 4.0 dense (2B, 8B)"
  static let configurationKeys = ConfigurationKeys()

  static let gguf = Llama.gguf?.with {
    $0.architecture = "granite"
    $0.className = "GraniteForCausalLM"
    $0.keys = [
      .multiplier("embedding_scale", "embedding_multiplier", assumed: nil),
      .multiplier("residual_scale", "residual_multiplier", assumed: nil),
      .multiplier("logit_scale", "logits_scaling", assumed: 1), .scale("attention_multiplier"),
    ]
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, context: 2048)
    let attention = try attention(decoder)
    let mlpBiases: Set<TensorRole> = try decoder.flag("mlp_bias", assumed: false) ? [.gate, .up, .down] : []
    let neurons = FeedForwardSpec(
      size: decoder.mlpSize, isGated: true, activation: try config.activation("hidden_act", assumed: .silu),
      biases: mlpBiases)
    return try decoder.llama(modelType) { _ in
      attention
    } mlp: { _ in
      .feedForward(neurons)
    }
  }

  /// Attention of this family and of those that were made from it.
  static func attention(_ decoder: DecoderConfig, hasPositions: Bool = true) throws -> AttentionSpec {
    let biases: Set<TensorRole> =
      try decoder.flag("attention_bias", assumed: false) ? [.query, .key, .value, .attentionOutput] : []
    var attention = decoder.attention(rotary: hasPositions ? try decoder.rotary() : nil, biases: biases)
    let scale = try decoder.reader.number("attention_multiplier", in: 1e-6...1e6) ?? 1
    // Said only where it is another than the usual one.
    if scale != 1 / Double(decoder.headSize).squareRoot() { attention.scale = scale }
    return attention
  }

  static func folds(_ config: DocumentReader, _ spec: ModelSpec) throws -> Folds {
    func multiplier(_ key: String) throws -> Float { Float(try config.number(key, in: 1e-6...1e6) ?? 1) }
    let (embedding, residual, logits) = (
      try multiplier("embedding_multiplier"), try multiplier("residual_multiplier"), try multiplier("logits_scaling")
    )
    var folds: Folds = [
      "embedding": .init(factor: embedding), "attention.output": .init(factor: residual),
      "mlp.down": .init(factor: residual), "mlp.experts.down": .init(factor: residual),
      "mlp.shared.down": .init(factor: residual),
    ]
    // The head is the embedding, with its factor, or has rows of its own.
    if spec.tiedEmbeddings {
      folds["norm"] = .init(factor: 1 / (logits * embedding))
    } else {
      folds["head"] = .init(factor: 1 / logits)
    }
    return folds
  }
}
