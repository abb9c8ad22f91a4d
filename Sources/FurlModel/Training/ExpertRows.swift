/// The rows that go through one expert.
struct ExpertRows {
  let expert: Int
  /// Ascending.
  let rows: [Int]
  /// Which of its row's experts it is.
  let places: [Int]
  /// What its outputs are multiplied with.
  let weights: [Float]
  /// Where they lie among the rows of all experts, one expert behind the other.
  let range: Range<Int>

  /// The experts that have rows, ascending.
  ///
  /// - Parameter choices: of every row, in the order of the experts.
  static func all(_ choices: [[ExpertRouting.ChosenExperts]], experts: Int) -> [ExpertRows] {
    var lists = [[(row: Int, place: Int, weight: Float)]](repeating: [], count: experts)
    for (row, choices) in choices.enumerated() {
      for (place, choice) in choices.enumerated() { lists[choice.expert].append((row, place, choice.weight)) }
    }
    var start = 0
    return lists.enumerated().compactMap { expert, list in
      guard !list.isEmpty else { return nil }
      defer { start += list.count }
      return ExpertRows(
        expert: expert, rows: list.map(\.row), places: list.map(\.place), weights: list.map(\.weight),
        range: start..<start + list.count)
    }
  }
}
