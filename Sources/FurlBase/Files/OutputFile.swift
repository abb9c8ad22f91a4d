/// A file that appears under its name only when it is whole.
///
/// It has no name while it is written (open(2), `O_TMPFILE`), so that nothing is left of it whatever ends its
/// writer. At the end it is linked as `.NAME.furl-XXXXXX` in the same folder and renamed, as a link cannot replace
/// a file. Where the system has no such files it has the temporary name from the start. It is locked while its
/// writer lives, so that the next writer of the same name can tell what a killed one has left behind.
package final class OutputFile {
  /// Where the file goes: what `path` was, or what it points to if that is a symbolic link.
  package let path: String
  /// Bytes written so far.
  package private(set) var count = 0
  private let staged: StagedFile
  /// What errors call the file.
  private let shownAs: String
  private let folder: String
  private let prefix: String
  /// Empty while the file has no name.
  private var temporary: String
  private var descriptor: Int32

  /// - Parameters:
  ///   - unnamed: gives the file no name while it is written, where the system can.
  ///   - shownAs: what errors call the file, where that is not its path.
  /// - Throws: ``FurlError`` of kind `cannotCreate`.
  package init(path given: String, unnamed: Bool = true, shownAs: String? = nil) throws {
    let path = try linkTarget(given)
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    self.path = path
    self.shownAs = shownAs ?? given
    guard !name.isEmpty, name != ".", name != ".." else {
      throw FurlError(.cannotCreate, file: path, "is a folder", remedy: "give the name of a file")
    }
    try OutputFile.refuseWhatIsNoFile(path)
    prefix = ".\(name).furl-"
    OutputFile.removeStale(prefix: prefix, in: folder)
    if unnamed, let opened = OutputFile.createUnnamed(prefix: prefix, in: folder) {
      descriptor = opened
      temporary = ""
    } else {
      (descriptor, temporary) = try OutputFile.create(prefix: prefix, in: folder, for: self.shownAs)
      Unfinished.add(temporary)
    }
    staged = StagedFile(descriptor: descriptor)
  }

  /// For tests: writes to a file that is open already.
  init(descriptor: Int32, path: String) {
    self.path = path
    shownAs = path
    folder = "."
    prefix = ""
    temporary = ""
    self.descriptor = descriptor
    staged = StagedFile(descriptor: descriptor)
  }

  deinit { abandon() }

  /// Appends bytes. They may not be in the file yet: a write that fails is thrown by a later call,
  /// ``commit(waiting:)`` at the latest.
  ///
  /// - Throws: ``FurlError`` of kind `cannotWrite`.
  package func write(_ bytes: [UInt8]) throws {
    try check(staged.append(bytes))
    count += bytes.count
  }

  /// The same for bytes in a storage.
  package func write(_ bytes: ByteStorage) throws {
    try check(staged.append(bytes))
    count += bytes.count
  }

  private func check(_ error: Int32) throws {
    guard error == 0 else { throw failure(error) }
  }

  /// Sees to it that the file system has room.
  ///
  /// - Throws: ``FurlError`` of kind `cannotWrite`.
  package func require(bytes: Int) throws {
    try OutputFile.require(bytes: bytes, on: descriptor, for: shownAs)
    staged.expect(bytes: bytes)
  }

  /// The same for the file system of any open file or folder.
  static func require(bytes: Int, on descriptor: Int32, for path: String) throws {
    var status = statvfs()
    // Some file systems do not know their size; they say so when they are full.
    guard fstatvfs(descriptor, &status) == 0, status.f_blocks > 0 else { return }
    let (free, isHuge) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    guard isHuge || free >= UInt64(bytes) else {
      throw FurlError(
        .cannotWrite, file: path, "needs up to \(bytes) bytes, and its disk has \(free) left",
        remedy: "free space or choose another place")
    }
  }

  /// Writes bytes at a place of the file; any thread, any order, and apart from ``write(_:)``.
  ///
  /// - Throws: ``FurlError`` of kind `cannotWrite`.
  package func write(_ bytes: [UInt8], at offset: Int) throws {
    var done = 0
    while done < bytes.count {
      let rest = done == 0 ? bytes : Array(bytes[done...])
      let written = pwrite(descriptor, rest, rest.count, off_t(offset + done))
      if written < 0 {
        if errno == EINTR { continue }
        throw failure()
      }
      done += written
    }
  }

  /// Puts the file under its name.
  ///
  /// - Parameter waiting: for the disk; what can be made again need not be safe from a power cut.
  /// - Throws: ``FurlError`` of kind `cannotWrite`.
  package func commit(waiting: Bool = true) throws {
    try check(staged.finish())
    guard !waiting || fsync(descriptor) == 0 else { throw failure() }
    if temporary.isEmpty { try giveName() }
    guard rename(temporary, path) == 0 else { throw failure() }
    Unfinished.forget(temporary)
    close(descriptor)
    descriptor = -1
    OutputFile.syncNames(in: folder)
  }

  /// Has the disk know what is in a folder now. What was written is whole and in its place; a file system that cannot sync a
  /// folder is no reason to fail.
  static func syncNames(in folder: String) {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }

  /// Removes what was written.
  package func abandon() {
    guard descriptor >= 0 else { return }
    staged.stop()
    if !temporary.isEmpty {
      unlink(temporary)
      Unfinished.forget(temporary)
    }
    close(descriptor)
    descriptor = -1
  }

  /// Links the file that has no name.
  private func giveName() throws {
    #if os(Linux)
    for _ in 0..<100 {
      let name = "\(folder)/\(prefix)\(OutputFile.suffix())"
      if linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", AT_FDCWD, name, Int32(AT_SYMLINK_FOLLOW)) == 0 {
        temporary = name
        Unfinished.add(temporary)
        return
      }
      guard errno == EEXIST || errno == EINTR else { break }
    }
    #endif
    throw failure()
  }

  private func failure(_ error: Int32 = errno) -> FurlError { .writing(shownAs, error) }

  // MARK: Temporary files

  private static func refuseWhatIsNoFile(_ path: String) throws {
    var status = stat()
    guard stat(path, &status) == 0 else { return }
    let type = status.st_mode & S_IFMT
    guard type != S_IFDIR else {
      throw FurlError(.cannotCreate, file: path, "is a folder", remedy: "give the name of a file")
    }
    guard type == S_IFREG else {
      throw FurlError(.cannotCreate, file: path, "is not a regular file", remedy: "give another name")
    }
  }

  static let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789".utf8)
  static let suffixLength = 6

  static func suffix() -> String {
    String(decoding: (0..<suffixLength).map { _ in letters[Int.random(in: 0..<letters.count)] }, as: UTF8.self)
  }

  /// Nil where such a file cannot be had, for whatever reason: the usual way then works or says why not.
  private static func createUnnamed(prefix: String, in folder: String) -> Int32? {
    #if os(Linux)
    // The name that it is to have at the end must be possible (NAME_MAX).
    guard prefix.utf8.count + suffixLength <= 255 else { return nil }
    // O_TMPFILE is made of two macros, which Swift does not import.
    let unnamed: Int32 = 0o20000000 | O_DIRECTORY
    let descriptor = open(folder, unnamed | O_WRONLY | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return nil }
    guard access("/proc/self/fd/\(descriptor)", F_OK) == 0 else {
      close(descriptor)
      return nil
    }
    _ = flock(descriptor, LOCK_EX)
    return descriptor
    #else
    return nil
    #endif
  }

  private static func create(prefix: String, in folder: String, for path: String) throws -> (Int32, String) {
    func failure() -> FurlError { .creating(path) }
    for _ in 0..<100 {
      let temporary = "\(folder)/\(prefix)\(suffix())"
      let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
      if descriptor < 0 {
        if errno == EEXIST || errno == EINTR { continue }
        throw failure()
      }
      // Another writer may take the file for a dead one's before it is locked; then it has no name any more.
      _ = flock(descriptor, LOCK_EX)
      var status = stat()
      if fstat(descriptor, &status) == 0, status.st_nlink > 0 { return (descriptor, temporary) }
      close(descriptor)
    }
    throw failure()
  }

  /// Removes the temporary files that writers of the same output have left behind. One that is locked has a
  /// writer; where files cannot be locked, nothing is removed.
  private static func removeStale(prefix: String, in folder: String) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
      let suffix = name.utf8.dropFirst(prefix.utf8.count)
      guard name.hasPrefix(prefix), suffix.count == suffixLength, suffix.allSatisfy(letters.contains) else { continue }
      let stale = "\(folder)/\(name)"
      let descriptor = open(stale, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
      guard descriptor >= 0 else { continue }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { unlink(stale) }
      close(descriptor)
    }
  }
}
