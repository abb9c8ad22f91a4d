import FurlBase
import FurlSpec

/// What can be removed from one block as a whole, and what of its tensors goes with it.
struct RemovableGroups: Sendable {
  let block: UniformDecoder.DecoderWidths
  let hidden: Int
  private let isGated: Bool
  private let outputGate: AttentionSpec.OutputGate?
  /// Layers that make the keys and values of the block.
  private let keyLayers: Int
  private let experts: ExpertsSpec?
  private let latent: LatentAttentionSpec?

  init(_ block: BlockSpec, of spec: ModelSpec) {
    self.block = block.widths
    hidden = spec.hiddenSize
    isGated = block.feedForward?.isGated ?? false
    outputGate = block.attention?.outputGate
    keyLayers = block.attention.map { $0.inputRoles.count - 1 } ?? 0
    experts = block.experts
    latent = block.latentAttention
  }

  /// Where all heads share the only key/value head, that one stays, and single heads go.
  var sharesOne: Bool { block.kvHeads == 1 && block.heads > 1 }

  private var headsPerUnit: Int { sharesOne ? 1 : max(1, block.heads / max(1, block.kvHeads)) }

  /// Groups of a kind, of one expert where they are experts'; 0 where the block has none.
  func count(_ kind: GroupKind) -> Int {
    switch kind {
    case .heads: latent?.heads ?? block.heads / headsPerUnit
    case .neurons: block.mlpSize
    case .expertNeurons: experts?.expert.size ?? 0
    case .sharedNeurons: experts?.shared?.size ?? 0
    }
  }

  /// Layers that groups of a kind lie before, which lose as many.
  func pools(_ kind: GroupKind) -> Int { kind == .expertNeurons ? experts?.count ?? 0 : 1 }

  /// Columns of the layer that reads what the groups compute: the attention's output, or down.
  func columns(_ kind: GroupKind) -> [Range<Int>] {
    let width = kind == .heads ? latent?.valueSize ?? headsPerUnit * block.headSize : 1
    return (0..<count(kind)).map { $0 * width..<($0 + 1) * width }
  }

  /// Weights of one group in the block's linear layers; of experts, of one neuron of each.
  func weights(_ kind: GroupKind) -> Int {
    func neuron(_ isGated: Bool) -> Int { hidden * (isGated ? 3 : 2) }
    return switch kind {
    case .heads:
      latent.map { latent in
        latent.querySize * (latent.queryRank ?? hidden) + (latent.plainSize + latent.valueSize) * latent.rank
          + latent.valueSize * hidden
      } ?? hidden * (block.headSize * (2 * headsPerUnit + (sharesOne ? 0 : keyLayers)) + gates)
    case .neurons: neuron(isGated)
    case .expertNeurons: experts.map { $0.count * neuron($0.expert.isGated) } ?? 0
    case .sharedNeurons: experts?.shared.map { neuron($0.isGated) } ?? 0
    }
  }

  /// Outputs of the layer that gates heads' outputs which belong to one group.
  private var gates: Int {
    switch outputGate {
    case nil: 0
    case .ofHead: headsPerUnit
    case .ofElement: headsPerUnit * block.headSize
    }
  }

  /// Groups that go at once so that a width stays a multiple.
  func chunk(_ kind: GroupKind, multiple: Int) -> Int {
    switch kind {
    case .neurons, .expertNeurons, .sharedNeurons: multiple
    case .heads:
      // The fewest heads whose width is a multiple.
      (1...multiple).first { $0 * (latent?.valueSize ?? headsPerUnit * block.headSize) % multiple == 0 } ?? multiple
    }
  }

  /// Rows of query, key and value, or of the MLP's first layers, that stay with some groups.
  func rows(_ role: TensorRole, kept: [Int]) -> [Int]? {
    if let latent, [.query, .key, .value].contains(role) {
      // What all heads share stays.
      let size = role == .query ? latent.querySize : role == .key ? latent.plainSize : latent.valueSize
      return kept.flatMap { $0 * size..<($0 + 1) * size }
    }
    let size = block.headSize
    switch role {
    case .query: return kept.flatMap { $0 * headsPerUnit * size..<($0 + 1) * headsPerUnit * size }
    case .key, .value: return sharesOne ? nil : kept.flatMap { $0 * size..<($0 + 1) * size }
    case .attentionGate: return kept.flatMap { $0 * gates..<($0 + 1) * gates }
    case .up, .gate: return kept
    default: return nil
    }
  }

  /// Numbers of a vector of attention that stay with some heads; nil: all.
  ///
  /// - Parameter attention: that of the block.
  func numbers(_ vector: VectorSpec, of attention: AttentionSpec, kept: [Int]) -> [Int]? {
    switch vector.name {
    case "attention.sinks": kept.flatMap { $0 * headsPerUnit..<($0 + 1) * headsPerUnit }
    case "attention.query_norm" where attention.headNorms != .ofHead: rows(.query, kept: kept)
    case "attention.key_norm" where attention.headNorms != .ofHead: rows(.key, kept: kept)
    default: nil
    }
  }

  /// Columns that stay with some groups.
  func columns(_ kind: GroupKind, kept: [Int]) -> [Int] {
    let all = columns(kind)
    return kept.flatMap { all[$0] }
  }

  /// The blocks of a model that lose the same heads: those that see the same keys and values, where these are several
  /// heads. The one that makes them is first. All other blocks lose heads of their own.
  ///
  /// - Throws: ``FurlError`` of kind `input` where such blocks' groups of heads are not alike.
  static func sharedHeads(of spec: ModelSpec) throws -> [[Int]] {
    try spec.keySharers.filter { sharers in
      let groups = sharers.map { RemovableGroups(spec.blocks[$0], of: spec) }
      guard groups.contains(where: { !$0.sharesOne }) else { return false }
      guard Set(groups.map { $0.columns(.heads) }).count == 1 else {
        throw FurlError(
          .input, "blocks \(sharers.map(String.init).joined(separator: ", ")) see the same keys with different heads",
          remedy: "leave heads out")
      }
      return true
    }
  }

  /// Takes the others out of the block.
  func remove(keeping kept: KeptGroups, from spec: inout BlockSpec) {
    var widths = block
    if let heads = kept.heads {
      widths.heads = heads.count * headsPerUnit
      widths.kvHeads = sharesOne ? 1 : heads.count
    }
    if let neurons = kept.neurons { widths.mlpSize = neurons.count }
    if let heads = kept.heads { keepSlopes(of: heads, in: &spec) }
    spec.widths = widths
    if let heads = kept.heads { spec.latentAttention?.heads = heads.count }
    guard var experts else { return }
    if let neurons = kept.experts?.first { experts.expert.size = neurons.count }
    if let neurons = kept.shared { experts.shared?.size = neurons.count }
    spec.experts = experts
  }

  /// Heads keep their slopes, which follow from how many there were.
  private func keepSlopes(of units: [Int], in spec: inout BlockSpec) {
    guard var attention = spec.attention, attention.slopeLimit != nil, units.count < count(.heads) else { return }
    let own = attention.slopeHeads ?? .init(all: attention.heads, kept: Array(0..<attention.heads))
    let kept = units.flatMap { $0 * headsPerUnit..<($0 + 1) * headsPerUnit }.map { own.kept[$0] }
    attention.slopeHeads = .init(all: own.all, kept: kept)
    spec.attention = attention
  }
}
