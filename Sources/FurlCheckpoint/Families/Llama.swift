import FurlBase
import FurlSpec

/// Llama (Touvron et al. 2023, https://arxiv.org/abs/2302.13971) and what is built alike: RMSNorm, rotary positions, a
/// gated MLP. CodeLlama, DeepSeek-Coder, SmolLM2 and many others say `llama`.
enum Llama: Architecture {
  static let modelType = "llama"
  static let models = "Code Llama, Llama 1 to 3.3, DeepSeek-Coder, SmolLM2, Yi-Coder, Granite 3B and 8B Code"
  static let configurationKeys = ConfigurationKeys()

  static let gguf: GGUFFamily? = GGUFFamily("llama", "LlamaForCausalLM").with {
    $0.fixed = ["hidden_act": "silu"]
    $0.switches = ["attention_bias": ["attn_q.bias", "attn_qkv.bias"], "mlp_bias": ["ffn_up.bias"]]
    $0.interleavesHeads = true
    $0.hasFrequencyFactors = true
    $0.hasHeadSize = true
    $0.possibleBiases = GGUFFamily.linearBiases.union([.gate])
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, context: 2048)
    return try spec(decoder, modelType, biases: biases(decoder)) { _ in nil }
  }

  /// Of linear layers, which come together.
  static func biases(_ decoder: DecoderConfig) throws -> Set<TensorRole> {
    var biases: Set<TensorRole> = []
    if try decoder.flag("attention_bias", assumed: false) {
      biases.formUnion([.query, .key, .value, .attentionOutput])
    }
    if try decoder.flag("mlp_bias", assumed: false) { biases.formUnion([.gate, .up, .down]) }
    return biases
  }

  /// A model that is built like llama but for its biases and windows.
  static func spec(
    _ decoder: DecoderConfig, _ architecture: String, biases: Set<TensorRole>, window: (Int) throws -> Int?
  ) throws -> ModelSpec {
    ModelSpec(
      architecture: architecture, vocabularySize: decoder.vocabularySize, hiddenSize: decoder.hiddenSize,
      contextLength: decoder.contextLength, norm: .rmsNorm,
      normEpsilon: try decoder.epsilon("rms_norm_eps", assumed: 1e-6), residual: .sequential,
      positions: .rotary(try decoder.rotary()), mlp: .gated,
      activation: try decoder.reader.activation("hidden_act", assumed: .silu), biases: biases,
      tiedEmbeddings: try decoder.flag("tie_word_embeddings", assumed: false),
      blocks: try decoder.blocks(window: window))
  }
}
