import FurlBase
import FurlSpec

/// Phi-3.5-MoE (Abdin et al. 2024, https://arxiv.org/abs/2404.14219): LayerNorm, biases, and two experts that SparseMixer
/// chooses.
enum PhiMoE: Architecture {
  static let modelType = "phimoe"
  static let models = "Phi-3.5-MoE, Phi-mini-MoE, Phi-tiny-MoE"
  static let configurationKeys = ConfigurationKeys()
  static let names = Mixtral.names
  static let otherNames = [
    Mixtral.otherNames[0], Mixtral.otherNames[1].with(block: ["mlp.router": "mlp.router"]),
  ]

  static let gguf: GGUFFamily? = GGUFFamily("phimoe", "PhiMoEForCausalLM").with {
    // LayerNorm could go into what writes to the stream. But each of SparseMixer's two weights is a share of the scores close
    // to its own, and together they are two where none is close; llama.cpp's add up to one.
    $0.refusal = "its phimoe has RMSNorm and a softmax over all experts, and the model LayerNorm and SparseMixer"
    $0.fixed = ["hidden_act": "silu"]
    $0.switches = ["attention_bias": ["attn_q.bias", "attn_qkv.bias"], "lm_head_bias": ["output.bias"]]
    $0.keys = GGUFKey.experts("num_local_experts")
    $0.windows = .leftOut(writesZero: true)
    $0.hasLongFactors = true
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, context: 131_072, kvHeads: 8, keepsWindows: true)
    let window = try decoder.slidingWindow(assumed: nil)
    let experts = try ExpertConfig(decoder, active: 2)
    guard experts.active == 2 else {
      throw config.error("num_experts_per_tok", "\(experts.active) is not supported", remedy: "SparseMixer chooses 2")
    }
    var spec = ExpertsSpec(
      count: experts.count, active: 2, expert: try experts.mlp(decoder.mlpSize), scoring: .sparseMixer,
      normalizesWeights: false)
    spec.jitter = try config.number("router_jitter_noise", in: 0...1e3) ?? 0.01
    let norm = NormSpec(.layerNorm, epsilon: try decoder.epsilon("rms_norm_eps", assumed: 1e-5), hasBias: true)
    var rotary = try decoder.rotary(theta: 1e6)
    if let scaling = try config.reader("rope_scaling") ?? config.reader("rope_parameters"),
      let short = try scaling.number("short_mscale", in: 1e-3...1e3)
    {
      guard let long = try scaling.number("long_mscale", in: 1e-3...1e3), long == short else {
        throw scaling.error("short_mscale", "is not as long_mscale, which is not supported yet")
      }
      rotary.attentionFactor = short
    }
    let biases: Set<TensorRole> =
      try decoder.flag("attention_bias", assumed: false) ? [.query, .key, .value, .attentionOutput] : []
    var model = try decoder.model(modelType, norm: norm, before: norm) { [rotary] _ in
      decoder.attention(window: window, rotary: rotary, biases: biases)
    } mlp: { [spec] _ in
      .experts(spec)
    }
    model.hasHeadBias = try decoder.flag("lm_head_bias", assumed: false)
    return model
  }
}
