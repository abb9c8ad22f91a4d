import Synchronization

/// Memory that is used again and again, for jobs that need a buffer for a moment and fill all of it: new pages from
/// the system cost more than encoding the weights that go there.
public final class StoragePool: Sendable {
  private struct Region: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let capacity: Int
  }

  private let free = Mutex<[Region]>([])

  public init() {}

  deinit {
    for region in free.withLock({ $0 }) { munmap(region.base, region.capacity) }
  }

  /// The smallest free region that is large enough, or a new one.
  func take(_ count: Int) throws -> (UnsafeMutableRawPointer, capacity: Int) {
    let found: Region? = free.withLock { regions in
      let fitting = regions.indices.filter { regions[$0].capacity >= count }
      return fitting.min { regions[$0].capacity < regions[$1].capacity }.map { regions.remove(at: $0) }
    }
    if let found { return (found.base, found.capacity) }
    return (try ByteStorage.pages(count, isDense: true), count)
  }

  func give(_ base: UnsafeMutableRawPointer, _ capacity: Int) {
    free.withLock { $0.append(Region(base: base, capacity: capacity)) }
  }
}
