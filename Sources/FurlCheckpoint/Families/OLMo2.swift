import FurlBase
import FurlSpec

/// OLMo 2 (OLMo Team 2024, https://arxiv.org/abs/2501.00656): norms behind attention and MLP and none before, and over all
/// queries and all keys of a row.
enum OLMo2: Architecture {
  static let modelType = "olmo2"
  static let models = "OLMo 2 1B to 32B"
  static let configurationKeys = ConfigurationKeys()
  static let names = TensorNames(
    block: [
      "attention.output_norm": "post_attention_layernorm", "mlp.output_norm": "post_feedforward_layernorm",
    ])

  static let gguf: GGUFFamily? = GGUFFamily("olmo2", "Olmo2ForCausalLM").with {
    $0.fixed = ["hidden_act": "silu"]
    $0.switches = ["attention_bias": ["attn_q.bias", "attn_qkv.bias"]]
    $0.head = .apart
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, context: 2048)
    let rotary = try decoder.rotary()
    return try spec(decoder, modelType) { _ in (nil, rotary) }
  }

  /// Of this family and of the one behind it: windows and turns of each block.
  static func spec(
    _ decoder: DecoderConfig, _ architecture: String, positions: (Int) throws -> (Int?, ModelSpec.Rotary)
  ) throws -> ModelSpec {
    let norm = NormSpec(.rmsNorm, epsilon: try decoder.epsilon("rms_norm_eps", assumed: 1e-5))
    let biases: Set<TensorRole> =
      try decoder.flag("attention_bias", assumed: false) ? [.query, .key, .value, .attentionOutput] : []
    let neurons = FeedForwardSpec(
      size: decoder.mlpSize, isGated: true, activation: try decoder.reader.activation("hidden_act", assumed: .silu))
    return try decoder.model(architecture, norm: norm, before: nil, behind: norm) { index in
      let (window, rotary) = try positions(index)
      var attention = decoder.attention(window: window, rotary: rotary, biases: biases)
      (attention.queryNorm, attention.keyNorm) = (norm, norm)
      attention.headNorms = .ofRow
      return attention
    } mlp: { _ in
      .feedForward(neurons)
    }
  }
}
