import FurlBase
@testable import FurlModel
import FurlTensor
import Testing

@Suite struct StopScannerTests {
  /// Feeds pieces as the generator does: the final text, what was handed out, and whether a stop was found.
  private func run(_ stops: [String], _ pieces: [String]) -> (text: String, taken: String, stopped: Bool) {
    var scanner = StopScanner(stops: stops)
    var taken = ""
    for piece in pieces where !scanner.isStopped {
      _ = scanner.append(piece)
      taken += scanner.take()
      // Nothing that was handed out is taken back.
      #expect(String(decoding: scanner.text, as: UTF8.self).hasPrefix(taken))
    }
    taken += scanner.take(isLast: true)
    return (String(decoding: scanner.text, as: UTF8.self), taken, scanner.isStopped)
  }

  @Test(arguments: [
    // stops, pieces, text, stopped
    (["\ndef"], ["a\n", "de", "f x"], "a", true),
    (["\ndef"], ["a\n", "de", "x"], "a\ndex", false),
    (["<EOL>", "</s>"], ["x <", "EOL", "> y"], "x ", true),
    (["<EOL>", "</s>"], ["x <", "/s", "> y"], "x ", true),
    (["bc", "abc"], ["xabc"], "x", true),
    (["cd", "b"], ["abcd"], "a", true),
    (["b", "cd"], ["abcd"], "a", true),
    (["aab"], ["a", "a", "a", "a", "b", "c"], "aa", true),
    (["abab"], ["a", "ba", "bab"], "", true),
    (["abab"], ["ab", "a", "c"], "abac", false),
    (["x"], ["x"], "", true),
    ([""], ["abc"], "abc", false),
    ([], ["a", "", "b"], "ab", false),
    (["é"], ["caf", "é!"], "caf", true),
    (["\r\n"], ["a\r", "\nb"], "a", true),
    (["\u{301}"], ["e", "\u{301}"], "e", true),
  ])
  func findsTheFirst(_ sample: (stops: [String], pieces: [String], text: String, stopped: Bool)) {
    let result = run(sample.stops, sample.pieces)
    #expect(Array(result.text.utf8) == Array(sample.text.utf8))
    #expect(Array(result.taken.utf8) == Array(sample.text.utf8))
    #expect(result.stopped == sample.stopped)
  }

  /// A text ends where a stop is first complete, before the longest one that ends there: a search over all ends.
  private func reference(_ stops: [String], _ text: [UInt8]) -> [UInt8]? {
    for end in 0...text.count {
      let found = stops.map { Array($0.utf8) }.filter { !$0.isEmpty && text[..<end].suffix($0.count).elementsEqual($0) }
      if let longest = found.map(\.count).max() { return Array(text[..<(end - longest)]) }
    }
    return nil
  }

  @Test func theTextDoesNotDependOnThePieces() {
    var draws = SplitMix64(seed: 42)
    func draw(_ count: Int) -> Int { Int(draws.next() % UInt64(count)) }
    func word(_ longest: Int) -> String { String((0..<draw(longest + 1)).map { _ in ["a", "b", "c", "é"][draw(4)] }) }
    var stopped = 0
    for _ in 0..<3000 {
      let stops = (0..<draw(4)).map { _ in word(4) }
      let text = word(24)
      var pieces: [String] = []
      var rest = text[...]
      while !rest.isEmpty {
        pieces.append(String(rest.prefix(draw(5))))
        rest = rest.dropFirst(pieces[pieces.count - 1].count)
      }
      let result = run(stops, pieces)
      let expected = reference(stops, Array(text.utf8))
      #expect(result.stopped == (expected != nil), "\(stops) in \(pieces)")
      #expect(Array(result.text.utf8) == expected ?? Array(text.utf8), "\(stops) in \(pieces)")
      #expect(result.taken == result.text, "\(stops) in \(pieces)")
      if result.stopped { stopped += 1 }
    }
    // The draws must reach both ends.
    #expect((500...2500).contains(stopped))
  }

  @Test func handsOutWhatCannotBecomeAStop() {
    var scanner = StopScanner(stops: ["</s>"])
    _ = scanner.append("ab<")
    #expect(scanner.take() == "ab")
    #expect(scanner.take() == "")
    _ = scanner.append("/x")
    #expect(scanner.take() == "</x")
    _ = scanner.append("</s")
    #expect(scanner.take() == "")
    #expect(scanner.take(isLast: true) == "</s")
  }
}
