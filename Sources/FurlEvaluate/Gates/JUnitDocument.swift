/// Test results in the form in which build servers read them.
///
/// Elements and attributes are those of the schema by which Jenkins' xUnit plugin takes or refuses a file
/// (`junit-10.xsd`): properties belong to the suite, times have at most three decimals. GitLab reads the same.
package struct JUnitDocument: Sendable {
  /// What became of a test case.
  package enum CaseOutcome: Sendable {
    case passed
    case failed(message: String)
    case skipped(message: String)
    /// It could not be put, or its end is not known.
    case error(kind: String, message: String)
  }

  package struct Case: Sendable {
    package var group: String
    package var name: String
    package var seconds: Double
    package var outcome: CaseOutcome

    package init(group: String, name: String, seconds: Double, outcome: CaseOutcome) {
      (self.group, self.name, self.seconds, self.outcome) = (group, name, seconds, outcome)
    }
  }

  package var name: String
  package var seconds: Double
  package var properties: [(name: String, value: String)] = []
  package var cases: [Case]

  package init(name: String, seconds: Double, properties: [(name: String, value: String)] = [], cases: [Case]) {
    (self.name, self.seconds, self.properties, self.cases) = (name, seconds, properties, cases)
  }

  /// What stands for a verification that has not ended, or has ended without a verdict.
  ///
  /// - Parameters:
  ///   - subject: what was to be verified.
  ///   - kind: what errors of that kind are called.
  package init(errorOf subject: String, kind: String, message: String, seconds: Double = 0) {
    self.init(
      name: subject.isEmpty ? "furl verify" : "furl verify \(subject)", seconds: seconds,
      cases: [Case(group: "furl", name: "verify", seconds: seconds, outcome: .error(kind: kind, message: message))])
  }

  /// The file.
  package var text: String {
    var (failures, errors, skipped) = (0, 0, 0)
    for test in cases {
      switch test.outcome {
      case .passed: break
      case .failed: failures += 1
      case .skipped: skipped += 1
      case .error: errors += 1
      }
    }
    let counts = "tests=\"\(cases.count)\" failures=\"\(failures)\" errors=\"\(errors)\""
    var lines = ["<?xml version=\"1.0\" encoding=\"UTF-8\"?>"]
    lines.append("<testsuites \(counts) time=\"\(time(seconds))\">")
    lines.append("  <testsuite \(attribute("name", name)) \(counts) skipped=\"\(skipped)\" time=\"\(time(seconds))\">")
    if !properties.isEmpty {
      lines.append("    <properties>")
      for property in properties {
        lines.append(
          "      <property \(attribute("name", property.name)) \(attribute("value", property.value))/>")
      }
      lines.append("    </properties>")
    }
    for test in cases {
      let head =
        "    <testcase \(attribute("classname", test.group)) \(attribute("name", test.name)) "
        + "time=\"\(time(test.seconds))\""
      guard let inside = element(test.outcome) else {
        lines.append(head + "/>")
        continue
      }
      lines += [head + ">", "      " + inside, "    </testcase>"]
    }
    lines += ["  </testsuite>", "</testsuites>", ""]
    return lines.joined(separator: "\n")
  }

  private func element(_ outcome: CaseOutcome) -> String? {
    switch outcome {
    case .passed: nil
    case .failed(let message): "<failure \(attribute("message", message)) type=\"fail\">\(escaped(message))</failure>"
    case .skipped(let message): "<skipped \(attribute("message", message))/>"
    case .error(let kind, let message):
      "<error \(attribute("message", message)) \(attribute("type", kind))>\(escaped(message))</error>"
    }
  }

  /// Seconds with three decimals, without a sign, an exponent or what stands between thousands.
  private func time(_ seconds: Double) -> String {
    let milliseconds = Int(Swift.min(Swift.max(0, seconds.isFinite ? seconds : 0), 1e9) * 1000)
    let (whole, rest) = milliseconds.quotientAndRemainder(dividingBy: 1000)
    return "\(whole).\(String("00\(rest)".suffix(3)))"
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
