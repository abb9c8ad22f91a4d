import FurlBase
import CFurlKernels

/// An endless sequence of seeded, normally distributed numbers of which any part can be had at once, so that threads
/// share it out and its numbers do not depend on how they do.
///
/// Number i is half i % 2 of word i / 2 of a ``SplitMix64``, taken as a probability and put through the inverse of the
/// normal distribution function. That inverse is a table of 4096 straight lines, whose deviation is 1 within 0.1 % and
/// which ends at 4 deviations: what weights look like, at a nanosecond each.
package struct NormalNoise: Sendable {
  private let seed: UInt64
  private let knots: [Float]

  private static let pieces = 4096
  /// Where the outermost pieces end: the mean of what lies beyond 3.49 deviations is then what it should be.
  private static let end: Float = 4
  private static let table: [Float] = (0...pieces).map { index in
    switch index {
    case 0: -end
    case pieces: end
    default: Float(quantile(Double(index) / Double(pieces)))
    }
  }

  package init(seed: UInt64) {
    self.seed = seed
    knots = NormalNoise.table
  }

  /// A sequence of its own for a name.
  package init(seed: UInt64, name: String) {
    var draws = SplitMix64(seed: seed)
    var mixed = draws.next()
    for byte in name.utf8 {
      draws = SplitMix64(seed: mixed ^ UInt64(byte))
      mixed = draws.next()
    }
    self.init(seed: mixed)
  }

  /// The x below which a normal number lies with a probability, by Newton's method.
  static func quantile(_ probability: Double) -> Double {
    guard probability < 0.5 else { return probability == 0.5 ? 0 : -quantile(1 - probability) }
    var x = -1.0
    for _ in 0..<60 {
      let below = 0.5 * erfc(-x / 2.0.squareRoot())
      let density = exp(-x * x / 2) / (2 * Double.pi).squareRoot()
      // A step of at most 1 keeps to the side where the method converges.
      let step = min(1, max(-1, (below - probability) / density))
      x -= step
      if abs(step) < 1e-14 { break }
    }
    return x
  }

  /// Part of the sequence as it lies in a file: `mean + deviation * number`, rounded to a type.
  ///
  /// - Parameters:
  ///   - range: begins with an even number.
  ///   - type: a type without blocks.
  package func bytes(_ range: Range<Int>, mean: Float, deviation: Float, as type: SourceType) -> [UInt8] {
    precondition(range.lowerBound % 2 == 0 && range.lowerBound >= 0 && type.blockSize == 1)
    return [UInt8](unsafeUninitializedCapacity: type.byteCount(range.count)) { buffer, count in
      let output = UnsafeMutableRawPointer(buffer.baseAddress!)
      switch type {
      case .float32:
        fill(range, mean, deviation) {
          output.storeBytes(of: $1.bitPattern.littleEndian, toByteOffset: 4 * $0, as: UInt32.self)
        }
      case .float16:
        fill(range, mean, deviation) {
          output.storeBytes(of: furl_half_from_float($1).littleEndian, toByteOffset: 2 * $0, as: UInt16.self)
        }
      case .float64:
        fill(range, mean, deviation) {
          output.storeBytes(of: Double($1).bitPattern.littleEndian, toByteOffset: 8 * $0, as: UInt64.self)
        }
      default:
        fill(range, mean, deviation) {
          // To the nearest, ties to even; no number here is near infinity.
          let bits = $1.bitPattern
          let rounded = UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
          output.storeBytes(of: rounded.littleEndian, toByteOffset: 2 * $0, as: UInt16.self)
        }
      }
      count = type.byteCount(range.count)
    }
  }

  /// Calls `put(index, number)` for every number of a range, with indices from 0 on.
  @inline(__always)
  private func fill(_ range: Range<Int>, _ mean: Float, _ deviation: Float, _ put: (Int, Float) -> Void) {
    knots.withUnsafeBufferPointer { knots in
      func number(_ lane: UInt64) -> Float {
        let piece = Int(lane >> 20)
        let fraction = Float(Int32(truncatingIfNeeded: lane & 0xF_FFFF)) * 0x1p-20
        return mean + deviation * (knots[piece] + (knots[piece + 1] - knots[piece]) * fraction)
      }
      let first = UInt64(truncatingIfNeeded: range.lowerBound / 2)
      var draws = SplitMix64(seed: seed, skipping: first)
      for pair in 0..<range.count / 2 {
        let word = draws.next()
        put(2 * pair, number(word >> 32))
        put(2 * pair + 1, number(word & 0xFFFF_FFFF))
      }
      if range.count % 2 == 1 { put(range.count - 1, number(draws.next() >> 32)) }
    }
  }
}
