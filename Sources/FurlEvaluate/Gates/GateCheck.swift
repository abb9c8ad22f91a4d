package import FurlSpec

/// One bound of a gate, held against what was measured.
package struct GateCheck: Sendable, Hashable {
  /// What was demanded.
  package enum Bound: Sendable, Hashable {
    /// At least this, on this fixed set of problems.
    case min(Double)
    /// At most this much below the baseline, by a one-sided limit.
    case maxDrop(Double, confidence: Double)
    /// At most this: on this fixed set, or by a one-sided limit.
    case max(Double, confidence: Double?)
    /// At most this part above the baseline, by a one-sided limit.
    case maxRise(Double, confidence: Double)
  }

  /// The paired comparison with a baseline.
  package struct MeasuredComparison: Sendable, Hashable {
    /// The baseline's value.
    package var baseline: Double
    /// The candidate's value less the baseline's; of a perplexity, the part that it lies above.
    package var difference: Double
    /// The two-sided 95 % interval of the difference; nil where not every problem was put.
    package var interval95: ClosedRange<Double>?
    /// Newcombe's, for shares.
    package var newcombe95: ClosedRange<Double>?
    /// The one-sided limits at the gate's confidence.
    package var lowerLimit: Double
    package var upperLimit: Double
    /// Problems that became worse and better, in the suite's order; none for a text.
    package var regressed: [ProblemID] = []
    package var fixed: [ProblemID] = []
    /// McNemar's exact two-sided p-value; nil for a figure that is no share.
    package var p: Double?
    /// The p-value of "the bound is broken": small when the data show that it holds.
    package var pBroken: Double
    /// The p-value of "the bound holds": small when the data show that it is broken.
    package var pHolds: Double
    /// ``pHolds`` by Holm's correction for all gates that compare.
    package var pHoldsCorrected: Double
    /// The smallest margin that this sample could have shown.
    package var shownMargin: Double
    /// How many problems would show the demanded one with as many changes, evened out; nil when it cannot be said.
    package var problemsNeeded: Int?
    /// How many problems were compared.
    package var count: Int
    /// The share of problems that changed.
    package var flips: Double { Double(regressed.count + fixed.count) / Double(count) }
  }

  /// What is known of a figure when not every problem was put.
  package struct Partial: Sendable, Hashable {
    /// Problems that the verdict rests on, and all.
    package var put: Int
    package var count: Int
    /// What the value comes to when the others are all wrong, and when they are all right; nil when none was put.
    package var range: ClosedRange<Double>?
  }

  /// Empty for a figure that needs no suite.
  package var suite: String
  package var metric: Gate.Metric
  package var bound: Bound
  /// The candidate's value. Where the verdict was settled early it is the end of ``Partial/range`` that the verdict
  /// rests on: at most this much when it fails, at least this much when it passes. Not a number where nothing was put.
  package var value: Double
  /// The 95 % interval of the value for problems like these; nil for a figure that has none, and where the verdict was
  /// settled before every problem was put.
  package var interval95: ClosedRange<Double>?
  package var comparison: MeasuredComparison?
  /// Nil when every problem was put.
  package var partial: Partial?
  package var verdict: Verdict
  /// Why, as a sentence.
  package var reason: String
  /// Whether the gate says that a bound which lets nearly everything through is meant.
  package var isLoose = false
}

extension GateCheck {
  /// The comparison problem by problem; nil for what is not of problems.
  package var paired: MeasuredComparison? { metric.figure?.isOfProblems == true ? comparison : nil }

  /// Four decimals, which is finer than any suite resolves.
  static func short(_ value: Double) -> String { "\((value * 10_000).rounded() / 10_000)" }
}

extension [GateCheck] {
  /// Takes back every failure that rests on a comparison which Holm's correction does not bear out.
  ///
  /// An artifact passes when all gates hold, each at its own confidence: that needs no correction, because all of them
  /// have to be shown (Berger, "Multiparameter hypothesis testing and acceptance sampling", 1982). It fails when one of
  /// them is broken, and with many gates one will seem so by chance.
  package func corrected() -> [GateCheck] {
    let places = indices.filter { self[$0].comparison != nil }
    var checks = self
    for (place, p) in zip(places, Holm.adjusted(places.map { self[$0].comparison?.pHolds ?? 1 })) {
      checks[place].comparison?.pHoldsCorrected = p
      guard checks[place].verdict == .fail, let level = checks[place].bound.level, p >= level else { continue }
      checks[place].verdict = .inconclusive
      checks[place].reason +=
        "; but among \(places.count) gates that compare this may be chance (Holm's p is \(GateCheck.short(p)))"
    }
    return checks
  }
}

extension GateCheck.Bound {
  /// The chance of error that a test against the baseline may have; nil for exact bounds.
  var level: Double? {
    switch self {
    case .min: nil
    case .max(_, let confidence): confidence.map { 1 - $0 }
    case .maxDrop(_, let confidence), .maxRise(_, let confidence): 1 - confidence
    }
  }
}
