import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// Takes as many experts from every block: their layers, their rows of the router. A position goes through as many as before,
/// with the weights that the router gives to those that are left.
///
/// The calibration is walked twice: through the model as it is, where experts are judged; and through the model as it
/// becomes, where those that stay are refitted, and beside it once more through the model as it was.
struct ExpertPruning: ModelChange {
  let step: PruneStep
  let model: Checkpoint
  let context: ChangeContext

  static func estimate(_ step: PruneStep, _ spec: ModelSpec) throws -> EstimatedShape {
    let extent = ExpertExtent(step, of: spec)
    try extent.check()
    return EstimatedShape(
      spec: ExpertExtent.spec(spec, keeping: spec.blocks.map { ($0.experts?.count ?? 0) - extent.removed }))
  }

  func run() throws -> Changed<PruningReport> {
    let extent = ExpertExtent(step, of: model.spec)
    try extent.check()
    var scores = try judge(removing: extent.removed)
    if step.choose == .predictions {
      scores = try ExpertSurvey(model, scores, rounds: extent.removed, context).run(rounds: extent.removed)
    }
    let result = try rebuild(scores)
    let experts: JSON = [
      "choose": .string(step.choose.rawValue), "removed_each": .integer(extent.removed),
      "blocks": .array(scores.map { $0?.json ?? .null }),
    ]
    let report = PruningReport(
      before: model.spec, after: result.spec, removedWeights: extent.removedWeights, more: [.init("experts", experts)])
    return Changed(model: result, report: report)
  }

  /// What speaks for the experts of each block; nil for a block without any.
  func judge(removing removed: Int) throws -> [ExpertScores?] {
    let walk = try ModelWalk(model, context.sequences, on: context.math)
    let places = ExpertExtent.places(model.spec)
    var result: [ExpertScores?] = []
    try walk.run(
      boundary: { context.progress("looking at experts of block", $0, model.spec.blocks.count) },
      completing: { block in
        guard let place = places[block], let spec = model.spec.blocks[block].experts else {
          result.append(nil)
          return [:]
        }
        var tally = ExpertTally(spec, removing: removed)
        try walk.walk.visitRankedExperts(stage: place.stage, part: place.part, depth: tally.depth) { tally.add($0, $1) }
        result.append(tally.scores(by: step.choose))
        return [:]
      })
    return result
  }

  private func rebuild(_ scores: [ExpertScores?]) throws -> Checkpoint {
    let spec = model.spec
    let kept = zip(spec.blocks, scores).map { block, scores -> [Int] in
      let gone = Set(scores?.removed ?? [])
      return (0..<(block.experts?.count ?? 0)).filter { !gone.contains($0) }
    }
    let draft = try ModelDraft(model, folder: context.folder)
    for block in spec.blocks.indices where scores[block] != nil { try write(block, keeping: kept[block], to: draft) }
    if step.refit == .squares { try refit(kept, draft) }
    return try draft.finish(ExpertExtent.spec(spec, keeping: kept.map(\.count)))
  }

  /// Writes what is left of a block's experts.
  private func write(_ block: Int, keeping kept: [Int], to draft: ModelDraft) throws {
    let prefix = "blocks.\(block).mlp."
    for part in model.spec.blocks[block].parts {
      guard case .experts(let spec) = part.mixer else { continue }
      try draft.gather(prefix + "router", rows: kept)
      if spec.routerHasBias { try draft.gather(prefix + "router.bias", rows: kept) }
      if spec.routerHasChoiceBias { try draft.gather(prefix + "router.choice", rows: kept) }
      let hidden = model.spec.hiddenSize
      for layer in part.inputs(hidden: hidden) + part.outputs(hidden: hidden) {
        guard let expert = layer.expert, let place = kept.firstIndex(of: expert) else { continue }
        let (old, new) = ("\(prefix)experts.\(expert).", "\(prefix)experts.\(place).")
        let name = layer.role.nameInExpert
        try draft.keep(old + name, as: new + name)
        if layer.hasBias { try draft.keep(old + name + ".bias", as: new + name + ".bias") }
      }
    }
  }

  /// Walks the model as it becomes, and writes the last layers of its experts.
  private func refit(_ kept: [[Int]], _ draft: ModelDraft) throws {
    let walk = try ModelWalk(model, context.sequences, on: context.math)
    let original = try ModelWalk(model, context.sequences, on: context.math)
    let places = ExpertExtent.places(model.spec)
    try walk.run(
      boundary: { context.progress("refitting experts of block", $0, model.spec.blocks.count) },
      completing: { block in
        try original.advance(block: block)
        guard let place = places[block], let spec = model.spec.blocks[block].experts else { return [:] }
        let prefix = "blocks.\(block).mlp.experts."
        let changed = try ExpertRefit(
          walk: walk, original: original, math: context.math, block: block, place: place, spec: spec
        ).run(keeping: kept[block])
        var layers: [String: ModelWalk.WalkedLayer] = [:]
        for (expert, weight) in changed.sorted(by: { $0.key < $1.key }) {
          guard let index = kept[block].firstIndex(of: expert) else { continue }
          try draft.set("\(prefix)\(index).down", weight)
          layers["mlp.experts.\(expert).down"] = .init(
            weight: try weight.packed(.float32, on: context.pool), bias: try walk.vector("\(prefix)\(expert).down.bias")
          )
        }
        return layers
      })
  }
}

extension TensorRole {
  /// The last part of the name of a layer of an expert.
  fileprivate var nameInExpert: String { rawValue.split(separator: ".").last.map(String.init) ?? rawValue }
}
