import Foundation
import FurlTensor

/// A new folder of files that appears under its name only when all of them are whole.
///
/// The files have no names while they are written (open(2), `O_TMPFILE`), so that nothing is left of them whatever ends
/// their writer; where the system has no such files they lie in a hidden folder beside the new one. A folder that
/// exists and is empty is filled.
final class OutputFolder {
  /// A file that is being written.
  struct Part: Sendable {
    let name: String
    let descriptor: Int32
    fileprivate let isNamed: Bool
    fileprivate let path: String

    /// Writes bytes at a place; any thread, any order.
    ///
    /// - Throws: ``FurlError`` of kind `cannotWrite`.
    func write(_ bytes: [UInt8], at offset: Int) throws {
      var done = 0
      while done < bytes.count {
        let rest = done == 0 ? bytes : Array(bytes[done...])
        let written = pwrite(descriptor, rest, rest.count, off_t(offset + done))
        if written < 0 {
          if errno == EINTR { continue }
          throw OutputFolder.failure(path)
        }
        done += written
      }
    }
  }

  let path: String
  private let isFilled: Bool
  /// Where files without a name are made.
  private let base: String
  private let staging: String
  private var hasStaging = false
  private var parts: [Part] = []

  /// - Throws: ``FurlError`` of kind `cannotCreate` when there is something already, or no folder to put it in.
  init(path: String) throws {
    var trimmed = Substring(path)
    while trimmed.count > 1, trimmed.last == "/" { trimmed.removeLast() }
    let path = String(trimmed)
    self.path = path
    var status = stat()
    isFilled = stat(path, &status) == 0
    if isFilled {
      guard status.st_mode & S_IFMT == S_IFDIR else {
        throw FurlError(.cannotCreate, file: path, "is there already and is no folder")
      }
      guard let content = try? FileManager.default.contentsOfDirectory(atPath: path), content.isEmpty else {
        throw FurlError(.cannotCreate, file: path, "is not empty", remedy: "name a new folder")
      }
    }
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    let parent = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    base = isFilled ? path : parent
    guard !name.isEmpty, !path.utf8.contains(0) else { throw FurlError(.cannotCreate, file: path, "is not a path") }
    guard stat(base, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw FurlError(.cannotCreate, file: path, "has no folder to lie in", remedy: "make \(base) first")
    }
    let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
    let suffix = String((0..<6).map { _ in letters[Int.random(in: 0..<letters.count)] })
    staging = "\(base)/.\(isFilled ? "" : name.prefix(100) + ".")furl-\(suffix)"
  }

  deinit {
    for part in parts {
      close(part.descriptor)
      unlink(staging + "/" + part.name)
    }
    if hasStaging { rmdir(staging) }
  }

  /// Finds out before anything is written that a disk is too small.
  ///
  /// - Throws: ``FurlError`` of kind `cannotWrite`.
  func checkRoom(for bytes: Int) throws {
    var status = statvfs()
    // Without blocks it is no disk (a FUSE file system that does not say).
    guard statvfs(base, &status) == 0, status.f_blocks > 0 else { return }
    let (free, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    guard overflow || UInt64(bytes) <= free else {
      throw FurlError(
        .cannotWrite, file: path, "needs \(bytes) bytes where \(free) are free",
        remedy: "free space or choose another place")
    }
  }

  /// A new file of the folder.
  ///
  /// - Throws: ``FurlError`` of kind `cannotCreate`.
  func create(_ name: String) throws -> Part {
    let file = path + "/" + name
    let part: Part
    if let descriptor = unnamed() {
      part = Part(name: name, descriptor: descriptor, isNamed: false, path: file)
    } else {
      try makeStaging()
      let descriptor = open(staging + "/" + name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
      guard descriptor >= 0 else { throw creation() }
      part = Part(name: name, descriptor: descriptor, isNamed: true, path: file)
    }
    parts.append(part)
    return part
  }

  /// Puts the folder under its name. Nothing waits for the disk: what has been made from a seed can be made again.
  ///
  /// - Throws: ``FurlError`` of kind `cannotCreate` or `cannotWrite`.
  func commit() throws {
    try makeStaging()
    for part in parts where !part.isNamed { try giveName(part) }
    if isFilled {
      // In their order: whoever sees the last one sees all.
      for part in parts {
        guard rename(staging + "/" + part.name, path + "/" + part.name) == 0 else { throw OutputFolder.failure(path) }
      }
    } else {
      guard rename(staging, path) == 0 else { throw OutputFolder.failure(path) }
      hasStaging = false
    }
    for part in parts { close(part.descriptor) }
    parts = []
  }

  private func makeStaging() throws {
    guard !hasStaging else { return }
    guard mkdir(staging, 0o755) == 0 else { throw creation() }
    hasStaging = true
  }

  private func unnamed() -> Int32? {
    #if os(Linux)
    // O_TMPFILE is made of two macros, which Swift does not import.
    let descriptor = open(base, 0o20000000 | O_DIRECTORY | O_WRONLY | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return nil }
    guard access("/proc/self/fd/\(descriptor)", F_OK) == 0 else {
      close(descriptor)
      return nil
    }
    return descriptor
    #else
    return nil
    #endif
  }

  private func giveName(_ part: Part) throws {
    #if os(Linux)
    let source = "/proc/self/fd/\(part.descriptor)"
    if linkat(AT_FDCWD, source, AT_FDCWD, staging + "/" + part.name, Int32(AT_SYMLINK_FOLLOW)) == 0 { return }
    #endif
    throw OutputFolder.failure(part.path)
  }

  private func creation() -> FurlError {
    FurlError(
      .cannotCreate, file: path, "cannot be created: \(systemMessage())",
      remedy: "choose a place that can be written to")
  }

  private static func failure(_ path: String) -> FurlError {
    FurlError(
      .cannotWrite, file: path, "cannot be written: \(systemMessage())",
      remedy: "free space or choose another place")
  }
}
