import FurlBase
import FurlEvaluate
import FurlReport
import Synchronization

/// The JUnit file of a verification. From the start on it says that the verification has no verdict, so that a file of an
/// earlier run is never taken for this one's, whatever ends it.
struct JUnitFile {
  private let file: TextOutput
  private let subject: String
  /// What it says once there is a verdict, or an end, stays, whatever else goes wrong.
  private let last = LastWord()

  private final class LastWord: Sendable {
    private let isSaid = Mutex(false)

    /// Says something else unless the last word is said; nobody else says anything meanwhile.
    ///
    /// - Parameter isLast: whether nothing is said after it.
    func unlessSaid(isLast: Bool, _ body: () throws -> Void) rethrows {
      try isSaid.withLock { isSaid in
        guard !isSaid else { return }
        try body()
        isSaid = isLast
      }
    }

    func finish() { isSaid.withLock { $0 = true } }
  }

  /// - Throws: ``FurlError`` of kind `cannotCreate`, `cannotWrite`; the former, too, for a file that cannot be one of an
  ///   earlier run: it stays as it is.
  init(path: String, subject: String) throws {
    try JUnitFile.refuseOthers(path)
    file = try TextOutput(path: path)
    self.subject = subject.lastName
    let document = JUnitDocument(
      errorOf: self.subject, kind: "interrupted", message: "furl verify has not ended: there is no verdict")
    let (file, subject, last) = (file, self.subject, last)
    let start = ContinuousClock.now
    // Before the file says anything: a signal may come as soon as it does.
    Ending.tell { kind, message in
      last.unlessSaid(isLast: true) {
        let seconds = (ContinuousClock.now - start).seconds
        try? file.writeAtOnce(JUnitDocument(errorOf: subject, kind: kind, message: message, seconds: seconds).text)
      }
    }
    // A pipe takes one document.
    if file.isReplaced { try last.unlessSaid(isLast: false) { try file.write(document.text) } }
  }

  /// Refuses what is no JUnit file: its name may be a slip, and where it stayed until the end nobody who waits for this
  /// file would learn of an error.
  private static func refuseOthers(_ path: String) throws {
    guard let file = try? MappedFile(path: path), file.count > 0 else { return }
    var start = file.read(0..<min(file.count, 4096))[...]
    if start.starts(with: [0xEF, 0xBB, 0xBF]) { start = start.dropFirst(3) }
    start = start.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
    // Nothing but white space is nothing.
    if start.isEmpty, file.count <= 4096 { return }
    let isXML = ["<?xml", "<testsuite"].contains { start.starts(with: $0.utf8) }
    guard isXML else {
      throw FurlError(
        .cannotCreate, file: path, "is there and is no JUnit file, so it is not written over",
        remedy: "give --junit another name, or remove the file")
    }
  }

  func write(_ report: GateReport) throws {
    guard file.isReplaced else {
      // A pipe may have nobody who reads it; a signal must not wait for that.
      try file.write(report.junit)
      return last.finish()
    }
    try last.unlessSaid(isLast: true) { try file.write(report.junit) }
  }
}
