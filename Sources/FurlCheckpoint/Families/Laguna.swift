import FurlBase
import FurlSpec

/// Laguna (Poolside 2026): Qwen3's attention with a gate on what heads give, as many heads as each layer says, windows, and
/// experts chosen by sigmoids.
enum Laguna: Architecture {
  static let modelType = "laguna"
  static let models = "Laguna"
  static let configurationKeys = ConfigurationKeys(hasLayerTypes: true)
  static let names = TensorNames(
    block: [
      "attention.gate": "self_attn.g_proj", "mlp.router.choice": "mlp.experts.e_score_correction_bias",
      "mlp.shared.gate": "mlp.shared_expert.gate_proj", "mlp.shared.up": "mlp.shared_expert.up_proj",
      "mlp.shared.down": "mlp.shared_expert.down_proj",
    ], experts: .single(prefix: "mlp.experts", gate: "gate_proj", up: "up_proj", down: "down_proj"))
  /// MLX's router is a module with the bias in it; transformers' class has that bias there, too, and `shared_experts`.
  static let otherNames = [
    names.with(
      experts: .mlx("mlp.switch_mlp"),
      block: ["mlp.router": "mlp.gate.proj", "mlp.router.choice": "mlp.gate.e_score_correction_bias"]),
    names.with(
      experts: .fused(gateUp: "mlp.experts.gate_up_proj", down: "mlp.experts.down_proj"),
      block: [
        "mlp.router.choice": "mlp.gate.e_score_correction_bias", "mlp.shared.gate": "mlp.shared_experts.gate_proj",
        "mlp.shared.up": "mlp.shared_experts.up_proj", "mlp.shared.down": "mlp.shared_experts.down_proj",
      ]),
  ]

  static let gguf: GGUFFamily? = GGUFFamily("laguna", "LagunaForCausalLM").with {
    $0.fixed = ["hidden_act": "silu", "moe_routed_scaling_factor": 1]
    $0.switches = ["attention_bias": ["attn_q.bias", "attn_qkv.bias"]]
    $0.keys =
      GGUFKey.experts("num_experts") + [
        .expertSize("moe_intermediate_size"), .sharedSize("shared_expert_intermediate_size"),
        .weightFactor("moe_routed_scaling_factor"), .normalizesWeights(nil),
      ]
    ($0.gating, $0.assumesGating) = (.sigmoid, true)
    $0.denseBlocks = .types
    $0.headsByBlock = "num_attention_heads_per_layer"
    $0.windows = .pattern(every: 4, startsWithout: true)
    $0.slidingBase = .own(assumed: nil)
    $0.turnsSharesByKind = true
    $0.hasHeadSize = true
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, .init(context: 131_072, kvHeads: 8, headSize: 128, keepsWindows: true))
    let window = try decoder.slidingWindow(assumed: 512)
    let (full, sliding) = ("full_attention", "sliding_attention")
    let kinds = try decoder.layerTypes([full, sliding]) { _ in full }
    let heads = try heads(decoder)
    let gate = try gate(config)
    let rotaries = try kinds.map { try rotary(decoder, $0) }
    let attention = try Qwen3.attention(decoder) { index in
      rotaries[index]
    } window: { index in
      kinds[index] == sliding ? window : nil
    }
    let experts = try ExpertConfig(decoder, active: 8)
    let spec = try spec(experts)
    let sparse = try experts.sparseTypes(dense: 1)
    let dense = try experts.mlp(decoder.mlpSize)
    return try decoder.llama(modelType) { index in
      var own = try attention(index)
      own.heads = heads[index]
      own.outputGate = gate
      return own
    } mlp: { index in
      sparse[index] ? .experts(spec) : .feedForward(dense)
    }
  }

  private static func spec(_ experts: ExpertConfig) throws -> ExpertsSpec {
    let config = experts.decoder.reader
    try config.refuse("moe_apply_router_weight_on_input", unless: false)
    var spec = ExpertsSpec(
      count: experts.count, active: experts.active, expert: try experts.mlp(experts.size("moe_intermediate_size")),
      shared: try experts.mlp(experts.size("shared_expert_intermediate_size")), scoring: .sigmoid,
      weightFactor: try config.number("moe_routed_scaling_factor", in: -1e6...1e6) ?? 1)
    spec.routerHasChoiceBias = true
    let cap = try config.number("moe_router_logit_softcapping", in: -1e6...1e6) ?? 0
    spec.routerSoftCap = cap > 0 ? cap : nil
    return spec
  }

  /// The heads of each layer.
  private static func heads(_ decoder: DecoderConfig) throws -> [Int] {
    let key = "num_attention_heads_per_layer"
    guard let value = decoder.reader.optional(key) else {
      return Array(repeating: decoder.heads, count: decoder.layers)
    }
    let list = value.array?.compactMap(\.integer) ?? []
    guard let all = value.array, list.count == all.count, list.count == decoder.layers else {
      throw decoder.reader.error(key, "a number for each of \(decoder.layers) layers is expected")
    }
    for heads in list where heads < decoder.kvHeads || heads % decoder.kvHeads != 0 {
      throw decoder.reader.error(key, "\(heads) heads cannot share \(decoder.kvHeads) key/value heads evenly")
    }
    return list
  }

  private static func gate(_ config: DocumentReader) throws -> AttentionSpec.OutputGate {
    let key = "gating"
    // Anything else means one for each output to transformers, false included.
    switch config.optional(key) {
    case nil, .bool(true), .string("per-head"): return .ofHead
    case .string("per-element"): return .ofElement
    default: throw config.error(key, "true, \"per-head\" or \"per-element\" is expected")
    }
  }

  /// Where files say nothing, half of a head is turned in layers that see everything.
  private static func rotary(_ decoder: DecoderConfig, _ kind: String) throws -> ModelSpec.Rotary {
    let isFull = kind == "full_attention"
    let isStated = decoder.reader.optional("rope_parameters") != nil
    return try decoder.rotary(
      kind: kind, assumedShare: isFull && !isStated ? 0.5 : 1, theta: isFull ? 500_000 : 10_000)
  }
}
