import FurlBase
import FurlSpec

/// Qwen2 with experts (Yang et al. 2024, https://arxiv.org/abs/2407.10671), and one that all rows go through, weighed by a
/// sigmoid.
enum Qwen2MoE: Architecture {
  static let modelType = "qwen2_moe"
  static let models = "Qwen1.5-MoE-A2.7B, Qwen2-57B-A14B"
  static let configurationKeys = ConfigurationKeys(hasLayerTypes: true)
  static let names = TensorNames(
    block: [
      "mlp.shared.router": "mlp.shared_expert_gate", "mlp.shared.gate": "mlp.shared_expert.gate_proj",
      "mlp.shared.up": "mlp.shared_expert.up_proj", "mlp.shared.down": "mlp.shared_expert.down_proj",
    ], experts: .single(prefix: "mlp.experts", gate: "gate_proj", up: "up_proj", down: "down_proj"))
  static let otherNames = names.stacked(in: "mlp")

  static let gguf: GGUFFamily? = GGUFFamily("qwen2moe", "Qwen2MoeForCausalLM").with {
    $0.fixed = ["hidden_act": "silu", "use_sliding_window": false, "norm_topk_prob": false]
    $0.switches = ["qkv_bias": ["attn_q.bias", "attn_qkv.bias"]]
    $0.keys =
      GGUFKey.experts("num_experts") + [
        .expertSize("moe_intermediate_size"), .sharedSize("shared_expert_intermediate_size"),
      ]
    $0.possibleBiases = GGUFFamily.attentionBiases
    $0.head = .apart
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, .init(context: 32_768, kvHeads: 16, keepsWindows: true))
    let windows = try windows(decoder)
    let experts = try ExpertConfig(decoder, active: 4)
    let sparse = try experts.sparseBlocks()
    let spec = ExpertsSpec(
      count: experts.count, active: experts.active, expert: try experts.mlp(experts.size("moe_intermediate_size")),
      shared: try experts.mlp(experts.size("shared_expert_intermediate_size")), gatesShared: true,
      normalizesWeights: try decoder.flag("norm_topk_prob", assumed: false))
    let dense = try experts.mlp(decoder.mlpSize)
    let rotary = try decoder.rotary()
    let hasBias = try decoder.flag("qkv_bias", assumed: true)
    return try decoder.llama(modelType) { index in
      decoder.attention(window: windows[index], rotary: rotary, biases: hasBias ? [.query, .key, .value] : [])
    } mlp: { index in
      sparse[index] ? .experts(spec) : .feedForward(dense)
    }
  }

  /// The window of each block: of every other one below `max_window_layers`, unless `layer_types` says it.
  private static func windows(_ decoder: DecoderConfig) throws -> [Int?] {
    let config = decoder.reader
    if config.optional("layer_types") != nil { return try Qwen2.windows(decoder, zeroIsNone: true) }
    guard try decoder.flag("use_sliding_window", assumed: false) else {
      return Array(repeating: nil, count: decoder.layers)
    }
    let window = try decoder.slidingWindow(assumed: 4096)
    let last = try config.integer("max_window_layers", in: 0...Int.max) ?? 28
    return (0..<decoder.layers).map { $0 % 2 == 0 && $0 < last ? window : nil }
  }
}
