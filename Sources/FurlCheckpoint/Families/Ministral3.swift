import FurlBase
import FurlSpec

/// Ministral 3 and Devstral 2 (Mistral AI 2025): Mistral with YaRN, and queries that grow with the position.
enum Ministral3: Architecture {
  static let modelType = "ministral3"
  static let models = "Ministral 3, Devstral Small 2 (text)"
  static let configurationKeys = ConfigurationKeys()

  static let gguf = Llama.gguf?.with {
    $0.architecture = "mistral3"
    $0.className = "Ministral3ForCausalLM"
    $0.keys = [
      GGUFKey("attention.temperature_scale", "llama_4_scaling_beta", .number, isRotary: true) { spec, _ in
        spec.blocks.first?.attention?.queryGrowth.map { .number($0.rate) }
      }
    ]
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, .init(context: 262_144, kvHeads: 8, keepsWindows: true))
    let window = try decoder.slidingWindow(assumed: nil)
    try ConfigurationRules(reader: config).layerTypes(decoder.layers, window: window)
    var rotary = try decoder.rotary(theta: 1e6)
    var growth: AttentionSpec.QueryGrowth?
    if config.optional("rope_scaling") == nil, config.optional("rope_parameters") == nil {
      rotary.setYaRN(factor: 16, originalContext: 16_384, truncates: true)
      rotary.attentionFactor = 1
      growth = .init(rate: 0.1, context: 16_384)
    }
    if let parameters = try config.reader("rope_parameters") ?? config.reader("rope_scaling"),
      let rate = try parameters.number("llama_4_scaling_beta", in: 0...1e3), rate > 0
    {
      let context = try parameters.needed("original_max_position_embeddings") {
        try parameters.integer($0, in: 1...(1 << 24))
      }
      growth = .init(rate: rate, context: context)
    }
    return try decoder.llama(modelType, epsilon: 1e-5) { [growth, rotary] _ in
      var attention = decoder.attention(window: window, rotary: rotary)
      attention.queryGrowth = growth
      return attention
    }
  }
}
