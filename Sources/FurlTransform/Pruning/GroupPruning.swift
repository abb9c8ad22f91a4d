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
struct GroupPruning: ModelChange {
  let step: PruneStep
  let model: Checkpoint
  let context: ChangeContext
  /// What is to go.
  let extent: PruneExtent

  /// All that the step says.
  init(step: PruneStep, model: Checkpoint, context: ChangeContext) {
    self.init(step: step, model: model, context: context, extent: PruneExtent(step, of: model.spec))
  }

  init(step: PruneStep, model: Checkpoint, context: ChangeContext, extent: PruneExtent) {
    self.step = step
    self.model = model
    self.context = context
    self.extent = extent
  }

  static func estimate(_ step: PruneStep, _ spec: ModelSpec) throws -> EstimatedShape {
    try step.checkGroups(of: spec)
    return EstimatedShape(spec: step.narrowed(spec, of: spec, extent: PruneExtent(step, of: spec)))
  }

  func run() throws -> Changed<PruningReport> {
    let (result, removed, coverage) = try prune()
    let report = PruningReport(
      before: model.spec, after: result.spec, removedWeights: removed,
      more: coverage.json.map { [.init("experts", $0)] } ?? [])
    return Changed(model: result, report: report)
  }

  /// The pruned model, how many weights are gone with groups, and what experts have seen of the calibration.
  func prune() throws -> (model: Checkpoint, removed: Int, coverage: ExpertCoverage) {
    let (layers, coverage) = try measure()
    let (kept, removed) = try choose(layers)
    return (try rebuild(kept), removed, coverage)
  }

  // MARK: Which groups go

  /// The kind of groups whose reader reads at a place of a block; nil: there are none, or they stay.
  private func kind(_ site: ReadingSite, _ block: Int) -> GroupKind? {
    let kind: GroupKind?
    switch model.spec.mixer(before: site, in: block) {
    case .attention, .latentAttention: kind = .heads
    case .feedForward:
      let part = site.part.map { model.spec.blocks[block].stages[site.stage].parts[$0] }
      if site.expert != nil {
        kind = .expertNeurons
      } else if case .experts = part?.mixer {
        kind = .sharedNeurons
      } else {
        kind = .neurons
      }
    case .experts, .recurrent, .tokenInput, nil: kind = nil
    }
    return kind.flatMap { step.groups.contains($0.group) ? $0 : nil }
  }

  /// The groups of one kind in one block, and what they are worth.
  private struct Measured {
    /// More than one where they see the same keys and values, and lose the same heads.
    var blocks: [Int]
    let layer: GroupAllocation.AllocatedLayer
    let pools: GroupPools
  }

  /// A layer that reads groups, and what it reads.
  private final class GroupReader {
    /// In the model.
    let name: String
    let weight: Matrix
    let moments: InputMoments
    let bias: [Float]?
    private let pool: WorkerPool
    /// Shrunk as far as the positions are few.
    lazy var covariance = moments.covariance(ridge: moments.ridge, on: pool)

    init(_ site: ReadingSite, block: Int, of model: Checkpoint, _ walk: ModelWalk, pool: WorkerPool) throws {
      guard let layer = model.spec.readers(of: site, in: block).first else {
        throw FurlError(.defect, "nothing reads groups")
      }
      name = "blocks.\(block)." + layer.name
      weight = try model.floats(name)
      moments = try walk.moments(site, columns: weight.columns)
      bias = try walk.vector(name + ".bias")?.values
      self.pool = pool
    }
  }

  /// What a walk has found of groups so far.
  private struct FoundGroups {
    var layers: [Measured] = []
    /// Variances of the residual stream behind each block.
    var energies: [Double] = []
    /// What importances of each layer are measured in, where a survey says so.
    var units: [Double] = []
    var draws: SplitMix64
    /// Of a layer's pools (one for each expert), as far as they have been walked.
    var pools: [[Double]] = []
    var readers: [GroupReader] = []
  }

  private func measure() throws -> (layers: [Measured], ExpertCoverage) {
    let spec = model.spec
    let count = spec.blocks.reduce(0) { sum, block in
      let removable = RemovableGroups(block, of: spec)
      return sum + step.kinds.count { removable.count($0) > 0 }
    }
    let survey = step.allocation == .measured ? try GroupSurvey(model, layers: count, context) : nil
    let walk = try ModelWalk(model, context.sequences, on: context.math)
    var found = FoundGroups(draws: SplitMix64(seed: UInt64(bitPattern: Int64(step.seed))))
    try walk.run(boundary: { block in
      if block > 0 { found.energies.append(streamVariance(walk.walk)) }
      context.progress("looking at block", block, spec.blocks.count)
    }) { block, site in
      guard let kind = kind(site, block) else { return [:] }
      let removable = RemovableGroups(spec.blocks[block], of: spec)
      let reader = try GroupReader(site, block: block, of: model, walk, pool: context.pool)
      let (all, least) = (removable.columns(kind), least(removable, kind))
      let own = try importances(reader, all, limit: all.count - least, &found.draws)
      let weight = expertWeight(site, walk.walk)
      found.pools.append(weight == 1 ? own : own.map { weight * $0 })
      // What experts read is kept no longer than it is needed.
      if survey != nil { found.readers.append(reader) }
      guard found.pools.count == removable.pools(kind) else { return [:] }
      let pools = GroupPools(importances: found.pools)
      let layer = GroupAllocation.AllocatedLayer(
        block: block, kind: kind, importances: pools.steps, weights: removable.weights(kind),
        chunk: removable.chunk(kind, multiple: step.multiple), least: min(least, all.count))
      let measured = Measured(blocks: [block], layer: layer, pools: pools)
      found.layers.append(measured)
      if let survey { found.units.append(try unit(of: measured, found.readers, by: survey)) }
      (found.pools, found.readers) = ([], [])
      return [:]
    }
    let units = survey == nil ? found.layers.map { unit(of: $0, found.energies) } : found.units
    let layers = zip(found.layers, units).map {
      Measured(blocks: $0.blocks, layer: $0.layer.measured(in: $1), pools: $0.pools)
    }
    return (try joined(layers), walk.coverage)
  }

  /// Heads of blocks that see the same keys and values are worth what they are worth to all of those.
  private func joined(_ layers: [Measured]) throws -> [Measured] {
    var layers = layers
    for sharers in try RemovableGroups.sharedHeads(of: model.spec) {
      func isShared(_ measured: Measured) -> Bool {
        measured.layer.kind == .heads && sharers.contains(measured.layer.block)
      }
      let own = layers.filter(isShared)
      guard let first = own.first, let place = layers.firstIndex(where: isShared) else { continue }
      let all = first.layer.importances.indices.map { group in own.reduce(0) { $0 + $1.layer.importances[group] } }
      let layer = GroupAllocation.AllocatedLayer(
        block: first.layer.block, kind: .heads, importances: all, weights: own.reduce(0) { $0 + $1.layer.weights },
        chunk: first.layer.chunk, least: first.layer.least)
      layers.removeAll(where: isShared)
      layers.insert(
        Measured(blocks: own.flatMap(\.blocks), layer: layer, pools: GroupPools(importances: [all])), at: place)
    }
    return layers
  }

  /// How many groups a layer keeps at least.
  private func least(_ removable: RemovableGroups, _ kind: GroupKind) -> Int {
    let (count, chunk) = (removable.count(kind), removable.chunk(kind, multiple: step.multiple))
    return max(chunk, count - step.mostRemoved(of: count, chunk: chunk, share: share))
  }

  /// What a layer's importances are measured in: what predictions become when it alone loses its share.
  private func unit(of measured: Measured, _ readers: [GroupReader], by survey: GroupSurvey) throws -> Double {
    let (layer, spec) = (measured.layer, model.spec)
    let removable = RemovableGroups(spec.blocks[layer.block], of: spec)
    return try survey.unit(of: layer, share: share) { kept in
      var forms: [String: ModelWalk.WalkedLayer] = [:]
      for (reader, kept) in zip(readers, measured.pools.kept(kept)) {
        let left = removable.columns(layer.kind, kept: kept)
        let form = try refit(reader, kept: left)
        forms[reader.name] = try form.padded(left, of: reader.weight.columns, scheme: survey.scheme, on: context.pool)
      }
      return forms
    }
  }

  /// The same without a survey: outputs count by their share of the residual stream that they go to; what has no such unit,
  /// by its layer's sum.
  private func unit(of measured: Measured, _ energies: [Double]) -> Double {
    switch step.choose {
    case .lasso, .variance: energies[measured.layer.block]
    case .wanda, .magnitude, .random, .frequency, .reap, .measured, .predictions:
      measured.layer.importances.reduce(0, +)
    }
  }

  /// What groups are worth to the layer that reads them.
  ///
  /// - Parameter limit: how many may go.
  private func importances(
    _ reader: GroupReader, _ columns: [Range<Int>], limit: Int, _ draws: inout SplitMix64
  ) throws -> [Double] {
    let weight = reader.weight
    switch step.choose {
    // What chooses among experts alone is refused where a recipe is read.
    case .magnitude, .frequency, .reap, .measured, .predictions:
      return GroupScores.magnitude(weight, groups: columns)
    case .random: return columns.map { _ in Double(draws.next() >> 11) * 0x1p-53 }
    case .wanda:
      return GroupScores.wanda(
        weight, meanSquares: reader.moments.meanSquares(reader.covariance), groups: columns)
    case .variance: return GroupScores.variances(weight, reader.covariance, groups: columns)
    case .lasso:
      return try GroupLasso(weight, reader.covariance, groups: columns, on: context.math).importances(limit: limit)
    }
  }

  /// What is added to the residual stream of what the layer that reads at a place gives, as a share of its mean square: of
  /// experts the mean square of their weights over all positions, zero where a row does not go through them. One that no row
  /// goes through counts as if one did.
  private func expertWeight(_ site: ReadingSite, _ walk: BlockWalk) -> Double {
    guard let expert = site.expert, let part = site.part, [.lasso, .variance, .wanda].contains(step.choose) else {
      return 1
    }
    var (sum, all, count) = (0.0, 0.0, 0)
    for choice in walk.expertRoutes(stage: site.stage, part: part).joined() {
      let square = Double(choice.weight) * Double(choice.weight)
      all += square
      count += 1
      if choice.expert == expert { sum += square }
    }
    return max(sum, all / Double(max(1, count))) / Double(max(1, walk.positionCount))
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

  private func choose(_ layers: [Measured]) throws -> (kept: [KeptGroups], removed: Int) {
    let allocation = GroupAllocation(layers: layers.map(\.layer))
    try extent.check(allocation)
    let (kept, removed) =
      step.allocation == .uniform ? allocation.removeEvenly(share: share) : allocation.remove(weights: extent.target())
    var result = model.spec.blocks.map { _ in KeptGroups() }
    for (measured, steps) in zip(layers, kept) {
      for block in measured.blocks { result[block][measured.layer.kind] = measured.pools.kept(steps) }
    }
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
    var readers: [String: GroupRemoval.RemovalReader] = [:]
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
      guard let kind = kind(site, block), let stay = kept[block][kind]?[site.expert ?? 0],
        let layer = model.spec.readers(of: site, in: block).first
      else { return [:] }
      let columns = RemovableGroups(model.spec.blocks[block], of: model.spec).columns(kind, kept: stay)
      let own = try GroupReader(site, block: block, of: model, walk, pool: context.pool)
      let reader = try refit(own, kept: columns)
      readers[layer.name] = reader
      // The walk goes on in the old widths.
      return [layer.name: try reader.padded(columns, of: own.weight.columns, on: context.pool)]
    }
    return try draft.finish(spec)
  }

  /// What a layer becomes with some of its columns.
  private func refit(_ reader: GroupReader, kept: [Int]) throws -> GroupRemoval.RemovalReader {
    let weight = reader.weight
    let refitted =
      switch step.refit {
      case .squares: try ColumnRefit.leastSquares(weight, reader.covariance, kept: kept, on: context.math)
      case .bias, .none: try weight.gather(columns: kept)
      }
    guard step.refit != .none else { return .init(weight: refitted, bias: reader.bias) }
    let change = ColumnRefit.biasChange(weight, refitted: refitted, means: reader.moments.means, kept: kept)
    let own = reader.bias ?? Array(repeating: 0, count: weight.rows)
    return .init(weight: refitted, bias: zip(own, change).map { Float(Double($0) + $1) })
  }
}
