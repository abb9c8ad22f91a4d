import FurlBase
import FurlSpec

/// Mistral (Jiang et al. 2023, https://arxiv.org/abs/2310.06825): llama with a window on every block.
enum Mistral: Architecture {
  static let modelType = "mistral"
  static let models = "Mistral 7B, Codestral, Devstral Small"
  static let configurationKeys = ConfigurationKeys()

  /// llama.cpp knows it as llama, and so are its files read.
  static let gguf = Llama.gguf?.with {
    $0.className = "MistralForCausalLM"
    $0.isRead = false
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, context: 131_072, kvHeads: 8, keepsWindows: true)
    let window = try decoder.slidingWindow(assumed: 4096)
    // transformers masks all layers alike here, and keeps those that it calls full otherwise.
    try ConfigurationRules(reader: config).layerTypes(decoder.layers, window: window)
    return try Llama.spec(decoder, modelType, biases: []) { _ in window }
  }
}
