import FurlBase
import FurlCheckpoint
import FurlModel
package import FurlNumerics
package import FurlSpec
package import FurlTensor

/// What errors of layers' outputs do to a model's predictions: a Kronecker sketch of its Fisher information.
///
/// To second order the divergence that the error E of one layer makes is ½ vec(E)ᵀ F vec(E), F = E[(g xᵀ)(g xᵀ)ᵀ] with the
/// gradients g of -log p of tokens drawn from the model's own predictions. F is taken for the product of the moments of g,
/// which are here, and of x (Tseng et al. 2025, "Model-Preserving Adaptive Rounding"). One way there and back over the
/// calibration's sequences in FP32; the moments of as many blocks as there is room for are added up at a time.
package final class OutputSketch {
  /// What a sketch is wanted of, and on what.
  package struct SketchRequest {
    package let spec: ModelSpec
    /// Matrices of blocks: the moments of their outputs' gradients are wanted.
    package let layers: Set<String>
    /// Whether those of the embedding's columns are.
    package let includesEmbedding: Bool
    /// [sequences][length] ids.
    package let sequences: [[Int]]
    /// Of the draws from the model's predictions.
    package let seed: Int
    /// A tensor of the model by its name.
    package let source: (String) throws -> WeightSource

    package init(
      _ spec: ModelSpec, layers: Set<String>, includesEmbedding: Bool, sequences: [[Int]], seed: Int,
      source: @escaping (String) throws -> WeightSource
    ) {
      self.spec = spec
      self.layers = layers
      self.includesEmbedding = includesEmbedding
      self.sequences = sequences
      self.seed = seed
      self.source = source
    }

    var length: Int { sequences.first?.count ?? 1 }
  }

  /// Of layers' outputs, by the names of their tensors; experts of a layer share those of their last layers.
  private(set) var outputs: [String: SecondMoments] = [:]
  /// Of the columns of a matrix that is the embedding and, where it is tied, the head.
  private(set) var embedding: SecondMoments?
  /// Of the rows of the embedding: what their squared errors count, added up over all positions.
  private(set) var rowShares: [Double] = []

  /// Bytes of moments that are added up in one way there and back.
  private static let momentBytes = 768 << 20
  /// Bytes of what a way there leaves for the way back.
  private static let passBytes = 256 << 20
  /// The most rows of a pass, beyond which none is faster.
  private static let passRows = 2048

  /// Of layers whose inputs are read at every position, the square of the gradient at each.
  private(set) var squares: [String: [Float]] = [:]

  private let request: SketchRequest
  private let math: DenseMath
  private var statistics: PredictionStatistics

  /// What a way there and back is made with.
  private struct SketchPass {
    let parameters: ModelParameters
    /// Room for the gradients of vectors, which nobody asks for.
    let vectors: ModelParameters
    let pass: TrainingPass
    let head: HeadLoss
    /// Of what the head reads.
    let gradient: Matrix
  }

  /// Of what a plan wants.
  ///
  /// - Throws: ``FurlError`` of kind `input` for a model without gradients; `unavailable` when there is no memory.
  convenience init(
    _ plan: Plan, of checkpoint: Checkpoint, on sample: CalibrationSample, math: DenseMath,
    progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) throws {
    let wanted = plan.tensors.filter { $0.method.rowFeedback != nil && $0.spec.shape.count == 2 }
    let names = Dictionary(uniqueKeysWithValues: plan.tensors.map { ($0.spec.name, $0.sourceName) })
    let request = SketchRequest(
      plan.spec, layers: Set(wanted.filter { $0.spec.block != nil }.map(\.spec.name)),
      includesEmbedding: wanted.contains { $0.spec.role == .embedding }, sequences: sample.sequences,
      seed: sample.settings.seed
    ) { try checkpoint.source(names[$0] ?? $0) }
    try self.init(request, math: math, progress: progress)
  }

  /// - Throws: ``FurlError`` of kind `input` for a model without gradients; `unavailable` when there is no memory.
  package init(
    _ request: SketchRequest, math: DenseMath, progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) throws {
    self.request = request
    self.math = math
    statistics = PredictionStatistics(vocabulary: request.spec.vocabularySize)
    let pass = try OutputSketch.pass(request, math: math)
    let groups = OutputSketch.groups(request)
    let count = request.sequences.count
    for (index, blocks) in groups.enumerated() {
      try gather(blocks, isFirst: index == groups.count - 1, with: pass) { done in
        progress(index * count + done, groups.count * count)
      }
    }
  }

  private static func pass(_ request: SketchRequest, math: DenseMath) throws -> SketchPass {
    let (spec, length) = (request.spec, request.length)
    let sequences = together(request.sequences.count, spec, length: length)
    let pass: TrainingPass
    do {
      pass = try TrainingPass(spec, sequences: sequences, length: length, isTrained: true, math: math)
    } catch var error as FurlError where error.kind == .input {
      error.remedy = "use method: gptq, which needs no gradients"
      throw error
    }
    return SketchPass(
      parameters: try ModelParameters(spec, source: request.source),
      vectors: try ModelParameters(zeros: spec, includesMatrices: false), pass: pass,
      head: try HeadLoss(rows: sequences * length, vocabulary: spec.vocabularySize, hasTeacher: false, math: math),
      gradient: try Matrix(rows: sequences * length, columns: spec.hiddenSize))
  }

  // MARK: Pieces

  /// How many sequences are computed at once: as many as there is room for, of a number that divides all.
  private static func together(_ count: Int, _ spec: ModelSpec, length: Int) -> Int {
    let widths = spec.tensors.reduce(0) { $1.shape.count == 2 && $1.block != nil ? $0 + $1.shape[0] : $0 }
    let bytes = 4 * length * (widths + 2 * spec.hiddenSize * spec.blocks.count)
    let most = min(passBytes / max(1, bytes), passRows / length, count)
    return (1...max(1, most)).last { count % $0 == 0 } ?? 1
  }

  /// Blocks whose moments are added up together, the last ones first.
  private static func groups(_ request: SketchRequest) -> [Range<Int>] {
    var groups: [Range<Int>] = []
    var (end, bytes) = (request.spec.blocks.count, 0)
    for block in request.spec.blocks.indices.reversed() {
      let own = request.spec.tensors.reduce(0) {
        $1.block == block && request.layers.contains($1.name) ? $0 + 4 * $1.shape[0] * $1.shape[0] : $0
      }
      if bytes > 0, bytes + own > momentBytes {
        groups.append(block + 1..<end)
        (end, bytes) = (block + 1, 0)
      }
      bytes += own
    }
    return groups + [0..<end]
  }

  /// What the moments of a layer are kept under: its name, and of the last layers of experts, all of which write to the
  /// stream, one name for all.
  static func key(_ name: String) -> String {
    var parts = name.split(separator: ".")
    guard let experts = parts.firstIndex(of: "experts"), parts.last == "down", parts.indices.contains(experts + 1)
    else {
      return name
    }
    parts.remove(at: experts + 1)
    return parts.joined(separator: ".")
  }

  // MARK: Gathering

  /// Goes there and back over all sequences.
  ///
  /// - Parameter isFirst: whether the blocks are the first ones, so that the way back ends at the embedding.
  private func gather(
    _ blocks: Range<Int>, isFirst: Bool, with work: SketchPass, progress: (Int) -> Void
  ) throws {
    let (pass, parameters, spec) = (work.pass, work.parameters, request.spec)
    let wanted = Set(
      spec.tensors.filter { request.layers.contains($0.name) && blocks.contains($0.block ?? -1) }.map(\.name))
    let embedding = isFirst ? try wantedEmbedding() : nil
    statistics = PredictionStatistics(vocabulary: spec.vocabularySize)
    let rows = pass.sequences * pass.length
    for start in stride(from: 0, to: request.sequences.count, by: pass.sequences) {
      let ids = request.sequences[start..<start + pass.sequences].flatMap { $0 }
      pass.forward(parameters, ids: ids)
      var draws = SplitMix64(
        seed: UInt64(bitPattern: Int64(request.seed)) ^ 0x6C61_6265_6C73,
        skipping: UInt64(start * pass.length))
      let known = statistics.doubts.count
      try work.head.sample(
        hidden: pass.output, head: parameters.head, draws: (0..<rows).map { _ in draws.unit() },
        gradient: work.gradient,
        statistics: &statistics)
      if let embedding, spec.tiedEmbeddings {
        embedding.add(pass.output, weights: statistics.doubts[known...], on: math)
      }
      var failure: (any Error)?
      let back = try pass.observe(
        parameters, vectors: work.vectors, from: work.gradient, downTo: blocks.lowerBound
      ) { [self] name, gradient, _ in
        guard wanted.contains(name) else { return }
        do {
          try add(name, gradient)
        } catch {
          failure = error
        }
      }
      if let failure { throw failure }
      embedding?.add(back, on: math)
      progress(start + pass.sequences)
    }
    if isFirst, let embedding { finish(embedding) }
  }

  private func add(_ name: String, _ gradient: Matrix) throws {
    let key = OutputSketch.key(name)
    let moments = try outputs[key] ?? SecondMoments(columns: gradient.columns, extent: .full)
    outputs[key] = moments
    moments.add(gradient, on: math)
    if !name.contains(".experts.") { squares[name, default: []] += math.rowProducts(gradient, gradient) }
  }

  private func wantedEmbedding() throws -> SecondMoments? {
    request.includesEmbedding ? try SecondMoments(columns: request.spec.hiddenSize, extent: .full) : nil
  }

  /// What the rows of the embedding count: as often as their tokens are read, and where they are the head's, too, as often
  /// as they may come next.
  private func finish(_ moments: SecondMoments) {
    embedding = moments
    let spec = request.spec
    rowShares = spec.tiedEmbeddings ? statistics.shares : Array(repeating: 0, count: spec.vocabularySize)
    for sequence in request.sequences { for id in sequence { rowShares[id] += 1 } }
  }

  /// The moments of the gradients of a layer's outputs; nil where none are known.
  package func moments(of name: String) -> SecondMoments? { outputs[OutputSketch.key(name)] }

  // MARK: Factors

  private var last: (name: String, shrinkage: Double, factor: OutputFactor)?

  /// Rows of gradients for each output that are enough.
  private static let rowsPerOutput = 4.0

  /// The factor of a layer's outputs; nil where none is known, or it would be that of independent rows.
  ///
  /// Moments of few rows, as experts may have, are shrunk more: in proportion to what is missing.
  func factor(for name: String, shrinkage: Double) throws -> OutputFactor? {
    guard shrinkage < 1, let moments = moments(of: name), moments.count > 0 else { return nil }
    if let last, last.name == name, last.shrinkage == shrinkage { return last.factor }
    let known = min(1, Double(moments.count) / (OutputSketch.rowsPerOutput * Double(moments.columns)))
    let factor = try OutputFactor(moments, shrinkage: 1 - (1 - shrinkage) * known, on: math)
    last = (name, shrinkage, factor)
    return factor
  }
}
