import FurlBase
import FurlReport
import Synchronization

/// Where words go: results to stdout, progress and messages to stderr.
enum Terminal {
  static let errorsAreShown = isatty(2) == 1

  private static let printed = Mutex(false)

  /// Whether something was written to stdout.
  static var hasPrinted: Bool { printed.withLock { $0 } }

  /// Writes to stdout as it is. Files that were asked for have to be written before: its reader may have gone, which ends
  /// the command as any other error does.
  static func write(_ text: String) {
    printed.withLock { $0 = true }
    CommandProcess.sayNothingOfLostFilesInJSON()
    guard let code = write(text, to: 1) else { return }
    Ending.fail(
      FurlError(.cannotWrite, file: "standard output", "cannot be written: \(systemMessage(code))"))
  }

  /// The same where nothing can be done about a reader who has gone.
  static func tryToPrint(_ json: JSON) { _ = write(json.prettyText + "\n", to: 1) }

  /// Writes a line to stdout.
  static func print(_ text: String) { write(text + "\n") }

  /// Writes exactly one JSON document to stdout.
  static func print(_ json: JSON) { print(json.prettyText) }

  /// Writes a line to stderr. Where there is no stderr the exit status has to do.
  static func log(_ text: String) { _ = write(text + "\n", to: 2) }

  private static let said = Mutex<Set<String>>([])

  /// Writes a line to stderr, however often it is asked to, once.
  static func logOnce(_ text: String) {
    if said.withLock({ $0.insert(text).inserted }) { log(text.escapingControlCharacters) }
  }

  /// Draws a progress bar on a terminal; elsewhere it writes a line now and then.
  static func progress(_ label: String, done: Int, total: Int, since start: ContinuousClock.Instant) {
    guard total > 0 else { return }
    let elapsed = (ContinuousClock.now - start).seconds
    let left = done > 0 ? elapsed / Double(done) * Double(total - done) : 0
    guard errorsAreShown else {
      return SlowProgress.log("\(label) \(done) of \(total), \(left.text(decimals: 0)) s left", since: start)
    }
    _ = write(
      "\r\u{1B}[K\(label) \(bar(Double(done) / Double(total))) \(done)/\(total) \(left.text(decimals: 0)) s left",
      to: 2)
  }

  /// Replaces the line of progress.
  static func showProgress(_ text: String) {
    if errorsAreShown { _ = write("\r\u{1B}[K\(text.escapingControlCharacters)", to: 2) }
  }

  static func bar(_ share: Double) -> String {
    let width = 24
    let filled = min(width, max(0, Int(share * Double(width))))
    return "[" + String(repeating: "#", count: filled) + String(repeating: "-", count: width - filled) + "]"
  }

  static func clearProgress() {
    if errorsAreShown { _ = write("\r\u{1B}[K", to: 2) }
  }

  static func exit(_ status: Int32) -> Never { endProcess(status) }

  /// Writes all bytes to a descriptor; returns the system's error, if any.
  ///
  /// - Parameter waits: for room, where somebody else has set the descriptor so that it would not.
  static func write(_ text: String, to descriptor: Int32, waits: Bool = true) -> Int32? {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { writeSome($0, to: descriptor) }
      if count < 0 {
        if errno == EINTR { continue }
        guard errno == EAGAIN, waits else { return errno }
        var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = poll(&room, 1, -1)
        continue
      }
      bytes = bytes.dropFirst(count)
    }
    return nil
  }
}

/// Progress through bytes, on one line of a terminal: how far, how fast, and how long it will take.
struct ByteProgress {
  private let start: ContinuousClock.Instant
  private var shown: ContinuousClock.Instant?

  init(since start: ContinuousClock.Instant) { self.start = start }

  /// Shows the line, ten times a second at most.
  mutating func show(_ label: String, done: Int, total: Int) {
    let now = ContinuousClock.now
    guard total > 0 else { return }
    guard Terminal.errorsAreShown else {
      let line = ByteProgress.line(label, done: done, total: total, seconds: (now - start).seconds, hasBar: false)
      return SlowProgress.log(line, since: start)
    }
    guard shown.map({ now - $0 >= .milliseconds(100) }) ?? true else { return }
    shown = now
    Terminal.showProgress(ByteProgress.line(label, done: done, total: total, seconds: (now - start).seconds))
  }

  static func line(_ label: String, done: Int, total: Int, seconds: Double, hasBar: Bool = true) -> String {
    let share = Double(done) / Double(max(1, total))
    let rate = seconds > 0 ? Double(done) / seconds : 0
    var line =
      "\(hasBar ? Terminal.bar(share) + " " : "")\(Int(share * 100)) %, \(Figures.bytes(done)) of \(Figures.bytes(total))"
    // The first moments say nothing about the others.
    if done > 0, seconds >= 0.5 {
      line += ", \(Figures.bytes(Int(rate)))/s, \(Int((Double(total - done) / rate).rounded(.up))) s left"
    }
    return label.isEmpty ? line : "\(line)  \(label)"
  }
}

/// The C library's `exit`, under a name that ``Terminal`` does not have.
private func endProcess(_ status: Int32) -> Never { exit(status) }
