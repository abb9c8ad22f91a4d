/// Bytes that outlive the job that made them: a part of a mapped file, or anonymous memory.
///
/// Large ones are pages straight from the system, so memory that a load needed for a moment goes back to it at once
/// and never counts in the resident size afterwards; small ones (norms, biases) share pages on the heap. All start
/// on a 64-byte boundary.
public final class ByteStorage: @unchecked Sendable {
  private enum Owner {
    case file(MappedFile)
    case pages
    case heap
  }

  /// The size in bytes.
  public let count: Int
  let base: UnsafeMutableRawPointer
  private let owner: Owner

  /// Below this size a page of its own would be mostly empty.
  private static let smallest = 16 << 10

  /// Zeroed memory of `count` bytes.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  public init(zeroed count: Int) throws {
    precondition(count >= 0)
    self.count = count
    if count < ByteStorage.smallest {
      base = .allocate(byteCount: max(count, 64), alignment: 64)
      base.initializeMemory(as: UInt8.self, repeating: 0, count: count)
      owner = .heap
      return
    }
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | ByteStorage.lazily
    guard let pages = mmap(nil, count, PROT_READ | PROT_WRITE, flags, -1, 0), pages != MAP_FAILED else {
      throw FurlError(
        .unavailable, "cannot get \(count) bytes of memory: \(systemMessage())",
        remedy: "free memory or use a smaller model")
    }
    base = pages
    owner = .pages
  }

  /// A range of a mapped file, used as it lies. `range` must start on a multiple of 64.
  public init(_ file: MappedFile, _ range: Range<Int>) {
    precondition(range.lowerBound % 64 == 0)
    owner = .file(file)
    let bytes = file.bytes(range)
    // An empty range has no address of its own; any valid one will do.
    base = UnsafeMutableRawPointer(mutating: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 64)!)
    count = range.count
  }

  deinit {
    switch owner {
    case .file: break
    case .pages: munmap(base, count)
    case .heap: base.deallocate()
    }
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
    if case .file = owner { preconditionFailure("a part of a file cannot be written to") }
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    return try body(UnsafeMutableRawBufferPointer(start: base + range.lowerBound, count: range.count))
  }

  /// Writes some of a range to a file, as write(2) does.
  ///
  /// - Returns: how many bytes, or -1 with the reason in `errno`.
  package func write(_ range: Range<Int>, to descriptor: Int32) -> Int {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    return systemWrite(descriptor, base + range.lowerBound, range.count)
  }
}

extension [UInt8] {
  /// Writes some of a range to a file, as write(2) does.
  ///
  /// - Returns: how many bytes, or -1 with the reason in `errno`.
  package func write(_ range: Range<Int>, to descriptor: Int32) -> Int {
    self[range].withUnsafeBytes { systemWrite(descriptor, $0.baseAddress, $0.count) }
  }
}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}
