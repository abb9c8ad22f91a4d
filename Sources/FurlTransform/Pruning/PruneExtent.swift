import FurlBase
import FurlSpec

/// How much of a model a step is to remove.
struct PruneExtent {
  /// Numbers of what the sparsity is a share of.
  let whole: Int
  /// Weights of all groups in the blocks of the kinds that the step names; of channels, where it names nothing else.
  let inGroups: Int
  /// What is gone already: with channels of the residual stream.
  private let gone: Int
  private let step: PruneStep

  init(_ step: PruneStep, of spec: ModelSpec) {
    self.init(step, whole: PruneExtent.count(step, spec), gone: 0, spec)
  }

  private init(_ step: PruneStep, whole: Int, gone: Int, _ spec: ModelSpec) {
    self.step = step
    self.whole = whole
    self.gone = gone
    inGroups = step.groups.isEmpty ? PruneExtent.count(step, spec) : PruneExtent.inBlocks(step, spec)
  }

  /// Weights of all groups in the blocks of the kinds that a step names.
  static func inBlocks(_ step: PruneStep, _ spec: ModelSpec) -> Int {
    spec.blocks.reduce(0) { sum, block in
      let removable = RemovableGroups(block, of: spec)
      return sum + step.kinds.reduce(0) { $0 + removable.count($1) * removable.weights($1) }
    }
  }

  /// Numbers that a sparsity is a share of.
  private static func count(_ step: PruneStep, _ spec: ModelSpec) -> Int {
    switch step.of {
    case .blocks: spec.blockLinearCount
    case .model: spec.parameterCount
    // Every matrix has the residual stream on one side.
    case .groups: step.hasChannels ? matrixWeights(spec) : inBlocks(step, spec)
    }
  }

  /// Weights of all matrices.
  static func matrixWeights(_ spec: ModelSpec) -> Int {
    spec.tensors.reduce(0) { $0 + ($1.shape.count == 2 ? $1.elementCount : 0) }
  }

  /// What is left to remove when a residual stream has so many channels.
  func narrowed(_ spec: ModelSpec, to channels: Int) -> PruneExtent {
    var narrow = spec
    narrow.hiddenSize = channels
    return PruneExtent(
      step, whole: whole, gone: PruneExtent.count(step, spec) - PruneExtent.count(step, narrow), narrow)
  }

  /// Weights that are to go, beside what is gone already.
  ///
  /// - Parameter progress: the share of the sparsity, from 0 to 1, that is wanted by now.
  func target(progress: Double = 1) -> Int { Int((step.sparsity * progress * Double(whole)).rounded()) - gone }

  /// - Throws: ``FurlError`` of kind `input` at the recipe's line when so much cannot go.
  func check(_ allocation: GroupAllocation) throws {
    let most = allocation.most
    guard target() > most else { return }
    throw unreachable(most: most)
  }

  /// The error for a sparsity that is more than the groups can give.
  func unreachable(most: Int) -> FurlError {
    let share = (Double(most + gone) / Double(max(1, whole)) * 1000).rounded(.down) / 1000
    guard !step.isRest else {
      return step.location.error(
        "sparsity",
        "cannot be reached: beside the rows of the vocabulary the other groups may give at most \(share) of their weights",
        remedy: "raise limit, lower multiple or name more groups")
    }
    return step.location.error(
      "sparsity", "\(step.sparsity) cannot be reached: the groups may give at most \(share) of it",
      remedy: "raise limit, lower multiple or name more groups")
  }
}
