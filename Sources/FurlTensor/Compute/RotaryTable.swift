import FurlBase
import CFurlKernels

/// Rotary positions (Su et al., "RoFormer", 2021): queries and keys are turned by angles that grow with the position.
///
/// Number i of the first half of a head's turned part goes with number i of its second half, as in GPT-NeoX and
/// Hugging Face's checkpoints. Angles are computed in double precision, once for each position that is reached;
/// memory is reserved for the whole context and touched as it is used. One owner at a time.
package final class RotaryTable: @unchecked Sendable {
  /// Positions that there may be.
  package let contextLength: Int
  private let frequencies: [Double]
  /// What turned numbers are multiplied with.
  private let factor: Double
  /// Positions whose angles are computed.
  private var computed = 0
  /// [position][cosines, sines][frequency]
  private let storage: ByteStorage

  /// - Parameters:
  ///   - frequencies: radians for each position; twice as many numbers of each head are turned.
  ///   - factor: what turned numbers are multiplied with.
  /// - Throws: ``FurlError`` of kind `unavailable` when so much memory cannot even be reserved.
  package init(frequencies: [Double], factor: Double = 1, contextLength: Int) throws {
    precondition(!frequencies.isEmpty && contextLength >= 0)
    let (bytes, overflow) = contextLength.multipliedReportingOverflow(by: 8 * frequencies.count)
    guard !overflow else {
      throw FurlError(.unavailable, "the angles of \(contextLength) positions do not fit in memory")
    }
    self.frequencies = frequencies
    self.factor = factor
    self.contextLength = contextLength
    storage = try ByteStorage(zeroed: bytes)
  }

  /// Numbers of each head that are turned, from the first on.
  package var dimensions: Int { 2 * frequencies.count }

  private func row(_ position: Int) -> UnsafeMutablePointer<Float> {
    storage.base.assumingMemoryBound(to: Float.self) + position * dimensions
  }

  /// Computes the angles of positions below `count` that are not known yet.
  private func extend(to count: Int) {
    for position in computed..<max(computed, count) {
      let cosines = row(position)
      for (index, frequency) in frequencies.enumerated() {
        let (cosine, sine) = Elementary.cosineAndSine(Double(position) * frequency)
        cosines[index] = Float(factor * cosine)
        cosines[frequencies.count + index] = Float(factor * sine)
      }
    }
    computed = max(computed, count)
  }

  /// Turns the heads of the first rows of queries and, where there are any, keys, in place.
  ///
  /// - Parameters:
  ///   - query: [rows][heads * headSize].
  ///   - key: [rows][kvHeads * headSize].
  ///   - positions: [rows].
  package func rotate(
    query: Activations, key: Activations?, headSize: Int, positions: [Int], on context: ComputeContext
  ) {
    precondition(headSize >= dimensions && query.columns % headSize == 0 && (key?.columns ?? 0) % headSize == 0)
    precondition(positions.count <= min(query.capacity, key?.capacity ?? query.capacity))
    precondition(positions.allSatisfy { (0..<contextLength).contains($0) })
    if let last = positions.max() { extend(to: last + 1) }
    let half = frequencies.count
    context.forEachRow(positions.count) { index in
      let cosines = UnsafePointer(row(positions[index]))
      func turn(_ states: Activations) {
        let start = states.values + index * states.stride
        for head in stride(from: 0, to: states.columns, by: headSize) {
          context.kernels.table.rotate(start + head, half, cosines, cosines + half)
        }
      }
      turn(query)
      if let key { turn(key) }
    }
  }
}
