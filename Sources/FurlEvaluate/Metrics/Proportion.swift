/// How many of a number of problems were solved.
package struct Proportion: Sendable, Hashable {
  package var successes: Int
  package var count: Int

  /// - Precondition: 0 <= successes <= count, count > 0.
  package init(successes: Int, count: Int) {
    precondition(count > 0 && (0...count).contains(successes))
    self.successes = successes
    self.count = count
  }

  /// From 0 to 1.
  package var value: Double { Double(successes) / Double(count) }

  /// Whether the share is at least a bound that was written in decimal.
  ///
  /// Both sides are the doubles nearest to their exact values, so a share that equals the bound compares as
  /// equal: 7 of 100 holds 0.07, although 0.07 * 100 is more than 7 in floating point.
  package func isAtLeast(_ bound: Double) -> Bool { value >= bound }

  /// Wilson's score interval (1927), within 0 to 1.
  package func interval(confidence: Double = 0.95) -> ClosedRange<Double> {
    let z = Normal.quantile(0.5 + confidence / 2)
    let n = Double(count)
    let p = value
    let center = p + z * z / (2 * n)
    let margin = z * ((p * (1 - p) + z * z / (4 * n)) / n).squareRoot()
    let scale = 1 + z * z / n
    // Rounding must not push the interval off the ends, which it touches exactly.
    let low = successes == 0 ? 0 : max(0, (center - margin) / scale)
    let high = successes == count ? 1 : min(1, (center + margin) / scale)
    return low...high
  }
}
