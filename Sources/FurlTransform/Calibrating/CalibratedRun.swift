import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// A compression in which codes are chosen: tensors are encoded one after the other, each by all threads, and those
/// that depend on activations in the order in which the model computes.
///
/// In memory there are the hidden states of the calibration, one block's compressed weights and one layer's second
/// moments; weights are read from the checkpoint a few rows at a time.
final class CalibratedRun {
  private let plan: Plan
  private let checkpoint: Checkpoint
  private let math: DenseMath
  private let chooser: CodeChooser
  /// Nil: nothing is written.
  private let writer: ArtifactWriter?
  private let report: (CompressionProgress) -> Void
  private var done = 0
  private var encodedBytes = 0
  private let totalBytes: Int
  private let fileBytes: Int
  /// What a reader of the result should know.
  var notes: [String] { chooser.notes + chooser.experts.notes }
  /// What experts have seen of the calibration.
  var experts: ExpertCoverage { chooser.experts }
  /// Tensors by name, where they are kept.
  private(set) var kept: [String: EncodedTensor]?
  /// Where blocks that are done are kept; nil: nowhere.
  var state: CodesState?
  /// Bytes of all streams so far, decoded.
  private(set) var weightBytes = 0

  init(
    _ compressor: Compressor, writer: ArtifactWriter?, pool: WorkerPool, outputs: OutputFeedback? = nil,
    keepsTensors: Bool = false, progress: @escaping (CompressionProgress) -> Void
  ) throws {
    plan = compressor.plan
    checkpoint = compressor.checkpoint
    math = DenseMath(pool: pool, kernels: try Kernels.forTransforms())
    self.writer = writer
    chooser = CodeChooser(checkpoint, plan: plan, on: math)
    chooser.outputs = outputs
    kept = keepsTensors ? [:] : nil
    report = progress
    fileBytes = try compressor.checkpoint.files().reduce(0) { $0 + $1.count }
    totalBytes = try compressor.plan.tensors.reduce(0) { sum, tensor in
      try sum + compressor.checkpoint.source(tensor.sourceName).type.byteCount(tensor.spec.elementCount)
    }
  }

  /// A layer of a block, and what is planned for it.
  private struct CalibratedReader {
    let layer: LinearSpec
    let tensor: Plan.PlannedTensor
  }

  /// Encodes and writes every tensor.
  ///
  /// - Parameter sample: nil where no codes depend on activations.
  func run(_ sample: CalibrationSample?) throws {
    chooser.tokenSteps = sample.map { TokenSteps($0.sequences, vocabulary: plan.spec.vocabularySize) }
    var outside: [String: EncodedTensor] = [:]
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
    var norm: BlockWalk.WalkedNorm?
    for tensor in plan.tensors.dropFirst(first.count) where tensor.spec.block == nil {
      if tensor.spec.role == .head, let walk, plan.isCalibrated(tensor) {
        norm = try norm ?? BlockWalk.WalkedNorm(self.vector("norm"), self.vector("norm.bias"))
        let moments = try chooser.moments(for: [tensor]) { body in walk.visitHead(norm!, body) }
        var factors = CodeChooser.Factors(moments, [tensor])
        try write(tensor, .matrix(try chooser.encode(tensor, &factors)))
      } else if tensor.spec.role == .patch, let walk {
        try write(tensor, try apply(tensor, walk))
      } else {
        try write(tensor, try encode(tensor))
      }
    }
  }

  // MARK: The walk

  private func makeWalk(_ sample: CalibrationSample, _ outside: [String: EncodedTensor]) throws -> BlockWalk {
    func matrix(_ name: String) -> PackedMatrix? { if case .matrix(let matrix) = outside[name] { matrix } else { nil } }
    guard let embedding = matrix("embedding") else { throw FurlError(.defect, "the embedding is missing") }
    return try BlockWalk(
      plan.spec, embedding: embedding, positions: matrix("positions"), sequences: sample.sequences,
      context: ComputeContext(pool: math.pool, kernels: math.kernels))
  }

  /// Encodes a block's tensors while it is walked.
  private func walk(
    _ walk: BlockWalk, _ block: Int, _ tensors: [Plan.PlannedTensor]
  ) throws -> [String: EncodedTensor] {
    if let known = try state?.load(block: block, tensors) {
      try pass(walk, block, tensors, known.tensors)
      chooser.resume(notes: known.notes, experts: ExpertCoverage(known.experts))
      return known.tensors
    }
    var encoded = try choose(walk, block, tensors)
    guard let state else { return encoded }
    for tensor in tensors where encoded[tensor.spec.name] == nil { encoded[tensor.spec.name] = try encode(tensor) }
    try state.save(
      .init(tensors: encoded, notes: chooser.notes, experts: chooser.experts.json), block: block)
    return encoded
  }

  /// Walks past a block whose tensors are known.
  private func pass(
    _ walk: BlockWalk, _ block: Int, _ tensors: [Plan.PlannedTensor], _ known: [String: EncodedTensor]
  ) throws {
    func vector(_ name: String) throws -> FloatVector? {
      if case .vector(let vector) = known[name] { vector } else { try self.vector(name) }
    }
    if let patch = tensors.first(where: { $0.spec.role == .patch }), let matrix = known[patch.spec.name]?.matrix {
      walk.apply(patch: matrix, bias: try vector(patch.spec.name + ".bias"))
    }
    try walk.begin(block: block, vector: vector)
    for site in plan.spec.sites(of: block) {
      if walk.isNeeded(site) { walk.visit(site) { _, _ in } }
      for layer in plan.spec.readers(of: site, in: block) {
        let name = "blocks.\(block)." + layer.name
        guard let matrix = known[name]?.matrix else { throw FurlError(.defect, place: name, "is not known") }
        walk.install(layer, matrix, bias: try vector(name + ".bias"))
      }
    }
    walk.finish()
  }

  private func choose(
    _ walk: BlockWalk, _ block: Int, _ tensors: [Plan.PlannedTensor]
  ) throws -> [String: EncodedTensor] {
    let prefix = "blocks.\(block)."
    var result: [String: EncodedTensor] = [:]
    if let patch = tensors.first(where: { $0.spec.role == .patch }) { result[patch.spec.name] = try apply(patch, walk) }
    try walk.begin(block: block, vector: vector)
    var scalings: [String: ChannelScaling] = [:]
    let byName = Dictionary(uniqueKeysWithValues: tensors.map { ($0.spec.name, $0) })
    for site in plan.spec.sites(of: block) {
      let readers = try plan.spec.readers(of: site, in: block).map { layer in
        guard let tensor = byName[prefix + layer.name] else {
          throw FurlError(.defect, place: prefix + layer.name, "is not planned")
        }
        return CalibratedReader(layer: layer, tensor: tensor)
      }
      let planned = readers.map(\.tensor)
      let moments = try chooser.moments(for: planned, at: site, of: walk)
      var factors = CodeChooser.Factors(moments, planned)
      if let moments, let scales = try scale(site, block, of: walk, readers, byName, moments, &scalings, &result) {
        factors = CodeChooser.Factors(
          meanSquares: ChannelScaling(columns: scales).weights(moments.meanSquares),
          largest: factors.largest.map { zip($0, scales).map { $0 / $1 } })
        // What is kept for later was made with the layers before they were scaled.
        if site.part != nil, walk.isNeeded(site) { walk.visit(site) { _, _ in } }
      }
      for reader in readers {
        let tensor = reader.tensor
        scalings[tensor.spec.name, default: .none].meanSquares = factors.meanSquares
        let matrix = try chooser.encode(tensor, &factors, scaling: scalings[tensor.spec.name] ?? ChannelScaling())
        result[tensor.spec.name] = .matrix(matrix)
        walk.install(reader.layer, matrix, bias: try vector(tensor.spec.name + ".bias"))
      }
    }
    walk.finish()
    return result
  }

  /// Encodes what stands in for blocks that were cut out, and lets the walk pass it.
  private func apply(_ patch: Plan.PlannedTensor, _ walk: BlockWalk) throws -> EncodedTensor {
    let encoded = try encode(patch)
    guard case .matrix(let matrix) = encoded else { throw FurlError(.defect, "a patch is a matrix") }
    walk.apply(patch: matrix, bias: try vector(patch.spec.name + ".bias"))
    return encoded
  }

  /// Scales the columns of what reads an input, and makes up for it in what gives the input, where the graph allows it:
  /// a norm; the values, where every head has its own; the up of a gated MLP.
  ///
  /// - Returns: the scales; nil where there are none.
  private func scale(
    _ site: ReadingSite, _ block: Int, of walk: BlockWalk, _ readers: [CalibratedReader],
    _ tensors: [String: Plan.PlannedTensor],
    _ moments: SecondMoments, _ scalings: inout [String: ChannelScaling], _ result: inout [String: EncodedTensor]
  ) throws -> [Float]? {
    let planned = readers.map(\.tensor)
    guard !planned.isEmpty, planned.allSatisfy({ $0.method.codes == .awq && $0.scheme.block != nil }) else {
      return nil
    }
    let maker = maker(of: site, block)
    if site.part != nil, maker == nil { return nil }
    let made = try maker.map { layer in
      guard let tensor = tensors["blocks.\(block)." + layer.name] else {
        throw FurlError(.defect, place: layer.name, "is not planned")
      }
      return tensor
    }
    if let made { guard made.method.codes == .awq, made.scheme.block != nil else { return nil } }
    // A norm can be divided where all that reads it is scaled here: experts read it at other places.
    let stage = plan.spec.stages(of: block)[site.stage]
    let isSplit = stage.parts.contains { if case .experts = $0.mixer { true } else { false } }
    if maker == nil, stage.norm == nil || isSplit { return nil }
    guard let scales = try chooser.columnScales(of: planned, moments) else { return nil }
    for tensor in planned { scalings[tensor.spec.name, default: .none].columns = scales }
    guard let maker, let made else {
      guard let name = plan.spec.normNames(of: block)[site.stage], let norm = try walk.divide(site, by: scales) else {
        return nil
      }
      result[name] = .vector(norm.weight)
      if let bias = norm.bias { result[name + ".bias"] = .vector(bias) }
      return scales
    }
    let rows = scales.map { 1 / $0 }
    scalings[made.spec.name, default: .none].rows = rows
    let own = scalings[made.spec.name] ?? ChannelScaling()
    var factors = CodeChooser.Factors(meanSquares: own.meanSquares)
    let matrix = try chooser.encode(made, &factors, scaling: own)
    result[made.spec.name] = .matrix(matrix)
    let bias = try vector(made.spec.name + ".bias").map { try FloatVector(zip($0.values, rows).map { $0 * $1 }) }
    if let bias { result[made.spec.name + ".bias"] = .vector(bias) }
    walk.install(maker, matrix, bias: bias)
    return scales
  }

  /// The layer whose rows are the columns that are read at a place, up to factors; nil where there is none, and behind a
  /// norm.
  private func maker(of site: ReadingSite, _ block: Int) -> LinearSpec? {
    let role: TensorRole
    switch plan.spec.mixer(before: site, in: block) {
    // A norm over values takes scales of theirs away again.
    case .attention(let attention) where attention.heads == attention.kvHeads && attention.valueNorm == nil:
      role = .value
    case .feedForward(let mlp) where mlp.isGated: role = .up
    default: return nil
    }
    let first =
      if case .expertOutput(let part, let expert) = site.place {
        ReadingSite(stage: site.stage, .expertInput(part: part, expert: expert))
      } else {
        ReadingSite(stage: site.stage, .norm)
      }
    return plan.spec.readers(of: first, in: block).first { $0.role == role }
  }

  /// A vector of the plan, if it has one of that name.
  private func vector(_ name: String) throws -> FloatVector? {
    guard let tensor = plan.tensors.first(where: { $0.spec.name == name }) else { return nil }
    return try chooser.vector(tensor)
  }

  // MARK: Encoding

  private func encode(_ tensor: Plan.PlannedTensor) throws -> EncodedTensor {
    guard tensor.spec.shape.count == 2 else {
      return .vector(try chooser.vector(tensor))
    }
    var factors = CodeChooser.Factors(nil, [])
    return .matrix(try chooser.encode(tensor, &factors))
  }

  // MARK: Writing

  private func write(_ tensor: Plan.PlannedTensor, _ encoded: EncodedTensor) throws {
    kept?[tensor.spec.name] = encoded
    weightBytes += encoded.layout(of: tensor).byteCount
    try writer?.append(encoded, of: tensor, parallelFor: math.pool.forEach)
    done += 1
    encodedBytes += try checkpoint.source(tensor.sourceName).type.byteCount(tensor.spec.elementCount)
    report(
      .init(
        tensor: tensor.spec.name, tensorsDone: done, tensors: plan.tensors.count,
        bytesDone: Int(Double(encodedBytes) / Double(max(1, totalBytes)) * Double(fileBytes)), bytes: fileBytes))
  }
}

extension BlockWalk.WalkedNorm {
  fileprivate init(_ weight: FloatVector?, _ bias: FloatVector?) throws {
    guard let weight else { throw FurlError(.defect, "a norm is missing") }
    self.init(weight: weight, bias: bias)
  }
}
