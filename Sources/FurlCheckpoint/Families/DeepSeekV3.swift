import FurlBase
import FurlSpec

/// DeepSeek-V3 (DeepSeek-AI 2024, https://arxiv.org/abs/2412.19437): DeepSeek-V2 with sigmoids for scores and a bias that
/// balances the choice.
enum DeepSeekV3: Architecture {
  static let modelType = "deepseek_v3"
  static let models = "DeepSeek-V3, V3.1 and R1, Moonlight and others built alike, where weights are not FP8"
  static let configurationKeys = LatentConfig.keys
  static let names = LatentConfig.names
  static let otherNames = LatentConfig.otherNames

  static let gguf: GGUFFamily? = LatentConfig.sigmoidGGUF.with {
    $0.className = "DeepseekV3ForCausalLM"
    $0.denseBlocks = .count
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let latent = try LatentConfig(config, context: 4096)
    try config.refuse("rope_interleave", unless: true)
    let experts = try latent.sigmoidExperts(groups: (8, 4), active: 8, factor: 2.5)
    if let step = try config.integer("moe_layer_freq", in: 1...Int.max), step != 1 {
      throw config.error("moe_layer_freq", "\(step) is not supported yet", remedy: "supported: 1")
    }
    let dense = try config.integer("first_k_dense_replace", in: 0...Int.max) ?? 3
    return try latent.model(
      modelType, latent.attention(), experts, isSparse: (0..<latent.decoder.layers).map { $0 >= dense })
  }

  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation {
    LatentConfig.location(of: tensor, in: spec)
  }

  static func location(of tensor: TensorSpec, in spec: ModelSpec, called names: TensorNames) -> TensorLocation {
    LatentConfig.location(of: tensor, in: spec, called: names)
  }

  static func layersBeyond(_ config: DocumentReader) throws -> Int { try LatentConfig.layersBeyond(config) }
}
