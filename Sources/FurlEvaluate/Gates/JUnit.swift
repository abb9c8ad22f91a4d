import FurlTensor

/// The form in which build servers read test results.
extension GateReport {
  /// One test suite with a test case for each bound: one that does not hold carries `failure`, an inconclusive
  /// one `skipped`.
  public var junit: String {
    let failures = checks.count { $0.verdict == .fail }
    let skipped = checks.count { $0.verdict == .inconclusive }
    var lines = ["<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "<testsuites>"]
    lines.append(
      "  <testsuite \(attribute("name", "furl verify \(artifact)")) tests=\"\(checks.count)\" "
        + "failures=\"\(failures)\" errors=\"0\" skipped=\"\(skipped)\">")
    lines.append("    <properties>")
    lines.append("      <property name=\"gates_from\" \(attribute("value", gatesFrom))/>")
    lines.append("      <property name=\"verdict\" \(attribute("value", verdict.rawValue))/>")
    if let id = evidence.artifactID {
      lines.append("      <property name=\"artifact_id\" value=\"\(id.hex)\"/>")
    }
    for report in evidence.reports {
      let words = [
        "sha256 \(report.suite.sha256.hex)", report.limit.map { "limit \($0)" }, report.sandbox.map { "sandbox \($0)" },
      ]
      let value = (words.compactMap { $0 } + report.overrides.map { "override \($0)" }).joined(separator: ", ")
      lines.append("      <property \(attribute("name", "suite \(report.suite.name)")) \(attribute("value", value))/>")
    }
    lines.append("    </properties>")
    for check in checks {
      let name = "\(check.metric.rawValue) \(check.bound)"
      lines.append(
        "    <testcase \(attribute("classname", check.suite.isEmpty ? "furl" : "furl.\(check.suite)")) \(attribute("name", name))>"
      )
      lines.append("      <properties>")
      for (key, value) in properties(of: check) {
        lines.append("        <property name=\"\(key)\" \(attribute("value", value))/>")
      }
      lines.append("      </properties>")
      if check.verdict == .fail {
        lines.append("      <failure \(attribute("message", check.reason)) type=\"fail\"/>")
      } else if check.verdict == .inconclusive {
        lines.append("      <skipped \(attribute("message", "inconclusive: \(check.reason)"))/>")
      }
      lines.append("    </testcase>")
    }
    lines += ["  </testsuite>", "</testsuites>", ""]
    return lines.joined(separator: "\n")
  }

  private func properties(of check: GateCheck) -> [(String, String)] {
    var result = check.value.isFinite ? [("value", "\(check.value)")] : []
    result.append(("verdict", check.verdict.rawValue))
    if let interval = check.interval95 {
      result.append(("interval_95", "\(interval.lowerBound) \(interval.upperBound)"))
    }
    if let partial = check.partial { result.append(("put", "\(partial.put) of \(partial.count)")) }
    if let comparison = check.comparison {
      result += [
        ("baseline", "\(comparison.baseline)"), ("difference", "\(comparison.difference)"),
        ("lower_limit", "\(comparison.lowerLimit)"), ("upper_limit", "\(comparison.upperLimit)"),
      ]
      if check.metric.isOfProblems {
        result += [
          ("regressions", "\(comparison.regressed.count)"), ("fixes", "\(comparison.fixed.count)"),
        ]
      }
    }
    return result
  }

  private func attribute(_ name: String, _ value: String) -> String { "\(name)=\"\(escaped(value))\"" }

  /// XML 1.0 has no way at all to write most control characters, so they become the replacement character.
  private func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\t", "\n", "\r": result += "&#\(scalar.value);"
      case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF: result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
