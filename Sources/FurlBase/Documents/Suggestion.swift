/// What somebody may have meant who wrote a word that is not known.
package enum Suggestion {
  /// The known word that takes the fewest slips to become the given one; nil where none is near.
  ///
  /// A slip is a letter too many, one too few, a wrong one, or two that changed places (Damerau 1964; optimal string
  /// alignment). One slip is allowed, and one more for every four letters; of words that are as near, the first counts.
  package static func nearest(to word: String, among known: some Sequence<String>) -> String? {
    let word = word.lowercased().replacing("-", with: "_")
    guard !word.isEmpty, word.utf8.count <= 64 else { return nil }
    let most = 1 + word.count / 4
    var best: (word: String, slips: Int)?
    for candidate in known {
      let slips = slips(Array(word), Array(candidate.lowercased().replacing("-", with: "_")))
      // Where half of a word is wrong it is another word.
      guard slips <= most, slips * 2 < word.count, slips < best?.slips ?? .max else { continue }
      best = (candidate, slips)
    }
    return best?.word
  }

  /// The remedy that lists what is known, and begins with what was probably meant.
  ///
  /// - Parameter list: the words that introduce the list: `allowed`.
  package static func remedy(for word: String, among known: [String], list: String) -> String {
    let all = "\(list): \(known.joined(separator: ", "))"
    return nearest(to: word, among: known).map { "did you mean \($0)? \(all)" } ?? all
  }

  private static func slips(_ a: [Character], _ b: [Character]) -> Int {
    guard !a.isEmpty, !b.isEmpty else { return max(a.count, b.count) }
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in 1...a.count {
      var row = [i]
      for j in 1...b.count {
        var least = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
        if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { least = min(least, beforeLast[j - 2] + 1) }
        row.append(least)
      }
      (beforeLast, last) = (last, row)
    }
    return last[b.count]
  }
}
