package import FurlBase
package import FurlEvaluate
import FurlSpec

/// What GitHub Actions shows of a verification: annotations on the job, and a summary in Markdown.
package enum GitHubText {
  /// How many annotations of a kind GitHub takes from one step.
  private static let annotationLimit = 10

  /// Workflow commands, one a line: an error for each gate that does not hold, a warning for each that is inconclusive, a
  /// notice with the verdict.
  package static func annotations(_ report: GateReport) -> [String] {
    func commands(_ kind: String, _ verdict: Verdict) -> [String] {
      report.checks.filter { $0.verdict == verdict }.prefix(annotationLimit).map { check in
        command(kind, "\(report.artifact): \(GateText.title(check)) \(check.bound)", check.reason)
      }
    }
    return commands("error", .fail) + commands("warning", .inconclusive)
      + [command("notice", "furl verify", GateText.verdict(report))]
  }

  /// The Markdown of the job's summary.
  package static func summary(_ report: GateReport) -> String {
    let mark =
      switch report.verdict {
      case .pass: "\u{2705}"
      case .inconclusive, .notPut: "\u{26A0}\u{FE0F}"
      case .fail: "\u{274C}"
      }
    var lines = ["### \(mark) furl verify \(plain(report.artifact)): \(report.verdict.rawValue)", ""]
    lines += [GateText.table(report).text, ""]
    lines += report.checks.filter { $0.verdict != .pass }.map { "- \(plain(GateText.title($0))): \(plain($0.reason))" }
    lines += report.evidence.notes.map { "- note: \(plain($0))" }
    let baseline = report.evidence.baseline.map { ", compared with \(plain($0.path))" } ?? ""
    lines += ["", "Gates of \(plain(report.gatesFrom))\(baseline).", ""] + GateText.saved(report)
    return lines.joined(separator: "\n") + "\n"
  }

  /// One error, for a command that could not do its work.
  package static func annotation(_ error: FurlError, command: String) -> String {
    self.command("error", "furl \(command)", "\(error)")
  }

  /// The same in the job's summary.
  package static func summary(_ error: FurlError, command: String) -> String {
    "### \u{274C} furl \(plain(command)): error\n\n\(plain("\(error)"))\n\n"
  }

  /// How many bytes a step's summary may have; GitHub shows nothing at all of a longer one.
  package static let summaryLimit = 1 << 20

  /// `::error title=T::M`, with what the runner would take for its own escaped.
  private static func command(_ kind: String, _ title: String, _ message: String) -> String {
    let message = escaped(message.escapingControlCharacters)
    let title = escaped(title.escapingControlCharacters).replacing(":", with: "%3A").replacing(",", with: "%2C")
    return "::\(kind) title=\(title)::\(message)"
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("%", with: "%25").replacing("\r", with: "%0D").replacing("\n", with: "%0A")
  }

  /// Names as they are, not as Markdown.
  private static func plain(_ text: String) -> String {
    var result = ""
    for character in text.escapingControlCharacters {
      if "\\`*_{}[]<>#|!&~".contains(character) { result += "\\" }
      result.append(character)
    }
    return result
  }
}
