import FurlSpec

/// What can be removed from one block as a whole, and what of its tensors goes with it.
struct RemovableGroups: Sendable {
  let block: UniformDecoder.Widths
  let hidden: Int
  private let isGated: Bool
  private let outputGate: AttentionSpec.OutputGate?

  init(_ block: BlockSpec, of spec: ModelSpec) {
    self.block = block.widths
    hidden = spec.hiddenSize
    isGated = block.feedForward?.isGated ?? false
    outputGate = block.attention?.outputGate
  }

  /// Where all heads share the only key/value head, that one stays, and single heads go.
  private var sharesOne: Bool { block.kvHeads == 1 && block.heads > 1 }

  private var headsPerUnit: Int { sharesOne ? 1 : max(1, block.heads / max(1, block.kvHeads)) }

  /// Groups of a kind; 0 where the block has no attention, or no MLP that all rows go through.
  func count(_ group: PruneStep.Group) -> Int {
    switch group {
    case .heads: block.heads / headsPerUnit
    case .neurons: block.mlpSize
    }
  }

  /// Columns of the layer that reads what the groups compute: the attention's output, or down.
  func columns(_ group: PruneStep.Group) -> [Range<Int>] {
    let width = group == .heads ? headsPerUnit * block.headSize : 1
    return (0..<count(group)).map { $0 * width..<($0 + 1) * width }
  }

  /// Weights of one group in the block's linear layers.
  func weights(_ group: PruneStep.Group) -> Int {
    switch group {
    case .heads: hidden * (block.headSize * (2 * headsPerUnit + (sharesOne ? 0 : 2)) + gates)
    case .neurons: hidden * (isGated ? 3 : 2)
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
  func chunk(_ group: PruneStep.Group, multiple: Int) -> Int {
    switch group {
    case .neurons: multiple
    case .heads:
      // The fewest heads whose width is a multiple.
      (1...multiple).first { $0 * headsPerUnit * block.headSize % multiple == 0 } ?? multiple
    }
  }

  /// Rows of query, key and value, or of the MLP's first layers, that stay with some groups.
  func rows(_ role: TensorRole, kept: [Int]) -> [Int]? {
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
  func columns(_ group: PruneStep.Group, kept: [Int]) -> [Int] {
    let all = columns(group)
    return kept.flatMap { all[$0] }
  }

  /// The block without the others.
  func block(heads: [Int]?, neurons: [Int]?) -> UniformDecoder.Widths {
    var result = block
    if let heads {
      result.heads = heads.count * headsPerUnit
      result.kvHeads = sharesOne ? 1 : heads.count
    }
    if let neurons { result.mlpSize = neurons.count }
    return result
  }
}

/// The groups of each block that stay, ascending; nil: all.
struct KeptGroups: Sendable, Hashable {
  var heads: [Int]?
  var neurons: [Int]?

  subscript(_ group: PruneStep.Group) -> [Int]? {
    get { group == .heads ? heads : neurons }
    set { if group == .heads { heads = newValue } else { neurons = newValue } }
  }
}

extension BlockSpec {
  /// The layers whose outputs make up groups of a kind.
  ///
  /// - Parameter hidden: the width of the residual stream.
  func layers(computing group: PruneStep.Group, hidden: Int) -> [LinearSpec] {
    parts.flatMap { part -> [LinearSpec] in
      switch (part.mixer, group) {
      case (.attention, .heads), (.feedForward, .neurons): part.inputs(hidden: hidden)
      default: []
      }
    }
  }
}
