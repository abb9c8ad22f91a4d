/// Bytes that outlive the job that made them: a part of a mapped file, or anonymous pages.
///
/// Anonymous pages come straight from the system, so memory that a load needed for a moment goes back to it
/// at once and never counts in the resident size afterwards. Both forms start on a 64-byte boundary.
public final class ByteStorage: @unchecked Sendable {
  /// The size in bytes.
  public let count: Int
  let base: UnsafeMutableRawPointer
  private let file: MappedFile?

  /// Zeroed pages of at least `count` bytes.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  public init(zeroed count: Int) throws {
    precondition(count >= 0)
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | ByteStorage.lazily
    guard let pages = mmap(nil, max(count, 1), PROT_READ | PROT_WRITE, flags, -1, 0), pages != MAP_FAILED else {
      throw FurlError(
        .unavailable, "cannot get \(count) bytes of memory: \(systemMessage())",
        remedy: "free memory or use a smaller model")
    }
    base = pages
    self.count = count
    file = nil
  }

  /// A range of a mapped file, used as it lies. `range` must start on a multiple of 64.
  public init(_ file: MappedFile, _ range: Range<Int>) {
    precondition(range.lowerBound % 64 == 0)
    self.file = file
    let bytes = file.bytes(range)
    // An empty range has no address of its own; any valid one will do.
    base = UnsafeMutableRawPointer(mutating: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 64)!)
    count = range.count
  }

  deinit {
    if file == nil { munmap(base, max(count, 1)) }
  }

  #if os(Linux)
  // Reserving is not committing: a KV cache is reserved for its whole context and touched as it is used.
  private static let lazily = MAP_NORESERVE
  #else
  private static let lazily: Int32 = 0
  #endif

  /// A copy of the bytes.
  public var bytes: [UInt8] { Array(UnsafeRawBufferPointer(start: base, count: count)) }

  /// A copy of a range of the bytes.
  public func read(_ range: Range<Int>) -> [UInt8] {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    return Array(UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
  }

  /// Calls `body` with the bytes for reading.
  public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try body(UnsafeRawBufferPointer(start: base, count: count))
  }

  /// Calls `body` with a range of the bytes for writing. Ranges written at once by several threads must not
  /// overlap, and nothing may be written to a file's part.
  package func withMutableBytes<Result>(
    _ range: Range<Int>, _ body: (UnsafeMutableRawBufferPointer) throws -> Result
  ) rethrows -> Result {
    precondition(file == nil && range.lowerBound >= 0 && range.upperBound <= count)
    return try body(UnsafeMutableRawBufferPointer(start: base + range.lowerBound, count: range.count))
  }
}
