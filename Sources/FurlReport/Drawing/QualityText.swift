import FurlBase
import FurlEvaluate
import FurlSpec

/// An evaluation in a few lines for people.
public enum QualityText {
  public static func lines(_ report: EvaluationReport) -> [String] {
    let interval =
      report.interval95.map { range in
        report.suite.kind == .text
          ? " (95 %: \(Figures.significant(range.lowerBound)) to \(Figures.significant(range.upperBound)))"
          : " (95 %: \(Figures.percent(range.lowerBound)) to \(Figures.percent(range.upperBound)))"
      } ?? ""
    var lines: [String] = []
    switch report.results {
    case .programs(let items):
      let passed = items.count { $0.passed }
      lines.append(
        "\(report.suite.name)  pass@1 \(report.passAt(1).map { Figures.percent($0) } ?? "-"), \(passed) of \(items.count)\(interval)"
      )
      if let base = report.basePassAt1, report.protocol.tests == .plus {
        lines.append("  by the base inputs alone \(Figures.percent(base.value)), \(base.successes) of \(base.count)")
      }
      if report.protocol.draws > 1 {
        let figures = report.passCounts.map { "pass@\($0) \(report.passAt($0).map { Figures.percent($0) } ?? "-")" }
        lines[0] =
          "\(report.suite.name)  \(figures.joined(separator: ", "))\(interval), "
          + "\(items.count) problems with \(report.protocol.draws) completions each"
      }
      let counts = Outcome.allCases.map { outcome in (outcome, items.count { $0.outcome == outcome }) }
      lines.append("  " + counts.filter { $0.1 > 0 }.map { "\($0.0.rawValue) \($0.1)" }.joined(separator: ", "))
      let cut = items.count { $0.stopReason == "length" }
      if cut > 0 { lines.append("  \(cut) completions were cut off at the token limit") }
    case .lines(let items):
      lines.append(
        "\(report.suite.name)  exact match \(report.exactMatch.map { Figures.percent($0.value) } ?? "-")\(interval), "
          + "edit similarity \(report.editSimilarity.map { Figures.percent($0) } ?? "-"), \(items.count) lines")
    case .text(let figures):
      var text = "\(report.suite.name)  perplexity \(Figures.significant(figures.perplexity))\(interval)"
      if let bits = figures.bitsPerByte { text += ", \(Figures.significant(bits)) bits per byte" }
      if let divergence = figures.klDivergence { text += ", KL divergence \(Figures.significant(divergence)) nats" }
      lines.append(text + ", \(figures.tokens) tokens scored")
      if let comparison = figures.comparison { lines += self.lines(comparison) }
    }
    lines += report.notes.map { "  note: \($0)" }
    if let limit = report.limit { lines.append("  only the first \(limit) problems were put") }
    lines.append("  in \(Figures.significant(report.seconds)) s" + (report.sandbox.map { ", sandbox: \($0)" } ?? ""))
    return lines
  }

  private static func lines(_ comparison: EvaluationReport.TextComparison) -> [String] {
    func range(_ interval: ClosedRange<Double>) -> String {
      "95 %: \(Figures.significant(interval.lowerBound)) to \(Figures.significant(interval.upperBound))"
    }
    func spread(_ values: EvaluationReport.Percentiles, _ names: [String]) -> String {
      names.map { "\($0): \(Figures.significant(values[$0] ?? .nan))" }.joined(separator: ", ")
    }
    return [
      "  perplexity \(Figures.significant(comparison.ratio)) times the baseline's "
        + "\(Figures.significant(comparison.baselinePerplexity)) (\(range(comparison.ratioInterval95)))",
      "  KL divergence \(range(comparison.divergenceInterval95)); percentiles "
        + spread(comparison.divergences, ["50", "95", "99", "99.9", "max"]),
      "  same likeliest token \(Figures.percent(comparison.sameTop.value, digits: 2)); the true token's probability "
        + "changed by \(Figures.percent(comparison.deltaMean, digits: 2)) on average, "
        + "\(Figures.percent(comparison.deltaRMS, digits: 2)) RMS",
    ]
  }
}
