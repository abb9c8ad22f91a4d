/// How the execution of a program ended.
package enum Outcome: String, Sendable, Hashable, CaseIterable {
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
