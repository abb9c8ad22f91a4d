import CFurlKernels

/// A file mapped for reading. Bytes are reached by offset and count; both are checked.
///
/// The mapping is private and read-only, so pages are shared between processes and can be dropped at any
/// time with ``drop(_:)``: reading a large checkpoint never holds more than what is in use.
package final class MappedFile: @unchecked Sendable {
  /// The path that the file was opened by.
  package let path: String
  /// The size in bytes when the file was opened.
  package let count: Int

  private let base: UnsafeRawPointer?
  private let descriptor: Int32

  /// What the system said of the file when it was opened, and its clock then.
  let identityWhenOpened: FileIdentity
  let timeWhenOpened: Int64

  /// Opens and maps a regular file.
  ///
  /// - Throws: ``FurlError`` of kind `input` if the path is not a readable regular file, or what git lfs left in the
  ///   place of one.
  package convenience init(path: String) throws {
    // The system would read a path up to its first zero, and open another file.
    guard !path.utf8.contains(0) else { throw FurlError.input(path, "is not a path") }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw FurlError.reading(path) }
    try self.init(taking: descriptor, path: path)
    try FilePointer.refuse(self)
  }

  /// Maps a file that is open, and closes it in the end.
  ///
  /// - Parameter path: what errors call it.
  /// - Throws: ``FurlError`` of kind `input`; the file is closed then.
  package init(taking descriptor: Int32, path: String) throws {
    do {
      var status = stat()
      guard fstat(descriptor, &status) == 0 else { throw FurlError.input(path, systemMessage()) }
      guard status.st_mode & S_IFMT == S_IFREG else {
        throw FurlError.input(
          path,
          status.st_mode & S_IFMT == S_IFDIR ? "is a folder, and a file is expected here" : "is not a regular file")
      }
      let count = Int(status.st_size)
      if count == 0 {
        base = nil
      } else {
        guard let mapping = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), mapping != MAP_FAILED else {
          guard errno != ENOMEM else {
            throw FurlError(
              .unavailable, file: path, "cannot be mapped: there is no address space for its \(count) bytes",
              remedy: "raise the limit (ulimit -v)")
          }
          throw FurlError.input(path, "cannot be mapped: \(systemMessage())")
        }
        base = UnsafeRawPointer(mapping)
        furl_note_mapping(mapping, count, path)
      }
      self.path = path
      self.count = count
      self.descriptor = descriptor
      identityWhenOpened = FileIdentity(status)
      timeWhenOpened = FileIdentity.now()
    } catch {
      close(descriptor)
      throw error
    }
  }

  deinit {
    if let base {
      furl_forget_mapping(base)
      munmap(UnsafeMutableRawPointer(mutating: base), count)
    }
    close(descriptor)
  }

  /// What the system says of the file now; nil where it says nothing.
  var identity: FileIdentity? {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? FileIdentity(status) : nil
  }

  /// Whether the file system is this machine's own. Elsewhere somebody else's clock counts, and changes may be seen late.
  var isLocal: Bool { furl_is_local(descriptor) }

  /// The bytes of a range, without a copy. The range must lie in the file.
  package func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "range outside of the file")
    guard let base, !range.isEmpty else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
  }

  /// A copy of the bytes of a range. The range must lie in the file.
  package func read(_ range: Range<Int>) -> [UInt8] { Array(bytes(range)) }

  /// The whole file, if it is at most `limit` bytes.
  package func readAll(limit: Int) throws -> [UInt8] {
    guard count <= limit else {
      throw FurlError.input(path, "has \(count) bytes; at most \(limit) are expected here")
    }
    return read(0..<count)
  }

  /// The little-endian integer at an offset. It must lie in the file.
  package func integer<Integer: FixedWidthInteger>(at offset: Int, as type: Integer.Type = Integer.self) -> Integer {
    let size = MemoryLayout<Integer>.size
    return Integer(littleEndian: bytes(offset..<offset + size).loadUnaligned(as: Integer.self))
  }

  /// Whether every byte of a range is zero.
  package func isZero(_ range: Range<Int>) -> Bool { bytes(range).allSatisfy { $0 == 0 } }

  /// Has the system map the file in large pages, as far as it can: where the file is not in memory yet, it is read so
  /// that it can. Reading memory is up to a third faster then.
  package func useLargePages() {
    #if os(Linux)
    guard let base else { return }
    _ = madvise(UnsafeMutableRawPointer(mutating: base), count, MADV_HUGEPAGE)
    #endif
  }

  /// Gives the pages of a range back to the system; they are read again when they are needed.
  package func drop(_ range: Range<Int>) {
    guard let base, !range.isEmpty else { return }
    let page = Int(getpagesize())
    let start = range.lowerBound / page * page
    madvise(UnsafeMutableRawPointer(mutating: base + start), range.upperBound - start, MADV_DONTNEED)
  }

  /// Whether the system has a range in its cache, as far as can be told from its ends.
  func isCached(_ range: Range<Int>) -> Bool {
    let bytes = bytes(range)
    return bytes.baseAddress.map { furl_is_cached($0, bytes.count) } ?? true
  }

  /// Maps the pages of a range, so that whoever looks at them next does not wait for the system. What is no longer
  /// there is left to whoever wants it.
  func map(_ range: Range<Int>) {
    let bytes = bytes(range)
    if let base = bytes.baseAddress { _ = furl_map_pages(base, bytes.count) }
  }

  // MARK: Reading without the mapping

  /// Reads a range into memory. Unlike a look at the mapping, this survives a file that has become shorter, and
  /// leaves no pages behind that count as this process's memory.
  ///
  /// - Throws: ``FurlError`` of kind `input` when the bytes cannot be read or are no longer there.
  package func read(_ range: Range<Int>, into target: UnsafeMutableRawPointer) throws {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "range outside of the file")
    var done = 0
    while done < range.count {
      let bytes = pread(descriptor, target + done, range.count - done, off_t(range.lowerBound + done))
      if bytes > 0 {
        done += bytes
      } else if bytes == 0 {
        throw changed("has become shorter while it was read: it ends at byte \(range.lowerBound + done)")
      } else if errno != EINTR {
        throw FurlError.input(path, "cannot be read at byte \(range.lowerBound + done): \(systemMessage())")
      }
    }
  }

  /// - Throws: ``FurlError`` of kind `input` when the file is no longer the one that was opened: what has been read
  ///   of it does not belong together.
  package func checkUnchanged() throws {
    guard let identity else { throw FurlError.input(path, systemMessage()) }
    guard identity.bytes == count, identity.modified == identityWhenOpened.modified else {
      throw changed("has changed while it was read")
    }
  }

  /// The same, and that the path still leads to it: a verdict on a file that was replaced meanwhile would be taken for one
  /// on the other.
  ///
  /// - Returns: whether something of the file's record has changed that the bytes may not have to do with (a new name, other
  ///   rights, times that were set), so that only its digest says whether they are the same.
  /// - Throws: ``FurlError`` of kind `input`.
  package func checkUnchangedAndInPlace() throws -> Bool {
    try checkUnchanged()
    var status = stat()
    guard stat(path, &status) == 0 else { throw changed("has been removed while it was used") }
    let there = FileIdentity(status)
    guard there.device == identityWhenOpened.device, there.number == identityWhenOpened.number else {
      throw changed("has been replaced while it was used")
    }
    return there.changed != identityWhenOpened.changed
  }

  /// Checks that a range can be read through the mapping: a look at what has been cut off would end the process.
  ///
  /// - Throws: ``FurlError`` of kind `input`.
  func checkHolds(_ range: Range<Int>) throws {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw FurlError.input(path, systemMessage()) }
    guard Int(status.st_size) >= range.upperBound else {
      throw changed("has become shorter while it was read: it ends at byte \(status.st_size)")
    }
  }

  private func changed(_ problem: String) -> FurlError {
    .input(path, problem, remedy: "leave the file alone while Furl reads it, and start again")
  }

  /// Asks the system to read a range from disk before it is needed.
  func fetch(_ range: Range<Int>) {
    guard !range.isEmpty else { return }  // To the system, a length of zero is everything.
    #if os(Linux)
    _ = posix_fadvise(descriptor, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_WILLNEED)
    #endif
  }
}
