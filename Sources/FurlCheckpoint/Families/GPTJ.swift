import FurlBase
import FurlSpec
import FurlTensor

/// GPT-J (Wang and Komatsuzaki 2021): attention and MLP side by side after one LayerNorm; neighbours in a head are turned
/// together, which is the same as turning halves when rows are put in that order.
enum GPTJ: Architecture {
  static let modelType = "gptj"
  static let models = "GPT-J 6B"
  static let prefix = GPT2.prefix
  static let configurationKeys = GPT2.configurationKeys
  static let aliases = GPT2.aliases
  static let names = TensorNames(
    model: ["embedding": "wte", "norm": "ln_f"], layer: "h",
    block: [
      "attention.norm": "ln_1", "attention.query": "attn.q_proj", "attention.key": "attn.k_proj",
      "attention.value": "attn.v_proj", "attention.output": "attn.out_proj", "mlp.up": "mlp.fc_in",
      "mlp.down": "mlp.fc_out",
    ])

  static func spec(_ config: DocumentReader) throws -> ModelSpec { try spec(config, modelType) }

  /// Of this family and of CodeGen.
  static func spec(_ config: DocumentReader, _ architecture: String) throws -> ModelSpec {
    // A tied head would still have a bias.
    try config.refuse("tie_word_embeddings", unless: false)
    let decoder = try DecoderConfig(config, .init(context: 2048, mlpFactor: 4), keys: configurationKeys)
    let turned = try config.integer("rotary_dim", in: 1...4096) ?? (config.keys.contains("rotary_dim") ? nil : 64)
    let norm = NormSpec(.layerNorm, epsilon: try decoder.epsilon("layer_norm_epsilon", assumed: 1e-5), hasBias: true)
    let neurons = FeedForwardSpec(
      size: decoder.mlpSize, isGated: false,
      activation: try config.activation("activation_function", assumed: .geluTanh),
      biases: [.up, .down])
    let rotary = ModelSpec.Rotary(theta: 10_000, dimensions: turned ?? decoder.headSize)
    var spec = try decoder.model(architecture, norm: norm, before: norm) { _ in
      decoder.attention(rotary: rotary)
    } mlp: { _ in
      .feedForward(neurons)
    }
    for index in spec.blocks.indices {
      spec.blocks[index] = BlockSpec([StageSpec(norm: norm, parts: spec.blocks[index].parts)])
    }
    spec.hasHeadBias = true
    return spec
  }

  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation {
    var location = names.location(of: tensor, in: spec)
    guard tensor.role == .query || tensor.role == .key,
      let attention = tensor.block.flatMap({ spec.blocks[$0].attention })
    else { return location }
    location.rowOrder = .interleavedHalves(
      headSize: attention.headSize, turned: attention.rotary?.dimensions ?? attention.headSize)
    return location
  }
}
