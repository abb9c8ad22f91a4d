import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// Makes up for channels of the residual stream that go, block by block.
///
/// With x what a norm gives of all channels and x' what it gives of those that stay, a layer W reads W x = W r + W_K x' of
/// the difference r = x - x' (zeros in x' for channels that go) and x'. Dropping r, and fitting the columns of x' to what it
/// said (``ColumnRefit``), is least squares on what the layer really reads, changed statistics of the norm included.
final class ChannelRefit {
  private let model: Checkpoint
  private let kept: [Int]
  private let usesSquares: Bool
  private let context: ChangeContext
  private let walk: ModelWalk
  private let draft: ModelDraft
  /// Tensors that are written already.
  private var done: Set<String> = []
  private let full, chosen, narrow, joint: Activations

  /// Rows of a matrix that are fitted at once.
  private static let rowLimit = 1 << 14

  /// - Parameters:
  ///   - kept: channels that stay, ascending.
  ///   - usesSquares: false: biases from the means alone.
  init(_ model: Checkpoint, kept: [Int], usesSquares: Bool, _ context: ChangeContext) throws {
    self.model = model
    self.kept = kept
    self.usesSquares = usesSquares
    self.context = context
    walk = try ModelWalk(model, context.sequences, on: context.math)
    draft = try ModelDraft(model, folder: context.folder)
    let width = model.spec.hiddenSize
    func rows(_ columns: Int) throws -> Activations {
      try Activations(columns: columns, capacity: BlockWalk.rowLimit)
    }
    full = try rows(width)
    chosen = try rows(kept.count)
    narrow = try rows(kept.count)
    joint = try rows(width + kept.count)
  }

  /// The model with the channels that stay.
  func run() throws -> Checkpoint {
    let count = model.spec.blocks.count
    try walk.narrowNorms(to: kept)
    try walk.run(
      boundary: { context.progress("refitting block", $0, count) },
      body: { block, site in
        guard site.part == nil else { return [:] }
        if walk.walk.isNeeded(site) { walk.advance(site) }
        return try readers(block, site)
      }, patched: patch)
    try finishHead()
    let spec = ChannelRemoval.spec(model.spec, channels: kept.count, hasBiases: true)
    try ChannelRemoval(model: model, kept: kept).write(spec, leavingOut: done, to: draft)
    return try draft.finish(spec)
  }

  // MARK: Blocks

  /// Fits a norm and the layers that read it.
  private func readers(_ block: Int, _ site: ReadingSite) throws -> [String: ModelWalk.WalkedLayer] {
    let prefix = "blocks.\(block)."
    guard let norm = model.spec.normNames(of: block)[site.stage] else {
      throw FurlError(.defect, place: prefix, "has a stage without a norm")
    }
    let scaled = try scaled(walk.norm(norm))
    walk.walk.replace(site, by: scaled)
    try set(norm, scaled)
    let inputs = try inputs(walk.norm(norm), scaled)
    var layers: [String: ModelWalk.WalkedLayer] = [:]
    for reader in model.spec.readers(of: site, in: block) {
      let name = prefix + reader.name
      let layer = try fit(name, inputs, hasBias: true)
      try set(name, layer.weight, layer.bias)
      layers[reader.name] = .init(
        weight: try layer.weight.packed(on: context.pool), bias: try layer.bias.map(FloatVector.init))
    }
    return layers
  }

  /// What stands in for blocks that were cut out reads the stream without a norm.
  private func patch(_ name: String) throws -> ModelWalk.WalkedLayer? {
    let whole = try model.floats(name)
    let moments = try InputMoments(columns: model.spec.hiddenSize)
    try walk.walk.visitHidden { rows, count, _ in try moments.add(rows, count: count, on: context.math) }
    let means = moments.means
    let weight =
      usesSquares
      ? try ColumnRefit.leastSquares(
        whole, moments.covariance(ridge: moments.ridge, on: context.pool), kept: kept, on: context.math)
      : try whole.gather(columns: kept)
    let change = ColumnRefit.biasChange(whole, refitted: weight, means: means, kept: kept)
    let own = try walk.vector(name + ".bias")?.values ?? Array(repeating: 0, count: whole.rows)
    let bias = zip(own, change).map { Float(Double($0) + $1) }
    try set(name, weight.gather(rows: kept), kept.map { bias[$0] })
    // The walk goes on in the old width: channels that go are guessed from the others, and read no more.
    let layer = GroupRemoval.RemovalReader(weight: weight, bias: bias)
    return try layer.padded(kept, of: whole.columns, on: context.pool)
  }

  // MARK: The head

  private func finishHead() throws {
    let own = try walk.norm("norm")
    let scaled = try scaled(own)
    guard model.spec.tiedEmbeddings else {
      try set("norm", scaled)
      // A head without a bias gets none, for most formats have no place for it: it is fitted around zero.
      let hasBias = model.spec.hasHeadBias
      let layer = try fit("head", inputs(own, scaled, isAroundZero: !hasBias), hasBias: hasBias)
      return try set("head", layer.weight, layer.bias)
    }
    guard usesSquares else { return try set("norm", scaled) }
    // The embedding stays what it is; the norm before it does what it can.
    let rows = try InputMoments(columns: model.spec.hiddenSize)
    try rows.add(rowsOf: model.floats("embedding"), on: context.math)
    let products = rows.covariance(on: context.pool)
    let inputs = try inputs(own, scaled, isAroundZero: scaled.bias == nil)
    let scales = try ScaleRefit.scales(rows: products, inputs: inputs.covariance, kept: kept, on: context.math)
    let weight = try FloatVector(zip(scaled.weight.values, scales).map { Float(Double($0) * $1) })
    guard let bias = scaled.bias?.values else { return try set("norm", .init(weight: weight, bias: nil)) }
    // x less the scaled x', in the mean.
    var difference = Array(inputs.means.prefix(model.spec.hiddenSize))
    for (place, channel) in kept.enumerated() {
      difference[channel] += (1 - scales[place]) * inputs.means[model.spec.hiddenSize + place]
    }
    let shift = try ScaleRefit.shift(rows: products, difference: difference, kept: kept, on: context.math)
    let moved = bias.indices.map { Float(Double(bias[$0]) * scales[$0] + shift[$0]) }
    try set("norm", .init(weight: weight, bias: FloatVector(moved)))
  }

  // MARK: What norms give

  /// Of the residual stream as it is, calls `body` with what two norms give: of all channels in ``full``, of those that
  /// stay in ``narrow``.
  private func visit(_ own: BlockWalk.WalkedNorm, _ scaled: BlockWalk.WalkedNorm, _ body: (_ count: Int) throws -> Void)
    rethrows
  {
    let (spec, compute) = (model.spec, walk.walk.context)
    try walk.walk.visitHidden { rows, count, _ in
      func normalize(_ rows: Activations, _ norm: BlockWalk.WalkedNorm, into result: Activations) {
        result.normalize(
          rows, count: count, by: .init(spec.norm.kind), weight: norm.weight, bias: norm.bias,
          epsilon: Float(spec.norm.epsilon), quantizing: false, on: compute)
      }
      normalize(rows, own, into: full)
      chosen.copyColumns(rows, kept, count: count)
      normalize(chosen, scaled, into: narrow)
      try body(count)
    }
  }

  /// A norm of the channels that stay, with one scale that makes up for its other statistics.
  private func scaled(_ own: BlockWalk.WalkedNorm) throws -> BlockWalk.WalkedNorm {
    let plain = try own.gather(kept)
    guard usesSquares else { return plain }
    let offsets = plain.bias?.values ?? Array(repeating: 0, count: kept.count)
    var (products, squares) = (0.0, 0.0)
    visit(own, plain) { count in
      for row in 0..<count {
        full.withRow(row) { before in
          narrow.withRow(row) { after in
            for (place, channel) in kept.enumerated() {
              let (old, new) = (Double(before[channel] - offsets[place]), Double(after[place] - offsets[place]))
              products += old * new
              squares += new * new
            }
          }
        }
      }
    }
    let scale = squares > 0 ? Float(products / squares) : 1
    return .init(weight: try FloatVector(plain.weight.values.map { $0 * scale }), bias: plain.bias)
  }

  /// The moments of r and behind it x'.
  private struct Inputs {
    let covariance: Covariance
    let means: [Double]
  }

  private func inputs(
    _ own: BlockWalk.WalkedNorm, _ scaled: BlockWalk.WalkedNorm, isAroundZero: Bool = false
  ) throws -> Inputs {
    let moments = try InputMoments(columns: joint.columns)
    try visit(own, scaled) { count in
      for row in 0..<count {
        var numbers = full[row]
        let after = narrow[row]
        for (place, channel) in kept.enumerated() { numbers[channel] -= after[place] }
        joint[row] = numbers + after
      }
      try moments.add(joint, count: count, on: context.math)
    }
    guard moments.isFinite else {
      throw FurlError.input(
        model.path, "a layer's inputs are not finite numbers", remedy: "the weights before it are damaged")
    }
    // As many columns as there are to fit with.
    let ridge = Double(kept.count) / Double(max(1, walk.walk.positionCount))
    let means = moments.means
    return Inputs(
      covariance: moments.covariance(ridge: ridge, isAroundZero: isAroundZero, on: context.pool), means: means)
  }

  /// What a layer becomes with the columns that stay.
  ///
  /// - Parameter hasBias: whether it has a bias then.
  private func fit(_ name: String, _ inputs: Inputs, hasBias: Bool) throws -> (weight: Matrix, bias: [Float]?) {
    let weight = try model.floats(name)
    let own = try walk.vector(name + ".bias")?.values
    let left = weight.columns..<weight.columns + kept.count
    var values: [Float] = []
    var bias: [Float] = []
    values.reserveCapacity(weight.rows * kept.count)
    for first in stride(from: 0, to: weight.rows, by: ChannelRefit.rowLimit) {
      let range = first..<min(first + ChannelRefit.rowLimit, weight.rows)
      let part = try weight.gather(rows: Array(range))
      let chosen = try part.gather(columns: kept)
      let both = try part.beside(chosen)
      let fitted =
        usesSquares
        ? try ColumnRefit.leastSquares(both, inputs.covariance, kept: Array(left), on: context.math) : chosen
      values += fitted.values
      guard hasBias else { continue }
      let change = ColumnRefit.biasChange(both, refitted: fitted, means: inputs.means, kept: Array(left))
      bias += zip(range, change).map { Float(Double(own?[$0] ?? 0) + $1) }
    }
    return (try Matrix(values, rows: weight.rows, columns: kept.count), hasBias ? bias : nil)
  }

  // MARK: What is written

  private func set(_ name: String, _ weight: Matrix, _ bias: [Float]?) throws {
    try draft.set(name, weight)
    done.insert(name)
    guard let bias else { return }
    try draft.set(name + ".bias", bias, shape: [bias.count])
    done.insert(name + ".bias")
  }

  private func set(_ name: String, _ norm: BlockWalk.WalkedNorm) throws {
    for (name, vector) in [(name, norm.weight), (name + ".bias", norm.bias)] {
      guard let vector else { continue }
      try draft.set(name, vector.values, shape: [vector.count])
      done.insert(name)
    }
  }
}
