import Furl

/// The JUnit file of a verification. From the start on it says that the verification has no verdict, so that a file of an
/// earlier run is never taken for this one's, whatever ends it.
struct JUnitFile {
  private let file: TextOutput
  private let subject: String

  /// - Throws: ``FurlError`` of kind `cannotCreate`, `cannotWrite`.
  init(path: String, subject: String) throws {
    file = try TextOutput(path: path)
    self.subject = Suite.baseName(subject)
    let document = JUnitDocument(
      errorOf: self.subject, kind: "interrupted", message: "furl verify has not ended: there is no verdict")
    // A pipe takes one document.
    if file.isReplaced { try file.write(document.text) }
    let (file, subject) = (file, self.subject)
    let start = ContinuousClock.now
    Ending.tell { kind, message in
      let seconds = (ContinuousClock.now - start).seconds
      try? file.write(JUnitDocument(errorOf: subject, kind: kind, message: message, seconds: seconds).text)
    }
  }

  func write(_ report: GateReport) throws { try file.write(report.junit) }
}
