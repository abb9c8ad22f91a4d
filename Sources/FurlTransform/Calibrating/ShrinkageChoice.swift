import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// How far a sketch of the outputs is believed: the shrinkage with which the whole model, rounded, diverges least from the FP32
/// one on sequences that are held out. A shrinkage of 1, which is feedback between columns alone, is always among those
/// that are tried.
struct ShrinkageChoice {
  /// Something that was tried.
  struct Trial: Sendable {
    let shrinkage: Double
    let feedsEmbedding: Bool
    /// Nats.
    let divergence: Double
  }

  let outputs: OutputFeedback
  let trials: [Trial]
  /// What the whole model comes out as with them, where that was tried.
  let best: CalibratedRun?

  /// Multiplications that all measurements together may take, about, and positions of one.
  private static let work = 4e12
  private static let positions = 2048.0...16384
  private static let ladder = [0.5, 0.1, 0.02]

  /// - Throws: ``FurlError`` of kind `input` for a model without gradients; `unavailable` when there is no memory.
  init(
    _ compressor: Compressor, _ rows: QuantizeMethod.RowFeedback, on sample: CalibrationSample, pool: WorkerPool,
    state: CodesState? = nil, progress: (_ activity: String, _ done: Int, _ of: Int) -> Void
  ) throws {
    let math = DenseMath(pool: pool, kernels: try Kernels.forTransforms())
    let sketch = try OutputSketch(compressor.plan, of: compressor.checkpoint, on: sample, math: math) { done, all in
      progress("the way back", done, all)
    }
    if let shrinkage = rows.shrinkage {
      outputs = OutputFeedback(sketch: sketch, shrinkage: shrinkage, feedsEmbedding: shrinkage < 1)
      (trials, best) = ([], nil)
      return
    }
    let probe = try ShrinkageChoice.probe(compressor, sample, pool)
    var trials: [Trial] = []
    func attempt(_ outputs: OutputFeedback) throws -> (run: CalibratedRun, divergence: Double) {
      progress("shrinkage \(outputs.shrinkage)", trials.count, ShrinkageChoice.ladder.count + 1)
      let run = try CalibratedRun(compressor, writer: nil, pool: pool, outputs: outputs, keepsTensors: true) { _ in }
      run.state = state?.named("\(outputs.shrinkage)")
      try run.run(sample)
      let divergence = try probe.divergence(replacing: (run.kept ?? [:]).compactMapValues(\.matrix))
      trials.append(
        Trial(shrinkage: outputs.shrinkage, feedsEmbedding: outputs.feedsEmbedding, divergence: divergence))
      return (run, divergence)
    }
    var outputs = OutputFeedback(sketch: sketch, shrinkage: 1, feedsEmbedding: false)
    var best = try attempt(outputs)
    for shrinkage in ShrinkageChoice.ladder {
      let next = OutputFeedback(sketch: sketch, shrinkage: shrinkage)
      let result = try attempt(next)
      guard result.divergence < best.divergence else { break }
      (outputs, best) = (next, result)
    }
    (self.outputs, self.trials, self.best) = (outputs, trials, best.run)
  }

  private static func probe(
    _ compressor: Compressor, _ sample: CalibrationSample, _ pool: WorkerPool
  ) throws -> SensitivityProbe {
    let plan = compressor.plan
    let scheme = SensitivityProbe.scheme(for: plan.spec)
    var (matrices, vectors): ([String: PackedMatrix], [String: FloatVector]) = ([:], [:])
    for tensor in plan.tensors {
      let source = try compressor.checkpoint.source(tensor.sourceName)
      defer { source.drop() }
      if tensor.spec.shape.count == 2 {
        matrices[tensor.spec.name] = try PackedMatrix.encode(source, scheme: scheme, pool: pool)
      } else {
        vectors[tensor.spec.name] = try FloatVector(source)
      }
    }
    let probes = CalibrationSample.affordable(
      sample.probes, measurements: ladder.count + 2, of: plan.spec, work: work, positions: positions)
    return try SensitivityProbe(
      plan.spec, matrices: matrices, vectors: vectors, sequences: probes, keepsStates: false,
      context: ComputeContext(pool: pool, kernels: Kernels.forTransforms()))
  }

  /// What an artifact says.
  var json: JSON {
    [
      "shrinkage": .number(outputs.shrinkage), "embedding": .bool(outputs.feedsEmbedding),
      "tried": .array(
        trials.map {
          [
            "shrinkage": .number($0.shrinkage), "embedding": .bool($0.feedsEmbedding),
            "kl_divergence": .number(Sensitivity.rounded($0.divergence)),
          ]
        }),
    ]
  }
}
