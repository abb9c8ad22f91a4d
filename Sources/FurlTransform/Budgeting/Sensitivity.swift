import FurlBase
import FurlSpec
import FurlTensor

/// How far the model's predictions move when one tensor is written down in fewer bits, and what that saves.
struct Sensitivity: Sendable {
  /// One form of the tensor, as it was measured.
  struct Point: Sendable {
    let choice: Plan.PlannedChoice
    /// Bytes of its streams in the file, in the layout's order.
    let stored: [Int]
    /// Bytes in memory.
    let memory: Int
    /// Nats.
    let divergence: Double

    /// Bits of a weight in the file, scales included.
    func bits(_ weights: Int) -> Double { 8 * Double(stored.reduce(0, +)) / Double(weights) }
  }

  let name: String
  let weights: Int
  /// Of more and more bits.
  let points: [Point]

  /// One of the forms that a budget chooses from; those with coded bits lie between measured ones.
  struct Form: Sendable {
    let choice: Plan.PlannedChoice
    let stored: [Int]
    let memory: Int
    let divergence: Double
  }

  /// Bits between two forms with a step for the entropy coder.
  private static let grain = 1.0 / 64

  var forms: [Form] {
    let measured = points.map {
      Form(choice: $0.choice, stored: $0.stored, memory: $0.memory, divergence: $0.divergence)
    }
    let coded = points.filter { $0.choice.method.codedBits != nil }
    guard coded.count > 1 else { return measured }
    return measured.filter { $0.choice.method.codedBits == nil }
      + zip(coded, coded.dropFirst()).flatMap { Sensitivity.between($0, $1, weights) } + [measured[coded.count - 1]]
  }

  /// Forms from one point to the next one, without it: KL divergence falls as a power of two of the bits.
  private static func between(_ low: Point, _ high: Point, _ weights: Int) -> [Form] {
    guard let first = low.choice.method.codedBits, let last = high.choice.method.codedBits, first < last else {
      return []
    }
    let floor = 1e-12
    let (from, to) = (
      Elementary.log(max(low.divergence, floor)), Elementary.log(max(min(high.divergence, low.divergence), floor))
    )
    let steps = max(1, Int(((last - first) / grain).rounded()))
    return (0..<steps).map { step in
      let share = Double(step) / Double(steps)
      let bits = first + share * (last - first)
      var stored = low.stored
      stored[0] = Int((bits * Double(weights) / 8).rounded())
      return Form(
        choice: .init(scheme: low.choice.scheme, method: low.choice.method.coded(bits)), stored: stored,
        memory: low.memory, divergence: Elementary.exp(from + share * (to - from)))
    }
  }

  /// What an artifact says: the forms that were measured.
  var json: JSON {
    .array(
      points.map {
        [
          "scheme": .string($0.choice.scheme.name), "bits": .number(Sensitivity.rounded($0.bits(weights))),
          "kl_divergence": .number(Sensitivity.rounded($0.divergence)),
        ]
      })
  }

  /// To five significant digits, which say all that was measured.
  static func rounded(_ value: Double) -> Double {
    guard value != 0, value.isFinite else { return value }
    let unit = Elementary.pow(10, 4 - (Elementary.log(abs(value)) / Elementary.log(10)).rounded(.down))
    return (value * unit).rounded() / unit
  }
}
