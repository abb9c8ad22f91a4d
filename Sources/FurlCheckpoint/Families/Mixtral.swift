import FurlBase
import FurlSpec

/// Mixtral (Jiang et al. 2024, https://arxiv.org/abs/2401.04088): Mistral with experts in the place of the MLP.
enum Mixtral: Architecture {
  static let modelType = "mixtral"
  static let models = "Mixtral 8x7B and 8x22B"
  static let configurationKeys = ConfigurationKeys()
  static let names = TensorNames(
    block: ["mlp.router": "block_sparse_moe.gate"],
    experts: .single(prefix: "block_sparse_moe.experts", gate: "w1", up: "w3", down: "w2"))
  static let otherNames = [
    names.with(experts: .mlx("block_sparse_moe.switch_mlp")),
    names.with(
      experts: .fused(gateUp: "mlp.experts.gate_up_proj", down: "mlp.experts.down_proj"),
      block: ["mlp.router": "mlp.gate"]),
  ]

  static let gguf = Llama.gguf?.with {
    $0.className = "MixtralForCausalLM"
    $0.markers = ["expert_count"]
    $0.switches = [:]
    $0.keys = GGUFKey.experts("num_local_experts")
    $0.possibleBiases = []
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, context: 131_072, kvHeads: 8, keepsWindows: true)
    let window = try decoder.slidingWindow(assumed: nil)
    try ConfigurationRules(reader: config).layerTypes(decoder.layers, window: window)
    let experts = try ExpertConfig(decoder, active: 2)
    let spec = ExpertsSpec(
      count: experts.count, active: experts.active, expert: try experts.mlp(decoder.mlpSize))
    let rotary = try decoder.rotary(theta: 1e6)
    return try decoder.llama(modelType, epsilon: 1e-5) { _ in
      decoder.attention(window: window, rotary: rotary)
    } mlp: { _ in
      .experts(spec)
    }
  }
}
