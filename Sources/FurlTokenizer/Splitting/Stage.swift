/// What happens to the matches of a pattern and to the text between them.
enum SplitBehavior: UInt8, Sendable, CaseIterable {
  case isolated, removed, mergedWithPrevious, mergedWithNext, contiguous

  /// The name in tokenizer.json.
  var name: String {
    switch self {
    case .isolated: "Isolated"
    case .removed: "Removed"
    case .mergedWithPrevious: "MergedWithPrevious"
    case .mergedWithNext: "MergedWithNext"
    case .contiguous: "Contiguous"
    }
  }
}

/// One step of cutting a text into words, each applied to every part that the one before it made.
struct Stage: Sendable {
  /// What the step looks for, in the form that is stored.
  enum Rule: Sendable, Hashable {
    case pattern(String)
    case literal(String)
    case digits
    /// Not a split: a space goes before every part that does not start with one.
    case prefixSpace
    /// Not a split: marks become spaces (``SpaceMark``), and a space goes before parts that do not start with one.
    case marks(Prefix)

    var isSplit: Bool {
      switch self {
      case .pattern, .literal, .digits: true
      case .prefixSpace, .marks: false
      }
    }
  }

  /// Which parts a space goes before.
  enum Prefix: UInt8, Sendable, Hashable, CaseIterable {
    case always, first, never

    /// The name in tokenizer.json.
    var name: String {
      switch self {
      case .always: "always"
      case .first: "first"
      case .never: "never"
      }
    }
  }

  let rule: Rule
  let behavior: SplitBehavior
  let inverts: Bool
  private let pattern: Pattern

  /// - Throws: ``PatternError`` if the rule cannot be run exactly.
  init(_ rule: Rule, _ behavior: SplitBehavior = .isolated, inverts: Bool = false) throws {
    self.rule = rule
    self.behavior = behavior
    self.inverts = inverts
    switch rule {
    case .pattern(let text): pattern = try Pattern(text)
    case .literal(let text): pattern = try Pattern(literal: text)
    case .digits, .prefixSpace, .marks: pattern = .digits
    }
  }

  /// Calls `body` with every part of a range of the text, in order.
  @inline(__always)
  func split(_ bytes: [UInt8], _ range: Range<Int>, _ body: (Range<Int>) -> Void) {
    if behavior == .isolated {
      matches(bytes, range) { part, _ in body(part) }
    } else {
      for part in parts(bytes, range) { body(part) }
    }
  }

  /// Calls `body` with every match and every text between matches.
  @inline(__always)
  private func matches(_ bytes: [UInt8], _ range: Range<Int>, _ body: (Range<Int>, Bool) -> Void) {
    let end = range.upperBound
    var done = range.lowerBound
    var position = done
    while position < end {
      let stop = pattern.match(bytes, at: position, end: end)
      if stop < 0 {
        position += UTF8Text.scalar(bytes, at: position, end: end).length
        continue
      }
      if done < position { body(done..<position, inverts) }
      body(position..<stop, !inverts)
      position = stop
      done = stop
    }
    if done < end { body(done..<end, inverts) }
  }

  private func parts(_ bytes: [UInt8], _ range: Range<Int>) -> [Range<Int>] {
    var pieces: [(range: Range<Int>, isMatch: Bool)] = []
    matches(bytes, range) { pieces.append(($0, $1)) }
    switch behavior {
    case .isolated: return pieces.map(\.range)
    case .removed: return pieces.filter { !$0.isMatch }.map(\.range)
    case .mergedWithPrevious: return merged(pieces) { $0 && !$1 }
    case .contiguous: return merged(pieces) { $0 == $1 }
    case .mergedWithNext:
      // The mirror image: from the end, a match joins what follows it.
      var result: [Range<Int>] = []
      var previous = false
      for piece in pieces.reversed() {
        if piece.isMatch, !previous, let last = result.popLast() {
          result.append(piece.range.lowerBound..<last.upperBound)
        } else {
          result.append(piece.range)
        }
        previous = piece.isMatch
      }
      return result.reversed()
    }
  }

  /// Joins a piece to the one before it where `joins(piece is a match, the one before is)`.
  private func merged(
    _ pieces: [(range: Range<Int>, isMatch: Bool)], _ joins: (Bool, Bool) -> Bool
  ) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var previous = false
    for piece in pieces {
      if let last = result.last, joins(piece.isMatch, previous) {
        result[result.count - 1] = last.lowerBound..<piece.range.upperBound
      } else {
        result.append(piece.range)
      }
      previous = piece.isMatch
    }
    return result
  }
}
