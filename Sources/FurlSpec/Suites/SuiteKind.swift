/// What a suite measures, and so what its problems look like.
package enum SuiteKind: String, Sendable, Hashable, CaseIterable {
  /// Programs that are executed: the share that passes its tests.
  case passAt1 = "pass_at_1"
  /// Line completions: exact match and edit similarity.
  case lines
  /// One text: perplexity and KL divergence.
  case text

  /// The words for people.
  package static var words: String { allCases.map(\.rawValue).joined(separator: ", ") }
}

/// The name of one problem: a text, or an integer as line suites number theirs.
package enum ProblemID: Sendable, Hashable {
  case text(String)
  case integer(Int)
}

extension ProblemID: CustomStringConvertible {
  package var description: String {
    switch self {
    case .text(let text): text
    case .integer(let integer): String(integer)
    }
  }
}
