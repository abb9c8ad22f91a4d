import FurlBase
import FurlCheckpoint
import FurlSpec

/// Takes blocks out of a model, where wanted those that do least, and lets a linear map stand in for them.
struct Truncation {
  let step: TruncateStep
  let model: Checkpoint
  let context: ChangeContext

  /// The cut model, and what an artifact says about it.
  func run() throws -> (model: Checkpoint, report: JSON) {
    guard model.spec.patches.isEmpty else {
      throw step.location.error(
        nil, "blocks of a model that has linear maps in place of others cannot be cut", remedy: "cut all in one step")
    }
    let count = model.spec.blocks.count
    var remaining = try step.remaining(of: count)
    var table: JSON?
    switch step.blocks {
    case .last, .listed: break
    case .angular(let gone):
      let distances = try AngularDistances(model, length: gone, context).values
      let start = distances.indices.min { (distances[$0], $0) < (distances[$1], $1) } ?? 0
      remaining = (0..<count).filter { !(start..<start + gone).contains($0) }
      table = .array(
        distances.enumerated().map {
          ["first": .integer($0), "last": .integer($0 + gone - 1), "angular_distance": .number($1)]
        })
    case .kl(let gone):
      let choice = try PredictionChoice(model, context)
      let (removed, steps) = try choice.remove(gone)
      remaining = (0..<count).filter { !removed.contains($0) }
      table = .array(
        steps.map { step in
          .array(
            step.sorted { $0.key < $1.key }.map { ["block": .integer($0.key), "kl_divergence": .number($0.value)] })
        })
    }
    let isKept = Set(remaining)
    let removed = (0..<count).filter { !isKept.contains($0) }
    let cut: Checkpoint
    var maps: [JSON] = []
    switch step.heal {
    case .none: cut = try model.keeping(blocks: remaining)
    case .linear:
      let healing = LinearHealing(model: model, context: context)
      (cut, maps) = try healing.cut(removed)
    }
    var members: [JSON.Member] = [
      .init("step", "truncate"), .init("removed_blocks", .array(removed.map(JSON.integer))),
      .init("parameters", .integer(cut.spec.parameterCount)),
    ]
    if let table { members.append(.init("importance", table)) }
    if !maps.isEmpty { members.append(.init("linear", .array(maps))) }
    return (cut, .object(members))
  }
}
