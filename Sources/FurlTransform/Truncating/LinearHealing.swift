import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// Cuts runs of blocks and puts in place of each the linear map of hidden states that does most nearly what it did.
///
/// A map before the first block is folded into a separate embedding, exactly. Anywhere else the states before it are
/// read by the norms of other blocks, too, so no neighbour can take it in, and it stays a small matrix.
struct LinearHealing {
  let model: Checkpoint
  let context: ChangeContext

  /// - Parameter removed: ascending.
  func cut(_ removed: [Int]) throws -> (model: Checkpoint, report: [JSON]) {
    let spec = model.spec
    let runs = LinearHealing.runs(removed)
    let maps = try learn(runs)
    let isRemoved = Set(removed)
    let remaining = spec.blocks.indices.filter { !isRemoved.contains($0) }
    var newSpec = spec
    newSpec.blocks = remaining.map { spec.blocks[$0] }
    let draft = try ModelDraft(model, folder: context.folder)
    for (new, old) in remaining.enumerated() {
      for tensor in spec.tensors where tensor.block == old {
        try draft.keep(tensor.name, as: "blocks.\(new)." + tensor.name.dropFirst("blocks.\(old).".count))
      }
    }
    var report: [JSON] = []
    for (run, map) in zip(runs, maps) {
      let place = remaining.count { $0 < run.lowerBound }
      let isFolded = place == 0 && !spec.tiedEmbeddings
      if isFolded {
        try fold(map.weight, map.bias, into: draft)
      } else {
        newSpec.patches.insert(place)
        let name = newSpec.patchName(before: place)
        try draft.set(name, map.weight)
        try draft.set(name + ".bias", map.bias, shape: [map.bias.count])
      }
      report.append([
        "first": .integer(run.lowerBound), "last": .integer(run.upperBound - 1),
        "unexplained_variance": .number(map.unexplained), "folded": .bool(isFolded),
      ])
    }
    return (try draft.finish(newSpec), report)
  }

  /// Neighbours together.
  static func runs(_ blocks: [Int]) -> [Range<Int>] {
    var runs: [Range<Int>] = []
    for block in blocks {
      if let last = runs.last, last.upperBound == block {
        runs[runs.count - 1] = last.lowerBound..<block + 1
      } else {
        runs.append(block..<block + 1)
      }
    }
    return runs
  }

  private typealias Map = (weight: Matrix, bias: [Float], unexplained: Double)

  /// Learns the maps from the model as it is.
  private func learn(_ runs: [Range<Int>]) throws -> [Map] {
    let walk = try ModelWalk(model, context.sequences, on: context.math)
    let end = runs.last?.upperBound ?? 0
    var before: [Float] = []
    var maps: [Map] = []
    try walk.run(blocks: end) { boundary in
      context.progress("looking at block", boundary, end)
      if let run = runs.first(where: { $0.upperBound == boundary }) {
        let map = try LinearMap(columns: model.spec.hiddenSize)
        let columns = model.spec.hiddenSize
        try walk.walk.visitHidden { rows, count, first in
          let after = (0..<count).flatMap { rows[$0] }
          try map.add(Array(before[first * columns..<(first + count) * columns]), after, on: context.math)
        }
        precondition(maps.count < runs.count && runs[maps.count] == run)
        maps.append(try map.solve(on: context.math))
      }
      guard runs.contains(where: { $0.lowerBound == boundary }) else { return }
      before = []
      before.reserveCapacity(walk.walk.positionCount * model.spec.hiddenSize)
      walk.walk.visitHidden { rows, count, _ in for row in 0..<count { before += rows[row] } }
    }
    return maps
  }

  /// (E + P) (I + A)ᵀ + b: the embedding and the learned positions take the map, the embedding the bias.
  private func fold(_ weight: Matrix, _ bias: [Float], into draft: ModelDraft) throws {
    for name in ["embedding"] + (model.spec.hasLearnedPositions ? ["positions"] : []) {
      let rows = try model.floats(name)
      let moved = try rows.adding(
        productWithTransposed: weight, bias: name == "embedding" ? bias : nil, on: context.math)
      try draft.set(name, moved)
    }
  }
}
