import FurlBase
import FurlSpec

/// SmolLM3 (Bakouch et al. 2025): llama in which every fourth block has no positions (Yang et al., "RoPE to NoPE and back
/// again", 2025).
enum SmolLM3: Architecture {
  static let modelType = "smollm3"
  static let models = "SmolLM3 3B"
  static let configurationKeys = ConfigurationKeys(hasLayerTypes: true)

  static let gguf: GGUFFamily? = GGUFFamily("smollm3", "SmolLM3ForCausalLM").with {
    $0.fixed = ["hidden_act": "silu", "use_sliding_window": false]
    $0.switches = ["attention_bias": ["attn_q.bias", "attn_qkv.bias"]]
    $0.interleavesHeads = true
    $0.hasHeadSize = true
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, .init(context: 32_768, kvHeads: 4, keepsWindows: true))
    let window =
      try decoder.flag("use_sliding_window", assumed: false) ? decoder.slidingWindow(assumed: nil) : nil
    let turned = try turnedBlocks(decoder)
    let (full, sliding) = ("full_attention", "sliding_attention")
    let kinds = try decoder.layerTypes([full, sliding]) { window != nil && !turned[$0] ? sliding : full }
    if window == nil, let block = kinds.firstIndex(of: sliding) {
      throw config.error("layer_types[\(block)]", "\"sliding_attention\" needs use_sliding_window and sliding_window")
    }
    let rotary = try decoder.rotary(theta: 2_000_000)
    let biases = try Llama.biases(decoder)
    let neurons = FeedForwardSpec(
      size: decoder.mlpSize, isGated: true, activation: try config.activation("hidden_act", assumed: .silu),
      biases: biases.intersection([.gate, .up, .down]))
    return try decoder.llama(modelType, assumesTied: true) { index in
      decoder.attention(
        window: kinds[index] == sliding ? window : nil, rotary: turned[index] ? rotary : nil,
        biases: biases.subtracting([.gate, .up, .down]))
    } mlp: { _ in
      .feedForward(neurons)
    }
  }

  /// `no_rope_layers` says 1 where heads are turned.
  private static func turnedBlocks(_ decoder: DecoderConfig) throws -> [Bool] {
    let key = "no_rope_layers"
    guard let list = decoder.reader.optional(key) else {
      let every = try decoder.size("no_rope_layer_interval", assumed: 4)
      return (0..<decoder.layers).map { ($0 + 1) % every != 0 }
    }
    let numbers = list.array?.compactMap(\.integer) ?? []
    guard numbers.count == decoder.layers, numbers.count == list.array?.count,
      numbers.allSatisfy({ $0 == 0 || $0 == 1 })
    else { throw decoder.reader.error(key, "0 or 1 for each of \(decoder.layers) layers is expected") }
    return numbers.map { $0 == 1 }
  }
}
