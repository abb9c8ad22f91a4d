import FurlEvaluate

/// What `verify` found, for people.
public enum GateText {
  public static func lines(_ report: GateReport) -> [String] {
    var table = TextTable(
      ["gate", "bound", "value", "95 %", "regressions", "fixes", "verdict"], leftAligned: [0, 1, 6])
    for check in report.checks {
      table.add([
        "\(check.suite) \(check.metric.rawValue)", "\(check.bound)", Figures.percent(check.value),
        "\(Figures.percent(check.interval95.lowerBound)) to \(Figures.percent(check.interval95.upperBound))",
        check.comparison.map { "\($0.regressed.count)" } ?? "", check.comparison.map { "\($0.fixed.count)" } ?? "",
        check.verdict.rawValue,
      ])
    }
    return [table.text]
      + report.checks.filter { $0.verdict != .pass }.map { "\($0.suite) \($0.metric.rawValue): \($0.reason)" }
      + ["\(report.artifact): \(report.verdict.rawValue) (gates of \(report.gatesFrom))"]
  }
}
