import FurlBase
import FurlEvaluate
import FurlReport

/// A job of GitHub Actions that this process is a step of.
struct GitHubActions {
  private let summary: String?

  /// Nil anywhere else.
  static var current: GitHubActions? {
    let environment = ProcessInfo.processInfo.environment
    guard environment["GITHUB_ACTIONS"] == "true" else { return nil }
    return GitHubActions(summary: environment["GITHUB_STEP_SUMMARY"].flatMap { $0.isEmpty ? nil : $0 })
  }

  /// Annotates the job and adds to its summary. Standard output stays what it is: the runner reads commands from
  /// standard error as well. What cannot be told changes no verdict.
  func tell(_ report: GateReport) {
    for line in GitHubText.annotations(report) { Terminal.log(line) }
    summarize(GitHubText.summary(report))
  }

  /// Annotates the job with what a command could not do.
  func annotate(_ error: FurlError, command: String) { Terminal.log(GitHubText.annotation(error, command: command)) }

  /// Adds it to the job's summary.
  func summarize(_ error: FurlError, command: String) { summarize(GitHubText.summary(error, command: command)) }

  private func summarize(_ text: String) {
    guard let summary else { return }
    do {
      try append(text, to: summary)
    } catch {
      Terminal.log("furl: the job's summary cannot be written: \(error)".escapingControlCharacters)
    }
  }

  private func append(_ text: String, to path: String) throws(FurlError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0o644)
    guard descriptor >= 0 else { throw .writing(path) }
    defer { close(descriptor) }
    let size = lseek(descriptor, 0, SEEK_END)
    guard Int(size) + text.utf8.count <= GitHubText.summaryLimit else {
      throw FurlError(.cannotWrite, file: path, "has no room left")
    }
    if let code = Terminal.write(text, to: descriptor) { throw .writing(path, code) }
  }
}
