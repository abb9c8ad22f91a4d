/// What a reader is shown of a problem beside the answers that models gave.
package struct ShownProblem: Sendable, Hashable {
  /// What the models were to go on with.
  package var prompt: String
  /// The answer that the problem's file has; nil where it has none.
  package var expected: String?
  /// Whether only the expected answer is right. Other answers then differ from it, and not just from one another.
  package var isOnlyAnswer: Bool

  package init(prompt: String, expected: String?, isOnlyAnswer: Bool) {
    self.prompt = prompt
    self.expected = expected
    self.isOnlyAnswer = isOnlyAnswer
  }
}
