/// A set of characters: `\p{L}`, `\s`, `[^\r\n\p{N}]`, a single letter.
struct CharacterClass: Sendable, Hashable {
  var categories = CategorySet()
  var spaces = false
  var nonSpaces = false
  var ranges: [ClosedRange<UInt32>] = []
  var isNegated = false
  /// The version of Unicode that decides the categories.
  var version = UnicodeCategory.patternVersion

  static func categories(_ categories: CategorySet) -> CharacterClass {
    var set = CharacterClass()
    set.categories = categories
    return set
  }

  static func scalars(_ values: [UInt32]) -> CharacterClass {
    var set = CharacterClass()
    set.ranges = values.map { $0...$0 }
    return set
  }

  /// What is in this set or the other; neither may be negated.
  mutating func formUnion(_ other: CharacterClass) {
    categories.formUnion(other.categories)
    spaces = spaces || other.spaces
    nonSpaces = nonSpaces || other.nonSpaces
    ranges += other.ranges
  }

  func contains(_ value: UInt32) -> Bool { includes(value) != isNegated }

  private func includes(_ value: UInt32) -> Bool {
    if spaces || nonSpaces, UnicodeCategory.isSpace(value) ? spaces : nonSpaces { return true }
    if !categories.isEmpty, !categories.isDisjoint(with: UnicodeCategory.set(of: value, version: version)) {
      return true
    }
    for range in ranges where range.contains(value) { return true }
    return false
  }
}
