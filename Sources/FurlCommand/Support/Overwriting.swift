import FurlBase

/// Keeps a command from writing over what it reads.
enum Overwriting {
  /// An option, or what else tells of an output, and its path; nil for none.
  typealias Output = (option: String, path: String?)

  /// Refuses outputs that are inputs of the same command or one another, whatever the names: links lead to the same file.
  ///
  /// - Parameters:
  ///   - inputs: files that are read, and no others: what else lies beside them may be written.
  /// - Throws: ``FurlError`` of kind `usage` that names both. Nothing is written to any output then.
  static func check(_ outputs: [Output], over inputs: [String]) throws {
    do {
      try refuse(outputs, over: inputs)
    } catch {
      Ending.leaveFiles()
      throw error
    }
  }

  /// Refuses inputs that lie in folders which are cleared.
  ///
  /// - Throws: ``FurlError`` of kind `usage`.
  static func check(clearing folders: [String], of inputs: [String]) throws {
    let folders = folders.compactMap { folder in OutputPlace(folder).map { (folder, $0) } }
    for input in inputs {
      guard var path = FileNames.real(input) else { continue }
      while let slash = path.lastIndex(of: "/"), slash != path.startIndex {
        path = String(path[..<slash])
        guard let place = OutputPlace(path), let folder = folders.first(where: { $0.1 == place })?.0 else { continue }
        throw FurlError(
          .usage, file: folder, "is cleared by this command, and \(input), which it reads, lies in it",
          remedy: "give another folder")
      }
    }
  }

  private static func refuse(_ outputs: [Output], over inputs: [String]) throws {
    var seen: [OutputPlace: (option: String, path: String)] = [:]
    for (option, path) in outputs {
      guard let path, let place = OutputPlace(path), !place.isDevice else { continue }
      if let first = seen.updateValue((option, path), forKey: place) {
        throw FurlError(
          .usage, file: path, "\(first.option) and \(option) are the same file", remedy: "give each a name of its own")
      }
    }
    guard !seen.isEmpty else { return }
    for input in inputs {
      guard let place = OutputPlace(input), let output = seen[place] else { continue }
      throw FurlError(
        .usage, file: output.path, "\(output.option) would write over \(input), which this command reads",
        remedy: "give another name")
    }
  }

  /// What makes two paths one file.
  private struct OutputPlace: Hashable {
    let device: UInt64
    let number: UInt64
    /// What of the path is not there yet.
    let missing: [String]
    /// Nothing that is written to a device or a pipe is lost.
    let isDevice: Bool

    /// Nil for what cannot be: links in a circle, names in what is no folder.
    init?(_ path: String) {
      guard !path.isEmpty, var path = try? linkTarget(path) else { return nil }
      var missing: [String] = []
      var status = stat()
      while stat(path, &status) != 0 {
        guard errno == ENOENT, path != "/", path != "." else { return nil }
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        let slash = path.lastIndex(of: "/")
        let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
        path = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        // What is not there has no folder above it, either, but by its name.
        if name == "..", !missing.isEmpty { missing.removeFirst() } else if name != "." { missing.insert(name, at: 0) }
      }
      device = UInt64(truncatingIfNeeded: status.st_dev)
      number = UInt64(truncatingIfNeeded: status.st_ino)
      isDevice = ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT)
      self.missing = missing
    }
  }
}
