import Foundation
import Furl

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
    guard let summary else { return }
    do {
      try append(GitHubText.summary(report), to: summary)
    } catch {
      Terminal.log("furl: the job's summary cannot be written: \(error)".escapingControlCharacters)
    }
  }

  private func append(_ text: String, to path: String) throws {
    if !FileManager.default.fileExists(atPath: path) {
      try Data().write(to: URL(fileURLWithPath: path), options: .withoutOverwriting)
    }
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    defer { try? handle.close() }
    let size = try handle.seekToEnd()
    guard size + UInt64(text.utf8.count) <= UInt64(GitHubText.summaryLimit) else {
      throw FurlError(.cannotWrite, file: path, "has no room left")
    }
    try handle.write(contentsOf: Data(text.utf8))
  }
}
