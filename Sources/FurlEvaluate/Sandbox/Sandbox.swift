import FurlTensor
import Foundation
import Synchronization

/// What keeps a generated program away from everything but its own work.
///
/// On Linux it is bubblewrap: fresh namespaces for processes, mounts, users, network and the rest, `/usr`
/// read-only, a small scratch folder in memory, no other file, no network, limits on memory, processor time,
/// processes, files and their sizes, and a filter of system calls.
public struct Sandbox: Sendable, Hashable {
  /// How much stands between a program and the machine.
  public enum Protection: String, Sendable, Hashable, CaseIterable {
    case bubblewrapAndFilter = "bwrap+seccomp"
    case bubblewrap = "bwrap"
    /// Limits only. Reports say so.
    case none
  }

  public let protection: Protection
  /// The version of the Python that executes the programs.
  public let python: String

  let tools: SandboxTools
  /// Both sides of the pipe, compiled once by that Python, as hexadecimal digits.
  let candidateCode: String
  let testerCode: String
  /// The side that puts inputs.
  let inputsTesterCode: String

  /// Finds out what this machine has, once per process.
  ///
  /// - Parameter unsandboxed: runs programs with nothing but limits around them. Only for programs that are
  ///   trusted, or a machine that is a sandbox itself.
  /// - Throws: ``FurlError`` of kind `unavailable` that says what is missing and how to get it.
  public static func detect(unsandboxed: Bool = false) throws -> Sandbox {
    try cache.withLock { known in
      if let result = known[unsandboxed] { return try result.get() }
      let result = Result<Sandbox, FurlError> { () throws(FurlError) in try probe(unsandboxed: unsandboxed) }
      known[unsandboxed] = result
      return try result.get()
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
    if SystemCallFilter.bytes != nil, let sandbox = try? SandboxProbe.run(tools, .bubblewrapAndFilter) {
      return sandbox
    }
    return try SandboxProbe.run(tools, .bubblewrap)
    #else
    throw FurlError(
      .unavailable, "generated programs are executed on Linux only", remedy: "use --samples here and score there")
    #endif
  }

  init(
    _ protection: Protection, python: String, tools: SandboxTools, candidateCode: String, testerCode: String,
    inputsTesterCode: String
  ) {
    self.protection = protection
    self.python = python
    self.tools = tools
    self.candidateCode = candidateCode
    self.testerCode = testerCode
    self.inputsTesterCode = inputsTesterCode
  }
}

/// The programs that a sandbox is made of.
struct SandboxTools: Sendable, Hashable {
  var python: String
  var prlimit: String
  /// Nil without a sandbox.
  var bwrap: String?
  /// Drops root's identity; nil when there is none to drop.
  var setpriv: String?
  /// Ends a program with its parent where there is no sandbox that does; nil where there is nothing for it.
  var watch: String?
  /// How `/lib`, `/bin` and so on come from `/usr`, as bubblewrap's options.
  var links: [String] = []

  static func find(unsandboxed: Bool) throws(FurlError) -> SandboxTools {
    // A Python under someone's home folder is not visible inside.
    guard let python = ["/usr/bin/python3", "/usr/local/bin/python3"].first(where: isExecutable) else {
      throw FurlError(
        .unavailable, "there is no /usr/bin/python3 to execute programs with", remedy: "apt-get install python3")
    }
    var tools = SandboxTools(python: python, prlimit: try find("prlimit", in: "util-linux"))
    if unsandboxed {
      tools.watch = try? find("setpriv", in: "util-linux")
      return tools
    }
    tools.bwrap = try find("bwrap", in: "bubblewrap")
    // As root the limit on processes has no effect, whatever namespace one is in.
    if geteuid() == 0 { tools.setpriv = try find("setpriv", in: "util-linux") }
    for folder in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
      if let target = try? FileManager.default.destinationOfSymbolicLink(atPath: folder) {
        tools.links += ["--symlink", target, folder]
      } else if FileManager.default.fileExists(atPath: folder) {
        tools.links += ["--ro-bind", folder, folder]
      }
    }
    return tools
  }

  private static func find(_ name: String, in package: String) throws(FurlError) -> String {
    let path = ["/usr/bin/", "/bin/", "/usr/sbin/", "/usr/local/bin/"].map { $0 + name }.first(where: isExecutable)
    if let path { return path }
    throw FurlError(
      .unavailable, "\(name) is missing, so generated programs cannot be kept in a sandbox",
      remedy: "apt-get install \(package), or --unsandboxed where the machine itself is one")
  }

  private static func isExecutable(_ path: String) -> Bool { FileManager.default.isExecutableFile(atPath: path) }

  /// The command that runs a Python text under the limits.
  ///
  /// - Parameters:
  ///   - filter: the descriptor of the system call filter, if there is one.
  ///   - memory: MiB of address space.
  ///   - file: MiB that a file may grow to.
  ///   - processor: seconds of processor time, after which the process is ended.
  func command(
    _ text: String, filter: Int?, memory: Int, processor: Int, file: Int = 16, arguments: [String] = []
  ) -> [String] {
    var command: [String] = []
    if let watch { command += [watch, "--pdeathsig", "KILL", "--"] }
    if let setpriv {
      command += [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
    }
    if let bwrap {
      command += [bwrap, "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
      command += ["--clearenv", "--setenv", "PYTHONHASHSEED", "0", "--cap-drop", "ALL", "--ro-bind", "/usr", "/usr"]
      command += links
      command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
      command += ["--size", "\(64 << 20)", "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/tmp"]
      if let filter { command += ["--seccomp", "\(filter)"] }
    }
    command += [prlimit, "--as=\(memory << 20)", "--cpu=\(processor):\(processor + 1)", "--core=0"]
    command += ["--fsize=\(file << 20)", "--nofile=64"]
    // Outside of a user namespace this limit counts all processes of the user.
    if bwrap != nil { command.append("--nproc=32") }
    return command + ["--", python, "-s", "-S", "-B", "-X", "utf8", "-c", text] + arguments
  }

  /// Python's hashes of texts are seeded, so that the order of a set, and with it a verdict, is always the same.
  static let environment = ["PYTHONHASHSEED=0"]
}
