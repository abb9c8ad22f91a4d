import CFurlKernels

/// Writes a file front to back. A thread of its own waits for the system, so that whoever makes the bytes goes on
/// until all pieces of memory wait to be written; a small file needs no thread.
///
/// A small file goes through the system's cache, where readers find it. What lies behind ``cachedBytes``, and all of a
/// file that is known to become large, goes straight to the disk where the system can do that (open(2), `O_DIRECT`): new pages in the
/// cache can cost more than encoding the weights that go there, push out what other work needs, and would be waited
/// for at the end all the same.
///
/// One thread uses it at a time.
package final class StagedFile: @unchecked Sendable {
  private struct StagedPiece {
    let memory: UnsafeMutableRawPointer
    let offset: Int
    let count: Int
  }

  private let descriptor: Int32

  /// The piece that is being filled, where it lies in the file, and how much of it is.
  private var memory: UnsafeMutableRawPointer?
  private var offset = 0
  private var filled = 0

  /// What lies before this goes through the system's cache.
  private var directFrom = StagedFile.cachedBytes

  // What both threads use.
  private let condition = Condition()
  private var waiting: [StagedPiece] = []
  private var free: [UnsafeMutableRawPointer] = []
  private var allocated = 0
  private var isWriting = false
  private var isRunning = false
  private var isStopped = false
  private var error: Int32 = 0

  // What the writing thread uses.
  private var isDirect = false

  /// A multiple of every file system's block.
  private static let pieceBytes = 4 << 20
  private static let pieces = 6
  private static let cachedBytes = 32 << 20

  /// - Parameter descriptor: of an open file that stays open until ``stop()``.
  package init(descriptor: Int32) { self.descriptor = descriptor }

  deinit {
    for memory in free + waiting.map(\.memory) + [memory].compactMap({ $0 }) {
      munmap(memory, StagedFile.pieceBytes)
    }
  }

  /// Says how large the file may become, before anything is appended.
  package func expect(bytes: Int) {
    if bytes > 4 * StagedFile.cachedBytes { directFrom = 0 }
  }

  // MARK: Filling pieces

  /// Appends bytes.
  ///
  /// - Returns: the `errno` of a write that failed, of these bytes or earlier ones; 0 if none has so far.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package func append(_ bytes: [UInt8]) throws -> Int32 { try bytes.withUnsafeBytes(append) }

  /// The same for bytes in a storage.
  package func append(_ bytes: ByteStorage) throws -> Int32 { try bytes.withBytes(append) }

  private func append(_ bytes: UnsafeRawBufferPointer) throws -> Int32 {
    var done = 0
    while let base = bytes.baseAddress, done < bytes.count {
      guard let target = try memory ?? takeMemory() else { return failure }
      memory = target
      let count = min(bytes.count - done, StagedFile.pieceBytes - filled)
      (target + filled).copyMemory(from: base + done, byteCount: count)
      filled += count
      done += count
      if filled == StagedFile.pieceBytes { submit(target) }
    }
    return failure
  }

  private var failure: Int32 { condition.withLock { error } }

  /// Nil when a write has failed.
  private func takeMemory() throws -> UnsafeMutableRawPointer? {
    let isNew: Bool = condition.withLock {
      while free.isEmpty, allocated == StagedFile.pieces, error == 0 { condition.wait() }
      guard free.isEmpty, error == 0 else { return false }
      allocated += 1
      return true
    }
    if isNew { return try ByteStorage.pages(StagedFile.pieceBytes, isDense: true) }
    return condition.withLock { error == 0 ? free.popLast() : nil }
  }

  private func submit(_ memory: UnsafeMutableRawPointer) {
    condition.withLock {
      waiting.append(StagedPiece(memory: memory, offset: offset, count: filled))
      condition.broadcast()
      guard !isRunning, !isStopped else { return }
      isRunning = beginThread { self.run() }
      if !isRunning, error == 0 { error = EAGAIN }
    }
    offset += filled
    (self.memory, filled) = (nil, 0)
  }

  /// Returns when the system has all bytes; nothing can be appended then.
  ///
  /// - Returns: the `errno` of a write that failed; 0 if none has.
  package func finish() -> Int32 {
    condition.withLock { while isWriting || !waiting.isEmpty, error == 0 { condition.wait() } }
    stop()
    guard failure == 0, let memory else { return failure }
    setDirect(false)
    error = write(StagedPiece(memory: memory, offset: offset, count: filled))
    filled = 0
    return error
  }

  /// Lets go of what is not written yet, and returns when the thread no longer uses the file.
  package func stop() {
    condition.withLock {
      isStopped = true
      condition.broadcast()
      while isRunning { condition.wait() }
    }
  }

  // MARK: Writing pieces

  private func run() {
    while let piece = next() {
      if !isDirect, piece.offset >= directFrom { setDirect(true) }
      let number = write(piece)
      if !isDirect { furl_start_flushing(descriptor, Int64(piece.offset), Int64(piece.count)) }
      condition.withLock {
        if number != 0, error == 0 { error = number }
        free.append(piece.memory)
        isWriting = false
        condition.broadcast()
      }
    }
  }

  /// Waits for a piece; nil at the end.
  private func next() -> StagedPiece? {
    condition.withLock {
      while waiting.isEmpty, !isStopped, error == 0 { condition.wait() }
      guard !isStopped, error == 0 else {
        isRunning = false
        condition.broadcast()
        return nil
      }
      isWriting = true
      return waiting.removeFirst()
    }
  }

  private func write(_ piece: StagedPiece) -> Int32 {
    var done = 0
    while done < piece.count {
      let written = pwrite(descriptor, piece.memory + done, piece.count - done, off_t(piece.offset + done))
      if written >= 0 {
        done += written
        // Where the disk takes a part of a piece, what is left can begin anywhere.
        if done < piece.count { setDirect(false) }
      } else if errno == EINVAL, isDirect {
        setDirect(false)
        if isDirect { return EINVAL }
      } else if errno != EINTR {
        return errno
      }
    }
    return 0
  }

  private func setDirect(_ direct: Bool) {
    if direct != isDirect, furl_set_direct(descriptor, direct) { isDirect = direct }
  }
}
