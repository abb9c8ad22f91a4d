import FurlBase
import FurlSpec

/// StarCoder2 (Lozhkov et al. 2024, https://arxiv.org/abs/2402.19173): LayerNorm, rotary positions, few key/value
/// heads, a plain MLP and, as a rule, biases everywhere.
enum StarCoder2: Architecture {
  static let modelType = "starcoder2"
  static let models = "StarCoder2 3B, 7B, 15B"
  static let configurationKeys = ConfigurationKeys(normEpsilon: "norm_epsilon")
  static let names = TensorNames(block: ["mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj"])

  static let gguf: GGUFFamily? = GGUFFamily("starcoder2", "Starcoder2ForCausalLM").with {
    $0.fixed = ["hidden_act": "gelu_pytorch_tanh"]
    $0.switches = ["use_bias": ["attn_q.bias", "attn_qkv.bias"]]
    $0.epsilon = GGUFFamily.layerNormEpsilon
    $0.windows = .leftOut()
    $0.neededBiases = [.norm, .attentionOutput, .up, .down]
    $0.possibleBiases = GGUFFamily.attentionBiases
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, context: 4096, kvHeads: 2, keepsWindows: true)
    let window = try decoder.slidingWindow(assumed: nil)
    try ConfigurationRules(reader: config).layerTypes(decoder.layers, window: window)
    let linear: Set<TensorRole> = [.query, .key, .value, .attentionOutput, .up, .down]
    return ModelSpec(
      architecture: modelType, vocabularySize: decoder.vocabularySize, hiddenSize: decoder.hiddenSize,
      contextLength: decoder.contextLength, norm: .layerNorm,
      normEpsilon: try decoder.epsilon("norm_epsilon", assumed: 1e-5), residual: .sequential,
      positions: .rotary(try decoder.rotary()), mlp: .plain,
      activation: try config.activation("hidden_act", assumed: .geluTanh),
      biases: try decoder.flag("use_bias", assumed: true) ? linear.union([.norm]) : [.norm],
      tiedEmbeddings: try decoder.flag("tie_word_embeddings", assumed: true),
      blocks: decoder.blocks { _ in window })
  }
}
