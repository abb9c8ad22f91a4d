/// What lies where in the file system.
package enum FileNames {
  /// Whether a path leads to a folder, over links too; nil where nothing is.
  package static func isFolder(_ path: String) -> Bool? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return status.st_mode & S_IFMT == S_IFDIR
  }

  /// The bytes of a file, over links too; nil where nothing is.
  package static func bytes(_ path: String) -> Int? {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : nil
  }

  /// A path without symbolic links; nil where nothing is.
  package static func real(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  /// Something below a folder.
  package struct Entry: Sendable {
    /// From that folder on.
    package let path: String
    /// Whether it is a file itself, not a link to one.
    package let isFile: Bool
  }

  /// All that lies below a folder, at any depth, in the order of the names. No link is followed, nor is another file system
  /// entered; what cannot be read is left out.
  ///
  /// - Returns: nil when the folder itself cannot be read.
  package static func entries(below folder: String) -> [Entry]? {
    var status = stat()
    guard stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, access(folder, R_OK) == 0 else {
      return nil
    }
    let device = status.st_dev
    var entries: [Entry] = []
    var waiting = Array(names(in: folder).reversed())
    while let path = waiting.popLast() {
      guard lstat(folder + "/" + path, &status) == 0 else { continue }
      let kind = status.st_mode & S_IFMT
      entries.append(Entry(path: path, isFile: kind == S_IFREG))
      guard kind == S_IFDIR, status.st_dev == device else { continue }
      waiting += names(in: folder + "/" + path).reversed().map { path + "/" + $0 }
    }
    return entries
  }

  /// In the order of their bytes, which is the same everywhere.
  private static func names(in folder: String) -> [String] {
    FolderListing(folder).names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}

extension String {
  /// A path's last name: `b` of `a/b` and of `a/b/`.
  package var lastName: String { split(separator: "/").last.map(String.init) ?? self }

  /// The folder that a path's last name is in: `a` of `a/b`, `/` of `/b`, `.` of `b`.
  package var folderPath: String {
    var bytes = Substring(self).utf8
    while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    bytes = bytes[..<slash]
    while bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
    return bytes.isEmpty ? "/" : String(Substring(bytes))
  }

  /// What follows the last dot of a path's last name; empty without one, and where nothing else is in the name.
  package var ending: String {
    let name = lastName
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return "" }
    return String(name[name.index(after: dot)...])
  }
}
