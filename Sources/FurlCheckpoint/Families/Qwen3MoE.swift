import FurlBase
import FurlSpec

/// Qwen3 with experts (Yang et al. 2025, https://arxiv.org/abs/2505.09388): a softmax over all, of which the largest are kept.
enum Qwen3MoE: Architecture {
  static let modelType = "qwen3_moe"
  static let models = "Qwen3-Coder 30B-A3B and 480B-A35B, Qwen3 30B-A3B and 235B-A22B"
  static let configurationKeys = ConfigurationKeys()
  static let names = TensorNames(
    experts: .single(prefix: "mlp.experts", gate: "gate_proj", up: "up_proj", down: "down_proj"))
  static let otherNames = names.stacked(in: "mlp")

  static let gguf = Qwen3.gguf?.with {
    $0.architecture = "qwen3moe"
    $0.className = "Qwen3MoeForCausalLM"
    $0.fixed = ["hidden_act": "silu", "use_sliding_window": false, "norm_topk_prob": true]
    $0.keys = GGUFKey.experts("num_experts") + [.expertSize("moe_intermediate_size")]
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, .init(context: 32_768, kvHeads: 4, keepsWindows: true))
    let window =
      try decoder.flag("use_sliding_window", assumed: false) ? decoder.slidingWindow(assumed: 4096) : nil
    let experts = try ExpertConfig(decoder, active: 8)
    let sparse = try experts.sparseBlocks()
    let spec = ExpertsSpec(
      count: experts.count, active: experts.active, expert: try experts.mlp(experts.size("moe_intermediate_size")),
      normalizesWeights: try decoder.flag("norm_topk_prob", assumed: false))
    let dense = try experts.mlp(decoder.mlpSize)
    return try decoder.llama(modelType, attention: Qwen3.attention(decoder) { _ in window }) { index in
      sparse[index] ? .experts(spec) : .feedForward(dense)
    }
  }
}
