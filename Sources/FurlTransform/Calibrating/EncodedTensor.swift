import FurlArtifact
import FurlBase
import FurlSpec
import FurlTensor

/// A tensor as it goes into the file.
enum EncodedTensor {
  case vector(FloatVector)
  case matrix(PackedMatrix)

  var matrix: PackedMatrix? { if case .matrix(let matrix) = self { matrix } else { nil } }

  /// Columns that are kept apart may be fewer than planned.
  func layout(of tensor: Plan.PlannedTensor) -> PackedLayout { matrix?.layout ?? tensor.layout }
}

extension ArtifactWriter {
  func append(
    _ encoded: EncodedTensor, of tensor: Plan.PlannedTensor, parallelFor: (Int, (Int) -> Void) -> Void
  ) throws {
    let streams: [ByteStorage] =
      switch encoded {
      case .vector(let vector): [vector.storage]
      case .matrix(let matrix): matrix.streams
      }
    let layout = encoded.layout(of: tensor)
    try append(
      name: tensor.spec.name, role: tensor.spec.role.rawValue, shape: tensor.spec.shape, scheme: layout.scheme,
      streams: Dictionary(uniqueKeysWithValues: zip(layout.streams.map(\.kind), streams)), parallelFor: parallelFor)
  }
}
