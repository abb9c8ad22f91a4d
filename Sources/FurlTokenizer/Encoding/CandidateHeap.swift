/// Candidates for a merge in a binary heap, by rank and then by place, packed into a word each.
struct CandidateHeap {
  private var keys: [UInt64] = []

  private static func key(_ rank: UInt32, _ place: Int) -> UInt64 { UInt64(rank) << 40 | UInt64(place) }

  /// Adds without keeping the order, before ``order()``.
  mutating func add(_ rank: UInt32, at place: Int) {
    if rank != MergeTable.none { keys.append(Self.key(rank, place)) }
  }

  mutating func order() { keys.sort() }

  mutating func insert(_ rank: UInt32, at place: Int) {
    guard rank != MergeTable.none else { return }
    keys.append(Self.key(rank, place))
    var child = keys.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      if keys[parent] <= keys[child] { break }
      keys.swapAt(parent, child)
      child = parent
    }
  }

  mutating func removeFirst() -> (rank: UInt32, place: Int)? {
    guard let first = keys.first, let last = keys.popLast() else { return nil }
    if !keys.isEmpty {
      keys[0] = last
      sink()
    }
    return (UInt32(first >> 40), Int(first & 0xFF_FFFF_FFFF))
  }

  private mutating func sink() {
    var parent = 0
    while true {
      var child = 2 * parent + 1
      if child >= keys.count { return }
      if child + 1 < keys.count, keys[child + 1] < keys[child] { child += 1 }
      if keys[parent] <= keys[child] { return }
      keys.swapAt(parent, child)
      parent = child
    }
  }
}
