package import FurlArtifact
import FurlBase
package import FurlSpec
package import FurlTensor

/// An artifact whose tensors are those of its specification.
package struct ArtifactWeights: WeightProvider, Sendable {
  package let artifact: Artifact
  package let spec: ModelSpec
  private let decoded: DecodedStreams?

  /// - Throws: ``FurlError`` of kind `input` when a tensor is missing, extra or of another shape, so that nothing
  ///   can be wrong any more when weights are loaded.
  package init(_ artifact: Artifact) throws {
    self.artifact = artifact
    decoded = nil
    spec = try ModelSpec(
      artifact.description.spec, architecture: artifact.description.architecture, file: artifact.path)
    guard spec.formVersion <= artifact.formatVersion else {
      throw FurlError.input(
        artifact.path, "spec", "is of a later form than the file", remedy: "compress again")
    }
    let expected = spec.tensors
    for tensor in expected {
      guard let found = artifact.tensor(named: tensor.name) else {
        throw FurlError.input(artifact.path, tensor.name, "is missing")
      }
      let role = tensor.role
      guard found.shape == tensor.shape, [role.rawValue, role.formerName].contains(found.role) else {
        throw FurlError.input(
          artifact.path, tensor.name,
          "is a \(found.role) of shape \(found.shape); the model needs a \(tensor.role.rawValue) of \(tensor.shape)")
      }
    }
    guard artifact.tensors.count == expected.count else {
      throw FurlError.input(artifact.path, "has tensors that its model does not know")
    }
  }

  private init(_ other: ArtifactWeights, decoded: DecodedStreams) {
    (artifact, spec, self.decoded) = (other.artifact, other.spec, decoded)
  }

  /// The same with everything decoded, for somebody who is going to keep all tensors.
  ///
  /// - Parameter other: a job that has nothing to do with it and that one of the threads does beside.
  /// - Throws: ``FurlError`` that names the tensor, or of kind `unavailable` when there is no memory.
  func decoding(beside other: (@Sendable () -> Void)? = nil, pool: WorkerPool) throws -> ArtifactWeights {
    ArtifactWeights(self, decoded: try artifact.decodeAll(beside: other, parallelFor: pool.forEachAsTaken))
  }

  package var defaultKeyValueFormat: KeyValueCache.CacheFormat { .float16 }

  package func matrix(_ tensor: TensorSpec, pool: WorkerPool) throws -> PackedMatrix {
    let (found, streams) = try load(tensor, pool: pool)
    do {
      return try PackedMatrix(layout: found.layout, streams: streams)
    } catch var error as FurlError {
      (error.file, error.place) = (error.file ?? artifact.path, error.place ?? tensor.name)
      throw error
    }
  }

  package func vector(_ tensor: TensorSpec) throws -> FloatVector {
    let (_, streams) = try load(tensor, pool: nil)
    return try FloatVector(count: tensor.shape[0], storage: streams[0])
  }

  package func dropPages() { if artifact.storage == .compact { artifact.dropPages() } }

  private func load(_ tensor: TensorSpec, pool: WorkerPool?) throws -> (ArtifactTensor, [ByteStorage]) {
    guard let found = artifact.tensor(named: tensor.name) else {
      throw FurlError.input(artifact.path, tensor.name, "is missing")
    }
    let streams = try artifact.load(found, decoded: decoded, parallelFor: pool.map { $0.forEach } ?? serialFor)
    return (found, found.layout.streams.compactMap { streams[$0.kind] })
  }
}
