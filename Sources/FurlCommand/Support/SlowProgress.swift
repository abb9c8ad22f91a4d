import FurlBase
import Synchronization

/// Progress where nobody looks at a terminal: a line in the log every half minute, so that a build server, which ends a job
/// that says nothing for long, and whoever reads the log see that something happens.
enum SlowProgress {
  /// The environment's name for other seconds; 0 for no line at all.
  private static let variable = "FURL_PROGRESS_SECONDS"

  private static let interval: Duration? = {
    guard let text = getenv(variable).map({ String(cString: $0) }), let seconds = Double(text), seconds.isFinite,
      seconds >= 0
    else { return .seconds(30) }
    return seconds == 0 ? nil : .seconds(min(seconds, 86_400))
  }()

  private static let last = Mutex<ContinuousClock.Instant?>(nil)

  /// Writes a line unless one was written lately, or the work began lately.
  static func log(_ text: @autoclosure () -> String, since start: ContinuousClock.Instant) {
    guard let interval else { return }
    let now = ContinuousClock.now
    let isDue = last.withLock { last in
      guard now - max(last ?? start, start) >= interval else { return false }
      last = now
      return true
    }
    if isDue { Terminal.log("furl: \(text().escapingControlCharacters)") }
  }
}
