import FurlBase
import FurlSpec

/// Seed-OSS (ByteDance 2025): llama with biases on query, key and value, and switches for the others.
enum SeedOSS: Architecture {
  static let modelType = "seed_oss"
  static let models = "Seed-OSS 36B"
  static let configurationKeys = ConfigurationKeys()

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, .init(context: 524_288, kvHeads: 8, headSize: 128))
    var biases: Set<TensorRole> = []
    if try decoder.flag("attention_bias", assumed: true) { biases.formUnion([.query, .key, .value]) }
    if try decoder.flag("attention_out_bias", assumed: false) { biases.insert(.attentionOutput) }
    if try decoder.flag("mlp_bias", assumed: false) { biases.formUnion([.gate, .up, .down]) }
    return try Llama.spec(decoder, modelType, biases: biases) { _ in nil }
  }
}
