import FurlBase
import FurlSpec

/// Qwen2 and Qwen2.5 (Yang et al. 2024, https://arxiv.org/abs/2407.10671): llama with biases on query, key and value,
/// and with a window on some blocks where the configuration asks for it.
enum Qwen2: Architecture {
  static let modelType = "qwen2"
  static let models = "Qwen2, Qwen2.5, Qwen2.5-Coder"
  static let configurationKeys = ConfigurationKeys(hasLayerTypes: true)

  static let gguf: GGUFFamily? = GGUFFamily("qwen2", "Qwen2ForCausalLM").with {
    $0.fixed = ["hidden_act": "silu", "use_sliding_window": false]
    $0.possibleBiases = GGUFFamily.attentionBiases.union([.head])
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, context: 32_768, kvHeads: 32, keepsWindows: true)
    let windows = try windows(decoder)
    return try Llama.spec(decoder, modelType, biases: [.query, .key, .value]) { windows[$0] }
  }

  /// The window of each block, as this family and those after it say it.
  ///
  /// - Parameter zeroIsNone: whether a window of 0 stands for none.
  static func windows(_ decoder: DecoderConfig, zeroIsNone: Bool = false) throws -> [Int?] {
    let config = decoder.reader
    // The window is there whether it is used or not.
    let isNone = zeroIsNone && config.optional("sliding_window") == .integer(0)
    let stated = isNone ? nil : try decoder.slidingWindow(assumed: 4096)
    let window = try decoder.flag("use_sliding_window", assumed: false) ? stated : nil
    let firstWithWindow = try config.integer("max_window_layers", in: 0...Int.max) ?? 28
    let isSliding = try slidingBlocks(decoder)
    if window == nil, let block = isSliding?.firstIndex(of: true) {
      throw config.error("layer_types[\(block)]", "\"sliding_attention\" needs use_sliding_window and sliding_window")
    }
    return (0..<decoder.layers).map { isSliding?[$0] ?? ($0 >= firstWithWindow) ? window : nil }
  }

  /// Which blocks have a window, where `layer_types` says it.
  private static func slidingBlocks(_ decoder: DecoderConfig) throws -> [Bool]? {
    let key = "layer_types"
    guard let words = try decoder.reader.strings(key) else { return nil }
    guard words.count == decoder.layers else {
      throw decoder.reader.error(key, "has \(words.count) entries for \(decoder.layers) layers")
    }
    return try words.map(ConfigurationRules.kind).enumerated().map { index, word in
      guard ["full_attention", "sliding_attention"].contains(word) else {
        throw decoder.reader.error("\(key)[\(index)]", "\"\(word)\" is not supported yet")
      }
      return word == "sliding_attention"
    }
  }
}
