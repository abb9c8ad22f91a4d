/// What a model of whole texts knows of characters: their pieces, what replaces the others, and where no merge
/// goes across.
final class CharacterTable: Sendable {
  let index: PieceIndex
  let vocabulary: Vocabulary
  /// The piece of every character below U+0080, or ``MergeTable/none``.
  private let ascii: [UInt32]
  /// The piece of every byte, or ``MergeTable/none``; empty without byte fallback.
  private let byteIDs: [UInt32]
  private let unknownID: UInt32
  private let fusesUnknown: Bool
  /// One bit for every two bytes, the last of one character and the first of the next: whether to cut there.
  private let cuts: [UInt64]

  init(_ parts: TokenizerParts, _ index: PieceIndex) {
    let vocabulary = parts.vocabulary
    func id(_ text: String) -> UInt32 {
      let bytes = Array(text.utf8)
      let id = index.find(bytes, 0..<bytes.count, literal: false, in: vocabulary)
      return id.map { UInt32($0) } ?? MergeTable.none
    }
    self.index = index
    self.vocabulary = vocabulary
    let ascii = (0..<128).map { id(String(Unicode.Scalar(UInt8($0)))) }
    let byteIDs = parts.fallback.usesBytes ? (0..<256).map { id(BytePiece.spelling(UInt8($0))) } : []
    let unknownID = parts.fallback.unknownID.map { UInt32($0) } ?? MergeTable.none
    self.ascii = ascii
    self.byteIDs = byteIDs
    self.unknownID = unknownID
    fusesUnknown = parts.fallback.fusesUnknown

    // Where two characters meet that no merge brings together, the text falls into words: this is exact, and
    // what makes a long text as quick as its words are short.
    var joins = [Bool](repeating: false, count: 1 << 16)
    let isComplete = !byteIDs.isEmpty && !byteIDs.contains(MergeTable.none)
    func isKnown(_ byte: Int) -> Bool { byte < 128 && ascii[byte] != MergeTable.none }
    if parts.places.isEmpty {
      let substitutes = Set(byteIDs + [unknownID])
      var neverCuts = false
      for merge in parts.merges.list {
        let last = vocabulary.piece(Int(merge.left)).last ?? 0
        let first = vocabulary.piece(Int(merge.right)).first ?? 0
        joins[Int(last) << 8 | Int(first)] = true
        // What stands for a character has not its bytes.
        if substitutes.contains(merge.left) || substitutes.contains(merge.right) { neverCuts = true }
      }
      if neverCuts { joins = Array(repeating: true, count: 1 << 16) }
    } else {
      for id in 0..<vocabulary.count where vocabulary.kinds[id].contains([.present, .model]) {
        let range = vocabulary.range(id)
        for place in range.dropFirst() {
          joins[Int(vocabulary.bytes[place - 1]) << 8 | Int(vocabulary.bytes[place])] = true
        }
      }
    }
    var cuts = [UInt64](repeating: 0, count: 1 << 10)
    for pair in 0..<1 << 16 where !joins[pair] {
      let (last, first) = (pair >> 8, pair & 0xFF)
      // A run of unknown characters is one piece: it ends for certain only before a known one. Where they are left
      // out, those around them become neighbours.
      let isCertain = isComplete || (isKnown(first) && (unknownID != MergeTable.none || isKnown(last)))
      if first & 0xC0 != 0x80, isCertain { cuts[pair >> 6] |= 1 << UInt64(pair & 63) }
    }
    self.cuts = cuts
  }

  /// Whether a text may be cut between two bytes without changing its ids.
  @inline(__always)
  func cuts(_ last: UInt8, _ first: UInt8) -> Bool {
    let pair = Int(last) << 8 | Int(first)
    return cuts[pair >> 6] >> UInt64(pair & 63) & 1 != 0
  }

  /// The piece of a character, or ``MergeTable/none``.
  @inline(__always)
  func id(_ text: [UInt8], _ range: Range<Int>) -> UInt32 {
    if range.count == 1 { return ascii[Int(text[range.lowerBound] & 0x7F)] }
    return index.find(text, range, literal: false, in: vocabulary).map { UInt32($0) } ?? MergeTable.none
  }

  /// Calls `body` with the symbols that the merging of a text starts from.
  func symbols(_ text: [UInt8], _ range: Range<Int>, _ body: (UInt32) -> Void) {
    var waiting: UInt32?
    var start = range.lowerBound
    while start < range.upperBound {
      let end = start + UTF8Text.scalar(text, at: start, end: range.upperBound).length
      defer { start = end }
      let id = id(text, start..<end)
      if id != MergeTable.none {
        if let unknown = waiting { body(unknown) }
        waiting = nil
        body(id)
      } else if hasBytes(text, start..<end) {
        // An unknown piece that waits goes on waiting and comes after these, as in the reference.
        for place in start..<end { body(byteIDs[Int(text[place])]) }
      } else if unknownID != MergeTable.none {
        if let unknown = waiting, !fusesUnknown { body(unknown) }
        waiting = unknownID
      }
    }
    if let unknown = waiting { body(unknown) }
  }

  /// Calls `body` with the ids that stand for a character that is no piece.
  func substitutes(_ text: [UInt8], _ range: Range<Int>, _ body: (UInt32) -> Void) {
    if hasBytes(text, range) {
      for place in range { body(byteIDs[Int(text[place])]) }
    } else if unknownID != MergeTable.none {
      body(unknownID)
    }
  }

  private func hasBytes(_ text: [UInt8], _ range: Range<Int>) -> Bool {
    !byteIDs.isEmpty && range.allSatisfy { byteIDs[Int(text[$0])] != MergeTable.none }
  }
}

/// Pieces such as `<0xE2>` that stand for a byte.
enum BytePiece {
  static func spelling(_ byte: UInt8) -> String {
    "<0x" + String(byte >> 4, radix: 16, uppercase: true) + String(byte & 15, radix: 16, uppercase: true) + ">"
  }

  /// The byte that a piece stands for when it is decoded, in any case of its letters.
  static func byte(of piece: ArraySlice<UInt8>) -> UInt8? {
    guard piece.count == 6, piece.starts(with: [0x3C, 0x30, 0x78]), piece.last == 0x3E else { return nil }
    let digits = String(decoding: piece.dropFirst(3).dropLast(), as: UTF8.self)
    return UInt8(digits, radix: 16)
  }
}
