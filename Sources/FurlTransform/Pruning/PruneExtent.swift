import FurlSpec

/// How much of a model a step is to remove.
struct PruneExtent {
  /// Weights of what the sparsity is a share of.
  let whole: Int
  /// Weights of all groups of the kinds that the step names.
  let inGroups: Int
  private let step: PruneStep

  init(_ step: PruneStep, of spec: ModelSpec) {
    self.step = step
    inGroups = spec.blocks.reduce(0) { sum, block in
      let removable = RemovableGroups(block, of: spec)
      return sum + step.groups.reduce(0) { $0 + removable.count($1) * removable.weights($1) }
    }
    whole =
      switch step.of {
      case .blocks: spec.blockLinearCount
      case .model: spec.parameterCount
      case .groups: inGroups
      }
  }

  /// Weights that are to go.
  ///
  /// - Parameter progress: the share of the sparsity, from 0 to 1, that is wanted by now.
  func target(progress: Double = 1) -> Int { Int((step.sparsity * progress * Double(whole)).rounded()) }

  /// - Throws: ``FurlError`` of kind `input` at the recipe's line when so much cannot go.
  func check(_ allocation: GroupAllocation) throws {
    let most = allocation.most
    guard target() > most else { return }
    let share = (Double(most) / Double(max(1, whole)) * 1000).rounded(.down) / 1000
    throw step.location.error(
      "sparsity", "\(step.sparsity) cannot be reached: the groups may give at most \(share) of it",
      remedy: "raise limit, lower multiple or name more groups")
  }
}
