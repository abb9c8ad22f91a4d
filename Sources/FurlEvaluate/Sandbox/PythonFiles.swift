import FurlBase

#if os(Linux)

/// What Python itself needs of a machine's files: its executable, the libraries that it and its modules load, and its standard
/// library without what was installed beside it. Nothing else is shown inside of a sandbox.
struct PythonFiles: Sendable, Hashable {
  /// Something that is shown under a path of its own or another.
  struct Shown: Sendable, Hashable {
    /// Without symbolic links.
    var path: String
    var shownAs: String
  }

  /// The executable, without symbolic links.
  var executable: String
  var folders: [Shown] = []
  var files: [Shown] = []
  /// Folders within the shown ones that are shown empty.
  var emptied: [String] = []
  /// Libraries of the system's, and the folders that they lie in, with others.
  var libraries: [Shown] = []
  var libraryFolders: [Shown] = []

  /// Asks Python itself.
  static func find(_ python: String) throws(FurlError) -> PythonFiles {
    let lines: [Substring]
    do {
      let output = try Descriptor.file()
      let nowhere = try Descriptor.nowhere()
      var child = try ChildProcess(
        [python, "-I", "-S", "-B", "-c", PythonProgram.files], environment: SandboxTools.environment,
        descriptors: [nowhere.raw, output.raw, nowhere.raw])
      let status = child.exitStatus(within: 30)
      lines = String(decoding: try output.contents(limit: 1 << 20), as: UTF8.self).split(separator: "\n")
      guard status == 0 else { throw FurlError(.unavailable, "\(python) does not tell what it is made of") }
    } catch let error as FurlError {
      throw error
    } catch {
      throw FurlError(.unavailable, "\(python) cannot be started: \(error)")
    }
    var found = PythonFiles(executable: python)
    for line in lines {
      let parts = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 3 else { continue }
      let shown = Shown(path: parts[1], shownAs: parts[2])
      switch parts[0] {
      case "executable":
        found.executable = shown.path
        found.files.append(shown)
      case "folder": found.folders.append(shown)
      case "file": found.files.append(shown)
      case "emptied": found.emptied.append(shown.shownAs)
      case "library": found.libraries.append(shown)
      case "libraries": found.libraryFolders.append(shown)
      default: break
      }
    }
    return found
  }

  /// Bubblewrap's options that show them where they lie.
  var options: [String] {
    (folders + libraryFolders + files).flatMap { ["--ro-bind", $0.path, $0.shownAs] }
      + emptied.flatMap { ["--tmpfs", $0, "--remount-ro", $0] }
  }

  /// Whether a file or folder of the machine, or something in it, is among what is shown.
  func shows(_ path: String) -> Bool {
    // What is still to be written lies where its folder does.
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    guard let path = FileNames.real(path) ?? FileNames.real(folder) else { return false }
    func lies(_ one: String, in other: String) -> Bool {
      one == other || one.hasPrefix(other == "/" ? "/" : other + "/")
    }
    if emptied.contains(where: { lies(path, in: $0) }) { return false }
    return files.contains { $0.path == path } || (folders + libraryFolders).contains { lies(path, in: $0.path) }
  }
}
#else
/// Programs are executed on Linux only.
struct PythonFiles: Sendable, Hashable {
  struct Shown: Sendable, Hashable { var path: String, shownAs: String }
  var executable: String
  var folders: [Shown] = []
  var options: [String] { [] }
  func shows(_ path: String) -> Bool { false }
}
#endif
