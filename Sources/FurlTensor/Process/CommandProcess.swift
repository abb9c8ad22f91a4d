import CFurlKernels
import Foundation

/// What a command sees to before it works. A library's user may want to decide otherwise, so nothing of it happens by
/// itself.
public enum CommandProcess {
  /// Sees to it that the descriptors 0 to 2 are open, and that a reader who goes away ends nothing.
  ///
  /// - Returns: false when not even that can be had.
  public static func begin() -> Bool {
    let isOpen = furl_open_standard_descriptors()
    furl_survive_closed_pipes()
    return isOpen
  }

  /// Has a signal that would end the process call a function first, which is told its number; outputs that are not whole
  /// go then. Without a thread for that signals end the process at once, as they would have.
  public static func onSignal(_ tell: @escaping @convention(c) (Int32) -> Void) { _ = furl_watch_signals(tell) }

  /// The name of a signal.
  public static func name(ofSignal number: Int32) -> String {
    switch number {
    case SIGINT: "SIGINT"
    case SIGTERM: "SIGTERM"
    case SIGHUP: "SIGHUP"
    case SIGQUIT: "SIGQUIT"
    case SIGXCPU: "SIGXCPU"
    default: "signal \(number)"
    }
  }

  /// Files that a job opens beside those of its model: several programs at once in sandboxes have the most.
  private static let files = 48
  /// Bytes that every command needs beside its model: code, threads' stacks, tables.
  private static let bytes = 384 << 20

  /// Looks whether the machine grants what every command needs: whoever notices in the middle of a job that no thread can
  /// be started any more waits for ever, and where no memory is left nothing is left to say so with.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable`.
  public static func checkMachine() throws {
    guard furl_can_open(files) else {
      throw FurlError(
        .unavailable, "fewer than \(files) more files can be opened", remedy: "raise the limit (ulimit -n)")
    }
    guard furl_can_map(bytes) else {
      throw FurlError(
        .unavailable, "there is no address space for \(bytes >> 20) MiB more", remedy: "raise the limit (ulimit -v)")
    }
    // Those of the pool, of Swift's own tasks, and of files that are written.
    let threads = min(WorkerPool.availableCores, 64) * 2 + 4
    guard furl_can_start_threads(threads) else {
      throw FurlError(
        .unavailable, "fewer than \(threads) more threads can be started",
        remedy: "end other processes, or raise the limits (ulimit -u, ulimit -v)")
    }
  }
}
