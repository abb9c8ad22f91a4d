import FurlBase
import FurlSpec

/// DeepSeek-V2 (DeepSeek-AI 2024, https://arxiv.org/abs/2405.04434): latent attention, experts chosen by a softmax whose
/// weights are not made to add up to one, and one that all rows go through.
enum DeepSeekV2: Architecture {
  static let modelType = "deepseek_v2"
  static let models = "DeepSeek-Coder-V2 and its Lite form, DeepSeek-V2, V2-Lite and V2.5"
  static let configurationKeys = LatentConfig.keys
  static let names = LatentConfig.names
  static let otherNames = names.stacked(in: "mlp")

  static let gguf: GGUFFamily? = LatentConfig.gguf.with {
    $0.className = "DeepseekV2ForCausalLM"
    ($0.gating, $0.assumesGating) = (.softmax, true)
    $0.denseBlocks = .count
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let latent = try LatentConfig(config, context: 2048)
    let hasBias = try latent.decoder.flag("mlp_bias", assumed: false)
    let count = try ExpertConfig(latent.decoder, active: 0)
    guard count.active > 0 else { throw config.error("num_experts_per_tok", "is missing") }
    var experts = try latent.experts(count, shared: 2, factor: 1, biases: hasBias ? [.gate, .up, .down] : [])
    let methods = ["greedy": false, "group_limited_greedy": true]
    let method = try config.string("topk_method") ?? "greedy"
    guard let isGrouped = methods[method] else {
      throw config.error(
        "topk_method", "\"\(method)\" is not supported yet",
        remedy: "supported: \(methods.keys.sorted().joined(separator: ", "))")
    }
    if isGrouped {
      for key in ["n_group", "topk_group"] where config.optional(key) == nil { throw config.error(key, "is missing") }
      experts.groups = try latent.groups(count, count: 1, active: 1, best: 1)
    }
    // Weights are never made to add up to one, whatever norm_topk_prob says. Every layer behind the first ones is sparse.
    if let step = try config.integer("moe_layer_freq", in: 1...Int.max), step != 1 {
      throw config.error("moe_layer_freq", "\(step) is not supported yet", remedy: "supported: 1")
    }
    let dense = try config.integer("first_k_dense_replace", in: 0...Int.max) ?? 0
    return try latent.model(
      modelType, latent.attention(), experts, isSparse: (0..<latent.decoder.layers).map { $0 >= dense })
  }

  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation {
    LatentConfig.location(of: tensor, in: spec)
  }
}
