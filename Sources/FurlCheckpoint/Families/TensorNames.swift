import FurlSpec
import FurlTensor

/// What a source calls the tensors of a model, and which of them it stores as one: read in both directions.
struct TensorNames: Sendable {
  /// Layers whose outputs are stored one after the other as one tensor.
  struct Fusion: Sendable {
    let name: String
    /// Furl's names within a block, in their order.
    let parts: [String]
    /// Whether the outputs of each key/value head lie together, those of all parts: its queries, keys, values.
    var isByHead = false
  }

  /// How the matrices of experts are stored.
  enum Experts: Sendable {
    /// Each by itself: `PREFIX.E.NAME`.
    case single(prefix: String, gate: String, up: String, down: String)
    /// All in one tensor [experts][outputs][inputs]; gate and up one after the other where they have one name.
    case stacked(gate: String, up: String, down: String)
    /// transformers' own classes: [experts][outputs][inputs], gate and up one after the other, under names that are whole:
    /// nothing stands behind those of weights, and `_bias` behind those of biases.
    case fused(gateUp: String, down: String)
    /// gpt-oss: [experts][inputs][outputs], gate and up taking turns, biases [experts][outputs].
    case takingTurns(gateUp: String, down: String)
  }

  /// Furl's names outside of the blocks, and the source's.
  let model: [String: String]
  /// What stands before a block's number.
  var layer = "layers"
  /// Furl's names within a block, and the source's behind `layers.N.`.
  var block: [String: String]
  var fusions: [Fusion] = []
  var experts: Experts?
  /// Linear layers of blocks are stored input x output.
  var isTransposed = false
  /// All names end with `.weight` or `.bias`, those of numbers that are no layer's, too.
  var namesAllWeights = false

  private static let llamaModel = ["embedding": "embed_tokens", "norm": "norm", "head": "lm_head"]
  private static let llamaBlock = [
    "attention.norm": "input_layernorm", "attention.query": "self_attn.q_proj", "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj", "attention.output": "self_attn.o_proj",
    "attention.query_norm": "self_attn.q_norm", "attention.key_norm": "self_attn.k_norm",
    "attention.sinks": "self_attn.sinks",
    "mlp.norm": "post_attention_layernorm", "mlp.gate": "mlp.gate_proj", "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj", "mlp.router": "mlp.gate",
  ]

  /// Llama's names, with others in the place of some.
  init(
    model: [String: String] = [:], layer: String = "layers", block: [String: String] = [:], fusions: [Fusion] = [],
    experts: Experts? = nil, isTransposed: Bool = false
  ) {
    self.model = TensorNames.llamaModel.merging(model) { $1 }
    self.block = TensorNames.llamaBlock.merging(block) { $1 }
    self.layer = layer
    self.fusions = fusions
    self.experts = experts
    self.isTransposed = isTransposed
  }

  func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation {
    let isBias = tensor.role == .bias
    let whole = tensor.nameInBlock
    let base = isBias ? String(whole.dropLast(".bias".count)) : whole
    let suffix = isBias ? ".bias" : !namesAllWeights && TensorNames.isBare(tensor.role) ? "" : ".weight"
    guard let index = tensor.block else { return TensorLocation(name: (model[base] ?? base) + suffix) }
    let prefix = "\(layer).\(index)."
    if base.hasPrefix("mlp.experts."), let location = expert(base, tensor, spec.blocks[index], prefix, suffix) {
      return location
    }
    let isLinear = tensor.role.isBlockLinear || isBias && !base.hasSuffix("norm")
    if let fusion = fusions.first(where: { $0.parts.contains(base) }) {
      return fused(base, fusion, tensor, in: spec, prefix + fusion.name + suffix)
    }
    return TensorLocation(
      name: prefix + (block[base] ?? base) + suffix, isTransposed: isTransposed && isLinear && !isBias)
  }

  /// Tensors whose names have no `.weight` behind them.
  private static func isBare(_ role: TensorRole) -> Bool { [.sinks, .routerChoice, .routerFactors].contains(role) }

  private func fused(
    _ base: String, _ fusion: Fusion, _ tensor: TensorSpec, in spec: ModelSpec, _ name: String
  ) -> TensorLocation {
    let index = tensor.block ?? 0
    let layers = spec.blocks[index].parts.flatMap { $0.inputs(hidden: spec.hiddenSize) }
    let sizes = fusion.parts.map { part in layers.first { $0.name == part }?.rows ?? 0 }
    let place = fusion.parts.firstIndex(of: base) ?? 0
    var location = TensorLocation(name: name, isTransposed: isTransposed && tensor.role != .bias)
    guard fusion.isByHead, let attention = spec.blocks[index].attention else {
      location.part = (sizes[..<place].reduce(0, +), sizes.reduce(0, +))
      return location
    }
    // Of each key/value head: the queries that share it, its keys, its values.
    let rows = sizes.map { $0 / attention.kvHeads }
    location.part = (rows[..<place].reduce(0, +), sizes.reduce(0, +))
    location.rowOrder = .stored.grouped(rows: rows[place], stride: rows.reduce(0, +))
    return location
  }

  /// - Parameter base: `mlp.experts.3.up`.
  private func expert(
    _ base: String, _ tensor: TensorSpec, _ block: BlockSpec, _ prefix: String, _ suffix: String
  ) -> TensorLocation? {
    let words = base.split(separator: ".")
    guard let experts, let spec = block.experts, words.count == 4, let index = Int(words[2]) else { return nil }
    let slice = (index, spec.count)
    /// Gate and up one after the other.
    func half() -> (start: Int, total: Int) { (words[3] == "gate" ? 0 : spec.expert.size, 2 * spec.expert.size) }
    switch experts {
    case .single(let path, let gate, let up, let down):
      let name = words[3] == "gate" ? gate : words[3] == "up" ? up : down
      return TensorLocation(name: "\(prefix)\(path).\(index).\(name)\(suffix)")
    case .stacked(let gate, let up, let down):
      let name = words[3] == "gate" ? gate : words[3] == "up" ? up : down
      var location = TensorLocation(name: prefix + name + suffix, slice: slice)
      if gate == up, words[3] != "down" { location.part = half() }
      return location
    case .fused(let gateUp, let down):
      let name = words[3] == "down" ? down : gateUp
      var location = TensorLocation(name: prefix + name + (suffix == ".bias" ? "_bias" : ""), slice: slice)
      if words[3] != "down" { location.part = half() }
      return location
    case .takingTurns(let gateUp, let down):
      let isBias = suffix == ".bias"
      let name = prefix + (words[3] == "down" ? down : gateUp) + (isBias ? "_bias" : "")
      var location = TensorLocation(name: name, isTransposed: !isBias, slice: slice)
      if words[3] != "down" {
        location.part = (words[3] == "gate" ? 0 : 1, 2 * spec.expert.size)
        location.rowOrder = .stored.grouped(rows: 1, stride: 2)
      }
      return location
    }
  }
}
