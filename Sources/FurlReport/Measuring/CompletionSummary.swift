import FurlBase
package import FurlEvaluate

/// How the completions of a suite ended: what tells a broken model before its score does.
package struct CompletionSummary: Sendable, Hashable {
  package let suite: String
  package let count: Int
  /// Those that end in repeating themselves.
  package let repeating: Int
  /// Generated tokens of all.
  package let tokens: Int
  package let stopReasons: [String: Int]

  /// Nil where there are none, as of a text.
  package init?(suite: String, _ completions: [Completion]) {
    guard !completions.isEmpty else { return nil }
    self.suite = suite
    count = completions.count
    repeating = completions.count { Repetition.isRepeating($0.text) }
    tokens = completions.reduce(0) { $0 + ($1.tokens ?? 0) }
    stopReasons = completions.reduce(into: [:]) { counts, completion in
      if let reason = completion.stopReason { counts[reason, default: 0] += 1 }
    }
  }

  var json: JSON {
    [
      "suite": .string(suite), "count": .integer(count), "repeating": .integer(repeating), "tokens": .integer(tokens),
      "stop_reasons": .object(
        stopReasons.sorted { $0.key < $1.key }.map { .init($0.key, .integer($0.value)) }),
    ]
  }
}
