package import FurlSpec

/// Words in colours, where a terminal has them. The words say the same without.
package enum Colours {
  /// What a colour says.
  package enum Hue: Int, Sendable {
    case good = 32
    case bad = 31
    case open = 33
  }

  package static func paint(_ text: String, _ hue: Hue) -> String { "\u{1B}[1;\(hue.rawValue)m\(text)\u{1B}[0m" }

  /// The lines of ``GateText`` with their verdicts painted: the last cell of a row, the line of a narrow table, and the
  /// last line.
  package static func paintingVerdicts(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      for verdict in Verdict.allCases {
        let word = verdict.rawValue
        for (before, behind) in [("| ", " |"), ("  verdict  ", ""), (": ", " (gates of ")] {
          guard let place = place(of: word, before, behind, in: line) else { continue }
          return line[..<place.lowerBound] + paint(word, hue(verdict)) + line[place.upperBound...]
        }
      }
      return String(line)
    }.joined(separator: "\n")
  }

  package static func hue(_ verdict: Verdict) -> Hue {
    switch verdict {
    case .pass: .good
    case .fail: .bad
    default: .open
    }
  }

  /// Where a word stands between others: the last such place, and for a cell's end or a line's the end.
  private static func place(
    of word: String, _ before: String, _ behind: String, in line: Substring
  ) -> Range<String.Index>? {
    if behind == " (gates of " {
      guard let found = line.ranges(of: before + word + behind).last else { return nil }
      let start = line.index(found.lowerBound, offsetBy: before.count)
      return start..<line.index(start, offsetBy: word.count)
    }
    var end = line[...]
    if behind == " |" {
      guard line.hasPrefix("|"), line.hasSuffix("|") else { return nil }
      end = end.dropLast()
    } else {
      guard line.hasPrefix("  verdict ") else { return nil }
    }
    while end.last == " " { end = end.dropLast() }
    guard end.hasSuffix(" " + word) else { return nil }
    return end.index(end.endIndex, offsetBy: -word.count)..<end.endIndex
  }
}
