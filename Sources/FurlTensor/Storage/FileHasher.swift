/// The SHA-256 digest of a file, made piece by piece between other work.
public final class FileHasher: @unchecked Sendable {
  public let file: MappedFile
  /// Bytes that are in the digest so far.
  public private(set) var position = 0
  private var hasher = Digest.Hasher()

  /// What is read at once: few system calls, and still in the caches when it is hashed.
  public static let pieceBytes = 1 << 20

  public init(_ file: MappedFile) { self.file = file }

  public var isDone: Bool { position == file.count }

  /// Takes the next bytes in.
  ///
  /// - Parameters:
  ///   - count: so many, or what is left.
  ///   - buffer: memory of the calling thread.
  /// - Returns: how many bytes these were.
  /// - Throws: ``FurlError`` of kind `input` when the file cannot be read.
  public func advance(by count: Int, with buffer: ReadBuffer) throws -> Int {
    let end = position + min(count, file.count - position)
    let start = position
    while position < end {
      let piece = position..<min(position + FileHasher.pieceBytes, end)
      let memory = try buffer.room(FileHasher.pieceBytes)
      try file.read(piece, into: memory)
      hasher.update(raw: UnsafeRawBufferPointer(start: memory, count: piece.count))
      position = piece.upperBound
    }
    return end - start
  }

  /// The digest; of the whole file when ``isDone``.
  public var digest: Digest { hasher.finish() }
}
