/// Bytes that outlive the job that made them: a part of a mapped file, or anonymous memory.
///
/// Large ones are pages straight from the system, so memory that a load needed for a moment goes back to it at once
/// and never counts in the resident size afterwards; small ones (norms, biases) share pages on the heap. All start
/// on a 64-byte boundary.
package final class ByteStorage: @unchecked Sendable {
  private enum Owner {
    case file(MappedFile)
    case pages
    case heap
    case pool(StoragePool, capacity: Int)
    case arena(StorageArena)
  }

  /// The size in bytes.
  package let count: Int
  package let base: UnsafeMutableRawPointer
  private let owner: Owner

  /// Below this size a page of its own would be mostly empty.
  private static let smallest = 16 << 10

  /// Zeroed memory of `count` bytes.
  ///
  /// - Parameter isDense: whether all of it will be in use. The system then maps it in large pages where it can: taking
  ///   4 KiB at a time costs more than decoding what goes there.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package init(zeroed count: Int, isDense: Bool = false) throws {
    precondition(count >= 0)
    self.count = count
    if count < ByteStorage.smallest {
      base = .allocate(byteCount: max(count, 64), alignment: 64)
      base.initializeMemory(as: UInt8.self, repeating: 0, count: count)
      owner = .heap
      return
    }
    base = try ByteStorage.pages(count, isDense: isDense)
    owner = .pages
  }

  /// Zeroed memory of `count` bytes, all of which will be in use, out of an arena as long as that has room.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package convenience init(zeroed count: Int, from arena: StorageArena) throws {
    if let base = arena.take(count) {
      self.init(base, count, .arena(arena))
    } else {
      try self.init(zeroed: count, isDense: true)
    }
  }

  private init(_ base: UnsafeMutableRawPointer, _ count: Int, _ owner: Owner) {
    (self.base, self.count, self.owner) = (base, count, owner)
  }

  /// Memory of a pool, with anything in it; it goes back there.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package init(_ count: Int, from pool: StoragePool) throws {
    self.count = count
    let (base, capacity) = try pool.take(max(count, ByteStorage.smallest))
    self.base = base
    owner = .pool(pool, capacity: capacity)
  }

  /// Pages straight from the system.
  static func pages(_ count: Int, isDense: Bool) throws -> UnsafeMutableRawPointer {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | ByteStorage.lazily
    guard let pages = mmap(nil, count, PROT_READ | PROT_WRITE, flags, -1, 0), pages != MAP_FAILED else {
      throw FurlError(
        .unavailable, "cannot get \(count) bytes of memory: \(systemMessage())",
        remedy: "free memory or use a smaller model")
    }
    #if os(Linux)
    if isDense, count >= 4 << 20 { madvise(pages, count, MADV_HUGEPAGE) }
    #endif
    return pages
  }

  /// A range of a mapped file, used as it lies. `range` must start on a multiple of 64.
  package init(_ file: MappedFile, _ range: Range<Int>) {
    precondition(range.lowerBound % 64 == 0)
    owner = .file(file)
    let bytes = file.bytes(range)
    // An empty range has no address of its own; any valid one will do.
    base = UnsafeMutableRawPointer(mutating: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 64)!)
    count = range.count
  }

  deinit {
    switch owner {
    case .file, .arena: break
    case .pages: munmap(base, count)
    case .heap: base.deallocate()
    case .pool(let pool, let capacity): pool.give(base, capacity)
    }
  }

  #if os(Linux)
  // Reserving is not committing: a KV cache is reserved for its whole context and touched as it is used.
  private static let lazily = MAP_NORESERVE
  #else
  private static let lazily: Int32 = 0
  #endif

  /// A copy of the bytes.
  package var bytes: [UInt8] { Array(UnsafeRawBufferPointer(start: base, count: count)) }

  /// A copy of a range of the bytes.
  package func read(_ range: Range<Int>) -> [UInt8] {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    return Array(UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
  }

  /// Calls `body` with the bytes for reading.
  package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
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
}
