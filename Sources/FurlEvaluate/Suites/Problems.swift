import FurlBase
import FurlSpec

/// The problems of a suite, of whatever kind it is.
public struct Problems: Sendable, Hashable {
  package let content: any SuiteType

  package init(_ content: any SuiteType) { self.content = content }

  /// Reads a problem file's content.
  init(_ bytes: [UInt8], kind: SuiteKind, file: String) throws { content = try kind.type.init(bytes, file: file) }

  public var kind: SuiteKind { type(of: content).kind }

  /// How many there are; a text is one.
  public var count: Int { content.count }

  /// The names of the problems, in their order; a text has none.
  public var ids: [ProblemID] { content.ids }

  /// The first problems; a text stays whole.
  public func prefix(_ count: Int) -> Problems { Problems(content.prefix(count)) }

  public static func == (one: Problems, other: Problems) -> Bool {
    AnyHashable(one.content) == AnyHashable(other.content)
  }

  public func hash(into hasher: inout Hasher) { content.hash(into: &hasher) }
}
