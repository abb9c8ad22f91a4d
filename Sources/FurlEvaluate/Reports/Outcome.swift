import FurlSpec

/// How the execution of a program ended.
public enum Outcome: String, Sendable, Hashable, CaseIterable {
  /// The test came to its end.
  case passed
  /// The program answered, and the test did not accept it.
  case wrongAnswer = "wrong_answer"
  /// The program is no Python, or an exception of it ended the test.
  case error
  /// It was not done in time.
  case timeout
  /// It wanted more memory than it may have.
  case memory
  /// It ended its own process.
  case exited
  /// It gave something that is no plain value, or tampered with the pipe.
  case `protocol`
}

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
