import FurlBase
import FurlTensor

/// Cosines and sines of rotary positions, and the sines the other way round for turning back: what is turned is multiplied
/// with a factor either way, as gradients are.
package final class RotaryAngles: @unchecked Sendable {
  /// Positions.
  package let count: Int
  /// Pairs of numbers that are turned.
  package let half: Int
  /// [position][cosines, sines, -sines][half]
  private let numbers: Matrix

  /// - Parameters:
  ///   - frequencies: radians for each position.
  ///   - factor: what turned numbers are multiplied with.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package init(frequencies: [Double], factor: Double = 1, count: Int) throws {
    self.count = count
    half = frequencies.count
    numbers = try Matrix(rows: count, columns: 3 * half)
    for position in 0..<count {
      let angles = frequencies.map { Elementary.cosineAndSine(Double(position) * $0) }
      numbers[position] =
        angles.map { Float(factor * $0.cosine) } + angles.map { Float(factor * $0.sine) }
        + angles.map { Float(factor * -$0.sine) }
    }
  }

  func row(_ position: Int) -> UnsafePointer<Float> { UnsafePointer(numbers.numbers + position * 3 * half) }
}
