import Foundation
import Furl

/// Where words go: results to stdout, progress and messages to stderr.
enum Terminal {
  static let errorsAreShown = isatty(2) == 1

  /// Writes to stdout as it is.
  static func write(_ text: String) {
    guard let code = write(text, to: 1) else { return }
    log("furl: standard output cannot be written: \(String(cString: strerror(code)))")
    exit(74)
  }

  /// Writes a line to stdout.
  static func print(_ text: String) { write(text + "\n") }

  /// Writes exactly one JSON document to stdout.
  static func print(_ json: JSON) { print(json.prettyText) }

  /// Writes a line to stderr. Where there is no stderr the exit status has to do.
  static func log(_ text: String) { _ = write(text + "\n", to: 2) }

  /// Draws a progress bar on a terminal, and nothing elsewhere.
  static func progress(_ label: String, done: Int, total: Int, since start: ContinuousClock.Instant) {
    guard errorsAreShown, total > 0 else { return }
    let width = 24
    let filled = min(width, width * done / total)
    let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: width - filled)
    let elapsed = (ContinuousClock.now - start).seconds
    let left = done > 0 ? elapsed / Double(done) * Double(total - done) : 0
    _ = write("\r\u{1B}[K\(label) [\(bar)] \(done)/\(total) \(String(format: "%.0f s left", left))", to: 2)
  }

  static func clearProgress() {
    if errorsAreShown { _ = write("\r\u{1B}[K", to: 2) }
  }

  static func exit(_ status: Int32) -> Never { Foundation.exit(status) }

  /// Writes all bytes to a descriptor; returns the system's error, if any.
  private static func write(_ text: String, to descriptor: Int32) -> Int32? {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        return errno
      }
      bytes = bytes.dropFirst(count)
    }
    return nil
  }
}
