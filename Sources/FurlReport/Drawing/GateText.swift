import FurlBase
package import FurlEvaluate
import FurlModel
import FurlSpec

/// What `verify` found, for people.
package enum GateText {
  /// - Parameter width: columns of the terminal; nil where there is none.
  package static func lines(_ report: GateReport, width: Int? = nil) -> [String] {
    [table(report).text(width: width)]
      + report.checks.filter { $0.verdict != .pass }.map { "\(title($0)): \($0.reason)" } + notes(report)
      + saved(report) + [verdict(report)]
  }

  /// What is to be known of how it was measured.
  static func notes(_ report: GateReport) -> [String] { report.evidence.notes.map { "note: \($0)" } }

  /// What did not have to be done; nothing where all was.
  static func saved(_ report: GateReport) -> [String] {
    let savings = report.savings
    var words: [String] = []
    if savings.put < savings.total {
      words.append(
        "\(savings.put) of \(savings.total) problems settled it, \(savings.begun) were begun "
          + "(\(Figures.percent(savings.share, digits: 0)) saved; --complete puts all)")
    }
    if !savings.cachedBaselines.isEmpty {
      words.append(
        "baseline results of \(savings.cachedBaselines.joined(separator: ", ")) were kept from an earlier run "
          + "(\(Figures.significant(savings.cachedSeconds)) s saved)")
    }
    if let acceptance = savings.drafted.acceptance {
      words.append(
        "\(savings.drafted.accepted) of \(savings.drafted.guessed) tokens of drafts "
          + "(\(Figures.percent(acceptance, digits: 0))) came true")
    }
    return words.isEmpty ? [] : [words.joined(separator: "; ")]
  }

  /// One row for each bound.
  static func table(_ report: GateReport) -> TextTable {
    var table = TextTable(
      ["gate", "bound", "value", "95 %", "regressions", "fixes", "verdict"], leftAligned: [0, 1, 6])
    for check in report.checks {
      let paired = check.paired
      table.add([
        title(check), "\(check.bound)\(check.isLoose ? ", loose" : "")", value(check), interval(check),
        paired.map { "\($0.regressed.count)" } ?? "", paired.map { "\($0.fixed.count)" } ?? "",
        check.verdict.rawValue,
      ])
    }
    return table
  }

  /// Everything in one line.
  package static func verdict(_ report: GateReport) -> String {
    let counts = Verdict.allCases.compactMap { verdict in
      let count = report.checks.count { $0.verdict == verdict }
      return count > 0 ? "\(count) \(verdict.rawValue)" : nil
    }
    return "\(report.artifact): \(report.verdict.rawValue) (gates of \(report.gatesFrom): "
      + counts.joined(separator: ", ") + ")"
  }

  static func title(_ check: GateCheck) -> String {
    check.suite.isEmpty ? check.metric.rawValue : "\(check.suite) \(check.metric.rawValue)"
  }

  private static func interval(_ check: GateCheck) -> String {
    guard let interval = check.interval95 else {
      return check.partial != nil && check.value.isFinite ? "settled early" : ""
    }
    return "\(figure(interval.lowerBound, check.metric)) to \(figure(interval.upperBound, check.metric))"
  }

  /// The value, or what is known of it.
  static func value(_ check: GateCheck) -> String {
    guard check.value.isFinite else { return "not put" }
    return known(figure(check.value, check.metric), check.value, check.partial?.range)
  }

  /// - Parameter range: what the value can still be where problems were left out; nil where none were.
  static func known(_ text: String, _ value: Double?, _ range: ClosedRange<Double>?) -> String {
    guard let range, let value, range.lowerBound < range.upperBound else { return text }
    return value == range.lowerBound ? "at least \(text)" : value == range.upperBound ? "at most \(text)" : text
  }

  static func figure(_ value: Double, _ metric: Gate.Metric) -> String {
    metric.figure?.unit.text(value) ?? Figures.bytes(Int(exactly: value.rounded()) ?? 0)
  }
}
