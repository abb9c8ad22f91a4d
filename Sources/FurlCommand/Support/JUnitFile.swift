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
    // What is no such file may be an input that was named by mistake: it stays until there is a verdict.
    guard JUnitFile.mayReplace(path) else { return }
    // A pipe takes one document.
    if file.isReplaced { try file.write(document.text) }
    let (file, subject) = (file, self.subject)
    let start = ContinuousClock.now
    Ending.tell { kind, message in
      let seconds = (ContinuousClock.now - start).seconds
      try? file.write(JUnitDocument(errorOf: subject, kind: kind, message: message, seconds: seconds).text)
    }
  }

  /// Whether nothing is lost when a file becomes one that says `error`: it is none, empty, or XML already.
  private static func mayReplace(_ path: String) -> Bool {
    guard let file = try? MappedFile(path: path), file.count > 0 else { return true }
    return file.read(0..<min(file.count, 5)).elementsEqual("<?xml".utf8)
  }

  func write(_ report: GateReport) throws { try file.write(report.junit) }
}
