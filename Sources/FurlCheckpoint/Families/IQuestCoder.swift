import FurlBase
import FurlSpec

/// IQuest-Coder (2026): llama under another name.
enum IQuestCoder: Architecture {
  static let modelType = "iquestcoder"
  static let models = "IQuest-Coder"
  static let configurationKeys = ConfigurationKeys()

  /// llama.cpp knows it as llama, and so are its files read.
  static let gguf = Llama.gguf?.with {
    $0.className = "IQuestCoderForCausalLM"
    $0.isRead = false
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, context: 2048)
    return try Llama.spec(decoder, modelType, biases: Llama.biases(decoder)) { _ in nil }
  }
}
