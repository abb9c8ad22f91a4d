import FurlBase
import FurlTensor

/// Cosines and sines of rotary positions, and the sines the other way round for turning back.
public final class RotaryAngles: @unchecked Sendable {
  /// Positions.
  public let count: Int
  /// Pairs of numbers that are turned.
  public let half: Int
  /// [position][cosines, sines, -sines][half]
  private let numbers: Matrix

  /// - Parameter frequencies: radians for each position.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  public init(frequencies: [Double], count: Int) throws {
    self.count = count
    half = frequencies.count
    numbers = try Matrix(rows: count, columns: 3 * half)
    for position in 0..<count {
      let angles = frequencies.map { Elementary.cosineAndSine(Double(position) * $0) }
      numbers[position] =
        angles.map { Float($0.cosine) } + angles.map { Float($0.sine) } + angles.map { Float(-$0.sine) }
    }
  }

  func row(_ position: Int) -> UnsafePointer<Float> { UnsafePointer(numbers.numbers + position * 3 * half) }
}
