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
  /// The groups of one kind in one block.
  private struct Layer {
    let block: Int
    let group: PruneStep.Group
    let removable: RemovableGroups
    /// Matrices that compute the groups, with the group of each row; biases have as many numbers.
    let producers: [(weight: Matrix, bias: Matrix?, groups: [Int])]
    let reader, readerGradient: Matrix
    /// The group of each column of the reader.
    let readerGroups: [Int]
    /// Where its groups lie among all.
    let range: Range<Int>
    let numbers: Int
  }

  private let step: PruneStep
  private let schedule: PruneStep.Finetune
  private let math: DenseMath
  private let layers: [Layer]
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
    var layers: [Layer] = []
    var count = 0
    for (index, block) in spec.blocks.enumerated() {
      let removable = RemovableGroups(block, of: spec)
      let prefix = "blocks.\(index)."
      // A block whose neurons are those of experts has none that all rows go through.
      for group in PruneStep.Group.allCases where step.groups.contains(group) && removable.count(group) > 0 {
        let roles = block.layers(computing: group, hidden: spec.hiddenSize).map(\.role)
        let groups = removable.count(group)
        let producers = roles.compactMap { role -> (Matrix, Matrix?, [Int])? in
          let weight = parameters[prefix + role.rawValue]
          var owners = [Int](repeating: 0, count: weight.rows)
          for group in 0..<groups {
            guard let rows = removable.rows(role, kept: [group]) else { return nil }
            for row in rows { owners[row] = group }
          }
          return (weight, parameters.optional(prefix + role.rawValue + ".bias"), owners)
        }
        let reader = prefix + GroupRemoval.reader(of: group).rawValue
        let columns = removable.columns(group).enumerated().flatMap { group, range in range.map { _ in group } }
        layers.append(
          Layer(
            block: index, group: group, removable: removable, producers: producers, reader: parameters[reader],
            readerGradient: gradients[reader], readerGroups: columns, range: count..<count + groups,
            numbers: removable.weights(group)))
        count += groups
      }
    }
    self.layers = layers
    extent = PruneExtent(step, of: spec)
    scores = try Matrix(rows: 1, columns: count)
    alive = try Matrix(rows: 1, columns: count)
    alive.values = [Float](repeating: 1, count: count)
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
      for (layer, kept) in zip(layers, allocation(scores, alive).remove(weights: target).kept) {
        let stay = Set(kept)
        for group in 0..<layer.range.count where !stay.contains(group) { alive[layer.range.lowerBound + group] = 0 }
      }
    }
    self.scores.values = scores
    self.alive.values = alive
    shrink(alive, strength: done <= schedule.ramp ? rate * schedule.penalty : 0)
  }

  private func measure(_ scores: inout [Float], isFirst: Bool) {
    for layer in layers {
      var sums = [Float](repeating: 0, count: layer.range.count)
      for (column, product) in math.columnProducts(layer.reader, layer.readerGradient).enumerated() {
        sums[layer.readerGroups[column]] += product
      }
      for (group, sum) in sums.enumerated() {
        let place = layer.range.lowerBound + group
        scores[place] = isFirst ? sum * sum : 0.98 * scores[place] + 0.02 * sum * sum
      }
    }
  }

  /// Groups that are gone already go first.
  private func allocation(_ scores: [Float], _ alive: [Float]) -> GroupAllocation {
    GroupAllocation(
      layers: layers.map { layer in
        let count = layer.range.count
        let chunk = layer.removable.chunk(layer.group, multiple: step.multiple)
        let most = step.mostRemoved(of: count, chunk: chunk, share: step.sparsity)
        return .init(
          block: layer.block, group: layer.group,
          importances: layer.range.map { alive[$0] > 0 ? Double(scores[$0]) : -1 }, weights: layer.numbers,
          chunk: chunk, least: min(max(chunk, count - most), count))
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
        for (column, square) in math.columnProducts(layer.reader, layer.reader).enumerated() {
          squares[layer.readerGroups[column]] += Double(square)
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
      math.scaleColumns(layer.reader, by: layer.readerGroups.map { factors[$0] })
    }
  }

  /// Of every block, the groups that are left.
  var kept: [KeptGroups] {
    let alive = self.alive.values
    var result = [KeptGroups](repeating: KeptGroups(), count: (layers.map(\.block).max() ?? -1) + 1)
    for layer in layers {
      result[layer.block][layer.group] = (0..<layer.range.count).filter { alive[layer.range.lowerBound + $0] > 0 }
    }
    return result
  }

  /// Weights of the blocks' linear layers that are gone.
  var removed: Int {
    let alive = self.alive.values
    return layers.reduce(0) { sum, layer in sum + layer.range.count { alive[$0] == 0 } * layer.numbers }
  }
}
