import FurlBase
import FurlSpec

/// Phi-1, Phi-1.5 and Phi-2 (Li et al. 2023, https://arxiv.org/abs/2309.05463): attention and MLP side by side after
/// one LayerNorm, part of each head turned, biases everywhere, also at the head.
enum Phi: Architecture {
  static let modelType = "phi"
  static let models = "Phi-1, Phi-1.5, Phi-2"
  static let configurationKeys = ConfigurationKeys(normEpsilon: "layer_norm_eps")
  static let names = TensorNames(
    model: ["norm": "final_layernorm"],
    block: ["attention.output": "self_attn.dense", "mlp.up": "mlp.fc1", "mlp.down": "mlp.fc2"])

  static let gguf: GGUFFamily? = GGUFFamily("phi2", "PhiForCausalLM").with {
    $0.fixed = ["hidden_act": "gelu_new", "qk_layernorm": false]
    $0.epsilon = GGUFFamily.layerNormEpsilon
    $0.turnedShare = "partial_rotary_factor"
    $0.neededBiases = [.norm, .attentionOutput, .up, .down, .head]
    $0.possibleBiases = GGUFFamily.attentionBiases
    $0.head = .apart
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, context: 2048)
    try config.refuse("qk_layernorm", unless: false)
    // A tied head would still have a bias.
    try config.refuse("tie_word_embeddings", unless: false)
    return ModelSpec(
      architecture: modelType, vocabularySize: decoder.vocabularySize, hiddenSize: decoder.hiddenSize,
      contextLength: decoder.contextLength, norm: .layerNorm,
      normEpsilon: try decoder.epsilon("layer_norm_eps", assumed: 1e-5), residual: .parallel,
      positions: .rotary(try decoder.rotary(assumedShare: 0.5)), mlp: .plain,
      activation: try config.activation("hidden_act", assumed: .geluTanh),
      biases: [.norm, .query, .key, .value, .attentionOutput, .up, .down, .head], tiedEmbeddings: false,
      blocks: decoder.blocks { _ in nil })
  }
}
