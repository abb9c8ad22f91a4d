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
  /// - Parameter groups: kinds of groups in each block.
  init(_ model: Checkpoint, groups: Int, _ context: ChangeContext) throws {
    guard let length = context.probes.first?.count, length > 0 else {
      throw FurlError(.defect, "there is no text to measure on")
    }
    let spec = model.spec
    scheme = SensitivityProbe.scheme(for: spec)
    var (matrices, vectors): ([String: PackedMatrix], [String: FloatVector]) = ([:], [:])
    for tensor in spec.tensors {
      let source = try model.source(tensor.name)
      defer { source.drop() }
      do {
        if tensor.shape.count == 2 {
          matrices[tensor.name] = try PackedMatrix.encode(source, scheme: scheme, pool: context.pool)
        } else {
          vectors[tensor.name] = try FloatVector(source)
        }
      } catch var error as FurlError {
        error.file = error.file ?? model.path
        error.place = error.place ?? tensor.name
        throw error
      }
    }
    let wanted = GroupSurvey.work / Double(max(1, spec.parameterCount * spec.blocks.count * groups))
    let positions = min(max(wanted, GroupSurvey.positions.lowerBound), GroupSurvey.positions.upperBound)
    probe = try SensitivityProbe(
      spec, matrices: matrices, vectors: vectors,
      sequences: Array(context.probes.prefix(max(1, Int(positions) / length))),
      context: ComputeContext(pool: context.pool, kernels: try Kernels.fromEnvironment()))
  }

  /// The KL divergence, in nats, of the predictions with a layer in another form from those of the model.
  ///
  /// - Parameters:
  ///   - name: of the layer.
  ///   - layer: as wide as it was, with zeros for what is gone.
  func divergence(_ name: String, _ layer: ModelWalk.Layer) throws -> Double {
    try probe.divergence(
      replacing: [name: layer.weight], biases: layer.bias.map { [name + ".bias": $0] } ?? [:])
  }
}
