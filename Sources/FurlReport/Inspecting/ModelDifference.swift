package import FurlBase
package import FurlModel
import FurlSpec
package import FurlTensor
import Synchronization

/// How two models differ, tensor by tensor.
package struct ModelDifference: Sendable {
  /// A tensor that both have in the same shape.
  package struct TensorDifference: Sendable {
    package let name: String
    /// The root of the summed squared differences over that of the summed squares of the first model.
    package let relativeError: Double
    package let largestDifference: Double

    package var isEqual: Bool { largestDifference == 0 }
  }

  package let tensors: [TensorDifference]
  /// Tensors that only the first model has, or that have another shape in the second.
  package let onlyInFirst: [String]
  package let onlyInSecond: [String]

  /// Decodes and compares every tensor.
  package init(_ first: ModelFile, _ second: ModelFile, pool: WorkerPool) throws {
    let others = Dictionary(uniqueKeysWithValues: second.spec.tensors.map { ($0.name, $0) })
    let common = first.spec.tensors.filter { others[$0.name]?.shape == $0.shape }
    let names = Set(common.map(\.name))
    onlyInFirst = first.spec.tensors.map(\.name).filter { !names.contains($0) }
    onlyInSecond = second.spec.tensors.map(\.name).filter { !names.contains($0) }
    tensors = try common.map { tensor in
      try ModelDifference.compare(
        tensor.name, TensorValues(first, tensor, pool: pool), TensorValues(second, tensor, pool: pool), pool: pool)
    }
  }

  package var isEqual: Bool { onlyInFirst.isEmpty && onlyInSecond.isEmpty && tensors.allSatisfy(\.isEqual) }

  /// 0 for equals, infinite where only one is a number: damage must not look like agreement.
  private static func difference(_ one: Float, _ other: Float) -> Double {
    if one == other || (one.isNaN && other.isNaN) { return 0 }
    let difference = Double(one) - Double(other)
    return difference.isNaN ? .infinity : difference
  }

  private static func compare(_ name: String, _ first: TensorValues, _ second: TensorValues, pool: WorkerPool)
    -> TensorDifference
  {
    // Pieces are added up in their order, so the figure does not depend on the threads.
    let pieces = Mutex<[Int: (squares: Double, total: Double, largest: Double)]>([:])
    first.forEachPiece(pool: pool) { range, values in
      var piece = (squares: 0.0, total: 0.0, largest: 0.0)
      for (one, other) in zip(values, second.read(range)) {
        let difference = ModelDifference.difference(one, other)
        piece.squares += difference * difference
        piece.total += Double(one) * Double(one)
        piece.largest = max(piece.largest, abs(difference))
      }
      pieces.withLock { [piece] in $0[range.lowerBound] = piece }
    }
    let all = pieces.withLock { $0.sorted { $0.key < $1.key }.map(\.value) }
    let squares = all.reduce(0) { $0 + $1.squares }
    let total = all.reduce(0) { $0 + $1.total }
    return TensorDifference(
      name: name, relativeError: total > 0 ? (squares / total).squareRoot() : squares > 0 ? .infinity : 0,
      largestDifference: all.reduce(0) { max($0, $1.largest) })
  }

  package var json: JSON {
    [
      "equal": .bool(isEqual), "only_in_first": .array(onlyInFirst.map(JSON.string)),
      "only_in_second": .array(onlyInSecond.map(JSON.string)),
      "tensors": .array(
        tensors.map {
          [
            "name": .string($0.name), "relative_error": .number($0.relativeError),
            "largest_difference": .number($0.largestDifference),
          ]
        }),
    ]
  }
}
