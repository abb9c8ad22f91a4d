import FurlBase
import FurlSpec

/// Gemma 3 (Gemma Team 2025, https://arxiv.org/abs/2503.19786), its text part: Gemma 2 with norms over queries and keys in the
/// place of capped scores, a window on five of six blocks, and a base for each kind of block.
enum Gemma3: Architecture {
  static let modelType = "gemma3_text"
  static let models = "Gemma 3 270M to 27B (text)"
  static let configurationKeys = ConfigurationKeys(hasLayerTypes: true)
  static let names = Gemma2.names

  static let gguf = Gemma.gguf?.with {
    $0.architecture = "gemma3"
    $0.className = "Gemma3ForCausalLM"
    $0.keys = [.logitCap]
    $0.windows = .pattern(every: 6)
    $0.slidingBase = .own(assumed: 10_000)
    $0.dividesByWidth = 62
    $0.head = .either
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    try Gemma.refuseBothWays(config)
    let decoder = try DecoderConfig(config, .init(context: 131_072, kvHeads: 4, headSize: 256, keepsWindows: true))
    let window = try decoder.slidingWindow(assumed: 4096)
    let (full, sliding) = ("full_attention", "sliding_attention")
    let every =
      try config.integer("sliding_window_pattern", in: 1...4096) ?? 6
    let kinds = try decoder.layerTypes([full, sliding]) { ($0 + 1) % every == 0 ? full : sliding }
    let rotaries = [
      full: try decoder.rotary(kind: full, theta: 1e6),
      // What scales the others, and their base, was not meant for these in older files.
      sliding: try decoder.rotary(kind: sliding, older: ("rope_local_base_freq", false)),
    ]
    let norm = NormSpec(.rmsNorm, epsilon: try decoder.epsilon("rms_norm_eps", assumed: 1e-6))
    return try Gemma2.spec(decoder, modelType, cap: nil) { index in
      var attention = decoder.attention(window: kinds[index] == sliding ? window : nil, rotary: rotaries[kinds[index]])
      (attention.queryNorm, attention.keyNorm) = (norm, norm)
      return attention
    }
  }

  static func folds(_ config: DocumentReader, _ spec: ModelSpec) throws -> Folds { try Gemma.folds(config, spec) }
}
