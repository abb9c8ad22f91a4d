import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// Chooses the codes of a checkpoint's matrices, each by all threads, from what is known of their inputs.
final class CodeChooser {
  private let checkpoint: Checkpoint
  private let plan: Plan
  let math: DenseMath
  /// What a reader of the result should know.
  private(set) var notes: [String] = []
  /// For matrices with a row for each token: see ``TokenSteps``. Nil where no text is known.
  var tokenSteps: TokenSteps?
  /// What errors of outputs do; nil where rows are independent.
  var outputs: OutputFeedback?
  /// What experts have seen of the calibration.
  private(set) var experts = ExpertCoverage()

  init(_ checkpoint: Checkpoint, plan: Plan, on math: DenseMath) {
    self.checkpoint = checkpoint
    self.plan = plan
    self.math = math
  }

  /// Goes on from what another has noticed.
  func resume(notes: [String], experts: ExpertCoverage) { (self.notes, self.experts) = (notes, experts) }

  // MARK: Inputs

  /// The moments of what some layers read at a place of a block that is being walked.
  ///
  /// An expert that has seen few positions learns from others, too: see ``ExpertCoverage``.
  func moments(
    for readers: [Plan.PlannedTensor], at site: ReadingSite, of walk: BlockWalk
  ) throws -> SecondMoments? {
    guard let expert = site.expert, let part = site.part else {
      let weights = outputs?.weights(of: readers.map(\.spec.name), positions: walk.positionCount)
      return try moments(for: readers, weights: weights) { body in walk.visit(site, body) }
    }
    // Nobody else needs an expert's inputs.
    guard readers.contains(where: plan.isCalibrated), let columns = readers.first?.spec.shape[1] else { return nil }
    let own = walk.expertCounts(stage: site.stage, part: part)[expert]
    let others = ExpertCoverage.others(own: own, columns: columns, positions: walk.positionCount)
    if let name = readers.first?.spec.name {
      experts.note(name, tokens: own, others: others.count, positions: walk.positionCount)
    }
    return try moments(for: readers) { body in
      walk.visit(site, body)
      walk.visit(site, positions: others, body)
    }
  }

  /// The moments of an input that some layers read, as far as their methods want them.
  ///
  /// - Parameter weights: what positions count, in their order; nil: all alike.
  func moments(
    for readers: [Plan.PlannedTensor], weights: [Float]? = nil, visit: ((Activations, Int) -> Void) -> Void
  ) throws -> SecondMoments? {
    // Rows of an embedding are looked up and read nothing.
    let calibrated = readers.filter { plan.isCalibrated($0) && $0.spec.role != .embedding }
    guard let first = calibrated.first else {
      visit { _, _ in }
      return nil
    }
    let wantsAll = calibrated.contains { $0.method.needsAllMoments }
    let moments = try naming(first) {
      try SecondMoments(
        columns: first.spec.shape[1], extent: wantsAll ? .full : .diagonal,
        keepsLargest: calibrated.contains { $0.outliers?.threshold != nil })
    }
    var position = 0
    visit { rows, count in
      moments.add(rows, count: count, weights: weights?[position..<position + count], on: math)
      position += count
    }
    try check(moments.coverage, first)
    return moments
  }

  private func check(_ coverage: MomentCoverage, _ tensor: Plan.PlannedTensor) throws {
    guard coverage.isFinite else {
      throw FurlError.input(
        checkpoint.path, tensor.sourceName, "its inputs are not finite numbers",
        remedy: "the weights before it are damaged")
    }
    if coverage.deadColumns > 0 {
      say(
        "\(tensor.spec.name): \(coverage.deadColumns) of \(coverage.columns) inputs were zero at every position of the "
          + "calibration")
    }
    if coverage.rows < 2 * coverage.columns {
      say(
        "\(tensor.spec.name): \(coverage.rows) positions are few for \(coverage.columns) inputs; more samples would help"
      )
    }
  }

  /// Once.
  private func say(_ note: String) { if !notes.contains(note) { notes.append(note) } }

  // MARK: Codes

  /// The moments of an input, and what was made of them for the layers that read it.
  struct Factors {
    /// Layers with the same key share a factor.
    private struct FactorKey: Hashable {
      let feedback: QuantizeMethod.Feedback
      let block: Scheme.Block
    }

    let meanSquares: [Float]?
    /// The largest magnitude of each input.
    let largest: [Float]?
    private let moments: SecondMoments?
    private let isShared: Bool
    private var made: [FactorKey: FeedbackFactor] = [:]

    init(_ moments: SecondMoments?, _ readers: [Plan.PlannedTensor]) {
      self.moments = moments
      meanSquares = moments?.meanSquares
      largest = moments?.largest
      isShared = Set(readers.compactMap { Factors.key($0) }).count > 1
    }

    /// What is known where there is no feedback.
    init(meanSquares: [Float]?, largest: [Float]? = nil) {
      self.meanSquares = meanSquares
      self.largest = largest
      (moments, isShared) = (nil, false)
    }

    private static func key(_ tensor: Plan.PlannedTensor) -> FactorKey? {
      guard let feedback = tensor.method.feedback, let block = tensor.scheme.choiceBlock else { return nil }
      return FactorKey(feedback: feedback, block: block)
    }

    mutating func factor(for tensor: Plan.PlannedTensor, on math: DenseMath) throws -> FeedbackFactor {
      guard let key = Factors.key(tensor), let moments else {
        throw FurlError(.defect, "there are no moments for feedback")
      }
      if let found = made[key] { return found }
      let factor = try FeedbackFactor(
        moments, order: key.feedback.order, block: key.block, damping: key.feedback.damping, keepsMoments: isShared,
        on: math)
      made[key] = factor
      return factor
    }
  }

  /// - Parameter tolerance: how far coded bits may be off.
  func encode(
    _ tensor: Plan.PlannedTensor, _ factors: inout Factors, scaling: ChannelScaling = .none,
    tolerance: Double = CodedSteps.tolerance
  ) throws -> PackedMatrix {
    try naming(tensor) {
      var source = try checkpoint.source(tensor.sourceName)
      defer { source.drop() }
      var scheme = tensor.scheme
      if let outliers = tensor.outliers {
        source = source.leavingOut(try outliers.columns(of: source, largest: factors.largest))
        guard let apart = scheme.keepingApart(source.leftOut.count) else {
          throw FurlError(.defect, "\(scheme) keeps no columns apart")
        }
        scheme = apart
        note(outliers, of: tensor, largest: factors.largest)
      }
      if tensor.spec.role == .embedding, tensor.method.feedback != nil {
        guard let outputs, let matrix = try encode(embedding: tensor, source, outputs, tolerance: tolerance) else {
          return try nearest(tensor, source, scheme)
        }
        return matrix
      }
      guard tensor.method != .plain, scheme.block != nil else {
        return try PackedMatrix.encode(source, scheme: scheme, takesCodes: tensor.keepsCodes, pool: math.pool)
      }
      let objective: CodeObjective =
        switch tensor.method.codes {
        case .nearest, .imatrix, .awq: .columns(weights: factors.meanSquares)
        case .gptq, .twoSided: .outputs(try factors.factor(for: tensor, on: math))
        }
      let rows = try rowFeedback(of: tensor)
      if let bits = tensor.method.codedBits {
        let hasTokenRows = [.embedding, .head, .inputTable].contains(tensor.spec.role)
        let factors = hasTokenRows ? tokenSteps?.factors : rows?.stepFactors
        var steps = CodedSteps(source, scheme: scheme, objective: objective, on: math, rowFactors: factors)
        steps.rowFeedback = rows
        return try steps.encode(bits: bits, tolerance: tolerance)
      }
      var encoder = try CalibratedEncoder(tensor, scheme: scheme, objective: objective)
      (encoder.columnScales, encoder.rowScales) = (scaling.columns, scaling.rows)
      encoder.rowFeedback = rows
      return try encoder.encode(source, on: math)
    }
  }

  /// Nearest codes of a tensor whose method is another.
  private func nearest(_ tensor: Plan.PlannedTensor, _ source: WeightSource, _ scheme: Scheme) throws -> PackedMatrix {
    guard tensor.method.hasZeroPoints else { return try PackedMatrix.encode(source, scheme: scheme, pool: math.pool) }
    var encoder = try CalibratedEncoder(scheme: scheme, scales: .extremes, objective: .columns(weights: nil))
    encoder.hasZeroPoints = true
    return try encoder.encode(source, on: math)
  }

  private func rowFeedback(of tensor: Plan.PlannedTensor) throws -> OutputFactor? {
    guard let outputs, tensor.method.rowFeedback != nil else { return nil }
    return try outputs.factor(for: tensor.spec.name)
  }

  /// Says where more columns reach the threshold than may be kept apart.
  private func note(_ outliers: OutlierSettings, of tensor: Plan.PlannedTensor, largest: [Float]?) {
    guard let threshold = outliers.threshold, let largest else { return }
    let reached = largest.count { $0 >= Float(threshold) }
    let limit = outliers.limit(columns: largest.count)
    guard reached > limit else { return }
    say(
      "\(tensor.spec.name): \(reached) of \(largest.count) inputs reach \(threshold); the largest \(limit) are kept apart"
    )
  }

  func naming<Result>(_ tensor: Plan.PlannedTensor, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch var error as FurlError {
      error.file = error.file ?? checkpoint.path
      error.place = error.place ?? tensor.sourceName
      throw error
    }
  }

  /// Scales of the columns that some layers read, by the error of their outputs: mean squares to the power that does
  /// best. Nil where none does better than not to scale.
  func columnScales(of readers: [Plan.PlannedTensor], _ moments: SecondMoments) throws -> [Float]? {
    var best: (scales: [Float]?, error: Double)?
    for step in 0...ChannelScaling.steps {
      let scales = ChannelScaling.scales(moments.meanSquares, power: Double(step) / Double(ChannelScaling.steps))
      var error = 0.0
      for tensor in readers { error += try naming(tensor) { try outputError(of: tensor, scales, moments) } }
      if error < best?.error ?? .infinity { best = (step == 0 ? nil : scales, error) }
    }
    return best?.scales
  }

  /// Of some of its rows, with columns scaled.
  private func outputError(
    of tensor: Plan.PlannedTensor, _ scales: [Float], _ moments: SecondMoments
  ) throws -> Double {
    let whole = try checkpoint.source(tensor.sourceName)
    let rows = min(whole.rows, ChannelScaling.sampledRows)
    let source = try whole.part(rows: 0..<rows, columns: nil)
    defer { whole.drop() }
    let scaling = ChannelScaling(columns: scales)
    var encoder = try CalibratedEncoder(
      tensor, scheme: tensor.scheme, objective: .columns(weights: scaling.weights(moments.meanSquares)))
    encoder.columnScales = scales
    let matrix = try encoder.encode(source, on: math)
    let values = try source.loadFloats(rows: 0..<rows, with: ReadBuffer())
    var errors = Array(repeating: Float(0), count: rows * source.columns)
    for row in 0..<rows {
      let decoded = matrix.row(row)
      for column in 0..<source.columns {
        errors[column * rows + row] = values[row * source.columns + column] - decoded[column] / scales[column]
      }
    }
    return try moments.outputError(errors, rows: rows, on: math) * Double(whole.rows) / Double(rows)
  }

  /// A vector, which stays as it is.
  func vector(_ tensor: Plan.PlannedTensor) throws -> FloatVector {
    try naming(tensor) { try FloatVector(checkpoint.source(tensor.sourceName)) }
  }
}

extension CalibratedEncoder {
  /// As the method of a tensor says, of codes of fixed width.
  init(_ tensor: Plan.PlannedTensor, scheme: Scheme, objective: CodeObjective) throws {
    try self.init(
      scheme: scheme, scales: tensor.method.searchesScales ? .search : .extremes, objective: objective)
    hasZeroPoints = tensor.method.hasZeroPoints
  }
}
