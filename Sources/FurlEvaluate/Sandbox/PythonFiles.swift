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

  /// Asks Python itself.
  static func find(_ python: String) throws(FurlError) -> PythonFiles {
    let lines: [Substring]
    do {
      let output = try Descriptor.file()
      let nowhere = try Descriptor.nowhere()
      var child = try ChildProcess(
        [python, "-I", "-S", "-B", "-c", script], environment: SandboxTools.environment,
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
      default: break
      }
    }
    return found
  }

  /// Bubblewrap's options that show them.
  var options: [String] {
    (folders + files).flatMap { ["--ro-bind", $0.path, $0.shownAs] }
      + emptied.flatMap { ["--tmpfs", $0, "--remount-ro", $0] }
  }

  /// Whether a file or folder of the machine, or something in it, is among what is shown.
  func shows(_ path: String) -> Bool {
    // What is still to be written lies where its folder does.
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    guard let path = realPath(path) ?? realPath(folder) else { return false }
    func lies(_ one: String, in other: String) -> Bool {
      one == other || one.hasPrefix(other == "/" ? "/" : other + "/")
    }
    if emptied.contains(where: { lies(path, in: $0) }) { return false }
    return files.contains { $0.path == path } || folders.contains { lies(path, in: $0.path) }
  }

  /// Prints what is shown: a word, a path without links, and the path inside. Libraries are those that the process has mapped
  /// once all modules of the standard library are loaded; the folder of an architecture is shown whole, since each bound file
  /// takes longer than Python's own start can spare.
  private static let script = #"""
    import os, struct, sys
    real, join, folder_of = os.path.realpath, os.path.join, os.path.dirname
    said = set()

    def say(word, path, shown=None):
        shown = shown or path
        if os.path.exists(path) and shown not in said:
            said.add(shown)
            print(word, real(path), shown, sep='\t')

    def place(path):
        """A path whose folders are no links."""
        return join(real(folder_of(path)), os.path.basename(path))

    executable = real(sys.executable)
    say('executable', executable)
    try:
        with open(executable, 'rb') as file:
            head = file.read(64)
            offset, = struct.unpack_from('<Q', head, 32)
            size, count = struct.unpack_from('<HH', head, 54)
            for at in range(count):
                file.seek(offset + at * size)
                entry = file.read(size)
                if struct.unpack_from('<I', entry)[0] == 3:
                    start, length = struct.unpack_from('<Q', entry, 8)[0], struct.unpack_from('<Q', entry, 32)[0]
                    file.seek(start)
                    loader = file.read(length).rstrip(b'\0').decode()
                    say('file', loader, place(loader))
    except (OSError, struct.error):
        pass
    library = folder_of(os.__file__)
    modules = []
    for path in sys.path:
        if os.path.isdir(path):
            modules += [join(path, name) for name in os.listdir(path) if '.so' in name]
            if not path.startswith(library + '/'):
                say('folder', path)
        elif os.path.isfile(path):
            say('file', path)
    say('folder', library)
    for name in sorted(os.listdir(library)):
        if name in ('site-packages', 'dist-packages'):
            say('emptied', join(library, name), join(real(library), name))
    try:
        import _ctypes
        for path in modules + ['libgcc_s.so.1']:
            try:
                _ctypes.dlopen(path, 1)
            except OSError:
                pass
    except ImportError:
        pass
    with open('/proc/self/maps') as maps:
        mapped = {line.split(None, 5)[5].strip() for line in maps if len(line.split(None, 5)) == 6}
    for path in sorted(mapped):
        folder = folder_of(path)
        if '.so' not in os.path.basename(path) or path.startswith(real(library) + '/'):
            continue
        if '-linux-' in os.path.basename(folder):
            say('folder', folder)
            continue
        stem = os.path.basename(path).split('.so')[0].split('-')[0]
        for name in [os.path.basename(path)] + os.listdir(folder):
            if name.startswith(stem) and '.so' in name and real(join(folder, name)) == real(path):
                say('file', path, join(folder, name))
    """#
}
#else
/// Programs are executed on Linux only.
struct PythonFiles: Sendable, Hashable {
  struct Shown: Sendable, Hashable { var path: String }
  var executable: String
  var folders: [Shown] = []
  var options: [String] { [] }
  func shows(_ path: String) -> Bool { false }
}
#endif
