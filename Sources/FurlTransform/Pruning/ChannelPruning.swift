import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// Removes channels of the residual stream, the same ones in the whole model, and heads and neurons of what is left where
/// the step names them.
///
/// Channels are chosen by what they are to the layers that read the stream, the head included. Then the model is walked
/// once more, with norms that read the kept channels while the layers that write go on writing all of them: so that at
/// every reader there is what it would put out with all channels, and what it reads now. Each norm gets the scale that
/// makes up for its other statistics, each reader is fitted by least squares to its old outputs, its bias comes from the
/// means. A head that is the embedding has no weights of its own; the norm before it is fitted instead (``ScaleRefit``).
struct ChannelPruning: ModelChange {
  let step: PruneStep
  let model: Checkpoint
  let context: ChangeContext

  static func estimate(_ step: PruneStep, _ spec: ModelSpec) throws -> EstimatedShape {
    try step.checkGroups(of: spec)
    for block in spec.blocks {
      // What is left out would be felt where nothing makes up for it.
      let hasOwnNorms = block.stages.contains { $0.norm == nil || $0.parts.contains { $0.outputNorm != nil } }
      if block.experts != nil || hasOwnNorms {
        throw step.cannotRemove("channels", of: spec, remedy: "prune heads or neurons")
      }
    }
    let channels = ChannelExtent(step, of: spec)
    try channels.check()
    let narrow = ChannelRemoval.spec(
      spec, channels: channels.size, hasBiases: step.refit != .none && channels.size < spec.hiddenSize)
    return EstimatedShape(spec: step.narrowed(narrow, of: spec, extent: channels.rest))
  }

  func run() throws -> Changed<PruningReport> {
    let extent = ChannelExtent(step, of: model.spec)
    try extent.check()
    var result = model
    if extent.size < model.spec.hiddenSize { result = try rebuild(choose(extent.size)) }
    var removed = PruneExtent.matrixWeights(model.spec) - PruneExtent.matrixWeights(result.spec)
    if !step.groups.isEmpty, extent.rest.target() > 0 {
      let rest = try GroupPruning(step: step, model: result, context: context, extent: extent.rest).prune()
      (result, removed) = (rest.model, removed + rest.removed)
    }
    let report = PruningReport(before: model.spec, after: result.spec, removedWeights: removed)
    return Changed(model: result, report: report)
  }

  /// The name of the matrix that gives the logits.
  private var head: String { model.spec.tiedEmbeddings ? "embedding" : "head" }

  // MARK: Which channels go

  /// The channels that stay, ascending.
  private func choose(_ size: Int) throws -> [Int] {
    let spec = model.spec
    var importances = [Double](repeating: 0, count: spec.hiddenSize)
    func add(_ moments: InputMoments, _ names: [String]) throws {
      let scores = try self.importances(moments, names, limit: spec.hiddenSize - size)
      for (channel, score) in scores.enumerated() { importances[channel] += score }
    }
    if step.choose == .random {
      var draws = SplitMix64(seed: UInt64(bitPattern: Int64(step.seed)))
      importances = importances.map { _ in Double(draws.next() >> 11) * 0x1p-53 }
    } else {
      let walk = try ModelWalk(model, context.sequences, on: context.math)
      try walk.run(boundary: { block in
        context.progress("looking at block", block, spec.blocks.count)
      }) { block, site in
        guard site.part == nil else { return [:] }
        let names = spec.readers(of: site, in: block).map { "blocks.\(block)." + $0.name }
        try add(walk.moments(site, columns: spec.hiddenSize), names)
        return [:]
      }
      let moments = try InputMoments(columns: spec.hiddenSize)
      try walk.walk.visitHead(walk.norm("norm")) { try moments.add($0, count: $1, on: context.math) }
      try add(moments, [head])
    }
    let order = importances.indices.sorted { (importances[$0], $0) < (importances[$1], $1) }
    return order.dropFirst(spec.hiddenSize - size).sorted()
  }

  /// What channels are to layers that read the same input: shares of what each of them puts out.
  private func importances(_ moments: InputMoments, _ names: [String], limit: Int) throws -> [Double] {
    let (columns, math) = (model.spec.hiddenSize, context.math)
    let groups = (0..<columns).map { $0..<$0 + 1 }
    let covariance = moments.covariance(ridge: moments.ridge, on: math.pool)
    let isTied = names == ["embedding"]
    // The lasso sees layers through the products of their columns alone. A head that is the embedding will not be fitted,
    // so that no channel can stand in for another there.
    let isLasso = step.choose == .lasso && !isTied
    let all = try InputMoments(columns: columns)
    var result = [Double](repeating: 0, count: columns)
    for name in names {
      let weight = try model.floats(name)
      let products = try InputMoments(columns: columns)
      try products.add(rowsOf: weight, on: math)
      // What all outputs of a head have in common changes no prediction.
      let mean = products.covariance(isAroundZero: name != head, on: math.pool)
      let variance = Double(weight.rows) * mean.product(covariance)
      guard variance > 0 else { continue }
      if isLasso {
        try all.add(rowsOf: weight, times: Float(1 / variance.squareRoot()), on: math)
        continue
      }
      let scores =
        switch step.choose {
        // What chooses among experts alone is refused where a recipe is read.
        case .magnitude, .random, .frequency, .reap, .measured, .predictions:
          GroupScores.magnitude(weight, groups: groups)
        case .wanda: GroupScores.wanda(weight, meanSquares: moments.meanSquares(covariance), groups: groups)
        case .variance, .lasso:
          zip(mean.variances, covariance.variances).map { Double(weight.rows) * $0 * $1 }
        }
      let unit = step.choose == .variance || step.choose == .lasso ? variance : scores.reduce(0, +)
      for (channel, score) in scores.enumerated() where unit > 0 { result[channel] += score / unit }
    }
    guard isLasso, all.count > 0 else { return result }
    let root = try all.covariance(isAroundZero: true, on: math.pool).root(on: math)
    let scores = try GroupLasso(root, covariance, groups: groups, on: math).importances(limit: limit)
    return scores.map { $0 * Double(all.count) }
  }

  // MARK: What becomes of the rest

  private func rebuild(_ kept: [Int]) throws -> Checkpoint {
    guard step.refit != .none else {
      return try ChannelRemoval(model: model, kept: kept).remove(folder: context.folder)
    }
    return try ChannelRefit(model, kept: kept, usesSquares: step.refit == .squares, context).run()
  }
}
