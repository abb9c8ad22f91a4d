import Synchronization

/// Memory that is taken in pieces and goes back as a whole: the weights of a model, which live as long as it does.
///
/// One by one most of them are too small for large pages, and with small ones a single thread reads memory at two
/// thirds of its speed, because the CPU looks ahead within a page only.
package final class StorageArena: Sendable {
  private struct Region: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
  }

  private let region: Region
  private let capacity: Int
  private let used = Mutex(0)

  /// Reserves address space; memory is taken when it is written to.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when not even that can be had.
  package init(capacity: Int) throws {
    precondition(capacity > 0)
    self.capacity = capacity
    region = Region(base: try ByteStorage.pages(capacity, isDense: true))
  }

  deinit { munmap(region.base, capacity) }

  /// What ``take(_:)`` uses for so many bytes.
  package static func room(_ count: Int) -> Int { (count + 63) / 64 * 64 }

  /// Zeroed memory that nobody had before; nil when there is not so much left.
  func take(_ count: Int) -> UnsafeMutableRawPointer? {
    used.withLock { used in
      guard count <= capacity - used else { return nil }
      defer { used = min(capacity, used + StorageArena.room(count)) }
      return region.base + used
    }
  }
}
