import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// Measures what every tensor that a budget chooses for does to the model's predictions in each of its forms.
///
/// The model that is compared with is in memory: in FP32 while that takes less than 1 GiB, otherwise in 8 bits a row.
/// It is walked block by block over the calibration as it will be for the artifact; each tensor's codes are chosen by
/// the step's method, and the model is then computed over other sequences of the text with this one tensor replaced.
struct SensitivitySurvey {
  let tensors: [Sensitivity]
  let probe: SensitivityProbe
  let notes: [String]
  /// What experts have seen of the calibration.
  let experts: ExpertCoverage

  /// Bits at which steps for the entropy coder are measured, within the bounds.
  private static let bits = [2, 3, 4.25, 7]
  /// How far off they may be: what came out is what counts.
  private static let tolerance = 0.25
  /// Multiplications that all measurements together may take, about, and positions of one.
  private static let work = 2e13
  private static let positions = 256.0...512

  /// - Parameter progress: is told of every tensor.
  /// - Throws: ``FurlError``.
  init(
    _ plan: Plan, of checkpoint: Checkpoint, on sample: CalibrationSample, outputs: OutputFeedback?,
    pool: WorkerPool,
    progress: (_ tensor: String, _ done: Int) -> Void
  ) throws {
    let run = try SurveyRun(plan, checkpoint, sample, pool)
    run.chooser.outputs = outputs
    try run.survey(progress)
    (tensors, probe, notes) = (run.tensors, run.probe, run.chooser.notes + run.chooser.experts.notes)
    experts = run.chooser.experts
  }

  /// A survey at work.
  private final class SurveyRun {
    let plan: Plan
    let pool: WorkerPool
    let chooser: CodeChooser
    let probe: SensitivityProbe
    let walk: BlockWalk
    private let matrices: [String: PackedMatrix]
    private let vectors: [String: FloatVector]
    private(set) var tensors: [Sensitivity] = []

    init(_ plan: Plan, _ checkpoint: Checkpoint, _ sample: CalibrationSample, _ pool: WorkerPool) throws {
      self.plan = plan
      self.pool = pool
      let kernels = try Kernels.forTransforms()
      let chooser = CodeChooser(checkpoint, plan: plan, on: DenseMath(pool: pool, kernels: kernels))
      chooser.tokenSteps = TokenSteps(sample.sequences, vocabulary: plan.spec.vocabularySize)
      self.chooser = chooser
      let scheme = SensitivityProbe.scheme(for: plan.spec)
      var (matrices, vectors): ([String: PackedMatrix], [String: FloatVector]) = ([:], [:])
      for tensor in plan.tensors {
        if tensor.spec.shape.count == 2 {
          matrices[tensor.spec.name] = try chooser.naming(tensor) {
            let source = try checkpoint.source(tensor.sourceName)
            defer { source.drop() }
            return try PackedMatrix.encode(source, scheme: scheme, pool: pool)
          }
        } else {
          vectors[tensor.spec.name] = try chooser.vector(tensor)
        }
      }
      (self.matrices, self.vectors) = (matrices, vectors)
      let context = ComputeContext(pool: pool, kernels: kernels)
      let measurements = plan.tensors.reduce(0) { $0 + SurveyRun.variants(of: $1).count }
      let probes = CalibrationSample.affordable(
        sample.probes, measurements: measurements, of: plan.spec, work: SensitivitySurvey.work,
        positions: SensitivitySurvey.positions)
      probe = try SensitivityProbe(
        plan.spec, matrices: matrices, vectors: vectors, sequences: probes, context: context)
      guard let embedding = matrices["embedding"] else { throw FurlError(.defect, "the embedding is missing") }
      walk = try BlockWalk(
        plan.spec, embedding: embedding, positions: matrices["positions"], sequences: sample.sequences, context: context
      )
    }

    /// The forms of a tensor that are measured: those of the plan alone where there is nothing to choose.
    static func variants(of tensor: Plan.PlannedTensor) -> [Plan.PlannedChoice] {
      switch tensor.freedom {
      case nil: [Plan.PlannedChoice(scheme: tensor.scheme, method: tensor.method)]
      case .fixed(let schemes): schemes.map { .init(scheme: $0, method: tensor.method) }
      case .coded(let bounds):
        ([bounds.lowerBound] + SensitivitySurvey.bits.filter { $0 > bounds.lowerBound && $0 < bounds.upperBound }
          + [bounds.upperBound]).map { .init(scheme: tensor.scheme, method: tensor.method.coded($0)) }
      }
    }

    func survey(_ progress: (_ tensor: String, _ done: Int) -> Void) throws {
      var found: [String: Sensitivity] = [:]
      func measure(
        _ readers: [Plan.PlannedTensor], moments find: ([Plan.PlannedTensor]) throws -> SecondMoments?
      ) throws {
        let variants = try readers.map { tensor in try SurveyRun.variants(of: tensor).map(tensor.choosing) }
        let moments = try find(variants.flatMap { $0 })
        var factors = CodeChooser.Factors(moments, variants.flatMap { $0 })
        for (tensor, forms) in zip(readers, variants) {
          found[tensor.spec.name] = try self.measure(tensor, forms, &factors)
          progress(tensor.spec.name, found.count)
        }
      }
      func unseen(_ forms: [Plan.PlannedTensor]) throws -> SecondMoments? { try chooser.moments(for: forms) { _ in } }
      let byBlock = Dictionary(grouping: plan.tensors, by: { $0.spec.block ?? -1 })
      for tensor in byBlock[-1] ?? [] where tensor.spec.role != .head { try measure([tensor], moments: unseen) }
      for block in plan.spec.blocks.indices {
        let prefix = "blocks.\(block)."
        try walk.begin(block: block) { vectors[$0] }
        let own = byBlock[block] ?? []
        for site in plan.spec.sites(of: block) {
          let layers = plan.spec.readers(of: site, in: block)
          let names = Set(layers.map { prefix + $0.name })
          try measure(own.filter { names.contains($0.spec.name) }) {
            try chooser.moments(for: $0, at: site, of: walk)
          }
          for layer in layers {
            let name = prefix + layer.name
            guard let matrix = matrices[name] else { throw FurlError(.defect, place: name, "is missing") }
            walk.install(layer, matrix, bias: vectors[name + ".bias"])
          }
        }
        walk.finish()
        for tensor in own where tensor.spec.shape.count == 1 { try measure([tensor], moments: unseen) }
      }
      for tensor in byBlock[-1] ?? [] where tensor.spec.role == .head {
        let norm = try norm("norm")
        try measure([tensor]) { try chooser.moments(for: $0) { body in walk.visitHead(norm, body) } }
      }
      tensors = plan.tensors.compactMap { found[$0.spec.name] }
      guard tensors.count == plan.tensors.count else { throw FurlError(.defect, "a tensor was not measured") }
    }

    private func norm(_ name: String) throws -> BlockWalk.WalkedNorm {
      guard let weight = vectors[name] else { throw FurlError(.defect, place: name, "is missing") }
      return BlockWalk.WalkedNorm(weight: weight, bias: vectors[name + ".bias"])
    }

    private func measure(
      _ tensor: Plan.PlannedTensor, _ forms: [Plan.PlannedTensor], _ factors: inout CodeChooser.Factors
    ) throws -> Sensitivity {
      let points = try forms.map { form in
        var streams: [ByteStorage] = []
        var divergence = 0.0
        if form.spec.shape.count == 2 {
          let matrix = try chooser.encode(
            form, &factors,
            tolerance: tensor.freedom == nil ? CodedSteps.tolerance : SensitivitySurvey.tolerance)
          streams = matrix.streams
          if tensor.freedom != nil { divergence = try probe.divergence(replacing: [tensor.spec.name: matrix]) }
        } else {
          streams = [try chooser.vector(form).storage]
        }
        let stored = try zip(streams, form.layout.streams).map { stream, layout in
          plan.recipe.storage == .mapped
            ? stream.count
            : try CompactCoding.storedBytes(
              of: stream, symbols: layout.symbols, zero: layout.zero, parallelFor: pool.forEach)
        }
        // The bits that came out, which are those that the divergence belongs to.
        let bits = form.method.codedBits.map { _ in 8 * Double(stored[0]) / Double(form.spec.elementCount) }
        return Sensitivity.Point(
          choice: .init(scheme: form.scheme, method: form.method.coded(bits)), stored: stored,
          memory: form.layout.byteCount, divergence: divergence)
      }
      return Sensitivity(name: tensor.spec.name, weights: tensor.spec.elementCount, points: points)
    }
  }
}
