/// A token that is found in the text before anything else happens to it.
struct AddedToken: Sendable, Hashable {
  /// How the token is found.
  struct AddedTokenFlags: OptionSet, Sendable, Hashable {
    var rawValue: UInt8
    /// Not as a part of a word.
    static let singleWord = AddedTokenFlags(rawValue: 1)
    /// White space before it belongs to it.
    static let stripsLeft = AddedTokenFlags(rawValue: 2)
    /// White space after it belongs to it.
    static let stripsRight = AddedTokenFlags(rawValue: 4)
    /// It is looked for in the normalized text.
    static let normalized = AddedTokenFlags(rawValue: 8)
    static let all: AddedTokenFlags = [.singleWord, .stripsLeft, .stripsRight, .normalized]
  }

  var id: Int
  var flags: AddedTokenFlags
}

/// Finds added tokens in a text: at the leftmost place the longest one.
struct AddedTokenMatcher: Sendable {
  private var ids: [UInt32] = []
  private var flags: [AddedToken.AddedTokenFlags] = []
  private var bytes: [UInt8] = []
  private var offsets: [UInt32] = [0]
  /// The first token, in the order of their bytes, for every first byte; and one past the last.
  private var firsts = [UInt32](repeating: 0, count: 257)
  private let hasMarks: Bool

  /// - Parameters:
  ///   - tokens: with their texts, none of which is empty.
  ///   - hasMarks: whether spaces stand for marks (``SpaceMark``), which are no white space.
  init(_ tokens: [(token: AddedToken, text: [UInt8])], hasMarks: Bool = false) {
    self.hasMarks = hasMarks
    let sorted = tokens.sorted { $0.text.lexicographicallyPrecedes($1.text) }
    for (token, text) in sorted {
      ids.append(UInt32(token.id))
      flags.append(token.flags)
      bytes += text
      offsets.append(UInt32(bytes.count))
      firsts[Int(text[0]) + 1] += 1
    }
    for byte in 0..<256 { firsts[byte + 1] += firsts[byte] }
  }

  var isEmpty: Bool { ids.isEmpty }

  /// Calls `body` with every added token in the range and the text between them, in order; the id is nil for
  /// text. Text is never empty.
  func split(_ text: [UInt8], _ range: Range<Int>, _ body: (Range<Int>, Int?) -> Void) {
    let end = range.upperBound
    var done = range.lowerBound
    var position = done
    while position < end {
      let byte = Int(text[position])
      guard firsts[byte] != firsts[byte + 1], let index = longest(text, position, end) else {
        position += 1
        continue
      }
      var start = position
      var stop = position + length(index)
      position = stop
      let flag = flags[index]
      if flag.contains(.singleWord), isInWord(text, start, stop, range) { continue }
      if flag.contains(.stripsLeft) { start = max(spaceStart(text, before: start, range), done) }
      if flag.contains(.stripsRight) { stop = spaceEnd(text, after: stop, end) }
      if done < start { body(done..<start, nil) }
      // A token inside the white space that another one took still counts, as in the reference.
      body(min(start, stop)..<stop, Int(ids[index]))
      done = stop
    }
    if done < end { body(done..<end, nil) }
  }

  private func length(_ index: Int) -> Int { Int(offsets[index + 1] - offsets[index]) }

  /// The longest token that the text has at a position: the candidates are sorted, so that at every depth those
  /// with the right byte lie together and the one that ends there comes first.
  private func longest(_ text: [UInt8], _ position: Int, _ end: Int) -> Int? {
    let byte = Int(text[position])
    var low = Int(firsts[byte])
    var high = Int(firsts[byte + 1])
    var found: Int?
    var depth = 1
    while low < high {
      if length(low) == depth { found = low }
      while low < high, length(low) == depth { low += 1 }
      guard position + depth < end else { break }
      let wanted = text[position + depth]
      low = firstIndex(low, high) { self.bytes[Int(offsets[$0]) + depth] >= wanted }
      high = firstIndex(low, high) { self.bytes[Int(offsets[$0]) + depth] > wanted }
      depth += 1
    }
    return found
  }

  private func firstIndex(_ low: Int, _ high: Int, where condition: (Int) -> Bool) -> Int {
    var low = low
    var high = high
    while low < high {
      let middle = (low + high) / 2
      if condition(middle) { high = middle } else { low = middle + 1 }
    }
    return low
  }

  private func isInWord(_ text: [UInt8], _ start: Int, _ stop: Int, _ range: Range<Int>) -> Bool {
    if start > range.lowerBound {
      let before = UTF8Text.before(text, start, start: range.lowerBound)
      if UnicodeCategory.isWord(UTF8Text.scalar(text, at: before, end: start).value) { return true }
    }
    guard stop < range.upperBound else { return false }
    return UnicodeCategory.isWord(UTF8Text.scalar(text, at: stop, end: range.upperBound).value)
  }

  private func isSpace(_ value: UInt32) -> Bool {
    UnicodeCategory.isSpace(value) && !(hasMarks && value == 0x20)
  }

  private func spaceStart(_ text: [UInt8], before start: Int, _ range: Range<Int>) -> Int {
    var start = start
    while start > range.lowerBound {
      let before = UTF8Text.before(text, start, start: range.lowerBound)
      guard isSpace(UTF8Text.scalar(text, at: before, end: start).value) else { break }
      start = before
    }
    return start
  }

  private func spaceEnd(_ text: [UInt8], after stop: Int, _ end: Int) -> Int {
    var stop = stop
    while stop < end {
      let (value, length) = UTF8Text.scalar(text, at: stop, end: end)
      guard isSpace(value) else { break }
      stop += length
    }
    return stop
  }
}
