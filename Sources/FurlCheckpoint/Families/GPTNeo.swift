import FurlBase
import FurlSpec

/// GPT-Neo (Black et al. 2021): GPT-2 with plain linear layers, scores that are not scaled, and a window on every other
/// block.
enum GPTNeo: Architecture {
  static let modelType = "gpt_neo"
  static let models = "GPT-Neo 125M to 2.7B"
  static let prefix = GPT2.prefix
  static let configurationKeys = ConfigurationKeys(
    layers: "num_layers", heads: "num_heads", kvHeads: nil, headSize: nil, normEpsilon: "layer_norm_epsilon")
  static let names = GPT2.naming(
    isTransposed: false,
    attention: [
      "attention.query": "attn.attention.q_proj", "attention.key": "attn.attention.k_proj",
      "attention.value": "attn.attention.v_proj", "attention.output": "attn.attention.out_proj",
    ], fused: nil)

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(
      config, .init(context: 2048, keepsWindows: true, mlpFactor: 4), keys: configurationKeys)
    let window = try decoder.size("window_size", assumed: 256)
    let kinds = try kinds(decoder)
    let norm = NormSpec(.layerNorm, epsilon: try decoder.epsilon("layer_norm_epsilon", assumed: 1e-5), hasBias: true)
    let neurons = FeedForwardSpec(
      size: decoder.mlpSize, isGated: false,
      activation: try config.activation("activation_function", assumed: .geluTanh),
      biases: [.up, .down])
    var spec = try decoder.model(modelType, norm: norm, before: norm, assumesTied: true) { index in
      var attention = decoder.attention(window: kinds[index] == "local" ? window : nil, biases: [.attentionOutput])
      attention.scale = 1
      return attention
    } mlp: { _ in
      .feedForward(neurons)
    }
    spec.hasLearnedPositions = true
    return spec
  }

  /// `attention_types`: [[["global", "local"], 12]].
  private static func kinds(_ decoder: DecoderConfig) throws -> [String] {
    let key = "attention_types"
    guard let runs = decoder.reader.optional(key)?.array else {
      return (0..<decoder.layers).map { $0 % 2 == 0 ? "global" : "local" }
    }
    var kinds: [String] = []
    for run in runs {
      guard let parts = run.array, parts.count == 2, let words = parts[0].array?.compactMap(\.string),
        let count = parts[1].integer, (0...decoder.layers).contains(count), !words.isEmpty,
        words.allSatisfy({ ["global", "local"].contains($0) })
      else { throw decoder.reader.error(key, "a list of [[\"global\", \"local\"], count] is expected") }
      for _ in 0..<count where kinds.count < decoder.layers { kinds += words }
    }
    guard kinds.count == decoder.layers else {
      throw decoder.reader.error(key, "says \(kinds.count) layers, and num_layers \(decoder.layers)")
    }
    return kinds
  }
}
