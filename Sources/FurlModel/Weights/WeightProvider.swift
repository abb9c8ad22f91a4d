import FurlBase
package import FurlCheckpoint
package import FurlSpec
package import FurlTensor

/// Where a model's weights come from: a checkpoint or an artifact.
package protocol WeightProvider {
  var spec: ModelSpec { get }
  var defaultKeyValueFormat: KeyValueCache.CacheFormat { get }
  /// - Throws: ``FurlError`` that names the tensor.
  func matrix(_ tensor: TensorSpec, pool: WorkerPool) throws -> PackedMatrix
  /// - Throws: ``FurlError`` that names the tensor.
  func vector(_ tensor: TensorSpec) throws -> FloatVector
  /// Called when everything is loaded: gives the pages of files back that are not used as they lie.
  func dropPages()
}

extension Checkpoint: WeightProvider {
  package var defaultKeyValueFormat: KeyValueCache.CacheFormat { .float32 }

  package func matrix(_ tensor: TensorSpec, pool: WorkerPool) throws -> PackedMatrix {
    try matrix(tensor, scheme: .float32, pool: pool)
  }

  /// - Throws: ``FurlError`` that names the tensor.
  package func matrix(_ tensor: TensorSpec, scheme: Scheme, pool: WorkerPool) throws -> PackedMatrix {
    try naming(tensor) { try PackedMatrix.encode(source(tensor.name), scheme: scheme, pool: pool) }
  }

  package func vector(_ tensor: TensorSpec) throws -> FloatVector {
    try naming(tensor) { try FloatVector(source(tensor.name)) }
  }

  package func dropPages() { for file in weightFiles { file.drop(0..<file.count) } }

  private func naming<Result>(_ tensor: TensorSpec, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch var error as FurlError {
      error.place = error.place ?? tensor.name
      throw error
    }
  }
}
