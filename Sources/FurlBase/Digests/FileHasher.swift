/// The SHA-256 digest of a file, made piece by piece between other work.
package final class FileHasher: @unchecked Sendable {
  package let file: MappedFile
  /// Bytes that are in the digest so far.
  package private(set) var position = 0
  private var hasher = Digest.Hasher(isGuarded: true)
  private let window: PageWindow

  /// - Parameter isHelped: whether other threads ``help()``.
  package init(_ file: MappedFile, isHelped: Bool = false) {
    self.file = file
    window = PageWindow(file, isShared: isHelped)
  }

  package var isDone: Bool { position == file.count }

  /// Takes the next bytes in. They are hashed where the system has them: a copy would make the longest chain of a
  /// compression longer.
  ///
  /// - Parameters:
  ///   - count: so many, or what is left.
  ///   - companion: what is hashed at the same time, for as many bytes.
  /// - Returns: how many bytes these were.
  /// - Throws: ``FurlError`` of kind `input` when the bytes are no longer there.
  package func advance(by count: Int, beside companion: MemoryHasher? = nil) throws -> Int {
    let (range, bytes) = try prepare(count)
    if let companion {
      companion.advance(beside: &hasher, bytes)
    } else {
      hasher.update(raw: bytes)
    }
    try close(range)
    return range.count
  }

  /// Takes the next bytes of two files in, at most so many of each, in little more time than those of one.
  ///
  /// - Returns: how many bytes these were together.
  /// - Throws: ``FurlError`` of kind `input` when the bytes are no longer there.
  package static func advance(_ first: FileHasher, _ second: FileHasher, by count: Int) throws -> Int {
    let (one, two) = (try first.prepare(count), try second.prepare(count))
    Digest.Hasher.update(&first.hasher, one.bytes, &second.hasher, two.bytes)
    if second.hasher.hasLost { try second.file.checkHolds(two.range) }
    try first.close(one.range)
    try second.close(two.range)
    return one.range.count + two.range.count
  }

  private func prepare(_ count: Int) throws -> (range: Range<Int>, bytes: UnsafeRawBufferPointer) {
    let range = position..<position + min(count, file.count - position)
    window.willRead(range)
    try file.checkHolds(range)
    return (range, file.bytes(range))
  }

  private func close(_ range: Range<Int>) throws {
    window.didRead(range)
    if hasher.hasLost {
      try file.checkHolds(range)
      // It was the other file of the two, or the disk.
      throw FurlError.input(file.path, "cannot be read", remedy: "leave it alone while Furl reads it, and start again")
    }
    position = range.upperBound
  }

  /// Whether another thread should ``help()`` now; not true again before that has happened.
  package func asksForHelp() -> Bool { window.asksToMove() }

  /// Has the system get ready what comes next and put away what is done, so that whoever hashes need not wait for it.
  package func help() { window.move() }

  /// The digest; of the whole file when ``isDone``.
  package var digest: Digest { hasher.finish() }
}
