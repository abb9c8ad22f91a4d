import FurlSpec

/// What groups of a block are: heads, or neurons of one of the MLPs that it may have.
enum GroupKind: Sendable, Hashable, CaseIterable {
  case heads
  /// Of the MLP that all rows go through.
  case neurons
  /// Of experts. Each loses its own, and all of a block as many, so that they stay as wide as each other.
  case expertNeurons
  /// Of what all rows go through beside the experts that are chosen.
  case sharedNeurons

  /// What a recipe calls them.
  var group: PruneStep.Group { self == .heads ? .heads : .neurons }
}

extension PruneStep {
  /// The kinds of groups that it names, in their order.
  var kinds: [GroupKind] { groups.flatMap { group in GroupKind.allCases.filter { $0.group == group } } }
}

/// The layers of a block that groups lie between.
struct GroupLayers {
  let kind: GroupKind
  /// The expert that they are layers of; nil: every row goes through them.
  let expert: Int?
  /// Those whose outputs make up the groups.
  let producers: [LinearSpec]
  /// The one that reads them.
  let reader: LinearSpec
}

extension BlockSpec {
  /// The layers that groups of a kind lie between: one entry, or one for each expert; none where the block has no such
  /// groups.
  ///
  /// - Parameter hidden: the width of the residual stream.
  func groupLayers(_ kind: GroupKind, hidden: Int) -> [GroupLayers] {
    parts.flatMap { part -> [GroupLayers] in
      let readers: [LinearSpec]
      let outputs = part.outputs(hidden: hidden)
      switch (part.mixer, kind) {
      case (.attention, .heads), (.latentAttention, .heads), (.feedForward, .neurons): readers = outputs
      case (.experts, .expertNeurons): readers = outputs.filter { $0.expert != nil }
      case (.experts, .sharedNeurons): readers = outputs.filter { $0.expert == nil }
      default: return []
      }
      let layers = part.inputs(hidden: hidden) + part.innerLayers
      let inputs = Dictionary(grouping: layers.filter { $0.role != .router }, by: \.expert)
      return readers.map {
        GroupLayers(kind: kind, expert: $0.expert, producers: inputs[$0.expert] ?? [], reader: $0)
      }
    }
  }
}

/// The groups of each block that stay, ascending; nil: all.
struct KeptGroups: Sendable, Hashable {
  var heads: [Int]?
  var neurons: [Int]?
  /// Of each expert, as many of each.
  var experts: [[Int]]?
  /// Of what all rows go through beside experts.
  var shared: [Int]?

  /// Those of a kind: one list, or one for each expert.
  subscript(_ kind: GroupKind) -> [[Int]]? {
    get {
      switch kind {
      case .heads: heads.map { [$0] }
      case .neurons: neurons.map { [$0] }
      case .expertNeurons: experts
      case .sharedNeurons: shared.map { [$0] }
      }
    }
    set {
      switch kind {
      case .heads: heads = newValue?.first
      case .neurons: neurons = newValue?.first
      case .expertNeurons: experts = newValue
      case .sharedNeurons: shared = newValue?.first
      }
    }
  }

  /// Those between some layers.
  subscript(_ layers: GroupLayers) -> [Int]? { self[layers.kind]?[layers.expert ?? 0] }
}

/// What groups of one kind in a block are worth: those of one layer, or of one for each expert, which lose as many.
struct GroupPools {
  /// Of every group of every pool; pools are as large as each other.
  let importances: [[Double]]

  /// What goes at once: a group; of several pools the least important one that is left of each, the first of them all first.
  var steps: [Double] {
    guard importances.count > 1 else { return importances[0] }
    let sorted = importances.map { $0.sorted() }
    return sorted[0].indices.map { rank in sorted.reduce(0) { $0 + $1[rank] } }
  }

  /// The groups of each pool that stay when some steps do, ascending.
  func kept(_ steps: [Int]) -> [[Int]] {
    guard importances.count > 1 else { return [steps] }
    return importances.map { pool in
      pool.indices.sorted { (pool[$0], $0) < (pool[$1], $1) }.suffix(steps.count).sorted()
    }
  }
}
