import FurlBase
import FurlSpec

/// Mellum 2 (JetBrains 2026): Qwen3 with experts, windows on most blocks and a base for each kind of block.
enum Mellum: Architecture {
  static let modelType = "mellum"
  static let models = "Mellum 2"
  static let configurationKeys = ConfigurationKeys(hasLayerTypes: true)
  static let names = Qwen3MoE.names
  static let otherNames = Qwen3MoE.otherNames

  static let gguf = Qwen3MoE.gguf?.with {
    $0.architecture = "mellum"
    $0.className = "MellumForCausalLM"
    $0.fixed = ["hidden_act": "silu", "norm_topk_prob": true]
    $0.windows = .pattern(every: 4)
    $0.slidingBase = .own(assumed: nil)
    // llama.cpp reads the base of blocks with a window, and turns them by that of the others all the same.
    $0.turnsAllByOneBase = true
    $0.head = .apart
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, .init(context: 131_072, kvHeads: 4, keepsWindows: true))
    let window = try decoder.slidingWindow(assumed: 1024)
    let (full, sliding) = ("full_attention", "sliding_attention")
    let kinds = try decoder.layerTypes([full, sliding]) { _ in full }
    let experts = try ExpertConfig(decoder, active: 8)
    let sparse = try experts.sparseTypes()
    let spec = ExpertsSpec(
      count: experts.count, active: experts.active, expert: try experts.mlp(experts.size("moe_intermediate_size")),
      normalizesWeights: try decoder.flag("norm_topk_prob", assumed: true))
    let dense = try experts.mlp(decoder.mlpSize)
    let attention = try Qwen3.attention(decoder) { index in
      try decoder.rotary(kind: kinds[index])
    } window: { index in
      kinds[index] == sliding ? window : nil
    }
    return try decoder.llama(modelType, attention: attention) { index in
      sparse[index] ? .experts(spec) : .feedForward(dense)
    }
  }
}
