import FurlBase
import FurlReport
import Synchronization

/// How a command ends that does not end well: everyone who waits for an answer gets one. People and logs read standard
/// error, scripts the JSON document, build servers their annotations, the job's summary and the JUnit file, all of them the
/// exit status.
enum Ending {
  private struct EndingState {
    var hasBegun = false
    /// Whether an output may be an input, so that none is written to.
    var leavesFiles = false
    /// What else has to be told of an error, before anything is printed.
    var tells: [@Sendable (_ kind: String, _ message: String) -> Void] = []
  }

  private static let state = Mutex(EndingState())

  /// Has an error told to somebody else as well: a file that is replaced, say.
  static func tell(_ body: @escaping @Sendable (_ kind: String, _ message: String) -> Void) {
    state.withLock { $0.tells.append(body) }
  }

  /// Has nobody told of an error by a file: it may be one that was not to be written over.
  static func leaveFiles() { state.withLock { $0.leavesFiles = true } }

  /// Has a file that `verify` was to write say what is wrong, where arguments are so wrong that it was not begun.
  static func replaceJUnit(_ invocation: Invocation) {
    guard state.withLock({ $0.tells.isEmpty && !$0.leavesFiles }), invocation.command == "verify",
      let path = invocation.value(of: "--junit"), !path.isEmpty
    else { return }
    _ = try? JUnitFile(path: path, subject: "")
  }

  /// Ends the command with an error.
  static func fail(_ error: FurlError) -> Never {
    end(error, kind: "\(error.kind.word)")
    Terminal.exit(error.exitStatus)
  }

  /// Tells what a signal ended, and removes outputs that are not whole. The signal ends the process afterwards.
  static func interrupt(_ number: Int32) {
    let name = CommandProcess.name(ofSignal: number)
    removeUnfinishedOutputs()
    end(FurlError(.unavailable, "was ended by \(name) before it was done"), kind: "interrupted")
  }

  /// Another thread that fails meanwhile, because of this end or not, waits for it.
  private static func end(_ error: FurlError, kind: String) {
    let tells = state.withLock { state -> [@Sendable (String, String) -> Void]? in
      defer { state.hasBegun = true }
      return state.hasBegun ? nil : state.leavesFiles ? [] : state.tells
    }
    guard let tells else { while true { sleep(1_000) } }
    let invocation = Invocation()
    // Who looks at the terminal first: whatever else is written to may not take it.
    Terminal.clearProgress()
    GitHubActions.current?.annotate(error, command: invocation.command)
    Terminal.log("furl: \(error)")
    for tell in tells { tell(kind, "\(error)") }
    GitHubActions.current?.summarize(error, command: invocation.command)
    if invocation.wantsJSON, !Terminal.hasPrinted { Terminal.tryToPrint(document(error, kind: kind)) }
  }

  /// What is said of a mapped file that becomes shorter is said by a signal's handler, which cannot make any words.
  static func prepareForLostFiles(_ invocation: Invocation) {
    let name = "the lost file"
    let error = lostFile(name)
    func marked(_ text: String) -> String { text.replacing(name, with: CommandProcess.pathMark) + "\n" }
    CommandProcess.alsoReportLostFiles(
      json: invocation.wantsJSON ? marked(document(error, kind: error.kind.word).prettyText) : nil,
      annotation: GitHubActions.current.map { _ in
        marked(GitHubText.annotation(error, command: invocation.command))
      })
  }

  /// The document that takes the place of the one that was asked for.
  static func document(_ error: FurlError, kind: String) -> JSON {
    let place = [error.file, error.place].compactMap { $0?.readable }.joined(separator: ": ")
    return [
      "error": [
        "kind": .string(kind), "place": place.isEmpty ? .null : .string(place), "file": .optional(error.file),
        "problem": .string(error.problem.readable), "remedy": .optional(error.remedy?.readable),
        "exit_status": kind == "interrupted" ? .null : .integer(Int(error.exitStatus)),
      ]
    ]
  }
}

extension FurlError.Kind {
  /// What documents call it.
  var word: String {
    switch self {
    case .usage: "usage"
    case .input: "input"
    case .unavailable: "unavailable"
    case .defect: "defect"
    case .cannotCreate: "cannot_create"
    case .cannotWrite: "cannot_write"
    }
  }
}
