/// Merges the symbols of one word: at every step the pair of the lowest rank, of equal ones the leftmost
/// (Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units", 2016).
///
/// Holds its scratch memory from word to word.
struct WordMerger {
  /// Above this many symbols a heap costs less than scanning for the lowest rank.
  private static let shortest = 48
  /// A symbol that merges with nothing: no id is as large.
  static let gap = UInt32(Vocabulary.maximumCount)

  private var symbols: [UInt32] = []
  private var ranks: [UInt32] = []

  mutating func start() { symbols.removeAll(keepingCapacity: true) }

  package mutating func append(_ id: UInt32) { symbols.append(id) }

  /// Merges the symbols and appends what is left of them to `ids`.
  mutating func finish(_ merges: MergeTable, into ids: inout [Int]) {
    if symbols.count > Self.shortest {
      mergeLong(merges, into: &ids)
    } else {
      mergeShort(merges, into: &ids)
    }
  }

  private mutating func mergeShort(_ merges: MergeTable, into ids: inout [Int]) {
    var count = symbols.count
    if count > 1 {
      ranks.removeAll(keepingCapacity: true)
      for index in 1..<count { ranks.append(merges.rank(symbols[index - 1], symbols[index])) }
    }
    while count > 1 {
      var best = 0
      var lowest = ranks[0]
      for index in 1..<max(count - 1, 1) where ranks[index] < lowest {
        lowest = ranks[index]
        best = index
      }
      if lowest == MergeTable.none { break }
      symbols[best] = merges.result(lowest)
      count -= 1
      for index in best + 1..<max(count, best + 1) { symbols[index] = symbols[index + 1] }
      for index in best..<max(count - 1, best) { ranks[index] = ranks[index + 1] }
      if best > 0 { ranks[best - 1] = merges.rank(symbols[best - 1], symbols[best]) }
      if best + 1 < count { ranks[best] = merges.rank(symbols[best], symbols[best + 1]) }
    }
    for index in 0..<count { ids.append(Int(symbols[index])) }
  }

  /// The same with a heap of candidates and a linked list of symbols: n log n for a word of n symbols.
  private mutating func mergeLong(_ merges: MergeTable, into ids: inout [Int]) {
    let count = symbols.count
    var next = Array(1...count)
    var previous = Array(-1..<count - 1)
    var heap = CandidateHeap()
    for index in 1..<count { heap.add(merges.rank(symbols[index - 1], symbols[index]), at: index - 1) }
    heap.order()
    while let (rank, index) = heap.removeFirst() {
      let right = next[index]
      // A candidate is stale when one of its two symbols has changed or gone since.
      guard right < count, symbols[index] != MergeTable.none,
        merges.rank(symbols[index], symbols[right]) == rank
      else { continue }
      symbols[index] = merges.result(rank)
      symbols[right] = MergeTable.none
      let after = next[right]
      next[index] = after
      if after < count {
        previous[after] = index
        heap.insert(merges.rank(symbols[index], symbols[after]), at: index)
      }
      let before = previous[index]
      if before >= 0 { heap.insert(merges.rank(symbols[before], symbols[index]), at: before) }
    }
    for symbol in symbols where symbol != MergeTable.none { ids.append(Int(symbol)) }
  }
}
