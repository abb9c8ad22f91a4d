import FurlTensor

/// The percentile bootstrap of a mean (Efron and Tibshirani, "An introduction to the bootstrap", 1993).
///
/// The draws are seeded, so the same values give the same limits on every machine.
public struct Bootstrap: Sendable, Hashable {
  /// The means of the resamples, in ascending order.
  private let means: [Double]

  /// Resamples values, which for a paired comparison are the differences of each problem.
  ///
  /// - Precondition: there is at least one value.
  public init(of values: [Double], resamples: Int = 10_000, seed: UInt64 = 0) {
    precondition(!values.isEmpty && resamples > 0)
    var generator = SplitMix64(seed: seed)
    let count = UInt64(values.count)
    means = (0..<resamples).map { _ in
      var sum = 0.0
      for _ in 0..<values.count {
        sum += values[Int(generator.next().multipliedFullWidth(by: count).high)]
      }
      return sum / Double(values.count)
    }.sorted()
  }

  /// The value below which a share of the resamples' means lies, with linear interpolation between ranks.
  public func quantile(_ share: Double) -> Double {
    let rank = min(max(share, 0), 1) * Double(means.count - 1)
    let below = Int(rank)
    guard below + 1 < means.count else { return means[means.count - 1] }
    let part = rank - Double(below)
    // Equal neighbours stay exact.
    return means[below] + (means[below + 1] - means[below]) * part
  }

  /// The two-sided interval of the mean.
  public func interval(confidence: Double = 0.95) -> ClosedRange<Double> {
    quantile(0.5 - confidence / 2)...quantile(0.5 + confidence / 2)
  }
}
