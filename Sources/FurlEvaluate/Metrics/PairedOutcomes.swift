import FurlBase

/// How two models' results on the same problems differ.
package struct PairedOutcomes: Sendable, Hashable {
  /// Problems that the baseline solves and the candidate does not.
  package var regressions: Int
  /// Problems that the candidate solves and the baseline does not.
  package var fixes: Int
  /// All problems.
  package var count: Int

  /// - Precondition: none is negative, and the first two are at most `count` together.
  package init(regressions: Int, fixes: Int, count: Int) {
    precondition(regressions >= 0 && fixes >= 0 && count > 0 && regressions + fixes <= count)
    self.regressions = regressions
    self.fixes = fixes
    self.count = count
  }

  /// The candidate's share less the baseline's.
  package var difference: Double { Double(fixes - regressions) / Double(count) }

  /// The share of problems whose result changed either way (Dutta et al., "Accuracy is not all you need", 2024).
  package var flips: Double { Double(fixes + regressions) / Double(count) }

  // MARK: McNemar's test

  /// McNemar's exact two-sided p-value: the probability of a split at least this uneven when a change is as
  /// likely a fix as a regression.
  package var exactP: Double { min(1, 2 * tail(through: min(regressions, fixes))) }

  /// The mid-p version, in which the observed split counts half (Fagerland et al., 2013).
  package var midP: Double {
    guard regressions != fixes else { return changes == 0 ? 1 : 1 - split(regressions) }
    let fewer = min(regressions, fixes)
    return 2 * (tail(through: fewer) - split(fewer) / 2)
  }

  private var changes: Int { regressions + fixes }

  /// P(Binomial(changes, 1/2) = k).
  private func split(_ k: Int) -> Double {
    let n = Double(changes)
    let k = Double(k)
    return exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2))
  }

  private func tail(through k: Int) -> Double { (0...k).reduce(0) { $0 + split($1) } }

  // MARK: Tango's score limits

  /// The score statistic for the hypothesis that the true difference is `difference` (Tango, "Equivalence
  /// test and confidence interval for the difference in proportions for the paired-sample design", 1998).
  package func score(difference: Double) -> Double {
    let n = Double(count)
    let b = Double(regressions)
    let c = Double(fixes)
    let margin = -difference
    // The restricted maximum-likelihood share of regressions.
    let linear = -(b + c) - (2 * n - c + b) * margin
    let constant = b * margin * (margin + 1)
    let share = (-linear + max(0, linear * linear - 8 * n * constant).squareRoot()) / (4 * n)
    let variance = n * (2 * share - margin - margin * margin)
    let distance = c - b + n * margin
    guard variance > 1e-12 * n else {
      return distance == 0 ? 0 : distance > 0 ? .infinity : -.infinity
    }
    return distance / variance.squareRoot()
  }

  /// The lower limit of the true difference: with the given confidence it is not below it.
  package func lowerLimit(confidence: Double) -> Double {
    let z = Normal.quantile(confidence)
    var low = -1.0
    var high = difference
    // The statistic falls as the hypothesis rises, so bisection finds where it crosses z.
    for _ in 0..<100 {
      let middle = (low + high) / 2
      if score(difference: middle) > z { low = middle } else { high = middle }
    }
    return (low + high) / 2
  }

  /// The upper limit of the true difference: with the given confidence it is not above it.
  package func upperLimit(confidence: Double) -> Double {
    -PairedOutcomes(regressions: fixes, fixes: regressions, count: count).lowerLimit(confidence: confidence)
  }

  /// The two-sided interval of the true difference.
  package func interval(confidence: Double = 0.95) -> ClosedRange<Double> {
    let side = 0.5 + confidence / 2
    return lowerLimit(confidence: side)...upperLimit(confidence: side)
  }
}
