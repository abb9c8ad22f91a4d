import FurlBase
import FurlSpec

/// Granite 4 (IBM 2025) as far as its layers are attention: an MLP that all rows go through, perhaps experts beside it, and
/// perhaps no positions.
enum GraniteMoEHybrid: Architecture {
  static let modelType = "granitemoehybrid"
  static let models = "Granite 4.0 without Mamba layers (350M, 1B)"
  static let configurationKeys = ConfigurationKeys(mlp: "shared_intermediate_size")
  private static let dense = TensorNames(
    block: ["mlp.down": "shared_mlp.output_linear"],
    fusions: [.init(name: "shared_mlp.input_linear", parts: ["mlp.gate", "mlp.up"])])
  static let names = TensorNames(
    block: ["mlp.router": "block_sparse_moe.router.layer", "mlp.shared.down": "shared_mlp.output_linear"],
    fusions: [.init(name: "shared_mlp.input_linear", parts: ["mlp.shared.gate", "mlp.shared.up"])],
    experts: .stacked(
      gate: "block_sparse_moe.input_linear", up: "block_sparse_moe.input_linear", down: "block_sparse_moe.output_linear"
    ))
  /// MLX gives what has no experts Llama's names.
  static let otherNames = GraniteMoE.others(of: names) + [TensorNames()]

  /// llama.cpp's `granite` and `granitemoe`. Both have what is shared beside experts, and only the former heads that are not
  /// turned, with experts as well as without. A dense model whose heads are turned is Granite, and read as that.
  static let ggufForms = [false, true].flatMap { isSparse in [true, false].compactMap { form(isSparse, turns: $0) } }
  static let gguf = form(false, turns: true)

  static func gguf(of spec: ModelSpec) -> GGUFFamily? {
    form(spec.blocks.first?.experts != nil, turns: spec.blocks.first?.attention?.rotary != nil)
  }

  private static func form(_ isSparse: Bool, turns: Bool) -> GGUFFamily? {
    (isSparse ? GraniteMoE.gguf : Granite.gguf)?.with {
      $0.className = "GraniteMoeHybridForCausalLM"
      $0.fixed = ["hidden_act": "silu", "position_embedding_type": turns ? "rope" : "nope"]
      $0.layerType = "attention"
      $0.possibleBiases = GGUFFamily.attentionBiases.union([.attentionOutput])
      $0.isRead = isSparse || !turns
      if isSparse {
        $0.markers = ["expert_shared_feed_forward_length"]
        // Experts are as wide as MLPs are elsewhere.
        $0.keys += [
          .sharedSize("shared_intermediate_size"),
          GGUFKey("feed_forward_length", "intermediate_size", .integer) { _, _ in nil },
        ]
      }
      if !turns {
        $0.architecture = "granite"
        $0.markers.append(.no("rope.scaling.finetuned"))
        $0.turnsNothing = true
      }
    }
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, .init(context: 2048, keepsWindows: true), keys: configurationKeys)
    _ = try decoder.layerTypes(["full_attention"]) { _ in "mamba" }
    if config.optional("layer_types") == nil, decoder.layers > 0 {
      throw config.error("layer_types", "is missing: its layers would be Mamba, which is not supported yet")
    }
    let positions = try config.string("position_embedding_type")
    let attention = try Granite.attention(decoder, hasPositions: positions == "rope")
    let neurons = FeedForwardSpec(
      size: decoder.mlpSize, isGated: true, activation: try config.activation("hidden_act", assumed: .silu))
    guard let count = try config.integer("num_local_experts", in: 0...4096), count > 0 else {
      return try decoder.llama(modelType) { _ in
        attention
      } mlp: { _ in
        .feedForward(neurons)
      }
    }
    let experts = try ExpertConfig(decoder, active: 2)
    let spec = ExpertsSpec(
      count: count, active: experts.active, expert: try experts.mlp(experts.size("intermediate_size")), shared: neurons)
    return try decoder.llama(modelType) { _ in
      attention
    } mlp: { _ in
      .experts(spec)
    }
  }

  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation {
    (spec.blocks.first?.experts == nil ? dense : names).location(of: tensor, in: spec)
  }

  static func folds(_ config: DocumentReader, _ spec: ModelSpec) throws -> Folds { try Granite.folds(config, spec) }
}
