import FurlBase
import FurlSpec

/// gpt-oss (OpenAI 2025, https://arxiv.org/abs/2508.10925): attention with sinks and biases, a window on every other block,
/// experts with biases whose gate is cut off.
enum GPTOSS: Architecture {
  static let modelType = "gpt_oss"
  static let models = "gpt-oss 20B and 120B"
  static let configurationKeys = ConfigurationKeys(hasLayerTypes: true)
  static let names = TensorNames(
    block: ["mlp.router": "mlp.router"],
    experts: .takingTurns(gateUp: "mlp.experts.gate_up_proj", down: "mlp.experts.down_proj"))
  static let otherNames = [names.with(experts: .mlx("mlp.experts"))]

  static let gguf: GGUFFamily? = GGUFFamily("gpt-oss", "GptOssForCausalLM").with {
    $0.names = GGUFFamily.names(block: ["mlp.norm": "post_attention_norm"])
    $0.fixed = ["hidden_act": "silu", "swiglu_limit": 7.0]
    $0.switches = ["attention_bias": ["attn_output.bias"]]
    $0.keys = GGUFKey.experts("num_local_experts") + [.expertSize(nil)]
    $0.windows = .pattern(every: 2, assumed: 128)
    $0.roundsYarn = false
    $0.hasHeadSize = true
    $0.neededBiases = [.attentionOutput, .gate, .up, .down]
    $0.possibleBiases = GGUFFamily.attentionBiases
    $0.head = .apart
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(
      config, .init(context: 131_072, kvHeads: 8, headSize: 64, keepsWindows: true))
    let window = try decoder.slidingWindow(assumed: 128)
    let kinds = try decoder.layerTypes(["full_attention", "sliding_attention"]) { index in
      index % 2 == 0 ? "sliding_attention" : "full_attention"
    }
    var rotary = try decoder.rotary(theta: 150_000)
    if config.optional("rope_scaling") == nil, config.optional("rope_parameters") == nil {
      rotary.setYaRN(factor: 32, originalContext: 4096, truncates: false)
    }
    try config.refuse("swiglu_alpha", unless: 1.702)
    let experts = try ExpertConfig(decoder, active: 4)
    var expert = FeedForwardSpec(
      size: decoder.mlpSize, isGated: true, activation: .quickGelu, biases: [.gate, .up, .down])
    expert.limit = try config.number("swiglu_limit", in: 1e-6...1e6) ?? 7
    var spec = ExpertsSpec(count: experts.count, active: experts.active, expert: expert)
    spec.routerHasBias = true
    let biases: Set<TensorRole> =
      try decoder.flag("attention_bias", assumed: true) ? [.query, .key, .value, .attentionOutput] : []
    return try decoder.llama(modelType, epsilon: 1e-5) { [rotary] index in
      var attention = decoder.attention(
        window: kinds[index] == "sliding_attention" ? window : nil, rotary: rotary, biases: biases)
      attention.hasSinks = true
      return attention
    } mlp: { [spec] _ in
      .experts(spec)
    }
  }
}
