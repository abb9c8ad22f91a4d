extension PairedOutcomes {
  /// Newcombe's two-sided interval of the true difference ("Improved confidence intervals for the difference between
  /// binomial proportions based on paired data", 1998, method 10): Wilson's intervals of the two shares, put together
  /// with the correlation of the pairs.
  ///
  /// - Parameter baseline: how many problems the baseline solves.
  /// - Precondition: `baseline` is what the changes allow.
  package func newcombeInterval(baseline: Int, confidence: Double = 0.95) -> ClosedRange<Double> {
    precondition(baseline >= regressions && baseline + fixes <= count)
    let after = Proportion(successes: baseline - regressions + fixes, count: count)
    let before = Proportion(successes: baseline, count: count)
    let (new, old) = (after.interval(confidence: confidence), before.interval(confidence: confidence))
    let correlation = correlation(baseline: baseline)
    func distance(_ one: Double, _ other: Double) -> Double {
      max(0, one * one - 2 * correlation * one * other + other * other).squareRoot()
    }
    let down = distance(after.value - new.lowerBound, old.upperBound - before.value)
    let up = distance(new.upperBound - after.value, before.value - old.lowerBound)
    return max(-1, difference - down)...min(1, difference + up)
  }

  /// The correlation of the two results of a problem, with Newcombe's correction for continuity where it is positive.
  private func correlation(baseline: Int) -> Double {
    let both = Double(baseline - regressions)
    let (lost, gained) = (Double(regressions), Double(fixes))
    let neither = Double(count) - both - lost - gained
    let product = (both + lost) * (gained + neither) * (both + gained) * (lost + neither)
    guard product > 0 else { return 0 }
    var covariance = both * neither - lost * gained
    if covariance > 0 { covariance = max(0, covariance - Double(count) / 2) }
    return covariance / product.squareRoot()
  }
}
