import FurlBase

/// The standard normal distribution.
package enum Normal {
  /// The probability of a value up to `z`.
  package static func probability(upTo z: Double) -> Double { 0.5 * erfc(-z / 2.0.squareRoot()) }

  /// The value that a share `p` of the distribution lies below, for 0 < p < 1.
  ///
  /// Newton's method from the logistic approximation; it converges to the precision of `erfc`.
  package static func quantile(_ p: Double) -> Double {
    guard p > 0 else { return -.infinity }
    guard p < 1 else { return .infinity }
    // The lower half keeps the digits of small tails.
    if p > 0.5 { return -quantile(1 - p) }
    var z = log(p / (1 - p)) / 1.702
    for _ in 0..<100 {
      let density = exp(-z * z / 2) / (2 * Double.pi).squareRoot()
      guard density > 0 else { break }
      let step = (probability(upTo: z) - p) / density
      // Far out in the tail a full step overshoots.
      z -= min(max(step, -1), 1)
      if abs(step) < 1e-14 * max(1, abs(z)) { break }
    }
    return z
  }
}
