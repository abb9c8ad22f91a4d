import FurlBase
import FurlSpec

/// Gemma 2 (Gemma Team 2024, https://arxiv.org/abs/2408.00118): norms before and behind attention and MLP, capped scores and
/// logits, a window on every other block.
enum Gemma2: Architecture {
  static let modelType = "gemma2"
  static let models = "Gemma 2 2B, 9B, 27B"
  static let configurationKeys = ConfigurationKeys(hasLayerTypes: true)
  static let names = TensorNames(
    block: [
      "attention.output_norm": "post_attention_layernorm", "mlp.norm": "pre_feedforward_layernorm",
      "mlp.output_norm": "post_feedforward_layernorm",
    ])

  static let gguf = Gemma.gguf?.with {
    $0.architecture = "gemma2"
    $0.className = "Gemma2ForCausalLM"
    $0.keys = [.logitCap, .scoreCap]
    $0.windows = .pattern(every: 2, assumed: 4096)
    $0.dividesByWidth = 46
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    try Gemma.refuseBothWays(config)
    let decoder = try DecoderConfig(config, .init(context: 8192, kvHeads: 4, headSize: 256, keepsWindows: true))
    let window = try decoder.slidingWindow(assumed: 4096)
    let kinds = try decoder.layerTypes(["full_attention", "sliding_attention"]) { index in
      index % 2 == 0 ? "sliding_attention" : "full_attention"
    }
    let rotary = try decoder.rotary()
    return try spec(decoder, modelType, cap: 30, scoreCap: 50) { index in
      decoder.attention(window: kinds[index] == "sliding_attention" ? window : nil, rotary: rotary)
    }
  }

  /// Of this family and of the one behind it.
  ///
  /// - Parameters:
  ///   - cap: of logits, where the key is missing.
  ///   - scoreCap: the same of scores; nil: the family has none, whatever the key says.
  static func spec(
    _ decoder: DecoderConfig, _ architecture: String, cap: Double?, scoreCap: Double? = nil,
    attention: (Int) throws -> AttentionSpec
  ) throws -> ModelSpec {
    let config = decoder.reader
    let norm = NormSpec(.rmsNorm, epsilon: try decoder.epsilon("rms_norm_eps", assumed: 1e-6))
    let neurons = FeedForwardSpec(
      size: decoder.mlpSize, isGated: true, activation: try config.activation("hidden_activation", assumed: .geluTanh))
    let scale = 1 / (try config.number("query_pre_attn_scalar", in: 1e-6...1e6) ?? 256).squareRoot()
    func capped(_ key: String, _ assumed: Double?) throws -> Double? {
      try config.number(key, in: 1e-6...1e6) ?? (config.keys.contains(key) ? nil : assumed)
    }
    let softCap = try scoreCap.flatMap { try capped("attn_logit_softcapping", $0) }
    let biases: Set<TensorRole> =
      try decoder.flag("attention_bias", assumed: false) ? [.query, .key, .value, .attentionOutput] : []
    var spec = try decoder.model(architecture, norm: norm, before: norm, behind: norm, assumesTied: true) { index in
      var attention = try attention(index)
      attention.scale = scale
      attention.softCap = softCap
      attention.biases = biases
      return attention
    } mlp: { _ in
      .feedForward(neurons)
    }
    spec.logitSoftCap = try capped("final_logit_softcapping", cap)
    return spec
  }

  static func folds(_ config: DocumentReader, _ spec: ModelSpec) throws -> Folds { try Gemma.folds(config, spec) }
}
