import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlNumerics
import FurlSpec
package import FurlTensor
import FurlTokenizer
import Synchronization

/// What an artifact will take on disk, learnt from some of the weights.
package struct SizePrediction: Sendable {
  /// Bytes of each tensor of the plan in the file, in the plan's order.
  package let tensorBytes: [Int]
  package let fileBytes: Int
  /// Weights that were read.
  package let sampledWeights: Int
}

extension Compressor {
  /// Predicts the file's size. Runs of rows, evenly spread over each matrix, are encoded and compressed as the file
  /// would have them; what a stream's sample shrinks to, the whole stream is taken to. Vectors and small matrices are
  /// taken whole, and nothing is read for mapped storage, whose sizes are known. Where rows are read depends on shapes
  /// alone, so the same input gives the same prediction.
  ///
  /// - Throws: ``FurlError`` of kind `input` for weights that cannot be encoded.
  package func predictSize(pool: WorkerPool) throws -> SizePrediction { try predictSize(SizeSample(), pool: pool) }

  func predictSize(_ sample: SizeSample, pool: WorkerPool) throws -> SizePrediction {
    guard !plan.recipe.changesModel else {
      throw FurlError(
        .usage, "what this recipe removes depends on the calibration, so a sample of the weights predicts no size",
        remedy: "leave --sample out")
    }
    if let budget = plan.recipe.budget {
      throw budget.location.error(
        nil, "chooses schemes by what is measured, which no plan knows",
        remedy: "compress; inspect --tensors shows the mix")
    }
    let isMapped = plan.recipe.storage == .mapped
    let parts = isMapped ? [] : try sample.parts(of: plan, checkpoint)
    let sizes = try SizeSample.measure(parts, of: plan, checkpoint, pool: pool)
    let tensors = zip(plan.tensors, plan.tensors.indices).map { tensor, index in
      ArtifactSize.TensorSize(
        name: tensor.spec.name, role: tensor.spec.role.rawValue, layout: tensor.layout,
        storedBytes: tensor.layout.streams.enumerated().map { place, stream in
          guard let measured = sizes[index], measured.bytes[place] > 0 else { return stream.byteCount }
          let share = Double(measured.stored[place]) / Double(measured.bytes[place])
          return min(stream.byteCount, Int((share * Double(stream.byteCount)).rounded()))
        })
    }
    // The files' digests are not known without reading them; any others take as much room.
    let files = try checkpoint.files().map { Checkpoint.SourceFile($0, digest: Digest(of: Array($0.path.utf8))) }
    let tokenizer = try tokenizer()
    let bytes = try ArtifactSize.bytes(
      of: tensors, storage: isMapped ? .mapped : .compact, description: try description(files, tokenizer: tokenizer),
      tokenizer: tokenizer.serialized())
    return SizePrediction(
      tensorBytes: tensors.map { $0.storedBytes.reduce(0, +) }, fileBytes: bytes,
      sampledWeights: parts.reduce(0) { $0 + $1.weights })
  }
}

/// Which weights a prediction reads.
struct SizeSample {
  /// Weights of a run: a frame of the file.
  var runWeights = 1 << 18
  /// Weights of all runs together, about.
  var budget = 1 << 26
  /// Runs of a matrix.
  var runs = 2...8

  /// Part of a tensor.
  struct SamplePart: Sendable {
    let tensor: Int
    /// Nil: all of them.
    var rows: Range<Int>?
    var columns: Range<Int>?
    let weights: Int
  }

  /// The streams of a tensor's parts: bytes in memory and in the file.
  struct SampledSizes: Sendable {
    var bytes: [Int]
    var stored: [Int]
  }

  /// All parts, in the plan's order.
  func parts(of plan: Plan, _ checkpoint: Checkpoint) throws -> [SamplePart] {
    let matrices = plan.tensors.count { $0.spec.shape.count == 2 }
    let count = min(max(budget / runWeights / max(1, matrices), runs.lowerBound), runs.upperBound)
    return try plan.tensors.enumerated().flatMap { index, tensor in
      let source = try checkpoint.source(tensor.sourceName)
      // Rows of what is stored the other way round are all over the file; columns lie together. A scale for a whole
      // row needs all of them.
      let isTransposed = source.columnStride > source.rowStride && tensor.scheme.block != .row
      let (long, short) = isTransposed ? (source.columns, source.rows) : (source.rows, source.columns)
      // Whole row tiles, or whole blocks of the widest kind.
      let unit = isTransposed ? tensor.scheme.superBlock == nil ? 128 : 256 : 16
      let length = max(1, (runWeights / short + unit - 1) / unit) * unit
      guard tensor.spec.shape.count == 2, long > 2 * count * length, !source.isTurnedInGroups else {
        return [SamplePart(tensor: index, weights: tensor.spec.elementCount)]
      }
      return (0..<count).map { run in
        // In the middle of as many equal stretches.
        let start = (long * (2 * run + 1) / (2 * count) - length / 2) / unit * unit
        let range = start..<start + length
        return SamplePart(
          tensor: index, rows: isTransposed ? nil : range, columns: isTransposed ? range : nil,
          weights: length * short)
      }
    }
  }

  /// Encodes and compresses parts; the sizes by tensor.
  static func measure(
    _ parts: [SamplePart], of plan: Plan, _ checkpoint: Checkpoint, pool: WorkerPool
  ) throws -> [Int: SampledSizes] {
    let kernels = try Kernels.forTransforms()
    let results = Mutex<[Result<SampledSizes, any Error>?]>(Array(repeating: nil, count: parts.count))
    pool.forEach(parts.count) { index in
      let result = Result { try measure(parts[index], of: plan.tensors[parts[index].tensor], checkpoint, kernels) }
      results.withLock { $0[index] = result }
    }
    var sizes: [Int: SampledSizes] = [:]
    for (part, result) in zip(parts, results.withLock { $0 }) {
      guard let one = try result?.get() else { throw FurlError(.defect, "a part of the sample was not measured") }
      guard var sum = sizes[part.tensor] else {
        sizes[part.tensor] = one
        continue
      }
      for stream in sum.bytes.indices {
        sum.bytes[stream] += one.bytes[stream]
        sum.stored[stream] += one.stored[stream]
      }
      sizes[part.tensor] = sum
    }
    return sizes
  }

  private static func measure(
    _ part: SamplePart, of tensor: Plan.PlannedTensor, _ checkpoint: Checkpoint, _ kernels: Kernels
  ) throws -> SampledSizes {
    do {
      let source = try checkpoint.source(tensor.sourceName)
      let streams = try encode(source.part(rows: part.rows, columns: part.columns), of: tensor, kernels)
      return SampledSizes(
        bytes: streams.map(\.count),
        stored: try zip(streams, tensor.layout.streams).map {
          try CompactCoding.storedBytes(of: $0, symbols: $1.symbols, zero: $1.zero)
        })
    } catch var error as FurlError {
      error.place = error.place ?? tensor.sourceName
      if let start = part.rows?.lowerBound { error.problem += ", counted from row \(start)" }
      if let start = part.columns?.lowerBound { error.problem += ", counted from column \(start)" }
      throw error
    }
  }

  private static func encode(
    _ source: WeightSource, of tensor: Plan.PlannedTensor, _ kernels: Kernels
  ) throws -> [ByteStorage] {
    guard tensor.spec.shape.count == 2 else { return [try FloatVector(source).storage] }
    // Parts share the threads, so that each is done by one.
    let math = DenseMath(pool: WorkerPool(threads: 1), kernels: kernels)
    if let outliers = tensor.outliers {
      // Which columns they are matters little to the size of the rest.
      let columns = try outliers.columns(of: source, largest: nil)
      guard let scheme = tensor.scheme.keepingApart(columns.count) else {
        throw FurlError(.defect, "\(tensor.scheme) keeps no columns apart")
      }
      return try PackedMatrix.encode(source.leavingOut(columns), scheme: scheme, pool: math.pool).streams
    }
    // Feedback moves codes, but hardly how often each of them occurs.
    if let bits = tensor.method.codedBits {
      let steps = CodedSteps(
        source, scheme: tensor.scheme, objective: .columns(weights: nil), on: math)
      return try steps.encode(bits: bits).streams
    }
    if tensor.method.searchesScales || tensor.method.hasZeroPoints, tensor.scheme != .float32 {
      return try CalibratedEncoder(tensor, scheme: tensor.scheme, objective: .columns(weights: nil))
        .encode(source, on: math).streams
    }
    let encoder = try MatrixEncoder(source, scheme: tensor.scheme, takesCodes: tensor.keepsCodes)
    let buffer = ReadBuffer()
    for stripe in 0..<encoder.stripeCount { try encoder.encode(stripe: stripe, with: buffer) }
    return encoder.matrix.streams
  }
}

extension WeightSource {
  /// Some rows or columns; nil: all of them. Rows are then taken in the order in which they are stored.
  func part(rows: Range<Int>?, columns: Range<Int>?) throws -> WeightSource {
    if rows == nil, columns == nil { return self }
    if isCoded, let rows, columns == nil { return try codedRows(rows) }
    let (rows, columns) = (rows ?? 0..<self.rows, columns ?? 0..<self.columns)
    let first = rows.lowerBound * rowStride + columns.lowerBound * columnStride
    return try WeightSource(
      file: file, type: type, offset: offset + type.byteCount(first), rows: rows.count, columns: columns.count,
      rowStride: rowStride, columnStride: columnStride)
  }
}
