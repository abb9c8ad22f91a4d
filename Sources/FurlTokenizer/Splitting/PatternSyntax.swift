/// The tree of a pattern.
indirect enum PatternSyntax: Sendable, Hashable {
  /// Characters of a class, from `least` to `most` of them, as many as possible.
  case characters(CharacterClass, least: Int, most: Int)
  case sequence([PatternSyntax])
  /// The first alternative that leads to a match.
  case choice([PatternSyntax])
  /// The next character, if any, must not be of the class.
  case notBefore(CharacterClass)

  static let empty = PatternSyntax.sequence([])

  /// Whether it can match without taking a character.
  var matchesEmpty: Bool {
    switch self {
    case .characters(_, let least, _): least == 0
    case .sequence(let parts): parts.allSatisfy(\.matchesEmpty)
    case .choice(let alternatives): alternatives.contains(where: \.matchesEmpty)
    case .notBefore: true
    }
  }

  /// Whether a match may start with a character below U+0080.
  func mayStart(with ascii: UInt32) -> Bool {
    switch self {
    case .characters(let set, _, _): return set.contains(ascii)
    case .choice(let alternatives): return alternatives.contains { $0.mayStart(with: ascii) }
    case .notBefore: return false
    case .sequence(let parts):
      for part in parts {
        if part.mayStart(with: ascii) { return true }
        if !part.matchesEmpty { return false }
      }
      return false
    }
  }
}

/// What is wrong with a pattern, without a place.
struct PatternError: Error, Hashable {
  var problem: String
}
