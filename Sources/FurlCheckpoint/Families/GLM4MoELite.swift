import FurlBase
import FurlSpec

/// GLM-4.7-Flash (Z.ai 2026): built like DeepSeek-V3.
enum GLM4MoELite: Architecture {
  static let modelType = "glm4_moe_lite"
  static let models = "GLM-4.7-Flash"
  static let configurationKeys = LatentConfig.keys
  static let names = LatentConfig.names
  static let otherNames = LatentConfig.otherNames

  /// Nothing in a file tells it from DeepSeek-V3, which computes the same.
  static let gguf: GGUFFamily? = LatentConfig.sigmoidGGUF.with {
    $0.className = "Glm4MoeLiteForCausalLM"
    $0.isRead = false
    $0.denseBlocks = .types
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let latent = try LatentConfig(config, context: 202_752)
    try config.refuse("rope_interleave", unless: true)
    let experts = try latent.sigmoidExperts(groups: (1, 1), active: 4, factor: 1.8)
    return try latent.model(
      modelType, latent.attention(plainSize: 192, valueSize: 256, queryRank: 768), experts,
      isSparse: ExpertConfig(latent.decoder, active: 4).sparseTypes(dense: 1), epsilon: 1e-5)
  }

  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation {
    LatentConfig.location(of: tensor, in: spec)
  }

  static func location(of tensor: TensorSpec, in spec: ModelSpec, called names: TensorNames) -> TensorLocation {
    LatentConfig.location(of: tensor, in: spec, called: names)
  }

  static func layersBeyond(_ config: DocumentReader) throws -> Int { try LatentConfig.layersBeyond(config) }
}
