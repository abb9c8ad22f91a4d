import FurlBase
import FurlSpec
import FurlTensor

/// XGLM (Lin et al. 2021, https://arxiv.org/abs/2112.10668): LayerNorm, biases, and positions that no file has: sines and
/// cosines of frequencies from 1 down to 1/10000 (Vaswani et al. 2017), from the third position on.
enum XGLM: Architecture {
  static let modelType = "xglm"
  static let models = "XGLM 564M to 7.5B"
  static let configurationKeys = ConfigurationKeys(
    layers: "num_layers", hidden: "d_model", heads: "attention_heads", kvHeads: nil, headSize: nil, mlp: "ffn_dim",
    normEpsilon: "layer_norm_eps")
  static let aliases: KeyValuePairs = [
    "num_attention_heads": "attention_heads", "hidden_size": "d_model", "num_hidden_layers": "num_layers",
  ]
  static let names = TensorNames(
    model: ["norm": "layer_norm"],
    block: [
      "attention.norm": "self_attn_layer_norm", "attention.output": "self_attn.out_proj",
      "mlp.norm": "final_layer_norm",
      "mlp.up": "fc1", "mlp.down": "fc2",
    ])

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    try config.refuse("add_cross_attention", unless: false)
    let decoder = try DecoderConfig(config, context: 2048, keys: configurationKeys)
    guard decoder.hiddenSize >= 4 else { throw config.error("d_model", "\(decoder.hiddenSize) is too small") }
    let norm = NormSpec(.layerNorm, epsilon: 1e-5, hasBias: true)
    let neurons = FeedForwardSpec(
      size: decoder.mlpSize, isGated: false, activation: try config.activation("activation_function", assumed: .gelu),
      biases: [.up, .down])
    var spec = try decoder.model(modelType, norm: norm, before: norm, assumesTied: true) { _ in
      decoder.attention(biases: [.query, .key, .value, .attentionOutput])
    } mlp: { _ in
      .feedForward(neurons)
    }
    spec.hasLearnedPositions = true
    return spec
  }

  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation {
    var location = names.location(of: tensor, in: spec)
    if tensor.role == .positions { location.computed = sinusoids }
    return location
  }

  /// Where the first position stands in the table.
  private static let offset = 2

  /// A row of the table: sines, then cosines; an odd width ends with a zero.
  private static func sinusoids(_ position: Int, _ columns: Int) -> [Float] {
    let half = columns / 2
    let step = Elementary.log(10_000) / Double(half - 1)
    let turns = (0..<half).map { index in
      Elementary.cosineAndSine(Double(position + offset) * Elementary.exp(-step * Double(index)))
    }
    return turns.map { Float($0.sine) } + turns.map { Float($0.cosine) } + (columns % 2 == 1 ? [0] : [])
  }

  static func folds(_ config: DocumentReader, _ spec: ModelSpec) throws -> Folds {
    guard try config.bool("scale_embedding") ?? true else { return [:] }
    let root = Float(Double(spec.hiddenSize).squareRoot())
    var folds: Folds = ["embedding": .init(factor: root)]
    // The head is the embedding, with its factor: what it reads is divided by it.
    if spec.tiedEmbeddings { folds["norm"] = .init(factor: 1 / root) }
    return folds
  }
}
