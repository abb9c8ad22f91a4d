import FurlBase
package import FurlSpec

/// The problems of a suite, of whatever kind it is.
package struct Problems: Sendable, Hashable {
  package let content: any SuiteType

  package init(_ content: any SuiteType) { self.content = content }

  /// Reads a problem file's content.
  init(_ bytes: [UInt8], kind: SuiteKind, file: String) throws { content = try kind.type.init(bytes, file: file) }

  package var kind: SuiteKind { type(of: content).kind }

  /// How many there are; a text is one.
  package var count: Int { content.count }

  /// The names of the problems, in their order; a text has none.
  package var ids: [ProblemID] { content.ids }

  /// What a reader is shown of each, in their order; a text has none.
  package var shown: [ShownProblem] { content.shown }

  /// The first problems; a text stays whole.
  package func prefix(_ count: Int) -> Problems { Problems(content.prefix(count)) }

  package static func == (one: Problems, other: Problems) -> Bool {
    AnyHashable(one.content) == AnyHashable(other.content)
  }

  package func hash(into hasher: inout Hasher) { content.hash(into: &hasher) }
}
