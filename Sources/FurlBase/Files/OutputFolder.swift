/// A folder that appears under its name only when it is whole.
///
/// It is filled as `.NAME.furl-XXXXXX` beside its place and renamed at the end. It is locked while its writer lives,
/// so that the next writer of the same name can tell what a killed one has left behind.
package final class OutputFolder {
  package let path: String
  private let parent: String
  /// Where the files are written; empty when there is nothing to remove any more.
  private var temporary: String
  private var descriptor: Int32

  /// - Throws: ``FurlError`` of kind `cannotCreate`, also for a folder that has something in it.
  package init(path given: String) throws {
    var place = given
    while place.count > 1, place.hasSuffix("/") { place.removeLast() }
    place = try linkTarget(place)
    while place.count > 1, place.hasSuffix("/") { place.removeLast() }
    let path = place.isEmpty ? given : place
    let slash = place.utf8.lastIndex(of: UInt8(ascii: "/"))
    let name = slash.map { String(place[place.index(after: $0)...]) } ?? place
    parent = slash.map { $0 == place.startIndex ? "/" : String(place[..<$0]) } ?? "."
    self.path = path
    guard !name.isEmpty, name != ".", name != "..", !path.utf8.contains(0) else {
      throw FurlError(.cannotCreate, file: path, "is not the name of a folder", remedy: "give the name of a new folder")
    }
    try OutputFolder.refuseWhatIsThere(path)
    let prefix = ".\(name).furl-"
    OutputFolder.removeStale(prefix: prefix, in: parent)
    (temporary, descriptor) = try OutputFolder.create(prefix: prefix, in: parent, for: path)
    Unfinished.add(temporary)
  }

  deinit { abandon() }

  /// Opens a file of the folder; it has to be committed before the folder is.
  package func file(_ name: String) throws -> OutputFile {
    try OutputFile(path: "\(temporary)/\(name)", shownAs: "\(path)/\(name)")
  }

  /// Sees to it that the file system has room.
  ///
  /// - Throws: ``FurlError`` of kind `cannotWrite`.
  package func require(bytes: Int) throws { try OutputFile.require(bytes: bytes, on: descriptor, for: path) }

  /// Writes a whole file of the folder.
  package func write(_ bytes: [UInt8], as name: String) throws {
    let output = try file(name)
    try output.write(bytes)
    try output.commit()
  }

  /// Copies a file into the folder.
  package func copy(_ source: MappedFile, as name: String) throws {
    let output = try file(name)
    for start in stride(from: 0, to: source.count, by: 4 << 20) {
      try output.write(source.read(start..<min(start + 4 << 20, source.count)))
    }
    try output.commit()
  }

  /// Puts the folder under its name.
  ///
  /// - Throws: ``FurlError`` of kind `cannotWrite`.
  package func commit() throws {
    // A file system that cannot sync a folder is no reason to fail; the files themselves are synced.
    fsync(descriptor)
    // An empty folder is replaced; one that has got something in it meanwhile is not.
    guard rename(temporary, path) == 0 else {
      throw FurlError.writing(path, remedy: "choose another place")
    }
    Unfinished.forget(temporary)
    temporary = ""
    close(descriptor)
    descriptor = -1
    OutputFile.syncNames(in: parent)
  }

  /// Removes what was written.
  package func abandon() {
    if !temporary.isEmpty {
      try? FileManager.default.removeItem(atPath: temporary)
      Unfinished.forget(temporary)
    }
    temporary = ""
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
  }

  // MARK: Temporary folders

  private static func refuseWhatIsThere(_ path: String) throws {
    var status = stat()
    guard stat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw FurlError(.cannotCreate, file: path, "is not a folder", remedy: "give the name of a new folder")
    }
    guard let content = try? FileManager.default.contentsOfDirectory(atPath: path), content.isEmpty else {
      throw FurlError(
        .cannotCreate, file: path, "has files in it already", remedy: "give the name of a new or an empty folder")
    }
  }

  private static func create(prefix: String, in parent: String, for path: String) throws -> (String, Int32) {
    for _ in 0..<100 {
      let temporary = "\(parent)/\(prefix)\(OutputFile.suffix())"
      guard mkdir(temporary, 0o755) == 0 else {
        if errno == EEXIST || errno == EINTR { continue }
        break
      }
      let descriptor = open(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      // Another writer may take the folder for a dead one's before it is locked; then it is gone.
      if descriptor >= 0 {
        _ = flock(descriptor, LOCK_EX)
        if access(temporary, F_OK) == 0 { return (temporary, descriptor) }
        close(descriptor)
      }
    }
    throw FurlError.creating(path, remedy: "choose a place that exists and can be written to")
  }

  /// Removes the temporary folders that writers of the same output have left behind; one that is locked has a writer.
  private static func removeStale(prefix: String, in parent: String) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? [] {
      let suffix = name.utf8.dropFirst(prefix.utf8.count)
      guard name.hasPrefix(prefix), suffix.count == OutputFile.suffixLength,
        suffix.allSatisfy(OutputFile.letters.contains)
      else { continue }
      let stale = "\(parent)/\(name)"
      let descriptor = open(stale, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
      guard descriptor >= 0 else { continue }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { try? FileManager.default.removeItem(atPath: stale) }
      close(descriptor)
    }
  }
}
