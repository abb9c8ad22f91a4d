import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// Group lasso by reconstruction: groups are chosen by what they do to the outputs of the layer that reads them, and
/// what stays is refitted, block by block, on the inputs that the pruned model gives. Data enters through second
/// moments only.
///
/// The calibration is walked twice: through the model as it is, where every group gets its importance and one threshold
/// over all layers says which go; and through the model as it becomes.
///
/// How much a layer's outputs may change before predictions do differs from layer to layer, and no sum over its own
/// inputs says so. With `allocation: measured` every layer loses the same share once, alone, and importances are then in
/// nats of the predictions' KL divergence.
struct GroupPruning {
  let step: PruneStep
  let model: Checkpoint
  let context: ChangeContext
  /// What is to go.
  let extent: PruneExtent

  /// - Parameter extent: nil: all that the step says.
  init(step: PruneStep, model: Checkpoint, context: ChangeContext, extent: PruneExtent? = nil) {
    self.step = step
    self.model = model
    self.context = context
    self.extent = extent ?? PruneExtent(step, of: model.spec)
  }

  /// The pruned model, and what an artifact says about it.
  func run() throws -> (model: Checkpoint, report: JSON) {
    let (result, removed) = try prune()
    return (result, GroupRemoval(model: model).report(result.spec, removed: removed))
  }

  /// The pruned model, and how many weights are gone with groups.
  func prune() throws -> (model: Checkpoint, removed: Int) {
    let layers = try measure()
    let (kept, removed) = try choose(layers)
    return (try rebuild(kept), removed)
  }

  // MARK: Which groups go

  /// The kind of groups whose reader reads at a place of a block.
  private func group(_ site: ReadingSite, _ block: Int) -> PruneStep.Group? {
    let group: PruneStep.Group? =
      switch model.spec.mixer(before: site, in: block) {
      case .attention: .heads
      case .feedForward: .neurons
      case .latentAttention, .experts, .recurrent, .tokenInput, nil: nil
      }
    return group.flatMap { step.groups.contains($0) ? $0 : nil }
  }

  private func measure() throws -> [GroupAllocation.Layer] {
    var layers: [GroupAllocation.Layer] = []
    var energies: [Double] = []
    let (spec, share) = (model.spec, share)
    let survey = step.allocation == .measured ? try GroupSurvey(model, groups: step.groups.count, context) : nil
    var units: [Double] = []
    let walk = try ModelWalk(model, context.sequences, on: context.math)
    var draws = SplitMix64(seed: UInt64(bitPattern: Int64(step.seed)))
    try walk.run(boundary: { block in
      if block > 0 { energies.append(streamVariance(walk.walk)) }
      context.progress("looking at block", block, spec.blocks.count)
    }) { block, site in
      guard let group = group(site, block) else { return [:] }
      let removable = RemovableGroups(spec.blocks[block], of: spec)
      let columns = removable.columns(group)
      let name = "blocks.\(block)." + GroupRemoval.reader(of: group).rawValue
      let weight = try model.floats(name)
      let moments = try walk.moments(site, columns: weight.columns)
      // Shrunk as far as the positions are few.
      lazy var covariance = moments.covariance(ridge: moments.ridge, on: context.pool)
      let chunk = removable.chunk(group, multiple: step.multiple)
      let least = max(chunk, columns.count - step.mostRemoved(of: columns.count, chunk: chunk, share: share))
      let importances: [Double]
      switch step.choose {
      // What chooses among experts alone is refused where a recipe is read.
      case .magnitude, .frequency, .reap, .measured, .predictions:
        importances = GroupScores.magnitude(weight, groups: columns)
      case .random: importances = columns.map { _ in Double(draws.next() >> 11) * 0x1p-53 }
      case .wanda:
        importances = GroupScores.wanda(weight, meanSquares: moments.meanSquares(covariance), groups: columns)
      case .variance:
        importances = GroupScores.variances(weight, covariance, groups: columns)
      case .lasso:
        importances = try GroupLasso(weight, covariance, groups: columns, on: context.math)
          .importances(limit: columns.count - least)
      }
      let layer = GroupAllocation.Layer(
        block: block, group: group, importances: importances, weights: removable.weights(group), chunk: chunk,
        least: min(least, columns.count))
      layers.append(layer)
      if let survey {
        let own = try walk.vector(name + ".bias")?.values
        units.append(
          try survey.unit(of: layer, share: share) { kept in
            let left = removable.columns(group, kept: kept)
            let reader = try refit(weight, covariance, means: moments.means, bias: own, kept: left)
            return (name, try reader.padded(left, of: weight.columns, scheme: survey.scheme, on: context.pool))
          })
      }
      return [:]
    }
    if survey == nil {
      // Outputs count by their share of the residual stream that they go to; what has no such unit, by its layer's sum.
      units = layers.map { layer in
        switch step.choose {
        case .lasso, .variance: energies[layer.block]
        case .wanda, .magnitude, .random, .frequency, .reap, .measured, .predictions: layer.importances.reduce(0, +)
        }
      }
    }
    return zip(layers, units).map { $0.measured(in: $1) }
  }

  /// The variance of the residual stream over positions, of all its channels together.
  private func streamVariance(_ walk: BlockWalk) -> Double {
    var sums = [Double](repeating: 0, count: model.spec.hiddenSize)
    var squares = sums
    walk.visitHidden { rows, count, _ in
      for row in 0..<count {
        rows.withRow(row) { numbers in
          for index in numbers.indices {
            let value = Double(numbers[index])
            sums[index] += value
            squares[index] += value * value
          }
        }
      }
    }
    let count = Double(max(1, walk.positionCount))
    return zip(sums, squares).reduce(0) { $0 + max(0, $1.1 / count - ($1.0 / count) * ($1.0 / count)) }
  }

  /// The share that each layer loses where all lose the same.
  private var share: Double { max(0, min(1, Double(extent.target()) / Double(max(1, extent.inGroups)))) }

  private func choose(_ layers: [GroupAllocation.Layer]) throws -> (kept: [KeptGroups], removed: Int) {
    let allocation = GroupAllocation(layers: layers)
    try extent.check(allocation)
    let (kept, removed) =
      step.allocation == .uniform ? allocation.removeEvenly(share: share) : allocation.remove(weights: extent.target())
    var result = model.spec.blocks.map { _ in KeptGroups() }
    for (layer, groups) in zip(layers, kept) { result[layer.block][layer.group] = groups }
    return (result, removed)
  }

  // MARK: What becomes of the rest

  private func rebuild(_ kept: [KeptGroups]) throws -> Checkpoint {
    let removal = GroupRemoval(model: model)
    let draft = try ModelDraft(model, folder: context.folder)
    var spec = removal.spec(keeping: kept)
    if step.refit != .none {
      // A bias makes up for the mean of what goes; where there was none, all blocks get one.
      spec.addBiases(Set(step.groups.map(GroupRemoval.reader)))
    }
    let walk = try ModelWalk(model, context.sequences, on: context.math)
    var readers: [PruneStep.Group: GroupRemoval.Reader] = [:]
    var done = -1
    func write(_ block: Int) throws {
      guard block >= 0 else { return }
      try removal.write(block: block, keeping: kept[block], readers: readers, to: draft)
      readers = [:]
    }
    try walk.run(boundary: { block in
      try write(done)
      done = block
      context.progress("refitting block", block, model.spec.blocks.count)
    }) { block, site in
      guard let group = group(site, block), let stay = kept[block][group] else { return [:] }
      let role = GroupRemoval.reader(of: group)
      let name = "blocks.\(block)." + role.rawValue
      let weight = try model.floats(name)
      let columns = RemovableGroups(model.spec.blocks[block], of: model.spec).columns(group, kept: stay)
      let moments = try walk.moments(site, columns: weight.columns)
      let reader = try refit(
        weight, moments.covariance(ridge: moments.ridge, on: context.pool), means: moments.means,
        bias: walk.vector(name + ".bias")?.values, kept: columns)
      readers[group] = reader
      // The walk goes on in the old widths.
      return [role.rawValue: try reader.padded(columns, of: weight.columns, on: context.pool)]
    }
    return try draft.finish(spec)
  }

  /// What a layer becomes with some of its columns.
  private func refit(
    _ weight: Matrix, _ covariance: @autoclosure () -> Covariance, means: [Double], bias: [Float]?, kept: [Int]
  ) throws -> GroupRemoval.Reader {
    let refitted =
      switch step.refit {
      case .squares: try ColumnRefit.leastSquares(weight, covariance(), kept: kept, on: context.math)
      case .bias, .none: try weight.gather(columns: kept)
      }
    guard step.refit != .none else { return .init(weight: refitted, bias: bias) }
    let change = ColumnRefit.biasChange(weight, refitted: refitted, means: means, kept: kept)
    let own = bias ?? Array(repeating: 0, count: weight.rows)
    return .init(weight: refitted, bias: zip(own, change).map { Float(Double($0) + $1) })
  }
}
