package import FurlBase
import FurlCheckpoint
package import FurlModel
package import FurlSpec
package import FurlTensor
import Synchronization

/// How many numbers a model has, and how many of them are not zero.
package struct ParameterCount: Sendable, Hashable {
  package let total: Int
  package let nonzero: Int
  package let embedding: Int
  /// What a token goes through: all but the experts that are not chosen for it.
  package let active: Int

  /// Reads every weight, tensor by tensor.
  package init(_ file: ModelFile, pool: WorkerPool) throws {
    total = file.spec.parameterCount
    embedding = file.spec.embeddingParameterCount
    active = file.spec.activeParameterCount
    nonzero = try file.spec.tensors.reduce(0) { sum, tensor in
      sum + (try TensorValues(file, tensor, pool: pool).countNonzero(pool: pool))
    }
  }

  package var json: JSON {
    [
      "total": .integer(total), "nonzero": .integer(nonzero), "embedding": .integer(embedding),
      "active": .integer(active),
    ]
  }
}

/// The numbers of one tensor, whatever it is stored as, row by row in FP32.
package struct TensorValues: Sendable {
  private enum ValueSource: Sendable {
    case stored(WeightSource)
    case packed(PackedMatrix)
    case vector(FloatVector)
  }

  package let rows: Int
  package let columns: Int
  private let source: ValueSource

  package init(_ file: ModelFile, _ tensor: TensorSpec, pool: WorkerPool) throws {
    switch file {
    case .checkpoint(let checkpoint): source = .stored(try checkpoint.source(tensor.name))
    case .artifact(let weights):
      source =
        tensor.shape.count == 2
        ? .packed(try weights.matrix(tensor, pool: pool)) : .vector(try weights.vector(tensor))
    }
    rows = tensor.shape.count == 2 ? tensor.shape[0] : 1
    columns = tensor.shape[tensor.shape.count - 1]
  }

  /// Some rows, [range.count][columns].
  package func read(_ range: Range<Int>) -> [Float] {
    switch source {
    case .stored(let source): source.read(rows: range)
    case .packed(let matrix): range.flatMap { matrix.row($0) }
    case .vector(let vector): vector.values
    }
  }

  private static let rowsAtOnce = 64

  /// Calls `body` with pieces of a few rows, on all threads.
  func forEachPiece(pool: WorkerPool, _ body: (Range<Int>, [Float]) -> Void) {
    let pieces = (rows + TensorValues.rowsAtOnce - 1) / TensorValues.rowsAtOnce
    pool.forEach(pieces) { piece in
      let range = piece * TensorValues.rowsAtOnce..<min((piece + 1) * TensorValues.rowsAtOnce, rows)
      body(range, read(range))
    }
    if case .stored(let source) = source { source.drop() }
  }

  /// Numbers that are not zero.
  package func countNonzero(pool: WorkerPool) -> Int {
    let sum = Atomic<Int>(0)
    forEachPiece(pool: pool) { _, values in
      let count = values.reduce(0) { $0 + ($1 == 0 ? 0 : 1) }
      sum.add(count, ordering: .relaxed)
    }
    return sum.load(ordering: .relaxed)
  }

  /// The digest of the numbers as little-endian FP32, row by row.
  package func digest() -> Digest {
    var hasher = Digest.Hasher()
    for start in stride(from: 0, to: rows, by: TensorValues.rowsAtOnce) {
      let values = read(start..<min(start + TensorValues.rowsAtOnce, rows))
      hasher.update(
        values.flatMap { value in
          let bits = value.bitPattern
          return [
            UInt8(truncatingIfNeeded: bits), UInt8(truncatingIfNeeded: bits >> 8),
            UInt8(truncatingIfNeeded: bits >> 16), UInt8(truncatingIfNeeded: bits >> 24),
          ]
        })
    }
    return hasher.finish()
  }
}
