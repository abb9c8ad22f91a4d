import FurlBase
import FurlSpec

/// Granite with experts (IBM 2024): stored as one tensor for all; the chosen ones' weights are a softmax over them.
enum GraniteMoE: Architecture {
  static let modelType = "granitemoe"
  static let models = "Granite 3.0 1B-A400M and 3B-A800M"
  static let configurationKeys = ConfigurationKeys()
  static let names = TensorNames(
    block: ["mlp.router": "block_sparse_moe.router.layer"],
    experts: .stacked(
      gate: "block_sparse_moe.input_linear", up: "block_sparse_moe.input_linear", down: "block_sparse_moe.output_linear"
    ))
  static let otherNames = others(of: names)

  /// What MLX and transformers' classes make of such names.
  static func others(of names: TensorNames) -> [TensorNames] {
    let experts = "block_sparse_moe.experts."
    return [
      names.with(experts: .mlx("block_sparse_moe.switch_mlp")),
      names.with(
        experts: .fused(gateUp: experts + "gate_up_proj", down: experts + "down_proj"),
        block: ["mlp.router": "block_sparse_moe.router"]),
    ]
  }

  static let gguf = Granite.gguf?.with {
    $0.architecture = "granitemoe"
    $0.className = "GraniteMoeForCausalLM"
    $0.keys += GGUFKey.experts("num_local_experts")
    $0.possibleBiases = GGUFFamily.attentionBiases.union([.attentionOutput])
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, context: 2048)
    let attention = try Granite.attention(decoder)
    let experts = try ExpertConfig(decoder, active: 2)
    let spec = ExpertsSpec(count: experts.count, active: experts.active, expert: try experts.mlp(decoder.mlpSize))
    return try decoder.llama(modelType) { _ in
      attention
    } mlp: { _ in
      .experts(spec)
    }
  }

  static func folds(_ config: DocumentReader, _ spec: ModelSpec) throws -> Folds { try Granite.folds(config, spec) }
}
