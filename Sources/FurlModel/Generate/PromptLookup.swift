/// Guesses the next tokens of a text from the text itself: what followed when its last tokens came before. Code repeats
/// itself, and several guesses are checked for little more than what one token costs (prompt look-up decoding: Saxena
/// 2023, after Leviathan et al. 2023).
struct PromptLookup: Sendable {
  private var ids: [Int] = []
  /// For each length of a run of tokens, where what followed it last begins.
  private var places: [[UInt64: Int]]
  /// How many tokens are worth a guess now: guesses that come true grow, others shrink.
  private var reach: Int
  private let limit: Int

  /// Lengths of runs, the surest first. Three ids of 20 bits make a key.
  private static let lengths = [3, 2]
  private static let idBits = 20

  /// - Parameter limit: the most tokens of one guess.
  init(_ ids: [Int], limit: Int) {
    self.limit = limit
    reach = min(limit, 4)
    places = PromptLookup.lengths.map { _ in [:] }
    for id in ids { append(id) }
  }

  private func key(_ range: Range<Int>) -> UInt64 {
    ids[range].reduce(0) { $0 << PromptLookup.idBits | UInt64(truncatingIfNeeded: $1) }
  }

  mutating func append(_ id: Int) {
    for (index, length) in PromptLookup.lengths.enumerated() where ids.count >= length {
      places[index][key(ids.count - length..<ids.count)] = ids.count
    }
    ids.append(id)
  }

  /// What may come next, at most so many tokens; empty when nothing is known.
  ///
  /// - Parameter match: so many of the last tokens must have come before.
  func guess(_ count: Int, behind match: Int = 0) -> ArraySlice<Int> {
    for (index, length) in PromptLookup.lengths.enumerated() where ids.count >= length {
      guard let place = places[index][key(ids.count - length..<ids.count)] else { continue }
      guard match <= length || matches(place, match) else { return [] }
      return ids[place...].prefix(max(0, min(count, reach)))
    }
    return []
  }

  /// Whether so many tokens before a place are the last ones.
  private func matches(_ place: Int, _ count: Int) -> Bool {
    place >= count && ids[place - count..<place].elementsEqual(ids.suffix(count))
  }

  /// Learns how much of a guess came true.
  mutating func learn(guessed: Int, accepted: Int) {
    if accepted == guessed {
      reach = min(limit, reach * 2)
    } else if 2 * accepted < guessed {
      reach = max(1, reach / 2)
    }
  }
}

/// How speculation went.
package struct SpeculationCount: Sendable, Hashable {
  /// Tokens that were guessed, and those of them that the model then chose.
  package var guessed = 0
  package var accepted = 0
  /// Passes in which there were guesses.
  package var passes = 0

  package init() {}

  /// The share of guesses that came true; nil without a guess.
  package var acceptance: Double? { guessed == 0 ? nil : Double(accepted) / Double(guessed) }
  /// Guesses in a pass with any; nil without one.
  package var meanLength: Double? { passes == 0 ? nil : Double(guessed) / Double(passes) }
}
