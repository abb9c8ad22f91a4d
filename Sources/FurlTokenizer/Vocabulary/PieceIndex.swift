import FurlBase

/// Finds a piece of the model's vocabulary by its bytes: an open-addressing table of ids.
struct PieceIndex: Sendable {
  /// Longer runs of taken slots do not happen by chance, only by design.
  static let longestProbe = 1024

  private var slots: [UInt32]
  private let mask: Int

  /// - Throws: ``FurlError`` if the pieces were made to collide.
  init(_ vocabulary: Vocabulary, file: String?) throws {
    var capacity = 16
    while capacity * 2 < vocabulary.count * 3 { capacity *= 2 }
    slots = Array(repeating: .max, count: capacity)
    mask = capacity - 1
    for id in 0..<vocabulary.count where vocabulary.kinds[id].contains([.present, .model]) {
      let isLiteral = vocabulary.kinds[id].contains(.literal)
      var slot = Self.hash(vocabulary.bytes, vocabulary.range(id), isLiteral) & mask
      var probes = 0
      while slots[slot] != .max {
        slot = (slot + 1) & mask
        probes += 1
        guard probes < Self.longestProbe else {
          throw FurlError.input(file, "the pieces of the vocabulary cannot be indexed: they collide by design")
        }
      }
      slots[slot] = UInt32(id)
    }
  }

  /// The first id whose piece is `text[range]`.
  func find(_ text: [UInt8], _ range: Range<Int>, literal: Bool, in vocabulary: Vocabulary) -> Int? {
    var slot = Self.hash(text, range, literal) & mask
    while slots[slot] != .max {
      let id = Int(slots[slot])
      if vocabulary.kinds[id].contains(.literal) == literal,
        Self.equal(text, range, vocabulary.bytes, vocabulary.range(id))
      {
        return id
      }
      slot = (slot + 1) & mask
    }
    return nil
  }

  private static func equal(_ left: [UInt8], _ leftRange: Range<Int>, _ right: [UInt8], _ rightRange: Range<Int>)
    -> Bool
  {
    guard leftRange.count == rightRange.count else { return false }
    for step in 0..<leftRange.count where left[leftRange.lowerBound + step] != right[rightRange.lowerBound + step] {
      return false
    }
    return true
  }

  // FNV-1a with a last mix, since the low bits choose the slot.
  private static func hash(_ text: [UInt8], _ range: Range<Int>, _ literal: Bool) -> Int {
    var hash: UInt64 = literal ? 0x9AE1_6A3B_2F90_404F : 0xCBF2_9CE4_8422_2325
    for index in range { hash = (hash ^ UInt64(text[index])) &* 0x100_0000_01B3 }
    hash = (hash ^ (hash >> 32)) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: hash >> 33)
  }
}
