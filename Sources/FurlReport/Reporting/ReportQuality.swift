package import FurlBase
import FurlEvaluate
package import FurlSpec

/// What an evaluation says about one model on one suite, as far as a report shows it.
///
/// Only what is drawn is read; figures that an older document lacks are nil.
package struct ReportQuality: Sendable {
  /// One problem's result.
  package struct Item: Sendable {
    package var id: String
    /// Passed, or exact.
    package var isRight: Bool
    /// In a word.
    package var outcome: String
    package var stopReason: String?
    package var completion: String?
  }

  package var suite: String
  package var sha256: String
  package var kind: SuiteKind
  package var count: Int
  package var limit: Int?
  /// By what gates call them.
  private var figures: [Gate.Metric: Double] = [:]
  /// Of a text: how many were scored.
  package var tokens: Int?
  package var interval95: ClosedRange<Double>?
  package var sandbox: String?
  package var python: String?
  package var `protocol`: JSON
  package var items: [Item]
  /// Completions that end in repeating themselves; nil where nobody counted.
  package var repeating: Int?

  init(_ reader: DocumentReader) throws {
    guard let suite = try reader.reader("suite") else { throw reader.error("suite", "is missing") }
    guard let name = try suite.string("name"), let hash = try suite.string("sha256"),
      let kind = try suite.string("kind").flatMap(SuiteKind.init(rawValue:))
    else { throw reader.error("suite", "has no name, sha256 or kind that is known") }
    (self.suite, sha256, self.kind) = (name, hash, kind)
    count = try suite.integer("count", in: 0...Int.max) ?? 0
    limit = try reader.integer("limit", in: 0...Int.max)
    for figure in kind.type.figures { figures[figure.metric] = try ReportQuality.value(figure, reader) }
    tokens = try reader.integer("tokens", in: 0...Int.max)
    let ends = try reader.numbers("interval_95")
    interval95 = ends.count == 2 && ends[0].isFinite && ends[0] <= ends[1] ? ends[0]...ends[1] : nil
    sandbox = try reader.string("sandbox")
    python = try reader.string("python")
    `protocol` = reader.optional("protocol") ?? .null
    items = try reader.readers("results")?.compactMap { try ReportQuality.item($0, kind.type) } ?? []
  }

  private static func value(_ figure: SuiteFigure, _ reader: DocumentReader) throws -> Double? {
    // Older documents have a mapping with the mean in it.
    if let mean = reader.optional(figure.key)?["mean"]?.number, figure.range.contains(mean) { return mean }
    return try reader.number(figure.key, in: figure.range)
  }

  private static func item(_ reader: DocumentReader, _ type: any SuiteType.Type) throws -> Item? {
    guard let id = reader.optional("id").flatMap({ $0.string ?? $0.integer.map(String.init) }) else {
      throw reader.error("id", "is missing")
    }
    guard let answer = type.answer, let isRight = try reader.bool(answer.key) else { return nil }
    return Item(
      id: id, isRight: isRight, outcome: try reader.string("outcome") ?? (isRight ? answer.right : answer.wrong),
      stopReason: try reader.string("stop_reason"), completion: try reader.string("completion"))
  }

  /// A figure, by what gates call it.
  package func value(_ metric: Gate.Metric) -> Double? { figures[metric] }

  /// The figure that plots look at first.
  var headline: Double? { figures[kind.type.headline.metric] }

  /// Whether another entry was measured with the same problems by the same protocol.
  func isSame(as other: ReportQuality) -> Bool {
    sha256 == other.sha256 && `protocol` == other.protocol && limit == other.limit
  }

  /// The first figure by another entry's; nil where tokens are others, because it is for each token.
  func ratio(to other: ReportQuality?) -> Double? {
    guard let other, let own = headline, let before = other.headline, before > 0, own.isFinite,
      tokens == nil || other.tokens == nil || tokens == other.tokens
    else { return nil }
    return own / before
  }

  /// Takes over what the other entry knows more: what was read beside a baseline, and single results.
  mutating func absorb(_ other: ReportQuality) {
    for figure in kind.type.figures where figure.needsBaseline {
      figures[figure.metric] = figures[figure.metric] ?? other.figures[figure.metric]
    }
    repeating = repeating ?? other.repeating
    if items.isEmpty { items = other.items }
  }

  /// Puts completions to their problems.
  ///
  /// - Returns: how many problems of this suite were among them.
  mutating func attach(_ completions: [String: String]) -> Int {
    var found = 0
    for index in items.indices {
      guard let text = completions[items[index].id] else { continue }
      items[index].completion = text
      found += 1
    }
    if found > 0 { repeating = items.count { $0.completion.map(Repetition.isRepeating) ?? false } }
    return found
  }

  /// How many completions ended for each reason, most first.
  var stopReasons: [(reason: String, count: Int)] {
    var counts: [String: Int] = [:]
    for item in items { if let reason = item.stopReason { counts[reason, default: 0] += 1 } }
    return counts.sorted { (-$0.value, $0.key) < (-$1.value, $1.key) }.map { ($0.key, $0.value) }
  }
}

/// A model compared with its baseline on the same problems.
struct ReportComparison: Sendable {
  struct Flip: Sendable {
    let before: ReportQuality.Item
    let after: ReportQuality.Item
    var isRegression: Bool { before.isRight }
  }

  let outcomes: PairedOutcomes
  let flips: [Flip]

  /// Nil when the two were not measured on the same problems by the same protocol.
  init?(_ candidate: ReportQuality, baseline: ReportQuality) {
    guard candidate.sha256 == baseline.sha256, candidate.protocol == baseline.protocol, !candidate.items.isEmpty,
      candidate.items.map(\.id) == baseline.items.map(\.id)
    else { return nil }
    flips = zip(baseline.items, candidate.items).compactMap {
      $0.isRight == $1.isRight ? nil : Flip(before: $0, after: $1)
    }
    let regressions = flips.count(where: \.isRegression)
    outcomes = PairedOutcomes(
      regressions: regressions, fixes: flips.count - regressions, count: candidate.items.count)
  }
}
