import FurlBase
import FurlSpec

/// How many experts a step takes from every block that has some.
struct ExpertExtent {
  private let step: PruneStep
  private let spec: ModelSpec
  /// Experts that go from each block.
  let removed: Int

  init(_ step: PruneStep, of spec: ModelSpec) {
    self.step = step
    self.spec = spec
    let (all, each) = ExpertExtent.weights(spec)
    let whole =
      switch step.of {
      case .blocks: spec.blockLinearCount
      case .model: spec.parameterCount
      case .groups: all
      }
    removed = max(1, Int((step.sparsity * Double(whole) / Double(max(1, each))).rounded()))
  }

  /// Numbers of all experts with their rows of routers, and of one of each block.
  private static func weights(_ spec: ModelSpec) -> (all: Int, each: Int) {
    var (all, each) = (0, 0)
    for part in spec.blocks.flatMap(\.parts) {
      guard case .experts(let experts) = part.mixer else { continue }
      let one = part.expertParameterCount(hidden: spec.hiddenSize)
      all += experts.count * one
      each += one
    }
    return (all, each)
  }

  /// Numbers that go with them.
  var removedWeights: Int { removed * ExpertExtent.weights(spec).each }

  /// The place of the experts in each block; nil for a block that has none.
  static func places(_ spec: ModelSpec) -> [(stage: Int, part: Int)?] {
    spec.blocks.map { block in
      for (stage, parts) in block.stages.map(\.parts).enumerated() {
        let part = parts.firstIndex { if case .experts = $0.mixer { true } else { false } }
        if let part { return (stage, part) }
      }
      return nil
    }
  }

  /// - Throws: ``FurlError`` of kind `input` at the recipe's line for a model without experts, or where so many cannot go.
  func check() throws {
    let blocks = spec.blocks.compactMap(\.experts)
    guard !blocks.isEmpty else {
      throw step.location.error(
        "groups", "a \(spec.architecture) model has no experts", remedy: "prune heads, neurons or channels")
    }
    guard blocks.allSatisfy({ $0.ownNorms == nil && !$0.hasExpertFactors }) else {
      throw step.location.error(
        "groups", "experts between norms of their own cannot be removed", remedy: "quantize them")
    }
    guard blocks.allSatisfy({ $0.groups == nil }) else {
      throw step.location.error(
        "groups", "experts that come in groups cannot be removed", remedy: "prune heads")
    }
    // What stages behind them read would not be known yet.
    guard
      zip(spec.blocks, ExpertExtent.places(spec)).allSatisfy({ block, place in
        place == nil || place?.stage == block.stages.count - 1
      })
    else {
      throw step.location.error("groups", "experts that are not the last of a block cannot be removed")
    }
    let most = blocks.map { $0.count - $0.active }.min() ?? 0
    guard removed <= most else {
      throw step.location.error(
        "sparsity",
        "\(removed) experts of each block would go, and at most \(most) may: a token goes through those that are left",
        remedy: "lower it")
    }
  }

  /// - Parameter counts: of every block; those of blocks without experts mean nothing.
  static func spec(_ spec: ModelSpec, keeping counts: [Int]) -> ModelSpec {
    var result = spec
    for (index, count) in counts.enumerated() {
      guard var experts = result.blocks[index].experts else { continue }
      experts.count = count
      result.blocks[index].experts = experts
    }
    return result
  }
}

extension PartSpec {
  /// Numbers of one of its experts, its row of the router included.
  fileprivate func expertParameterCount(hidden: Int) -> Int {
    let layers = (inputs(hidden: hidden) + outputs(hidden: hidden)).filter { $0.expert == 0 }
    return layers.reduce(hidden) { $0 + $1.rows * ($1.columns + ($1.hasBias ? 1 : 0)) }
  }
}
