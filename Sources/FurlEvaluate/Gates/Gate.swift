import FurlSpec
import FurlTensor

/// A bound on a figure of a report.
public struct Gate: Sendable, Hashable {
  /// The figure that is bounded.
  public enum Metric: String, Sendable, Hashable, CaseIterable {
    case passAt1 = "pass_at_1"
    case exactMatch = "exact_match"
    case editSimilarity = "edit_similarity"

    /// The kind of suite that gives it.
    public var kind: SuiteKind { self == .passAt1 ? .passAt1 : .lines }
  }

  /// The name of the suite.
  public var suite: String
  public var metric: Metric
  /// The least value on this fixed set of problems, from 0 to 1.
  public var min: Double?
  /// How far the figure may lie below the baseline's, from 0 to 1.
  public var maxDrop: Double?
  /// Of the one-sided limit by which a drop is judged, from 0.5 to below 1.
  public var confidence: Double

  public init(suite: String, metric: Metric, min: Double? = nil, maxDrop: Double? = nil, confidence: Double = 0.95) {
    self.suite = suite
    self.metric = metric
    self.min = min
    self.maxDrop = maxDrop
    self.confidence = confidence
  }

  /// Reads one entry of a list of gates.
  public init(_ reader: DocumentReader) throws {
    suite = try reader.suiteName("suite")
    let later = ["perplexity", "kl_divergence", "size", "memory", "speed", "energy"]
    guard
      let metric = try reader.word(
        "metric",
        ["pass_at_1": Metric.passAt1, "exact_match": .exactMatch, "edit_similarity": .editSimilarity], later: later)
    else {
      throw reader.error("metric", "is missing", remedy: "allowed: pass_at_1, exact_match, edit_similarity")
    }
    self.metric = metric
    min = try reader.number("min", in: 0...1)
    maxDrop = try reader.number("max_drop", in: 0...1)
    guard min != nil || maxDrop != nil else {
      throw reader.error("min", "is missing", remedy: "a gate needs min, max_drop or both")
    }
    let confidence = try reader.number("confidence", in: 0.5...1)
    if confidence == 1 { throw reader.error("confidence", "no finite sample gives certainty", remedy: "0.95 is usual") }
    if confidence != nil, maxDrop == nil {
      throw reader.error("confidence", "belongs to max_drop", remedy: "min is exact on the fixed set and needs none")
    }
    self.confidence = confidence ?? 0.95
    try reader.finish()
  }

  /// Reads the list under the key `gates` of a recipe or a gate file; a document without the key has none.
  ///
  /// - Throws: ``FurlError`` of kind `input` for a wrong entry, or two that are the same.
  public static func parse(from document: DocumentReader) throws -> [Gate] {
    guard let readers = try document.readers("gates") else { return [] }
    var gates: [Gate] = []
    for reader in readers {
      let gate = try Gate(reader)
      if gates.contains(where: { $0.suite == gate.suite && $0.metric == gate.metric }) {
        throw reader.error(
          "metric", "suite \(gate.suite) already has a gate on \(gate.metric.rawValue)",
          remedy: "put min and max_drop into one gate")
      }
      gates.append(gate)
    }
    return gates
  }

  /// Reads a gate file.
  ///
  /// - Throws: ``FurlError`` of kind `input` for a mistake, `usage` when there is nothing in it to verify.
  public static func read(path: String) throws -> [Gate] {
    let document = try YAML.read(path: path)
    try document.requireForm("gate file")
    _ = try document.string("description")
    let gates = try parse(from: document)
    try document.finish()
    guard !gates.isEmpty else {
      throw FurlError(
        .usage, file: path, "has no gates, so there is nothing to verify", remedy: "list them under gates:")
    }
    return gates
  }

  /// Whether a baseline's report is needed to judge it.
  public var needsBaseline: Bool { maxDrop != nil }
}

/// What a gate, or a list of them, came to.
public enum Verdict: String, Sendable, Hashable, CaseIterable {
  case pass
  /// The data allow neither answer.
  case inconclusive
  case fail

  private var severity: Int {
    switch self {
    case .pass: 0
    case .inconclusive: 1
    case .fail: 2
    }
  }

  /// The graver of two.
  public func and(_ other: Verdict) -> Verdict { severity >= other.severity ? self : other }
}
