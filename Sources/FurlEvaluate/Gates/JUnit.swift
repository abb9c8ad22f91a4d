import FurlBase
import FurlSpec

/// The form in which build servers read test results.
extension GateReport {
  /// One test suite with a test case for each bound: one that does not hold carries `failure`, one that is inconclusive or
  /// was not put `skipped`. What is known of a bound stands among the suite's properties, under the name of its case.
  package var junit: String {
    var properties = [
      ("gates_from", gatesFrom), ("verdict", verdict.rawValue),
    ]
    if let id = evidence.artifactID { properties.append(("artifact_id", id.hex)) }
    for report in evidence.reports {
      let words = [
        "sha256 \(report.suite.sha256.hex)", report.limit.map { "limit \($0)" }, report.sandbox.map { "sandbox \($0)" },
      ]
      let value = (words.compactMap { $0 } + report.overrides.map { "override \($0)" }).joined(separator: ", ")
      properties.append(("suite \(report.suite.name)", value))
    }
    for (index, note) in evidence.notes.enumerated() { properties.append(("note \(index + 1)", note)) }
    for check in checks {
      properties += self.properties(of: check).map { ("\(check.title): \($0.0)", $0.1) }
    }
    return JUnitDocument(
      name: "furl verify \(artifact)", seconds: evidence.reports.reduce(0) { $0 + $1.seconds },
      properties: properties.map { (name: $0.0, value: $0.1) }, cases: cases
    ).text
  }

  /// A suite's time is that of the first case that it gave the figures for.
  private var cases: [JUnitDocument.Case] {
    var left = Dictionary(evidence.reports.map { ($0.suite.name, $0.seconds) }) { first, _ in first }
    return checks.map { check in
      let outcome: JUnitDocument.CaseOutcome =
        switch check.verdict {
        case .pass: .passed
        case .fail: .failed(message: check.reason)
        case .inconclusive, .notPut: .skipped(message: "\(check.verdict.rawValue): \(check.reason)")
        }
      return JUnitDocument.Case(
        group: check.suite.isEmpty ? "furl" : "furl.\(check.suite)", name: "\(check.metric.rawValue) \(check.bound)",
        seconds: left.removeValue(forKey: check.suite) ?? 0, outcome: outcome)
    }
  }

  private func properties(of check: GateCheck) -> [(String, String)] {
    var result = check.value.isFinite ? [("value", "\(check.value)")] : []
    result.append(("verdict", check.verdict.rawValue))
    if check.isLoose { result.append(("loose", "true")) }
    if let interval = check.interval95 {
      result.append(("interval_95", "\(interval.lowerBound) \(interval.upperBound)"))
    }
    if let partial = check.partial { result.append(("put", "\(partial.put) of \(partial.count)")) }
    if let comparison = check.comparison {
      result += [
        ("baseline", "\(comparison.baseline)"), ("difference", "\(comparison.difference)"),
        ("lower_limit", "\(comparison.lowerLimit)"), ("upper_limit", "\(comparison.upperLimit)"),
      ]
    }
    if let paired = check.paired {
      result += [("regressions", "\(paired.regressed.count)"), ("fixes", "\(paired.fixed.count)")]
    }
    return result
  }
}

extension GateCheck {
  /// What tells it from the other bounds.
  fileprivate var title: String { "\(suite.isEmpty ? "" : "\(suite) ")\(metric.rawValue) \(bound)" }
}
