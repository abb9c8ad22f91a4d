/// Memory that one thread reads into again and again; it grows to the largest piece that was asked for.
package final class ReadBuffer: @unchecked Sendable {
  private var base: UnsafeMutableRawPointer?
  private var capacity = 0

  package init() {}

  deinit { base?.deallocate() }

  /// Memory of at least so many bytes on a 64-byte boundary, with anything in it. What was there before is gone.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package func room(_ bytes: Int) throws -> UnsafeMutableRawPointer {
    if let base, bytes <= capacity { return base }
    base?.deallocate()
    (base, capacity) = (nil, 0)
    var memory: UnsafeMutableRawPointer?
    guard posix_memalign(&memory, 64, max(bytes, 64)) == 0, let memory else {
      throw FurlError(.unavailable, "cannot get \(bytes) bytes of memory", remedy: "free memory")
    }
    (base, capacity) = (memory, bytes)
    return memory
  }
}
