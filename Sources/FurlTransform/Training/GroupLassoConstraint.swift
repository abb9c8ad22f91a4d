import FurlBase
import FurlModel
import FurlNumerics
import FurlSpec

/// Group lasso while a model is trained: after each step every group shrinks by the proximal operator of the penalty,
/// W_g max(0, 1 - strength sqrt(numbers) / ||W_g||) (Yuan and Lin 2006; Parikh and Boyd 2014), and a share of the groups
/// that rises to the target is zero and stays so. Behind the rise the penalty is off, and what is left recovers.
///
/// Which groups go is decided by what the loss would lose to first order: the running mean of the square of the sum of
/// w dL/dw over the layer that reads the group (Molchanov et al., "Importance estimation for neural network pruning",
/// 2019). Norms alone do not tell: groups of small weights may carry large activations.
final class GroupLassoConstraint: Trainer.Constraint {
  /// The groups that one layer reads; of heads that see the same keys and values, one of each block.
  private struct ConstrainedLayer {
    /// Matrices that compute the groups, with the group of each row; biases have as many numbers.
    let producers: [(weight: Matrix, bias: Matrix?, groups: [Int])]
    let readers: [(weight: Matrix, gradient: Matrix)]
    /// The group of each column of a reader.
    let readerGroups: [Int]
    /// Where its groups lie among all.
    let range: Range<Int>
    /// Of one group.
    let numbers: Int
  }

  /// The groups of one kind in one block: those of a layer, or of one for each expert, which lose as many; or those that
  /// several blocks lose together.
  private struct ConstrainedGroups {
    let blocks: [Int]
    let kind: GroupKind
    let removable: RemovableGroups
    let layers: [ConstrainedLayer]
    /// Of one group, of all experts and blocks.
    let weights: Int
  }

  private let step: PruneStep
  private let schedule: PruneStep.Finetune
  private let math: DenseMath
  private let kinds: [ConstrainedGroups]
  private var layers: [ConstrainedLayer] { kinds.flatMap(\.layers) }
  private let extent: PruneExtent
  /// Running means of squares, and 1 for groups that are left: [1][groups].
  private let scores, alive: Matrix

  var state: [Matrix] { [scores, alive] }

  /// Steps between two looks at which groups go.
  private static let interval = 10

  /// - Throws: ``FurlError`` of kind `input` at the recipe's line for groups that cannot be taken out of the model, of kind
  ///   `unavailable` without memory.
  init(
    _ step: PruneStep, _ schedule: PruneStep.Finetune, _ parameters: ModelParameters, _ gradients: ModelParameters,
    _ math: DenseMath
  ) throws {
    self.step = step
    self.schedule = schedule
    self.math = math
    let spec = parameters.spec
    try Self.check(step, spec)
    var kinds: [ConstrainedGroups] = []
    var count = 0
    let shared = step.groups.contains(.heads) ? try RemovableGroups.sharedHeads(of: spec) : []
    for (index, block) in spec.blocks.enumerated() {
      let removable = RemovableGroups(block, of: spec)
      for kind in GroupKind.allCases where step.groups.contains(kind.group) && removable.count(kind) > 0 {
        let sharers = kind == .heads ? shared.first { $0.contains(index) } ?? [index] : [index]
        // Those that take keys lose the heads that the one does which makes them.
        guard sharers.first == index else { continue }
        let own = sharers.map { Self.layers(kind, of: $0, parameters, gradients, from: count) }
        let joined = own[0].indices.map { place in Self.joined(own.map { $0[place] }) }
        count += joined.count * removable.count(kind)
        kinds.append(
          ConstrainedGroups(
            blocks: sharers, kind: kind, removable: removable, layers: joined,
            weights: sharers.reduce(0) { $0 + RemovableGroups(spec.blocks[$1], of: spec).weights(kind) }))
      }
    }
    self.kinds = kinds
    extent = PruneExtent(step, of: spec)
    scores = try Matrix(rows: 1, columns: count)
    alive = try Matrix(rows: 1, columns: count)
    alive.values = [Float](repeating: 1, count: count)
  }

  /// The layers of a block that groups of a kind lie between.
  ///
  /// - Parameter start: where their groups lie among all.
  private static func layers(
    _ kind: GroupKind, of index: Int, _ parameters: ModelParameters, _ gradients: ModelParameters, from start: Int
  ) -> [ConstrainedLayer] {
    let spec = parameters.spec
    let removable = RemovableGroups(spec.blocks[index], of: spec)
    let prefix = "blocks.\(index)."
    let groups = removable.count(kind)
    let columns = removable.columns(kind).enumerated().flatMap { group, range in range.map { _ in group } }
    return spec.blocks[index].groupLayers(kind, hidden: spec.hiddenSize).enumerated().map { place, layers in
      let producers = layers.producers.compactMap { layer -> (Matrix, Matrix?, [Int])? in
        let weight = parameters[prefix + layer.name]
        var owners = [Int](repeating: 0, count: weight.rows)
        for group in 0..<groups {
          guard let rows = removable.rows(layer.role, kept: [group]) else { return nil }
          for row in rows { owners[row] = group }
        }
        return (weight, parameters.optional(prefix + layer.name + ".bias"), owners)
      }
      let reader = prefix + layers.reader.name
      let first = start + place * groups
      return ConstrainedLayer(
        producers: producers, readers: [(parameters[reader], gradients[reader])], readerGroups: columns,
        range: first..<first + groups, numbers: removable.weights(kind) / removable.pools(kind))
    }
  }

  /// Layers of several blocks whose groups are the same.
  private static func joined(_ layers: [ConstrainedLayer]) -> ConstrainedLayer {
    ConstrainedLayer(
      producers: layers.flatMap(\.producers), readers: layers.flatMap(\.readers), readerGroups: layers[0].readerGroups,
      range: layers[0].range, numbers: layers.reduce(0) { $0 + $1.numbers })
  }

  /// Heads that are zero change the mean of a LayerNorm over all of them, which no weight makes up for.
  private static func check(_ step: PruneStep, _ spec: ModelSpec) throws {
    let isCentred = spec.blocks.contains { block in
      guard let attention = block.attention, attention.headNorms == .ofRow else { return false }
      return [attention.queryNorm, attention.keyNorm].contains { $0?.kind == .layerNorm }
    }
    guard !isCentred || !step.groups.contains(.heads) else {
      throw step.location.error(
        "groups", "heads of this model share LayerNorms of queries and keys, and cannot go while it is trained",
        remedy: "name neurons alone")
    }
  }

  /// - Throws: ``FurlError`` of kind `input` at the recipe's line when so much cannot go.
  func check() throws { try extent.check(allocation(scores.values, alive.values)) }

  /// The share of the target that is gone after some steps: most of it early, while there is time to recover.
  private func share(after steps: Int) -> Double {
    let left = 1 - min(1, Double(steps) / Double(max(1, schedule.ramp)))
    return 1 - left * left * left
  }

  func apply(step index: Int, rate: Double) {
    var (scores, alive) = (self.scores.values, self.alive.values)
    if index < schedule.ramp { measure(&scores, isFirst: index == 0) }
    let done = index + 1
    if done <= schedule.ramp, done % Self.interval == 0 || done == schedule.ramp {
      let target = extent.target(progress: share(after: done))
      let kept = allocation(scores, alive).remove(weights: target).kept
      for (kind, steps) in zip(kinds, kept) {
        for (layer, kept) in zip(kind.layers, pools(kind, scores, alive).kept(steps)) {
          let stay = Set(kept)
          for group in 0..<layer.range.count where !stay.contains(group) { alive[layer.range.lowerBound + group] = 0 }
        }
      }
    }
    self.scores.values = scores
    self.alive.values = alive
    shrink(alive, strength: done <= schedule.ramp ? rate * schedule.penalty : 0)
  }

  private func measure(_ scores: inout [Float], isFirst: Bool) {
    for layer in layers {
      var sums = [Float](repeating: 0, count: layer.range.count)
      for reader in layer.readers {
        for (column, product) in math.columnProducts(reader.weight, reader.gradient).enumerated() {
          sums[layer.readerGroups[column]] += product
        }
      }
      for (group, sum) in sums.enumerated() {
        let place = layer.range.lowerBound + group
        scores[place] = isFirst ? sum * sum : 0.98 * scores[place] + 0.02 * sum * sum
      }
    }
  }

  /// Groups that are gone already go first.
  private func pools(_ kind: ConstrainedGroups, _ scores: [Float], _ alive: [Float]) -> GroupPools {
    GroupPools(importances: kind.layers.map { $0.range.map { alive[$0] > 0 ? Double(scores[$0]) : -1 } })
  }

  private func allocation(_ scores: [Float], _ alive: [Float]) -> GroupAllocation {
    GroupAllocation(
      layers: kinds.map { kind in
        let count = kind.removable.count(kind.kind)
        let chunk = kind.removable.chunk(kind.kind, multiple: step.multiple)
        let most = step.mostRemoved(of: count, chunk: chunk, share: step.sparsity)
        return .init(
          block: kind.blocks[0], kind: kind.kind, importances: pools(kind, scores, alive).steps,
          weights: kind.weights, chunk: chunk, least: min(max(chunk, count - most), count))
      })
  }

  private func shrink(_ alive: [Float], strength: Double) {
    for layer in layers {
      var squares = [Double](repeating: 0, count: layer.range.count)
      if strength > 0 {
        for producer in layer.producers {
          for (row, square) in math.rowSquares(producer.weight).enumerated() {
            squares[producer.groups[row]] += Double(square)
          }
        }
        for reader in layer.readers {
          for (column, square) in math.columnProducts(reader.weight, reader.weight).enumerated() {
            squares[layer.readerGroups[column]] += Double(square)
          }
        }
      }
      let threshold = strength * Double(layer.numbers).squareRoot()
      let factors = layer.range.enumerated().map { group, place -> Float in
        guard alive[place] > 0 else { return 0 }
        guard strength > 0 else { return 1 }
        let norm = squares[group].squareRoot()
        return norm > threshold ? Float(1 - threshold / norm) : 0
      }
      guard factors.contains(where: { $0 != 1 }) else { continue }
      for producer in layer.producers {
        let rows = producer.groups.map { factors[$0] }
        math.scaleRows(producer.weight, by: rows)
        if let bias = producer.bias { math.scaleColumns(bias, by: rows) }
      }
      let columns = layer.readerGroups.map { factors[$0] }
      for reader in layer.readers { math.scaleColumns(reader.weight, by: columns) }
    }
  }

  /// Of every block, the groups that are left.
  var kept: [KeptGroups] {
    let alive = self.alive.values
    var result = [KeptGroups](repeating: KeptGroups(), count: (kinds.flatMap(\.blocks).max() ?? -1) + 1)
    for kind in kinds {
      let kept = kind.layers.map { layer in
        (0..<layer.range.count).filter { alive[layer.range.lowerBound + $0] > 0 }
      }
      for block in kind.blocks { result[block][kind.kind] = kept }
    }
    return result
  }

  /// Weights of the blocks' linear layers that are gone.
  var removed: Int {
    let alive = self.alive.values
    return layers.reduce(0) { sum, layer in sum + layer.range.count { alive[$0] == 0 } * layer.numbers }
  }
}
