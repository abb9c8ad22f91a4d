package import FurlSpec

/// What a model wrote for one problem.
package struct Completion: Sendable, Hashable {
  package var id: ProblemID
  package var text: String
  /// The whole program, where it is not the prompt and ``text``: it was cut down, or came from elsewhere as it stands.
  package var solution: String?
  /// Generated tokens, when they were counted.
  package var tokens: Int?
  /// Why generation ended (`eos`, `stop_string`, `length`), when that is known.
  package var stopReason: String?

  package init(
    id: ProblemID, text: String, solution: String? = nil, tokens: Int? = nil, stopReason: String? = nil
  ) {
    self.solution = solution
    self.id = id
    self.text = text
    self.tokens = tokens
    self.stopReason = stopReason
  }
}
