package import FurlBase
import Synchronization

/// What keeps a generated program away from everything but its own work.
///
/// On Linux it is bubblewrap: fresh namespaces for processes, mounts, users, network and the rest; of files nothing but
/// copies of Python's own (``PythonFiles``, ``PythonRoot``), read-only, and a scratch folder in memory of limited size and
/// number of files; nothing of what the system tells of processes; no network; limits on memory, processor time, processes and
/// descriptors; and a filter of system calls.
package struct Sandbox: Sendable, Hashable {
  /// How much stands between a program and the machine.
  package enum Protection: String, Sendable, Hashable, CaseIterable {
    case bubblewrapAndFilter = "bwrap+seccomp"
    case bubblewrap = "bwrap"
    /// Limits only. Reports say so.
    case none
  }

  package let protection: Protection
  /// How reports call it.
  package var name: String {
    protection == .none || tools.root != nil ? protection.rawValue : protection.rawValue + ", read-only"
  }
  /// The version of the Python that executes the programs.
  package let python: String

  let tools: SandboxTools
  /// The side of the pipe that runs a program, and those that judge it by a test or by inputs.
  let candidate: PythonCode
  let checkTester: PythonCode
  let inputsTester: PythonCode

  /// Finds out what this machine has, once per process.
  ///
  /// - Parameter unsandboxed: runs programs with nothing but limits around them. Only for programs that are
  ///   trusted, or a machine that is a sandbox itself.
  /// - Throws: ``FurlError`` of kind `unavailable` that says what is missing and how to get it.
  package static func detect(unsandboxed: Bool = false) throws -> Sandbox {
    try cache.withLock { known in
      if let result = known[unsandboxed] { return try result.get() }
      let result = Result<Sandbox, FurlError> { () throws(FurlError) in try probe(unsandboxed: unsandboxed) }
      known[unsandboxed] = result
      return try result.get()
    }
  }

  /// Refuses files that programs would see inside, such as a suite with its answers.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names the first of them.
  package func check(areHidden paths: [String]) throws(FurlError) {
    guard protection != .none, let files = tools.files else { return }
    for path in paths where files.shows(path) {
      throw FurlError.input(
        path, "lies where generated programs could read it: the sandbox shows Python's own folders",
        remedy: "move it out of \(files.folders.map(\.path).joined(separator: ", "))")
    }
  }

  private static let cache = Mutex<[Bool: Result<Sandbox, FurlError>]>([:])

  private static func probe(unsandboxed: Bool) throws(FurlError) -> Sandbox {
    #if os(Linux)
    let tools = try SandboxTools.find(unsandboxed: unsandboxed)
    if unsandboxed {
      // An old setpriv does not know how to end a program with its parent.
      if tools.watch != nil, let sandbox = try? SandboxProbe.run(tools, .none) { return sandbox }
      var bare = tools
      bare.watch = nil
      return try SandboxProbe.run(bare, .none)
    }
    // Where files cannot be counted, none can be written.
    var bare = tools
    bare.root = nil
    let protections: [Protection] = SystemCallFilter.bytes == nil ? [.bubblewrap] : [.bubblewrapAndFilter, .bubblewrap]
    for protection in protections {
      if tools.root != nil, let sandbox = try? SandboxProbe.run(tools, protection) { return sandbox }
      if let sandbox = try? SandboxProbe.run(bare, protection) { return sandbox }
    }
    return try SandboxProbe.run(bare, .bubblewrap)
    #else
    throw FurlError(
      .unavailable, "generated programs are executed on Linux only", remedy: "use --samples here and score there")
    #endif
  }

  init(
    _ protection: Protection, python: String, tools: SandboxTools, candidate: PythonCode, checkTester: PythonCode,
    inputsTester: PythonCode
  ) {
    self.protection = protection
    self.python = python
    self.tools = tools
    self.candidate = candidate
    self.checkTester = checkTester
    self.inputsTester = inputsTester
  }
}
