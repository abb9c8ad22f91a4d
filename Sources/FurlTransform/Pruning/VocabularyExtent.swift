import FurlSpec

/// How much a step removes that prunes the vocabulary: the same share of its rows and of the other groups that it names.
struct VocabularyExtent {
  let rows: VocabularyRows
  /// Weights of what the sparsity is a share of.
  let whole: Int
  /// Weights that are to go.
  let target: Int
  /// Of the groups in the blocks.
  private let inBlocks: Int
  private let step: PruneStep
  private let spec: ModelSpec

  init(_ step: PruneStep, of spec: ModelSpec) {
    self.step = step
    self.spec = spec
    rows = VocabularyRows(of: spec)
    inBlocks = PruneExtent.inBlocks(step, spec)
    whole = step.of == .model ? spec.parameterCount : rows.all + inBlocks
    target = Int((step.sparsity * Double(whole)).rounded())
  }

  /// Rows that are left.
  ///
  /// - Parameter least: rows that have to stay.
  func left(least: Int = 1) -> Int {
    let share = min(1, Double(target) / Double(max(1, rows.all + inBlocks)))
    return rows.left(removing: rows.target(share: share), multiple: step.multiple, least: least)
  }

  /// What other groups lose when rows have gone; nil: nothing.
  ///
  /// - Parameter removed: weights of the rows.
  func rest(removed: Int) -> PruneStep? {
    guard !step.groups.isEmpty, removed < target else { return nil }
    return step.afterVocabulary(removing: Double(target - removed) / Double(max(1, inBlocks)))
  }
}
