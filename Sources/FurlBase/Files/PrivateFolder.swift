/// A folder of the cache that this user alone can write to, held open.
///
/// What is kept is believed, so nobody else may have written it, or have been able to: the cache's root, the folder and
/// each file belong to this user, no one else may write to them, none is a symbolic link, and no file has a second name
/// elsewhere. All of that is looked at on what was opened, not on a path that could lead elsewhere a moment later.
package final class PrivateFolder {
  /// What became of looking for something.
  package enum FoundFolder<Value> {
    case here(Value)
    case missing
    /// It is there and not to be believed: why, as a sentence without a subject.
    case foreign(path: String, String)
  }

  package let path: String
  private let descriptor: Int32

  private init(path: String, descriptor: Int32) { (self.path, self.descriptor) = (path, descriptor) }

  deinit { close(descriptor) }

  /// Opens a folder in the cache's root.
  ///
  /// - Parameter makes: whether the folder and its root are made, for this user alone, where they are missing.
  package static func open(_ name: String, in root: String, makes: Bool = false) -> FoundFolder<PrivateFolder> {
    if makes { makeFolders(root) }
    let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW
    let opened = systemOpen(root, flags)
    guard opened >= 0 else { return failure(root) }
    let parent = PrivateFolder(path: root, descriptor: opened)
    if let reason = problem(opened, kind: S_IFDIR) { return .foreign(path: root, reason) }
    if makes { _ = mkdirat(opened, name, 0o700) }
    let path = root + "/" + name
    let inner = openat(parent.descriptor, name, flags)
    guard inner >= 0 else { return failure(path) }
    let folder = PrivateFolder(path: path, descriptor: inner)
    if let reason = problem(inner, kind: S_IFDIR) { return .foreign(path: path, reason) }
    return .here(folder)
  }

  /// The bytes of a file.
  ///
  /// - Parameter limit: the most bytes; a larger file counts as missing.
  package func read(_ name: String, limit: Int) -> FoundFolder<[UInt8]> {
    let file = openat(descriptor, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard file >= 0 else { return PrivateFolder.failure(path + "/" + name) }
    defer { close(file) }
    if let reason = PrivateFolder.problem(file, kind: S_IFREG) { return .foreign(path: path + "/" + name, reason) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_size <= limit else { return .missing }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeMutableBytes {
        pread(file, $0.baseAddress! + done, $0.count - done, off_t(done))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return .missing }
      done += count
    }
    return .here(bytes)
  }

  /// Puts a file in the place of what bears its name; it appears when it is whole. What cannot be kept is not.
  package func write(_ name: String, _ bytes: [UInt8]) {
    let staged = ".\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let file = openat(descriptor, staged, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { return }
    let isWritten = writeAll(bytes, to: file)
    guard close(file) == 0, isWritten, renameat(descriptor, staged, descriptor, name) == 0 else {
      unlinkat(descriptor, staged, 0)
      return
    }
  }

  /// Says that a file was used now.
  package func touch(_ name: String) { _ = utimensat(descriptor, name, nil, AT_SYMLINK_NOFOLLOW) }

  package func remove(_ name: String) { _ = unlinkat(descriptor, name, 0) }

  /// What lies in the folder, with sizes and times of change.
  package var files: [(name: String, status: FileIdentity)] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.compactMap { name in
      var status = stat()
      return fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? (name, FileIdentity(status)) : nil
    }
  }

  // MARK: Trust

  private static func failure<Value>(_ path: String) -> FoundFolder<Value> {
    switch errno {
    case ENOENT: .missing
    case ELOOP: .foreign(path: path, "is a symbolic link")
    // What open(2) says of a link where a folder is wanted.
    case ENOTDIR: .foreign(path: path, "is a symbolic link or no folder")
    default: .foreign(path: path, "cannot be opened: \(systemMessage())")
    }
  }

  /// Why what was opened could be somebody else's work; nil when it could not.
  private static func problem(_ descriptor: Int32, kind: mode_t) -> String? {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return "cannot be looked at: \(systemMessage())" }
    guard status.st_mode & S_IFMT == kind else { return kind == S_IFDIR ? "is no folder" : "is no regular file" }
    guard status.st_uid == geteuid() else { return "belongs to another user" }
    // Rights of access control lists show in the group's bits.
    guard status.st_mode & 0o022 == 0 else { return "can be written to by others" }
    guard kind == S_IFDIR || status.st_nlink == 1 else { return "has another name elsewhere" }
    return nil
  }

  private static func makeFolders(_ root: String) {
    var made = root.hasPrefix("/") ? "" : "."
    for part in root.split(separator: "/", omittingEmptySubsequences: true) {
      made += "/" + part
      _ = mkdir(made, 0o700)
    }
  }
}

/// open(2) by a name that no method hides.
private func systemOpen(_ path: String, _ flags: Int32) -> Int32 { open(path, flags) }
