import CFurlKernels

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
    guard stat(folder, &status) == 0, let top = names(in: folder) else { return nil }
    let device = status.st_dev
    var entries: [Entry] = []
    var waiting = Array(top.reversed())
    while let path = waiting.popLast() {
      guard lstat(folder + "/" + path, &status) == 0 else { continue }
      let kind = status.st_mode & S_IFMT
      entries.append(Entry(path: path, isFile: kind == S_IFREG))
      guard kind == S_IFDIR, status.st_dev == device else { continue }
      waiting += (names(in: folder + "/" + path) ?? []).reversed().map { path + "/" + $0 }
    }
    return entries
  }

  private static func names(in folder: String) -> [String]? {
    guard let stream = opendir(folder) else { return nil }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
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

extension StringProtocol {
  /// Where a text is found last.
  package func lastRange(of text: String) -> Range<Index>? {
    for start in indices.reversed() where self[start...].hasPrefix(text) {
      return start..<index(start, offsetBy: text.count)
    }
    return nil
  }

  /// The text without white space at its ends.
  package var trimmed: String {
    let begin = drop(while: \.isWhitespace)
    return String(begin.reversed().drop(while: \.isWhitespace).reversed())
  }
}

/// Writes as many bytes to a descriptor as the system takes now.
///
/// - Returns: how many; -1, and `errno`, for none.
package func writeSome(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int {
  write(descriptor, bytes.baseAddress, bytes.count)
}

/// Writes all bytes to a descriptor.
///
/// - Returns: false, and `errno`, when the system does not take them.
package func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
  bytes.withUnsafeBytes { bytes in
    var done = 0
    while done < bytes.count {
      let count = writeSome(UnsafeRawBufferPointer(rebasing: bytes[done...]), to: descriptor)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }
}

/// The file that this process runs; as it was called where the system does not say.
package var ownExecutable: String {
  #if canImport(Darwin)
  var room = UInt32(0)
  _NSGetExecutablePath(nil, &room)
  var path = [CChar](repeating: 0, count: Int(room))
  if _NSGetExecutablePath(&path, &room) == 0, let resolved = realpath(path, nil) {
    defer { free(resolved) }
    return String(cString: resolved)
  }
  #else
  if let resolved = realpath("/proc/self/exe", nil) {
    defer { free(resolved) }
    return String(cString: resolved)
  }
  #endif
  return CommandLine.arguments[0]
}
