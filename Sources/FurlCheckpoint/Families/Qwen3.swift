import FurlBase
import FurlSpec

/// Qwen3 (Yang et al. 2025, https://arxiv.org/abs/2505.09388): llama with a norm over each head's queries and keys.
enum Qwen3: Architecture {
  static let modelType = "qwen3"
  static let models = "Qwen3 0.6B to 32B"
  static let configurationKeys = ConfigurationKeys(hasLayerTypes: true)

  static let gguf: GGUFFamily? = GGUFFamily("qwen3", "Qwen3ForCausalLM").with {
    $0.fixed = ["hidden_act": "silu", "use_sliding_window": false]
    $0.switches = ["attention_bias": ["attn_q.bias", "attn_qkv.bias"]]
    $0.hasHeadSize = true
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(
      config, .init(context: 32_768, kvHeads: 32, headSize: 128, keepsWindows: true))
    let windows = try Qwen2.windows(decoder)
    return try decoder.llama(modelType, attention: attention(decoder) { windows[$0] })
  }

  /// Attention of this family and of those that were made from it.
  static func attention(
    _ decoder: DecoderConfig, rotary: ((Int) throws -> ModelSpec.Rotary)? = nil, window: @escaping (Int) -> Int?
  ) throws -> (Int) throws -> AttentionSpec {
    let norm = NormSpec(.rmsNorm, epsilon: try decoder.epsilon("rms_norm_eps", assumed: 1e-6))
    let biases: Set<TensorRole> =
      try decoder.flag("attention_bias", assumed: false) ? [.query, .key, .value, .attentionOutput] : []
    let same = rotary == nil ? try decoder.rotary() : nil
    return { index in
      var attention = decoder.attention(window: window(index), rotary: try rotary?(index) ?? same, biases: biases)
      (attention.queryNorm, attention.keyNorm) = (norm, norm)
      return attention
    }
  }
}
