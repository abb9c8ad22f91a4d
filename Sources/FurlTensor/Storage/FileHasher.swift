/// The SHA-256 digest of a file, made piece by piece between other work.
public final class FileHasher: @unchecked Sendable {
  public let file: MappedFile
  /// Bytes that are in the digest so far.
  public private(set) var position = 0
  private var hasher = Digest.Hasher()

  public init(_ file: MappedFile) { self.file = file }

  public var isDone: Bool { position == file.count }

  /// Takes the next bytes in. They are hashed where the system has them: a copy would make the longest chain of a
  /// compression longer.
  ///
  /// - Parameters:
  ///   - count: so many, or what is left.
  ///   - companion: what is hashed at the same time, for as many bytes.
  /// - Returns: how many bytes these were.
  /// - Throws: ``FurlError`` of kind `input` when the bytes are no longer there.
  public func advance(by count: Int, beside companion: MemoryHasher? = nil) throws -> Int {
    let range = try prepare(count)
    if let companion {
      companion.advance(beside: &hasher, file.bytes(range))
    } else {
      hasher.update(raw: file.bytes(range))
    }
    close(range)
    return range.count
  }

  /// Takes the next bytes of two files in, at most so many of each, in little more time than those of one.
  ///
  /// - Returns: how many bytes these were together.
  /// - Throws: ``FurlError`` of kind `input` when the bytes are no longer there.
  public static func advance(_ first: FileHasher, _ second: FileHasher, by count: Int) throws -> Int {
    let ranges = (try first.prepare(count), try second.prepare(count))
    Digest.Hasher.update(
      &first.hasher, first.file.bytes(ranges.0), &second.hasher, second.file.bytes(ranges.1))
    first.close(ranges.0)
    second.close(ranges.1)
    return ranges.0.count + ranges.1.count
  }

  private func prepare(_ count: Int) throws -> Range<Int> {
    let range = position..<position + min(count, file.count - position)
    file.fetch(range.upperBound..<min(range.upperBound + count, file.count))
    try file.checkHolds(range)
    return range
  }

  private func close(_ range: Range<Int>) {
    file.drop(range)
    position = range.upperBound
  }

  /// The digest; of the whole file when ``isDone``.
  public var digest: Digest { hasher.finish() }
}
