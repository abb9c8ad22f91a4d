import FurlBase

/// The merges of a BPE model: (left id, right id) to rank and resulting id.
///
/// An open-addressing table with one word a slot, 20 bits each for left and right and 24 for the rank, so that
/// a look-up touches one cache line; the results lie apart, by rank.
struct MergeTable: Sendable {
  /// One merge. Its place in a list is its rank.
  struct Merge: Sendable, Hashable {
    var left: UInt32
    var right: UInt32
    var result: UInt32
  }

  /// No merge.
  static let none = UInt32.max
  static let maximumCount = 1 << 24 - 1

  private var slots: [UInt64]
  private let shift: UInt64
  private let mask: Int
  private var results: [UInt32]

  /// - Parameter merges: by rank, no pair twice, ids below ``Vocabulary/maximumCount``.
  /// - Throws: ``FurlError`` if a pair appears twice or the pairs were made to collide.
  init(_ merges: [Merge], file: String?) throws {
    var bits: UInt64 = 4
    while (1 << bits) * 3 < merges.count * 4 { bits += 1 }
    shift = 64 - bits
    mask = 1 << bits - 1
    slots = Array(repeating: .max, count: 1 << bits)
    results = merges.map(\.result)
    for (rank, merge) in merges.enumerated() {
      let key = Self.key(merge.left, merge.right)
      var slot = home(key)
      var probes = 0
      while slots[slot] != .max {
        guard slots[slot] >> 24 != key else {
          throw FurlError.input(
            file, "merge \(rank)", "the pair of ids \(merge.left) and \(merge.right) is there twice")
        }
        slot = (slot + 1) & mask
        probes += 1
        guard probes < PieceIndex.longestProbe else {
          throw FurlError.input(file, "merge \(rank)", "cannot be indexed: the merges collide by design")
        }
      }
      slots[slot] = key << 24 | UInt64(rank)
    }
  }

  var count: Int { results.count }

  /// The rank of a pair of ids, or ``none``.
  @inline(__always)
  func rank(_ left: UInt32, _ right: UInt32) -> UInt32 {
    let key = Self.key(left, right)
    var slot = home(key)
    while true {
      let entry = slots[slot]
      // First, as two gaps (``WordMerger/gap``) side by side have the key of an empty slot.
      if entry == .max { return Self.none }
      if entry >> 24 == key { return UInt32(truncatingIfNeeded: entry & 0xFF_FFFF) }
      slot = (slot + 1) & mask
    }
  }

  /// The id that the merge of a rank makes.
  @inline(__always)
  func result(_ rank: UInt32) -> UInt32 { results[Int(rank)] }

  /// The merges by rank.
  var list: [Merge] {
    var merges = results.map { Merge(left: 0, right: 0, result: $0) }
    for entry in slots where entry != .max {
      let rank = Int(entry & 0xFF_FFFF)
      merges[rank].left = UInt32(entry >> 44)
      merges[rank].right = UInt32(entry >> 24 & 0xF_FFFF)
    }
    return merges
  }

  @inline(__always)
  private static func key(_ left: UInt32, _ right: UInt32) -> UInt64 { UInt64(left) << 20 | UInt64(right) }

  // Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, section 6.4).
  @inline(__always)
  private func home(_ key: UInt64) -> Int {
    Int(truncatingIfNeeded: ((key ^ (key >> 20)) &* 0x9E37_79B9_7F4A_7C15) >> shift)
  }
}
