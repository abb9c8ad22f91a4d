import FurlBase
import FurlTensor
import CFurlKernels

/// AdamW: means of gradients and of their squares, and weight decay apart from them (Loshchilov and Hutter 2019).
package final class AdamW: @unchecked Sendable {
  private let settings: AdamWSettings
  /// As many numbers as there are weights.
  package let first: Matrix
  package let second: Matrix
  /// Steps that were made.
  package var steps = 0

  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package init(count: Int, settings: AdamWSettings = AdamWSettings()) throws {
    self.settings = settings
    first = try Matrix(rows: 1, columns: count)
    second = try Matrix(rows: 1, columns: count)
  }

  /// Makes a step.
  ///
  /// - Parameters:
  ///   - gradientScale: what gradients are multiplied with.
  ///   - parts: the weights that are changed.
  package func step(
    _ weights: Matrix, _ gradients: Matrix, gradientScale: Float, rate: Float, parts: [DecayedRange],
    with math: DenseMath
  ) {
    precondition(weights.count == first.count && gradients.count == first.count)
    steps += 1
    let firstCorrection = 1 - Elementary.pow(Double(settings.firstDecay), Double(steps))
    let secondCorrection = 1 - Elementary.pow(Double(settings.secondDecay), Double(steps))
    let kernel = math.table.adam
    for part in parts {
      let step = furl_adam(
        gradient_scale: gradientScale, first_decay: settings.firstDecay, second_decay: settings.secondDecay,
        second_correction: Float(1 / secondCorrection), epsilon: settings.epsilon,
        rate: Float(Double(rate) / firstCorrection), weight_decay: rate * part.decay)
      let base = part.range.lowerBound
      math.forEachPiece(part.range.count, of: 1 << 15) { range in
        let start = base + range.lowerBound
        withUnsafePointer(to: step) {
          kernel(
            $0, range.count, gradients.numbers + start, weights.numbers + start, first.numbers + start,
            second.numbers + start)
        }
      }
    }
  }
}

/// How ``AdamW`` weighs gradients, and what it takes off weights.
package struct AdamWSettings: Sendable, Hashable {
  /// How much of the mean of gradients is kept at each step, and of the mean of their squares.
  package var firstDecay: Float = 0.9
  package var secondDecay: Float = 0.95
  package var epsilon: Float = 1e-8

  package init() {}
}

/// Some weights that lie together.
package struct DecayedRange: Sendable {
  package let range: Range<Int>
  /// The share of each weight that goes, times the rate.
  package let decay: Float

  package init(range: Range<Int>, decay: Float) {
    self.range = range
    self.decay = decay
  }
}
