import FurlBase
import FurlSpec

/// Phi-3 and Phi-4 (Abdin et al. 2024, https://arxiv.org/abs/2404.14219): llama with query, key and value fused, gate and up
/// fused, and LongRoPE for long contexts.
enum Phi3: Architecture {
  static let modelType = "phi3"
  static let models = "Phi-3 mini and medium, Phi-3.5 mini, Phi-4, Phi-4-mini"
  static let configurationKeys = ConfigurationKeys()
  static let names = TensorNames(
    fusions: [
      .init(name: "self_attn.qkv_proj", parts: ["attention.query", "attention.key", "attention.value"]),
      .init(name: "mlp.gate_up_proj", parts: ["mlp.gate", "mlp.up"]),
    ])

  static let gguf: GGUFFamily? = GGUFFamily("phi3", "Phi3ForCausalLM").with {
    $0.names = GGUFFamily.names(
      fusions: [GGUFFamily.fusedQueries, .init(name: "ffn_up", parts: ["mlp.gate", "mlp.up"])])
    $0.fixed = ["hidden_act": "silu"]
    $0.windows = .leftOut(writesZero: true)
    $0.turnedShare = "partial_rotary_factor"
    $0.hasLongFactors = true
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, context: 4096, keepsWindows: true)
    let window = try decoder.slidingWindow(assumed: nil)
    try ConfigurationRules(reader: config).layerTypes(decoder.layers, window: window)
    let rotary = try decoder.rotary(assumedShare: 1)
    return try decoder.llama(modelType, epsilon: 1e-5) { _ in decoder.attention(window: window, rotary: rotary) }
  }
}
