import CFurlKernels

/// What a command sees to before it works. A library's user may want to decide otherwise, so nothing of it happens by
/// itself.
package enum CommandProcess {
  /// Sees to it that the descriptors 0 to 2 are open, and that a reader who goes away ends nothing.
  ///
  /// - Returns: false when not even that can be had.
  package static func begin() -> Bool {
    let isOpen = furl_open_standard_descriptors()
    furl_survive_closed_pipes()
    return isOpen
  }

  /// Has a signal that would end the process call a function first, which is told its number; outputs that are not whole
  /// go then. Without a thread for that signals end the process at once, as they would have.
  package static func onSignal(_ tell: @escaping @convention(c) (Int32) -> Void) { _ = furl_watch_signals(tell) }

  /// The place of a lost file's path in what ``alsoReportLostFiles(json:annotation:)`` is given.
  package static let pathMark = "\u{1}"

  /// Has a mapped file that becomes shorter told of by a JSON document on standard output, and by an annotation on
  /// standard error, too.
  ///
  /// - Parameters: texts with ``pathMark`` where the path belongs; nil for none.
  package static func alsoReportLostFiles(json: String?, annotation: String?) {
    _ = furl_also_report_lost_mappings(1, json, FURL_ESCAPE_JSON)
    _ = furl_also_report_lost_mappings(2, annotation, FURL_ESCAPE_PERCENT)
  }

  /// Takes the document back: something else stands on standard output.
  package static func sayNothingOfLostFilesInJSON() { _ = furl_also_report_lost_mappings(1, nil, FURL_ESCAPE_JSON) }

  /// The name of a signal.
  package static func name(ofSignal number: Int32) -> String {
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

  /// Looks whether the machine grants the files and the memory that every command needs: where no memory is left nothing is
  /// left to say so with.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable`.
  package static func checkMachine() throws {
    guard furl_can_open(files) else {
      throw FurlError(
        .unavailable, "fewer than \(files) more files can be opened", remedy: "raise the limit (ulimit -n)")
    }
    guard furl_can_map(bytes) else {
      throw FurlError(
        .unavailable, "there is no address space for \(bytes >> 20) MiB more", remedy: "raise the limit (ulimit -v)")
    }
  }

  /// Cores that this process may run on.
  package static var availableCores: Int { max(1, ProcessInfo.processInfo.activeProcessorCount) }

  /// Threads that a command needs beside those that compute: one that signals are told on, and some for tasks and files.
  private static let otherThreads = 4

  /// Looks whether the machine grants threads: whoever notices in the middle of a job that none can be started any more
  /// waits for ever.
  ///
  /// - Parameter count: how many are to compute; 0 for a command that only waits for others.
  /// - Throws: ``FurlError`` of kind `unavailable`.
  package static func checkThreads(_ count: Int) throws {
    // Programs that are judged at the same time have a task each, of which no more run than there are cores.
    let needed = count + min(count, availableCores) + otherThreads
    guard furl_can_start_threads(needed) else {
      throw FurlError(
        .unavailable,
        "fewer than \(needed) more threads can be started" + (count > 0 ? ", for \(count) that compute" : ""),
        remedy: (count > 1 ? "give fewer --threads, " : "")
          + "end other processes, or raise the limits (ulimit -u, ulimit -v)")
    }
  }
}
