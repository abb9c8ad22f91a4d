import Synchronization

/// Memory that is used again and again, for jobs that need a buffer for a moment and fill all of it: new pages from
/// the system cost more than encoding the weights that go there, on a virtual machine whose host has to find them
/// several times more.
///
/// A free range is cut to what is wanted of it, and grows together again with its neighbours: what one large matrix
/// has taken serves many small ones after it. What came from the system by different calls stays apart, even where it
/// touches by chance: what is given out does not depend on the addresses.
package final class StoragePool: Sendable {
  private struct PoolState {
    /// Everything that came from the system.
    var regions: [Range<UInt>] = []
    /// By address; no two of the same region touch.
    var free: [Range<UInt>] = []
  }

  private let state = Mutex(PoolState())

  /// Ranges are multiples of this.
  private static let unit = 4096

  package init() {}

  deinit {
    for region in state.withLock({ $0.regions }) {
      munmap(UnsafeMutableRawPointer(bitPattern: region.lowerBound), region.count)
    }
  }

  /// Bytes that came from the system.
  var capacity: Int { state.withLock { $0.regions.reduce(0) { $0 + $1.count } } }

  /// The beginning of the smallest free range that is large enough, or new memory.
  func take(_ count: Int) throws -> (UnsafeMutableRawPointer, capacity: Int) {
    let size = (max(count, 1) + StoragePool.unit - 1) / StoragePool.unit * StoragePool.unit
    let found: UInt? = state.withLock { state in
      let fitting = state.free.indices.filter { state.free[$0].count >= size }
      guard let best = fitting.min(by: { state.free[$0].count < state.free[$1].count }) else { return nil }
      let range = state.free[best]
      if range.count == size {
        state.free.remove(at: best)
      } else {
        state.free[best] = range.lowerBound + UInt(size)..<range.upperBound
      }
      return range.lowerBound
    }
    if let found { return (UnsafeMutableRawPointer(bitPattern: found)!, size) }
    let base = try ByteStorage.pages(size, isDense: true)
    state.withLock { $0.regions.append(UInt(bitPattern: base)..<UInt(bitPattern: base) + UInt(size)) }
    return (base, size)
  }

  func give(_ base: UnsafeMutableRawPointer, _ capacity: Int) {
    let start = UInt(bitPattern: base)
    state.withLock { state in
      var range = start..<start + UInt(capacity)
      let region = state.regions.first { $0.contains(start) } ?? range
      var place = state.free.firstIndex { $0.lowerBound > start } ?? state.free.count
      if range.upperBound < region.upperBound, place < state.free.count,
        state.free[place].lowerBound == range.upperBound
      {
        range = range.lowerBound..<state.free.remove(at: place).upperBound
      }
      if range.lowerBound > region.lowerBound, place > 0, state.free[place - 1].upperBound == range.lowerBound {
        place -= 1
        range = state.free.remove(at: place).lowerBound..<range.upperBound
      }
      state.free.insert(range, at: place)
    }
  }
}
