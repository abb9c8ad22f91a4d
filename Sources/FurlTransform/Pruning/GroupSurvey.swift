import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor

/// Measures what predictions lose when one layer loses groups and nothing else changes.
struct GroupSurvey {
  private let probe: SensitivityProbe
  /// How the matrices are kept; what takes the place of one should be kept the same way.
  let scheme: Scheme

  /// Multiplications that all measurements together may take, about, and positions of one.
  private static let work = 1e13
  private static let positions = 512.0...4096

  /// - Throws: ``FurlError``.
  ///
  /// - Parameter layers: that will be measured.
  init(_ model: Checkpoint, layers: Int, _ context: ChangeContext) throws {
    scheme = SensitivityProbe.scheme(for: model.spec)
    probe = try SensitivityProbe(
      of: model, measurements: layers, work: GroupSurvey.work, positions: GroupSurvey.positions, context)
  }

  /// What a layer's importances are to be divided by so that they are nats of the KL divergence that their loss costs.
  ///
  /// - Parameters:
  ///   - share: of its groups that the layer loses for it; one chunk at least, so that there is something to measure.
  ///   - form: the layers that read the groups, of experts several, by their names, and what they are with some of them: as
  ///     wide as they were.
  func unit(
    of layer: GroupAllocation.AllocatedLayer, share: Double,
    form: (_ kept: [Int]) throws -> [String: ModelWalk.WalkedLayer]
  ) throws -> Double {
    let lost = max(share, Double(layer.chunk) / Double(layer.importances.count))
    let kept = GroupAllocation(layers: [layer]).removeEvenly(share: lost).kept[0]
    let readers = try form(kept)
    var biases: [String: FloatVector] = [:]
    for (name, reader) in readers { biases[name + ".bias"] = reader.bias }
    let divergence = try probe.divergence(replacing: readers.mapValues(\.weight), vectors: biases)
    let all = layer.importances.reduce(0, +)
    let importance = all - kept.reduce(0) { $0 + layer.importances[$1] }
    // Nothing is free: what seems so still goes by its importance.
    return max(importance, 1e-9 * all) / max(divergence, 1e-9)
  }
}

extension SensitivityProbe {
  /// A probe of a checkpoint, over as much of the probes' text as may be read for so many measurements.
  ///
  /// - Parameters:
  ///   - work: multiplications that all measurements together may take, about.
  ///   - positions: of one measurement, at least and at most.
  /// - Throws: ``FurlError``.
  convenience init(
    of model: Checkpoint, measurements: Int, work: Double, positions: ClosedRange<Double>, _ context: ChangeContext
  ) throws {
    guard !context.probes.isEmpty else {
      throw FurlError(.defect, "there is no text to measure on")
    }
    let spec = model.spec
    let scheme = SensitivityProbe.scheme(for: spec)
    var (matrices, vectors): ([String: PackedMatrix], [String: FloatVector]) = ([:], [:])
    for tensor in spec.tensors {
      if tensor.shape.count == 2 {
        matrices[tensor.name] = try model.matrix(tensor, scheme: scheme, pool: context.pool)
      } else {
        vectors[tensor.name] = try model.vector(tensor)
      }
    }
    model.dropPages()
    try self.init(
      spec, matrices: matrices, vectors: vectors,
      sequences: CalibrationSample.affordable(
        context.probes, measurements: measurements, of: spec, work: work, positions: positions),
      context: ComputeContext(pool: context.pool, kernels: try Kernels.forTransforms()))
  }
}
