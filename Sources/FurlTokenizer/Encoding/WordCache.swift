/// Remembers where the ids of recent words stand in the output, so that a word that comes again is copied.
///
/// Direct-mapped and bounded: a newer word takes the place of an older one. Words of at most 16 bytes are
/// kept, as two integers, and compared exactly.
struct WordCache {
  static let longestWord = 16

  /// A word as two integers. Its length is that of the range it came from.
  struct WordKey {
    var low: UInt64
    var high: UInt64
    var length: UInt8
  }

  private struct CachedWord {
    var low: UInt64 = 0
    var high: UInt64 = 0
    var start: Int = 0
    var count: UInt8 = 0
    var length: UInt8 = 0
  }

  private var entries: [CachedWord]
  private let shift: UInt64

  /// - Parameter bytes: how much text there is.
  init(bytes: Int) {
    var bits: UInt64 = 6
    while bits < 14, 16 << bits < bytes { bits += 1 }
    entries = bytes < 256 ? [] : Array(repeating: CachedWord(), count: 1 << bits)
    shift = 64 - bits
  }

  var isEmpty: Bool { entries.isEmpty }

  @inline(__always)
  static func key(_ bytes: [UInt8], _ range: Range<Int>) -> WordKey {
    var low: UInt64 = 0
    var high: UInt64 = 0
    var index = range.upperBound
    let middle = min(range.lowerBound + 8, index)
    while index > middle {
      index -= 1
      high = high << 8 | UInt64(bytes[index])
    }
    while index > range.lowerBound {
      index -= 1
      low = low << 8 | UInt64(bytes[index])
    }
    return WordKey(low: low, high: high, length: UInt8(truncatingIfNeeded: range.count))
  }

  @inline(__always)
  private func slot(_ key: WordKey) -> Int {
    var hash = (key.low ^ (key.high &* 0xC2B2_AE3D_27D4_EB4F) ^ UInt64(key.length)) &* 0x9E37_79B9_7F4A_7C15
    hash = (hash ^ (hash >> 29)) &* 0xBF58_476D_1CE4_E5B9
    return Int(truncatingIfNeeded: hash >> shift)
  }

  /// Where the ids of a word stand in the output.
  @inline(__always)
  func find(_ key: WordKey) -> Range<Int>? {
    let entry = entries[slot(key)]
    guard entry.low == key.low, entry.high == key.high, entry.length == key.length else { return nil }
    return entry.start..<entry.start + Int(entry.count)
  }

  mutating func store(_ key: WordKey, _ ids: Range<Int>) {
    entries[slot(key)] = CachedWord(
      low: key.low, high: key.high, start: ids.lowerBound, count: UInt8(truncatingIfNeeded: ids.count),
      length: key.length)
  }
}
