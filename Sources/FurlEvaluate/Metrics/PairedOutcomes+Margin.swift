/// What a sample can show, and how large it would have to be.
extension PairedOutcomes {
  /// The largest fall that these results leave possible at a confidence: a `max_drop` below it cannot be shown.
  package func shownMargin(confidence: Double) -> Double { max(0, -lowerLimit(confidence: confidence)) }

  /// How many problems would show that no more than `margin` was lost, if as large a share of them changed, and as
  /// many for the better as for the worse; nil when no number would, for a margin of 0.
  ///
  /// Tango's statistic grows with the square root of the count, so its bound on the count has a closed form.
  package static func problemsNeeded(margin: Double, flips: Double, confidence: Double) -> Int? {
    guard margin > 0 else { return nil }
    let z = Normal.quantile(confidence)
    let linear = flips + 2 * margin
    let constant = flips / 2 * margin * (margin + 1)
    let share = (linear + max(0, linear * linear - 8 * constant).squareRoot()) / 4
    let variance = max(0, 2 * share - margin - margin * margin)
    // The limit has to lie beyond the margin, not on it.
    let count = (z * z * variance / (margin * margin)).rounded(.down) + 1
    return count < 1e15 ? Int(count) : nil
  }
}
