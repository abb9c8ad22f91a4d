package import FurlBase
package import FurlSpec

/// What a run found on a suite of a kind, problem by problem in the suite's order.
package protocol SuiteResults: Sendable, Hashable {
  /// Reads what a report says.
  ///
  /// - Throws: ``FurlError`` of kind `input` for what is missing or contradicts itself.
  init(_ reader: DocumentReader) throws

  /// The problems' names; a text has none.
  var ids: [ProblemID] { get }
  /// What each problem gave to a figure, from 0 to 1; nothing for a figure that is not of problems.
  func scores(_ metric: Gate.Metric) -> [Double]
  /// What problems have in common; one entry for each.
  var clusters: [String?] { get }
  /// Problems that were answered rightly; nil where there is nothing to count.
  var solved: Int? { get }
  /// A figure; nil where it was not measured, or is of another kind.
  func value(_ metric: Gate.Metric) -> Double?
  /// The 95 % interval of the first figure.
  var interval95: ClosedRange<Double>? { get }
  /// The figures of the baseline that read along; nil where none did.
  var ofBaseline: Self? { get }
  /// Whether a program ended as it may not end again on another day.
  var hasAccidents: Bool { get }

  // MARK: JSON

  /// The figures of a report.
  var members: [JSON.Member] { get }
  /// The single results of a report.
  var json: [JSON] { get }
  /// Refuses figures that do not follow from the results.
  func check(_ reader: DocumentReader) throws
  /// The key of a problem's name among samples.
  static var sampleKey: String { get }
  /// How many completions each problem has.
  var completionsEach: Int { get }
  /// What samples say of each completion.
  var samples: [[JSON.Member]] { get }

  // MARK: Gates and words

  /// Holds a report with these results to a gate on one of its figures.
  func check(_ gate: Gate, in report: EvaluationReport, baseline: EvaluationReport?) throws -> [GateCheck]
  /// What a person is told.
  ///
  /// - Parameter interval: what is said of ``interval95``; empty where there is none.
  func lines(name: String, interval: String, _ settings: SuiteProtocol) -> [String]
}

/// What most kinds have in common.
extension SuiteResults {
  package static var sampleKey: String { "id" }
  package var clusters: [String?] { [String?](repeating: nil, count: ids.count) }
  package var ofBaseline: Self? { nil }
  package var hasAccidents: Bool { false }
  package var completionsEach: Int { 1 }

  package func value(_ metric: Gate.Metric) -> Double? {
    let scores = scores(metric)
    return scores.isEmpty ? nil : scores.reduce(0, +) / Double(scores.count)
  }

  package func check(
    _ gate: Gate, in report: EvaluationReport, baseline: EvaluationReport?
  ) throws -> [GateCheck] {
    try gate.check(
      try ProblemScores(gate, report), baseline: baseline.map { try ProblemScores(gate, $0) }, limit: report.limit)
  }
}

extension DocumentReader {
  /// The single results of a report; names come once.
  ///
  /// - Parameter read: makes one of its name and of what else is said of it.
  func results<Item>(_ read: (ProblemID, DocumentReader) throws -> Item) throws -> [Item] {
    guard let items = try readers("results") else { throw error("results", "is missing") }
    var seen: Set<ProblemID> = []
    return try items.map { item in
      guard let id = try item.problemID("id") else { throw item.error("id", "is missing") }
      guard seen.insert(id).inserted else { throw item.error("id", "\"\(id)\" appears twice") }
      let result = try read(id, item)
      try item.finish()
      return result
    }
  }

  /// Holds a figure against what the results give.
  func check(_ key: String, _ value: Double?) throws {
    guard try number(key, in: 0...1) == value else {
      throw error(key, "does not follow from the results", remedy: "make the report again with furl eval")
    }
  }
}
