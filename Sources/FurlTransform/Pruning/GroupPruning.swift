import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor

/// Group lasso by reconstruction: groups are chosen by what they do to the outputs of the layer that reads them, and
/// what stays is refitted, block by block, on the inputs that the pruned model gives. Data enters through second
/// moments only.
///
/// The calibration is walked twice: through the model as it is, where every group gets its importance and one threshold
/// over all layers says which go; and through the model as it becomes.
struct GroupPruning {
  let step: PruneStep
  let model: Checkpoint
  let context: ChangeContext

  /// The pruned model, and what an artifact says about it.
  func run() throws -> (model: Checkpoint, report: JSON) {
    let layers = try measure()
    let (kept, removed) = try choose(layers)
    let result = try rebuild(kept)
    return (result, GroupRemoval(model: model).report(result.spec, removed: removed))
  }

  // MARK: Which groups go

  /// The kind of groups whose reader reads an input.
  private func group(_ input: BlockWalk.Input) -> PruneStep.Group? {
    switch input {
    case .heads: step.groups.contains(.heads) ? .heads : nil
    case .inner: step.groups.contains(.neurons) ? .neurons : nil
    default: nil
    }
  }

  private func measure() throws -> [GroupAllocation.Layer] {
    var layers: [GroupAllocation.Layer] = []
    var energies: [Double] = []
    let spec = model.spec
    let walk = try ModelWalk(model, context.sequences, pool: context.pool)
    var draws = SplitMix64(seed: UInt64(bitPattern: Int64(step.seed)))
    try walk.run(boundary: { block in
      if block > 0 { energies.append(streamVariance(walk.walk)) }
      context.progress("looking at block", block, spec.blocks.count)
    }) { block, input in
      guard let group = group(input) else { return [:] }
      let removable = RemovableGroups(spec.blocks[block], of: spec)
      let columns = removable.columns(group)
      let weight = try model.floats("blocks.\(block)." + GroupRemoval.reader(of: group).rawValue)
      let moments = try walk.moments(input, columns: weight.columns)
      let chunk = removable.chunk(group, multiple: step.multiple)
      let least = max(chunk, columns.count - Int(step.limit * Double(columns.count)))
      let importances: [Double]
      switch step.choose {
      case .magnitude: importances = GroupScores.magnitude(weight, groups: columns)
      case .random: importances = columns.map { _ in Double(draws.next() >> 11) * 0x1p-53 }
      case .wanda:
        importances = GroupScores.wanda(
          weight, meanSquares: moments.meanSquares(covariance(moments)), groups: columns)
      case .variance:
        importances = GroupScores.variances(weight, covariance(moments), groups: columns)
      case .lasso:
        importances = try GroupLasso(weight, covariance(moments), groups: columns, on: context.pool)
          .importances(limit: columns.count - least)
      }
      layers.append(
        .init(
          block: block, group: group, importances: importances, weights: removable.weights(group), chunk: chunk,
          least: min(least, columns.count)))
      return [:]
    }
    return layers.map { layer in
      // Outputs count by their share of the residual stream that they go to; what has no such unit, by its layer's sum.
      let unit =
        switch step.choose {
        case .lasso, .variance: energies[layer.block]
        case .wanda, .magnitude, .random: layer.importances.reduce(0, +)
        }
      return .init(
        block: layer.block, group: layer.group, importances: layer.importances.map { unit > 0 ? $0 / unit : 0 },
        weights: layer.weights, chunk: layer.chunk, least: layer.least)
    }
  }

  /// What is solved with and chosen by: shrunk as far as the positions are few.
  private func covariance(_ moments: InputMoments) -> Covariance {
    moments.covariance(ridge: moments.ridge, on: context.pool)
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

  private func choose(_ layers: [GroupAllocation.Layer]) throws -> (kept: [KeptGroups], removed: Int) {
    let allocation = GroupAllocation(layers: layers)
    let ofGroups = layers.reduce(0) { $0 + $1.importances.count * $1.weights }
    let whole =
      switch step.of {
      case .blocks: model.spec.blockLinearCount
      case .model: model.spec.parameterCount
      case .groups: ofGroups
      }
    let target = Int((step.sparsity * Double(whole)).rounded())
    guard target <= allocation.most else {
      let most = (Double(allocation.most) / Double(whole) * 1000).rounded(.down) / 1000
      throw step.location.error(
        "sparsity", "\(step.sparsity) cannot be reached: the groups may give at most \(most) of it",
        remedy: "raise limit, lower multiple or name more groups")
    }
    let (kept, removed) =
      step.allocation == .global
      ? allocation.remove(weights: target) : allocation.removeEvenly(share: Double(target) / Double(max(1, ofGroups)))
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
      for group in step.groups { spec.biases.insert(GroupRemoval.reader(of: group)) }
    }
    let walk = try ModelWalk(model, context.sequences, pool: context.pool)
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
    }) { block, input in
      guard let group = group(input), let stay = kept[block][group] else { return [:] }
      let role = GroupRemoval.reader(of: group)
      let name = "blocks.\(block)." + role.rawValue
      let weight = try model.floats(name)
      let columns = RemovableGroups(model.spec.blocks[block], of: model.spec).columns(group, kept: stay)
      let moments = try walk.moments(input, columns: weight.columns)
      let own = try walk.vector(name + ".bias")?.values ?? Array(repeating: 0, count: weight.rows)
      let means = moments.means
      func bias(_ refitted: FloatMatrix) -> [Float] {
        zip(own, ColumnRefit.biasChange(weight, refitted: refitted, means: means, kept: columns)).map {
          Float(Double($0) + $1)
        }
      }
      switch step.refit {
      case .squares:
        let squares = try ColumnRefit.leastSquares(weight, covariance(moments), kept: columns, on: context.pool)
        readers[group] = .init(weight: squares, bias: bias(squares))
      case .bias:
        let plain = try weight.gather(columns: columns)
        readers[group] = .init(weight: plain, bias: bias(plain))
      case .none:
        readers[group] = .init(
          weight: try weight.gather(columns: columns), bias: model.spec.biases.contains(role) ? own : nil)
      }
      // The walk goes on in the old widths: columns of zeros compute what columns that are gone do.
      guard let reader = readers[group] else { return [:] }
      let full = try reader.weight.scattered(to: columns, of: weight.columns)
      return [role: .init(weight: try full.packed(on: context.pool), bias: try reader.bias.map(FloatVector.init))]
    }
    return try draft.finish(spec)
  }
}
