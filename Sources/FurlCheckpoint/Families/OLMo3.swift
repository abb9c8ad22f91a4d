import FurlBase
import FurlSpec

/// OLMo 3 (OLMo Team 2025): OLMo 2 with a window on three of four blocks; scaled frequencies are those of the others.
enum OLMo3: Architecture {
  static let modelType = "olmo3"
  static let models = "OLMo 3 7B and 32B"
  static let configurationKeys = ConfigurationKeys(hasLayerTypes: true)
  static let names = OLMo2.names

  static let gguf = OLMo2.gguf?.with {
    $0.className = "Olmo3ForCausalLM"
    $0.markers = ["attention.sliding_window"]
    $0.windows = .pattern(every: 4)
    $0.slidingBase = .own(assumed: nil)
    $0.turnsAllByOneBase = true
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, .init(context: 2048, keepsWindows: true))
    let window = try decoder.slidingWindow(assumed: 4096)
    let (full, sliding) = ("full_attention", "sliding_attention")
    let kinds = try decoder.layerTypes([full, sliding]) { ($0 + 1) % 4 == 0 ? full : sliding }
    let rotaries = [
      full: try decoder.rotary(kind: full, theta: 500_000),
      // rope_theta of older files is that of the others alone.
      sliding: try decoder.rotary(kind: sliding, theta: 500_000, older: (nil, false)),
    ]
    return try OLMo2.spec(decoder, modelType) { index in
      guard let rotary = rotaries[kinds[index]] else { throw config.error("layer_types", "is not known") }
      return (kinds[index] == sliding ? window : nil, rotary)
    }
  }
}
