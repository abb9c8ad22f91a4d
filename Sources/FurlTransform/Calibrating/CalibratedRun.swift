import FurlArtifact
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTokenizer

/// A compression in which codes are chosen: tensors are encoded one after the other, each by all threads, and those
/// that depend on activations in the order in which the model computes.
///
/// In memory there are the hidden states of the calibration, one block's compressed weights and one layer's second
/// moments; weights are read from the checkpoint a few rows at a time.
final class CalibratedRun {
  private let plan: Plan
  private let checkpoint: Checkpoint
  private let pool: WorkerPool
  private let writer: ArtifactWriter
  private let report: (Compressor.Progress) -> Void
  private var done = 0
  private var encodedBytes = 0
  private let totalBytes: Int
  private let fileBytes: Int
  /// What a reader of the result should know.
  private(set) var notes: [String] = []
  /// Bytes of all streams so far, decoded.
  private(set) var weightBytes = 0

  init(
    _ compressor: Compressor, writer: ArtifactWriter, pool: WorkerPool,
    progress: @escaping (Compressor.Progress) -> Void
  ) throws {
    plan = compressor.plan
    checkpoint = compressor.checkpoint
    self.pool = pool
    self.writer = writer
    report = progress
    fileBytes = try compressor.checkpoint.files().reduce(0) { $0 + $1.count }
    totalBytes = try compressor.plan.tensors.reduce(0) { sum, tensor in
      try sum + compressor.checkpoint.source(tensor.sourceName).type.byteCount(tensor.spec.elementCount)
    }
  }

  /// A tensor as it goes into the file.
  private enum Encoded {
    case vector(FloatVector)
    case matrix(PackedMatrix)
  }

  /// Encodes and writes every tensor.
  ///
  /// - Parameter sample: nil where no codes depend on activations.
  func run(_ sample: CalibrationSample?) throws {
    var outside: [String: Encoded] = [:]
    let byBlock = Dictionary(grouping: plan.tensors, by: { $0.spec.block ?? -1 })
    let first = plan.tensors.prefix { $0.spec.block == nil }
    for tensor in first {
      let encoded = try encode(tensor)
      outside[tensor.spec.name] = encoded
      try write(tensor, encoded)
    }
    let walk = try sample.map { try makeWalk($0, outside) }
    for block in plan.spec.blocks.indices {
      let tensors = byBlock[block] ?? []
      let encoded = try walk.map { try self.walk($0, block, tensors) } ?? [:]
      for tensor in tensors { try write(tensor, try encoded[tensor.spec.name] ?? encode(tensor)) }
    }
    var norm: BlockWalk.Norm?
    for tensor in plan.tensors.dropFirst(first.count) where tensor.spec.block == nil {
      if tensor.spec.role == .head, let walk, plan.isCalibrated(tensor) {
        norm = try norm ?? BlockWalk.Norm(self.vector("norm"), self.vector("norm.bias"))
        let moments = try self.moments(for: [tensor]) { body in walk.visitHead(norm!, body) }
        var factors = Factors(moments, [tensor])
        try write(tensor, .matrix(try encodeMatrix(tensor, &factors)))
      } else {
        try write(tensor, try encode(tensor))
      }
    }
  }

  // MARK: The walk

  private func makeWalk(_ sample: CalibrationSample, _ outside: [String: Encoded]) throws -> BlockWalk {
    func matrix(_ name: String) -> PackedMatrix? { if case .matrix(let matrix) = outside[name] { matrix } else { nil } }
    guard let embedding = matrix("embedding") else { throw FurlError(.defect, "the embedding is missing") }
    return try BlockWalk(
      plan.spec, embedding: embedding, positions: matrix("positions"), sequences: sample.sequences,
      context: ComputeContext(pool: pool, kernels: try Kernels.fromEnvironment()))
  }

  /// Encodes a block's tensors while it is walked.
  private func walk(_ walk: BlockWalk, _ block: Int, _ tensors: [Plan.PlannedTensor]) throws -> [String: Encoded] {
    let prefix = "blocks.\(block)."
    let hasMLPNorm = plan.spec.residual == .sequential
    let attentionNorm = try BlockWalk.Norm(vector(prefix + "attention.norm"), vector(prefix + "attention.norm.bias"))
    try walk.begin(
      block: block, attentionNorm: attentionNorm,
      mlpNorm: hasMLPNorm ? BlockWalk.Norm(vector(prefix + "mlp.norm"), vector(prefix + "mlp.norm.bias")) : nil)
    var result: [String: Encoded] = [:]
    for input in walk.inputs {
      let roles = walk.roles(of: input)
      let readers = tensors.filter { roles.contains($0.spec.role) }
      let moments = try self.moments(for: readers) { body in walk.visit(input, body) }
      var factors = Factors(moments, readers)
      for tensor in readers {
        let matrix = try encodeMatrix(tensor, &factors)
        result[tensor.spec.name] = .matrix(matrix)
        walk.install(tensor.spec.role, matrix, bias: try vector(tensor.spec.name + ".bias"))
      }
    }
    walk.finish()
    return result
  }

  /// A vector of the plan, if it has one of that name.
  private func vector(_ name: String) throws -> FloatVector? {
    guard let tensor = plan.tensors.first(where: { $0.spec.name == name }) else { return nil }
    return try naming(tensor) { try FloatVector(checkpoint.source(tensor.sourceName)) }
  }

  /// The moments of an input that some layers read, as far as their methods want them.
  private func moments(
    for readers: [Plan.PlannedTensor], visit: ((Activations, Int) -> Void) -> Void
  ) throws -> SecondMoments? {
    let calibrated = readers.filter(plan.isCalibrated)
    guard let first = calibrated.first else {
      visit { _, _ in }
      return nil
    }
    let wantsAll = calibrated.contains { $0.method.needsCalibration }
    let moments = try naming(first) {
      try SecondMoments(
        columns: first.spec.shape[1], extent: wantsAll ? .full : .diagonal,
        keepsLargest: calibrated.contains { $0.outliers?.threshold != nil })
    }
    visit { moments.add($0, count: $1, on: pool) }
    try check(moments.coverage, first)
    return moments
  }

  private func check(_ coverage: SecondMoments.Coverage, _ tensor: Plan.PlannedTensor) throws {
    guard coverage.isFinite else {
      throw FurlError.input(
        checkpoint.path, tensor.sourceName, "its inputs are not finite numbers",
        remedy: "the weights before it are damaged")
    }
    if coverage.deadColumns > 0 {
      notes.append(
        "\(tensor.spec.name): \(coverage.deadColumns) of \(coverage.columns) inputs were zero at every position of the "
          + "calibration")
    }
    if coverage.rows < 2 * coverage.columns {
      notes.append(
        "\(tensor.spec.name): \(coverage.rows) positions are few for \(coverage.columns) inputs; more samples would help"
      )
    }
  }

  // MARK: Encoding

  private func encode(_ tensor: Plan.PlannedTensor) throws -> Encoded {
    guard tensor.spec.shape.count == 2 else {
      return .vector(try naming(tensor) { try FloatVector(checkpoint.source(tensor.sourceName)) })
    }
    var factors = Factors(nil, [])
    return .matrix(try encodeMatrix(tensor, &factors))
  }

  /// The moments of an input, and what was made of them for the layers that read it.
  private struct Factors {
    /// Layers with the same key share a factor.
    private struct Key: Hashable {
      let feedback: QuantizeMethod.Feedback
      let block: Scheme.Block
    }

    let meanSquares: [Float]?
    /// The largest magnitude of each input.
    let largest: [Float]?
    private let moments: SecondMoments?
    private let isShared: Bool
    private var made: [Key: FeedbackFactor] = [:]

    init(_ moments: SecondMoments?, _ readers: [Plan.PlannedTensor]) {
      self.moments = moments
      meanSquares = moments?.meanSquares
      largest = moments?.largest
      isShared = Set(readers.compactMap { Factors.key($0) }).count > 1
    }

    private static func key(_ tensor: Plan.PlannedTensor) -> Key? {
      guard case .gptq(let feedback) = tensor.method.codes, let block = tensor.scheme.block else { return nil }
      return Key(feedback: feedback, block: block)
    }

    mutating func factor(for tensor: Plan.PlannedTensor, pool: WorkerPool) throws -> FeedbackFactor {
      guard let key = Factors.key(tensor), let moments else {
        throw FurlError(.defect, "there are no moments for feedback")
      }
      if let found = made[key] { return found }
      let factor = try FeedbackFactor(
        moments, order: key.feedback.order, block: key.block, damping: key.feedback.damping, keepsMoments: isShared,
        pool: pool)
      made[key] = factor
      return factor
    }
  }

  private func encodeMatrix(_ tensor: Plan.PlannedTensor, _ factors: inout Factors) throws -> PackedMatrix {
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
      guard tensor.method != .plain, scheme.block != nil else {
        return try PackedMatrix.encode(source, scheme: scheme, pool: pool)
      }
      let objective: CalibratedEncoder.Objective =
        switch tensor.method.codes {
        case .nearest: .columns(weights: factors.meanSquares)
        case .gptq: .outputs(try factors.factor(for: tensor, pool: pool))
        }
      if let bits = tensor.method.codedBits {
        return try CodedSteps(source, scheme: scheme, objective: objective, pool: pool).encode(bits: bits)
      }
      return try CalibratedEncoder(
        scheme: scheme, scales: tensor.method.searchesScales ? .search : .extremes, objective: objective
      ).encode(source, pool: pool)
    }
  }

  /// Says where more columns reach the threshold than may be kept apart.
  private func note(_ outliers: OutlierSettings, of tensor: Plan.PlannedTensor, largest: [Float]?) {
    guard let threshold = outliers.threshold, let largest else { return }
    let reached = largest.count { $0 >= Float(threshold) }
    let limit = outliers.limit(columns: largest.count)
    guard reached > limit else { return }
    notes.append(
      "\(tensor.spec.name): \(reached) of \(largest.count) inputs reach \(threshold); the largest \(limit) are kept apart"
    )
  }

  private func naming<Result>(_ tensor: Plan.PlannedTensor, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch var error as FurlError {
      error.file = error.file ?? checkpoint.path
      error.place = error.place ?? tensor.sourceName
      throw error
    }
  }

  // MARK: Writing

  private func write(_ tensor: Plan.PlannedTensor, _ encoded: Encoded) throws {
    let streams: [ByteStorage] =
      switch encoded {
      case .vector(let vector): [vector.storage]
      case .matrix(let matrix): matrix.streams
      }
    let layout = if case .matrix(let matrix) = encoded { matrix.layout } else { tensor.layout }
    weightBytes += layout.byteCount
    try writer.append(
      name: tensor.spec.name, role: tensor.spec.role.rawValue, shape: tensor.spec.shape, scheme: layout.scheme,
      streams: Dictionary(uniqueKeysWithValues: zip(layout.streams.map(\.kind), streams)),
      parallelFor: pool.forEach)
    done += 1
    encodedBytes += try checkpoint.source(tensor.sourceName).type.byteCount(tensor.spec.elementCount)
    report(
      .init(
        tensor: tensor.spec.name, tensorsDone: done, tensors: plan.tensors.count,
        bytesDone: Int(Double(encodedBytes) / Double(max(1, totalBytes)) * Double(fileBytes)), bytes: fileBytes))
  }
}

extension BlockWalk.Norm {
  fileprivate init(_ weight: FloatVector?, _ bias: FloatVector?) throws {
    guard let weight else { throw FurlError(.defect, "a norm is missing") }
    self.init(weight: weight, bias: bias)
  }
}
