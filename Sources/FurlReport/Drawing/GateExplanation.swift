import FurlBase
package import FurlEvaluate
import FurlSpec

/// How each verdict came about, step by step, for whoever has to defend it.
package enum GateExplanation {
  package static func lines(_ report: GateReport) -> [String] {
    var lines: [String] = []
    for check in report.checks {
      lines.append("\(GateText.title(check)), \(check.bound): \(check.verdict.rawValue)")
      lines += steps(check).map { "  " + $0 }
      lines.append("")
    }
    let comparisons = report.checks.count { $0.comparison != nil }
    if comparisons > 1 {
      lines.append(
        "\(comparisons) gates compare with the baseline: all of them have to be shown for a pass, so none is corrected; "
          + "a failure is corrected for their number (Holm).")
    }
    let rule = "The gravest verdict counts: fail, then inconclusive, then not put, then pass."
    return lines + GateText.notes(report) + GateText.saved(report) + [rule, GateText.verdict(report)]
  }

  private static func steps(_ check: GateCheck) -> [String] {
    var steps: [String] = []
    if let partial = check.partial {
      guard let range = partial.range else { return [check.reason] }
      steps.append(
        "after \(partial.put) of \(partial.count) problems the value is to end between "
          + "\(GateText.figure(range.lowerBound, check.metric)) and "
          + "\(GateText.figure(range.upperBound, check.metric)), whatever the others give")
    } else {
      let interval = check.interval95.map { interval in
        let ends = [interval.lowerBound, interval.upperBound].map { GateText.figure($0, check.metric) }
        return ", 95 % interval \(ends[0]) to \(ends[1])"
      }
      steps.append("value \(GateText.figure(check.value, check.metric))\(interval ?? "")")
    }
    if let comparison = check.comparison { steps += self.steps(check, comparison) }
    switch check.bound {
    case .min, .max(_, nil): steps.append("the bound is exact on this fixed set, so no statistics enter")
    case .max(_, _?), .maxDrop, .maxRise: break
    }
    if check.isLoose { steps.append("the gate says loose: a bound that lets nearly everything through is meant") }
    return steps + [check.reason]
  }

  private static func steps(_ check: GateCheck, _ comparison: GateCheck.MeasuredComparison) -> [String] {
    var steps: [String] = []
    let baseline = GateText.figure(comparison.baseline, check.metric)
    let known = check.partial == nil ? "" : " so far"
    if check.paired != nil {
      steps.append(
        "baseline \(baseline); \(comparison.regressed.count) regressions and \(comparison.fixed.count) fixes\(known) "
          + "among \(comparison.count) problems: flips \(Figures.percent(comparison.flips))")
    } else if check.metric.figure?.needsBaseline == false {
      steps.append("baseline \(baseline), over \(comparison.count) windows that both models read")
    } else {
      steps.append("over \(comparison.count) windows that both models read in lockstep")
    }
    if let interval = comparison.interval95 {
      var difference =
        "difference \(signed(comparison.difference)), 95 % interval \(signed(interval.lowerBound)) to "
        + signed(interval.upperBound)
      difference += comparison.newcombe95 == nil ? " (bootstrap)" : " (Tango)"
      if let newcombe = comparison.newcombe95 {
        difference += ", \(signed(newcombe.lowerBound)) to \(signed(newcombe.upperBound)) (Newcombe)"
      }
      steps.append(difference)
    }
    steps.append(
      "one-sided limits \(signed(comparison.lowerLimit)) and \(signed(comparison.upperLimit)); p-value of a broken "
        + "bound \(short(comparison.pBroken)), of one that holds \(short(comparison.pHolds)) "
        + "(Holm: \(short(comparison.pHoldsCorrected)))")
    if let p = comparison.p { steps.append("McNemar's exact p of no change at all: \(short(p))") }
    if case .maxDrop = check.bound, check.partial == nil {
      let needed = comparison.problemsNeeded.map {
        "; with as many changes, evened out, \($0) problems show the demanded margin"
      }
      steps.append("this sample shows a drop of at most \(Figures.percent(comparison.shownMargin))\(needed ?? "")")
    }
    return steps
  }

  private static func signed(_ value: Double) -> String {
    (value > 0 ? "+" : "") + "\((value * 100_000).rounded() / 100_000)"
  }

  private static func short(_ p: Double) -> String { Figures.significant(p) }
}
