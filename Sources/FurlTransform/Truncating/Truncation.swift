import FurlBase
import FurlCheckpoint
import FurlSpec

/// Takes blocks out of a model, where wanted those that do least, and lets a linear map stand in for them.
struct Truncation: ModelChange {
  let step: TruncateStep
  let model: Checkpoint
  let context: ChangeContext

  struct CutReport: ChangeReport {
    /// Numbers of the blocks that are gone.
    let removed: [Int]
    /// Of the model that is left.
    let parameterCount: Int
    /// What blocks were chosen by; nil: they were named.
    let importance: JSON?
    /// The maps that stand in for them.
    let maps: [JSON]

    var json: JSON {
      var members: [JSON.Member] = [
        .init("step", "truncate"), .init("removed_blocks", .array(removed.map(JSON.integer))),
        .init("parameters", .integer(parameterCount)),
      ]
      if let importance { members.append(.init("importance", importance)) }
      if !maps.isEmpty { members.append(.init("linear", .array(maps))) }
      return .object(members)
    }
  }

  static func estimate(_ step: TruncateStep, _ spec: ModelSpec) throws -> EstimatedShape {
    let remaining = try step.remaining(of: spec.blocks.count)
    var result = spec
    result.blocks = remaining.map { spec.blocks[$0] }
    if let problem = result.sharingProblem { throw step.location.error(nil, problem, remedy: "keep that block") }
    return EstimatedShape(spec: result, origin: remaining)
  }

  func run() throws -> Changed<CutReport> {
    guard model.spec.patches.isEmpty else {
      throw step.location.error(
        nil, "blocks of a model that has linear maps in place of others cannot be cut", remedy: "cut all in one step")
    }
    let (removed, importance) = try choose()
    let cut: Checkpoint
    var maps: [JSON] = []
    switch step.heal {
    case .none:
      let isGone = Set(removed)
      cut = try model.keeping(blocks: model.spec.blocks.indices.filter { !isGone.contains($0) })
    case .linear: (cut, maps) = try LinearHealing(model: model, context: context).cut(removed)
    }
    let report = CutReport(
      removed: removed, parameterCount: cut.spec.parameterCount, importance: importance, maps: maps)
    return Changed(model: cut, report: report)
  }

  /// The blocks that go, ascending, and what they were chosen by.
  private func choose() throws -> (removed: [Int], importance: JSON?) {
    let count = model.spec.blocks.count
    switch step.blocks {
    case .last, .listed:
      let isKept = Set(try step.remaining(of: count))
      return ((0..<count).filter { !isKept.contains($0) }, nil)
    case .angular(let gone):
      let distances = try AngularDistances(model, length: gone, context).values
      let start = distances.indices.min { (distances[$0], $0) < (distances[$1], $1) } ?? 0
      let table = distances.enumerated().map { first, distance -> JSON in
        ["first": .integer(first), "last": .integer(first + gone - 1), "angular_distance": .number(distance)]
      }
      return (Array(start..<start + gone), .array(table))
    case .kl(let gone):
      let (removed, steps) = try PredictionChoice(model, context).remove(gone)
      let table = steps.map { step in
        JSON.array(
          step.sorted { $0.key < $1.key }.map { ["block": .integer($0.key), "kl_divergence": .number($0.value)] })
      }
      return (removed.sorted(), .array(table))
    }
  }
}
