import FurlBase
import FurlSpec

/// StableLM 2 and Stable Code (Bellagente et al. 2024, https://arxiv.org/abs/2402.17834): LayerNorm, a gated MLP, a quarter
/// of each head turned, attention and MLP one after the other or side by side.
enum StableLM: Architecture {
  static let modelType = "stablelm"
  static let models = "StableLM 3B and 1.6B, Stable Code 3B, StableLM 2 12B"
  static let configurationKeys = ConfigurationKeys(normEpsilon: "layer_norm_eps")

  static let gguf: GGUFFamily? = GGUFFamily("stablelm", "StableLmForCausalLM").with {
    $0.fixed = ["hidden_act": "silu"]
    $0.switches = [
      "use_qkv_bias": ["attn_q.bias", "attn_qkv.bias"], "qk_layernorm": ["attn_q_norm.weight"],
      "use_parallel_residual": ["!ffn_norm.weight"],
    ]
    $0.keys = [GGUFKey("use_parallel_residual", nil, .flag) { spec, _ in .flag(spec.blocks.first?.stages.count == 1) }]
    $0.epsilon = GGUFFamily.layerNormEpsilon
    $0.turnedShare = "partial_rotary_factor"
    $0.neededBiases = [.norm]
    $0.possibleBiases = GGUFFamily.attentionBiases
    $0.head = .apart
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, context: 4096, kvHeads: 32)
    let norm = NormSpec(.layerNorm, epsilon: try decoder.epsilon("layer_norm_eps", assumed: 1e-5), hasBias: true)
    let rotary = try decoder.rotary(assumedShare: 0.25)
    let hasBias = try decoder.flag("use_qkv_bias", assumed: false)
    let headNorm = try decoder.flag("qk_layernorm", assumed: false) ? NormSpec(.layerNorm, epsilon: norm.epsilon) : nil
    let neurons = FeedForwardSpec(
      size: decoder.mlpSize, isGated: true, activation: try config.activation("hidden_act", assumed: .silu))
    var spec = try decoder.model(modelType, norm: norm, before: norm) { _ in
      var attention = decoder.attention(rotary: rotary, biases: hasBias ? [.query, .key, .value] : [])
      (attention.queryNorm, attention.keyNorm) = (headNorm, headNorm)
      if headNorm != nil { attention.headNorms = .ofEachHead }
      return attention
    } mlp: { _ in
      .feedForward(neurons)
    }
    if try decoder.flag("use_parallel_residual", assumed: false) {
      for index in spec.blocks.indices {
        spec.blocks[index] = BlockSpec([StageSpec(norm: norm, parts: spec.blocks[index].parts)])
      }
    }
    return spec
  }

  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation {
    var location = names.location(of: tensor, in: spec)
    guard let block = tensor.block, let attention = spec.blocks[block].attention else { return location }
    // Each head's norm is a tensor by itself.
    let names = ["attention.query_norm": ("q", attention.heads), "attention.key_norm": ("k", attention.kvHeads)]
    if let (letter, heads) = names[tensor.nameInBlock] {
      location.pieces = (0..<heads).map { "layers.\(block).self_attn.\(letter)_layernorm.norms.\($0).weight" }
    }
    return location
  }
}
