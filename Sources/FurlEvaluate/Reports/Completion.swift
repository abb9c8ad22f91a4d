import FurlSpec

/// What a model wrote for one problem.
public struct Completion: Sendable, Hashable {
  public var id: ProblemID
  public var text: String
  /// The whole program, where it is not the prompt and ``text``: it was cut down, or came from elsewhere as it stands.
  public var solution: String?
  /// Generated tokens, when they were counted.
  public var tokens: Int?
  /// Why generation ended (`eos`, `stop_string`, `length`), when that is known.
  public var stopReason: String?

  public init(
    id: ProblemID, text: String, solution: String? = nil, tokens: Int? = nil, stopReason: String? = nil
  ) {
    self.solution = solution
    self.id = id
    self.text = text
    self.tokens = tokens
    self.stopReason = stopReason
  }
}
