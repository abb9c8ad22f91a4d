/// Merges the characters of a text by the scores of pieces, as SentencePiece's BPE does it: at every step the two
/// neighbours that make the best piece, of equal ones the leftmost (Kudo and Richardson, "SentencePiece", 2018).
///
/// Holds its scratch memory from text to text.
struct ScoreMerger {
  private struct Symbol {
    var start: Int
    var length: Int
    var previous: Int
    var next: Int
    /// The piece, or ``MergeTable/none``.
    var id: UInt32
    /// The piece that it makes with the next symbol, or ``MergeTable/none``.
    var candidate = MergeTable.none
  }

  private let longest: Int
  private var symbols: [Symbol] = []
  private var heap = CandidateHeap()

  /// - Parameter longest: bytes of the longest piece.
  init(longest: Int) { self.longest = longest }

  /// Appends the ids of a range of a text to `ids`.
  mutating func merge(
    _ text: [UInt8], _ range: Range<Int>, _ table: CharacterTable, _ places: [UInt32], into ids: inout [Int]
  ) {
    symbols.removeAll(keepingCapacity: true)
    var start = range.lowerBound
    while start < range.upperBound {
      let length = UTF8Text.scalar(text, at: start, end: range.upperBound).length
      symbols.append(
        Symbol(
          start: start, length: length, previous: symbols.count - 1, next: symbols.count + 1,
          id: table.id(text, start..<start + length)))
      start += length
    }
    for left in 0..<max(symbols.count - 1, 0) { consider(left, text, table, places) }
    while let (place, left) = heap.removeFirst() {
      let candidate = symbols[left].candidate
      // Stale when the symbol or its neighbour has changed or gone since.
      guard candidate != MergeTable.none, places[Int(candidate)] == place else { continue }
      let right = symbols[left].next
      let after = symbols[right].next
      symbols[left].id = candidate
      symbols[left].length += symbols[right].length
      symbols[left].next = after
      symbols[right].length = 0
      symbols[right].candidate = MergeTable.none
      if after < symbols.count { symbols[after].previous = left }
      consider(left, text, table, places)
      if symbols[left].previous >= 0 { consider(symbols[left].previous, text, table, places) }
    }
    for symbol in symbols where symbol.length > 0 {
      if symbol.id != MergeTable.none {
        ids.append(Int(symbol.id))
      } else {
        table.substitutes(text, symbol.start..<symbol.start + symbol.length) { ids.append(Int($0)) }
      }
    }
  }

  /// Looks for the piece that a symbol makes with the next one.
  private mutating func consider(_ left: Int, _ text: [UInt8], _ table: CharacterTable, _ places: [UInt32]) {
    let right = symbols[left].next
    symbols[left].candidate = MergeTable.none
    guard right < symbols.count else { return }
    let start = symbols[left].start
    let length = symbols[left].length + symbols[right].length
    guard length <= longest,
      let id = table.index.find(text, start..<start + length, literal: false, in: table.vocabulary)
    else { return }
    symbols[left].candidate = UInt32(id)
    heap.insert(places[id], at: left)
  }
}
