import FurlBase

/// The programs that a sandbox is made of.
struct SandboxTools: Sendable, Hashable {
  var python: String
  /// What is shown of the machine; nil without a sandbox.
  var files: PythonFiles?
  /// Nil without a sandbox.
  var bwrap: String?
  /// Drops root's identity; nil when there is none to drop.
  var setpriv: String?
  /// Ends a program with its parent where there is no sandbox that does; nil where there is nothing for it.
  var watch: String?
  /// Nil where it cannot be made; Python's files are shown where they lie then, and the scratch folder is read-only.
  var root: PythonRoot?
  /// How `/lib`, `/bin` and so on come from `/usr`: what the links hold.
  var links: [PythonFiles.Shown] = []

  /// Bytes and files that a program may keep in its scratch folder. Names and links are memory of the kernel's, a few KB for
  /// each file at most.
  static let scratchBytes = 64 << 20
  static let scratchFiles = 4096
  /// What is shown of `/dev`, beside links of its own to nowhere.
  static let devices = ["null", "zero", "full", "random", "urandom"]
  static let standardLinks = ["stdin", "stdout", "stderr"].map {
    PythonFiles.Shown(path: "null", shownAs: "/dev/\($0)")
  }

  static func find(unsandboxed: Bool) throws(FurlError) -> SandboxTools {
    // A Python under someone's home folder is not for everybody to run.
    guard let python = ["/usr/bin/python3", "/usr/local/bin/python3"].first(where: isExecutable) else {
      throw FurlError(
        .unavailable, "there is no /usr/bin/python3 to execute programs with", remedy: "apt-get install python3")
    }
    var tools = SandboxTools(python: python)
    if unsandboxed {
      tools.watch = path(of: "setpriv")
      return tools
    }
    tools.bwrap = try find("bwrap", in: "bubblewrap")
    // As root the limit on processes has no effect, whatever namespace one is in.
    if geteuid() == 0 { tools.setpriv = try find("setpriv", in: "util-linux") }
    for folder in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
      if let target = try? FileManager.default.destinationOfSymbolicLink(atPath: folder) {
        tools.links.append(PythonFiles.Shown(path: target, shownAs: folder))
      }
    }
    #if os(Linux)
    let files = try PythonFiles.find(python)
    tools.files = files
    tools.python = files.executable
    tools.root = PythonRoot.prepared(tools, files)
    #endif
    return tools
  }

  static func path(of name: String) -> String? {
    ["/usr/bin/", "/bin/", "/usr/sbin/", "/usr/local/bin/"].map { $0 + name }.first(where: isExecutable)
  }

  private static func find(_ name: String, in package: String) throws(FurlError) -> String {
    if let path = path(of: name) { return path }
    throw FurlError(
      .unavailable, "\(name) is missing, so generated programs cannot be kept in a sandbox",
      remedy: "apt-get install \(package), or --unsandboxed where the machine itself is one")
  }

  private static func isExecutable(_ path: String) -> Bool { FileManager.default.isExecutableFile(atPath: path) }

  /// The command that runs a Python program under the limits, which are its first argument (`limits.py`).
  ///
  /// - Parameters:
  ///   - filter: the descriptor of the system call filter, if there is one.
  ///   - memory: MiB of address space.
  ///   - file: MiB that a file may grow to.
  ///   - processor: seconds of processor time, after which the process is ended.
  ///   - isTrusted: whether the text is the suite's and not a program's; its files are not counted.
  func command(
    _ text: String, filter: Int?, memory: Int, processor: Int, file: Int = 16, isTrusted: Bool = false,
    arguments: [String] = []
  ) -> [String] {
    var command: [String] = []
    if let watch { command += [watch, "--pdeathsig", "KILL", "--"] }
    command += nobody
    if let bwrap {
      if let root { command += root.entering(isTrusted ? nil : (SandboxTools.scratchBytes, SandboxTools.scratchFiles)) }
      command += [bwrap, "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
      command += [
        "--uid", "65534", "--gid", "65534", "--clearenv", "--setenv", "PYTHONHASHSEED", "0", "--cap-drop", "ALL",
      ]
      // What the system tells of processes is not shown: each name in there that is looked up becomes memory of the kernel's,
      // and the first process, which is bubblewrap's own, has no limits.
      command += root.map { ["--dev-bind", $0.path, "/"] } ?? shownWhereTheyLie
      if root == nil || isTrusted { command += ["--size", "\(SandboxTools.scratchBytes)", "--tmpfs", "/tmp"] }
      if root == nil, !isTrusted { command += ["--remount-ro", "/tmp"] }
      command += ["--remount-ro", "/", "--chdir", "/tmp"]
      if let filter { command += ["--seccomp", "\(filter)"] }
      command.append("--")
    }
    let limits = limits(memory: memory, processor: processor, file: file)
    return command + [python, "-s", "-S", "-B", "-X", "utf8", "-c", text, limits] + arguments
  }

  /// Puts root's identity off.
  var nobody: [String] {
    setpriv.map { [$0, "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"] } ?? []
  }

  /// Bubblewrap's options for a root without copies.
  private var shownWhereTheyLie: [String] {
    (files?.options ?? []) + (links + SandboxTools.standardLinks).flatMap { ["--symlink", $0.path, $0.shownAs] }
      + SandboxTools.devices.flatMap { ["--dev-bind", "/dev/\($0)", "/dev/\($0)"] }
      + ["--dir", "/dev/shm", "--dir", "/proc"]
  }

  /// What a process limits itself to, in the form that `limits.py` reads.
  private func limits(memory: Int, processor: Int, file: Int) -> String {
    var limits = [
      ("AS", memory << 20, memory << 20), ("CPU", processor, processor + 1), ("CORE", 0, 0),
      ("FSIZE", file << 20, file << 20), ("NOFILE", 64, 64), ("MEMLOCK", 0, 0),
    ]
    // Outside of a user namespace these count all that is the user's.
    if bwrap != nil { limits += [("NPROC", 32, 32), ("SIGPENDING", 64, 64), ("MSGQUEUE", 0, 0)] }
    return limits.map { "\($0.0):\($0.1):\($0.2)" }.joined(separator: " ")
  }

  /// Python's hashes of texts are seeded, so that the order of a set, and with it a verdict, is always the same.
  static let environment = ["PYTHONHASHSEED=0"]
}
