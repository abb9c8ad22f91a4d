import FurlBase
import FurlSpec

/// GPT-NeoX (Black et al. 2022, https://arxiv.org/abs/2204.06745): attention and MLP side by side, each after a LayerNorm of
/// its own; query, key and value of each head fused; part of each head turned.
enum GPTNeoX: Architecture {
  static let modelType = "gpt_neox"
  static let models = "Pythia, GPT-NeoX 20B, PolyCoder, Dolly v2"
  static let prefix = "gpt_neox."
  static let configurationKeys = ConfigurationKeys(kvHeads: nil, headSize: nil, normEpsilon: "layer_norm_eps")
  static let names = TensorNames(
    model: ["embedding": "embed_in", "norm": "final_layer_norm", "head": "embed_out"],
    block: [
      "attention.output": "attention.dense", "mlp.up": "mlp.dense_h_to_4h", "mlp.down": "mlp.dense_4h_to_h",
    ],
    fusions: [
      .init(
        name: "attention.query_key_value", parts: ["attention.query", "attention.key", "attention.value"],
        isByHead: true)
    ])

  static let gguf: GGUFFamily? = GGUFFamily("gptneox", "GPTNeoXForCausalLM").with {
    $0.names = GGUFFamily.names(fusions: [GGUFFamily.fusedQueries])
    $0.fixed = ["hidden_act": "gelu"]
    $0.switches = ["attention_bias": ["attn_q.bias", "attn_qkv.bias"]]
    $0.keys = [
      .parallelResidual,
      // No key of llama.cpp's, which computes the tanh form in any case.
      GGUFKey("hidden_activation", "hidden_act", .word) { spec, _ in
        spec.blocks.first?.feedForward?.activation == .geluTanh ? .word("gelu_new") : nil
      },
    ]
    $0.epsilon = GGUFFamily.layerNormEpsilon
    $0.turnedShare = "rotary_pct"
    $0.baseKey = "rotary_emb_base"
    $0.neededBiases = GGUFFamily.linearBiases.union([.norm])
    $0.head = .apart
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, context: 2048, keys: configurationKeys)
    var rotary = try decoder.rotary(
      assumedShare: config.number("rotary_pct", in: 0...1) ?? 0.25, older: ("rotary_emb_base", true))
    guard rotary.dimensions % 2 == 0 else {
      throw config.error(
        "rotary_pct", "turns \(rotary.dimensions) numbers of a head, an odd count, which is not supported")
    }
    if let theta = try config.number("rope_theta", in: 1...1e12), config.optional("rotary_emb_base") == nil {
      rotary.theta = theta
    }
    // The table of angles would be made for it, and the heads would not have it.
    if let size = try config.integer("head_dim", in: 1...4096), size != decoder.headSize {
      throw config.error("head_dim", "\(size) is not the hidden size over the heads, which is not supported")
    }
    let hasBias = try decoder.flag("attention_bias", assumed: true)
    let norm = NormSpec(.layerNorm, epsilon: try decoder.epsilon("layer_norm_eps", assumed: 1e-5), hasBias: true)
    let neurons = FeedForwardSpec(
      size: decoder.mlpSize, isGated: false, activation: try config.activation("hidden_act", assumed: .gelu),
      biases: [.up, .down])
    var spec = try decoder.model(modelType, norm: norm, before: norm) { [rotary] _ in
      decoder.attention(rotary: rotary, biases: hasBias ? [.query, .key, .value, .attentionOutput] : [])
    } mlp: { _ in
      .feedForward(neurons)
    }
    if try decoder.flag("use_parallel_residual", assumed: true) {
      for index in spec.blocks.indices { spec.blocks[index].stages[1].isBeside = true }
    }
    return spec
  }
}
