import FurlBase
import Testing

/// What was meant by a word with a slip in it.
@Suite struct SuggestionTests {
  private static let commands = ["compress", "inspect", "run", "eval", "bench", "verify", "report"]

  @Test(arguments: [
    ("compres", "compress"), ("comrpess", "compress"), ("Verify", "verify"), ("verfiy", "verify"), ("benhc", "bench"),
    ("evl", "eval"), ("reprot", "report"),
  ])
  func slipsAreFound(_ word: String, _ meant: String) {
    #expect(Suggestion.nearest(to: word, among: Self.commands) == meant)
  }

  @Test(arguments: ["", "x", "ru", "nonsense", "quantize", String(repeating: "r", count: 5_000)])
  func otherWordsStandForNothing(_ word: String) {
    #expect(Suggestion.nearest(to: word, among: Self.commands) == nil)
  }

  @Test func theNearestCountsAndAmongEqualsTheFirst() {
    #expect(Suggestion.nearest(to: "int5", among: ["int8", "int4"]) == "int8")
    #expect(Suggestion.nearest(to: "mlp.dwn", among: ["mlp.up", "mlp.down"]) == "mlp.down")
    #expect(Suggestion.nearest(to: "max-drop", among: ["max", "max_drop"]) == "max_drop")
  }

  @Test func aRemedyListsWhatIsKnown() {
    #expect(
      Suggestion.remedy(for: "blok", among: ["block", "zero"], list: "known here")
        == "did you mean block? known here: block, zero")
    #expect(Suggestion.remedy(for: "colour", among: ["block"], list: "known here") == "known here: block")
  }
}
