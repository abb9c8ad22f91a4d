package import FurlEvaluate
import FurlBase
import FurlSpec

/// An evaluation in a few lines for people.
package enum QualityText {
  package static func lines(_ report: EvaluationReport) -> [String] {
    let unit = report.suite.kind.type.headline.unit
    let interval =
      report.interval95.map { " (95 %: \(unit.text($0.lowerBound)) to \(unit.text($0.upperBound)))" } ?? ""
    var lines = report.results.found.lines(name: report.suite.name, interval: interval, report.protocol)
    lines += report.notes.map { "  note: \($0)" }
    if let limit = report.limit { lines.append("  only the first \(limit) problems were put") }
    lines.append("  in \(Figures.significant(report.seconds)) s" + (report.sandbox.map { ", sandbox: \($0)" } ?? ""))
    return lines
  }
}
