import FurlBase

/// A bound on a figure of a report.
public struct Gate: Sendable, Hashable {
  /// The figure that is bounded.
  public enum Metric: String, Sendable, Hashable, CaseIterable {
    case passAt1 = "pass_at_1"
    case exactMatch = "exact_match"
    case editSimilarity = "edit_similarity"
    case perplexity
    case klDivergence = "kl_divergence"
    /// Tokens of a text whose likeliest token is the baseline's.
    case sameTop = "same_top"
    /// The artifact's file.
    case diskBytes = "disk_bytes"

    /// Whether it is a figure of a suite, not of the artifact alone.
    public var needsSuite: Bool { self != .diskBytes }

    /// The keys that bound it.
    var bounds: [String] {
      switch self {
      case .passAt1, .exactMatch, .editSimilarity: ["min", "max_drop"]
      case .perplexity: ["max", "max_rise"]
      case .klDivergence, .diskBytes: ["max"]
      case .sameTop: ["min"]
      }
    }
  }

  /// The name of the suite; empty for a figure that needs none.
  public var suite: String
  public var metric: Metric
  /// The least value on this fixed set of problems, from 0 to 1.
  public var min: Double?
  /// How far the figure may lie below the baseline's, from 0 to 1.
  public var maxDrop: Double?
  /// The largest value: a perplexity, nats of a token, bytes.
  public var max: Double?
  /// By which part the perplexity may lie above the baseline's: 0.02 allows 2 % more.
  public var maxRise: Double?
  /// Of the one-sided limit by which a fall or a rise is judged, from 0.5 to below 1. With `max`, nil means that the bound
  /// is exact on this fixed text.
  public var confidence: Double?
  /// Whether a bound that lets nearly everything through is meant.
  public var isLoose: Bool

  public init(
    suite: String, metric: Metric, min: Double? = nil, maxDrop: Double? = nil, max: Double? = nil,
    maxRise: Double? = nil, confidence: Double? = nil, isLoose: Bool = false
  ) {
    self.suite = suite
    self.metric = metric
    self.min = min
    self.maxDrop = maxDrop
    self.max = max
    self.maxRise = maxRise
    self.isLoose = isLoose
    self.confidence = confidence ?? (maxDrop == nil && maxRise == nil ? nil : Gate.usualConfidence)
  }

  package static let usualConfidence = 0.95

  /// Reads one entry of a list of gates.
  public init(_ reader: DocumentReader) throws {
    let later = ["memory", "speed", "energy"]
    guard
      let metric = try reader.word(
        "metric",
        [
          "pass_at_1": Metric.passAt1, "exact_match": .exactMatch, "edit_similarity": .editSimilarity,
          "perplexity": .perplexity, "kl_divergence": .klDivergence, "same_top": .sameTop, "disk_bytes": .diskBytes,
        ], later: later)
    else {
      throw reader.error(
        "metric", "is missing", remedy: "allowed: \(Metric.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    if !metric.needsSuite, reader.optional("suite") != nil {
      throw reader.error("suite", "means nothing for \(metric.rawValue)", remedy: "remove it")
    }
    let suite = !metric.needsSuite ? "" : try reader.suiteName("suite")
    for key in ["min", "max_drop", "max", "max_rise"]
    where !metric.bounds.contains(key) && reader.optional(key) != nil {
      throw reader.error(
        key, "means nothing for \(metric.rawValue)", remedy: "it is bounded by \(metric.bounds.joined(separator: ", "))"
      )
    }
    self.init(
      suite: suite, metric: metric, min: try reader.number("min", in: 0...1),
      maxDrop: try reader.number("max_drop", in: 0...1), max: try Gate.largest(reader, metric),
      maxRise: try reader.number("max_rise", in: 0...1e18))
    guard min != nil || maxDrop != nil || max != nil || maxRise != nil else {
      let words = metric.bounds.count == 1 ? metric.bounds[0] : "\(metric.bounds.joined(separator: ", ")) or both"
      throw reader.error(metric.bounds[0], "is missing", remedy: "a gate on \(metric.rawValue) needs \(words)")
    }
    if let level = try reader.number("confidence", in: 0.5...1) {
      if level == 1 { throw reader.error("confidence", "no finite sample gives certainty", remedy: "0.95 is usual") }
      guard maxDrop != nil || maxRise != nil || metric == .klDivergence else {
        throw reader.error(
          "confidence", "belongs to max_drop, max_rise and the max of kl_divergence",
          remedy: "other bounds are exact on the fixed set and need none")
      }
      confidence = level
    }
    isLoose = try reader.bool("loose") ?? false
    try reader.finish()
    try refuseWeakness { reader.error($0, $1, remedy: $2) }
  }

  /// `max`: a number, or for a file also a size with its unit.
  private static func largest(_ reader: DocumentReader, _ metric: Metric) throws -> Double? {
    if metric == .diskBytes, let text = reader.optional("max")?.string {
      let units: KeyValuePairs = ["kB": 1e3, "MB": 1e6, "GB": 1e9, "B": 1]
      for (unit, size) in units where text.hasSuffix(unit) {
        let digits = text.dropLast(unit.count).filter { $0 != " " }
        if let value = Double(String(digits)), value > 0, value.isFinite { return value * size }
      }
      throw reader.error("max", "\"\(text)\" is no size", remedy: "write bytes, or a number with kB, MB or GB")
    }
    return try reader.number("max", in: metric == .perplexity ? 1...1e18 : 0...1e18)
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
          "metric",
          "\(gate.suite.isEmpty ? "the artifact" : "suite \(gate.suite)") already has a gate on \(gate.metric.rawValue)",
          remedy: "put all bounds into one gate")
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
    try document.requireVersion(of: "gate file")
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
  public var needsBaseline: Bool { maxDrop != nil || maxRise != nil || needsBaselineModel }

  /// Whether the baseline itself is needed, because both models have to read the text in lockstep.
  public var needsBaselineModel: Bool { metric == .klDivergence || metric == .sameTop }

  /// What it is called in a sentence: `exact_match of lines`.
  package var title: String { suite.isEmpty ? metric.rawValue : "\(metric.rawValue) of \(suite)" }

  /// The gate as a recipe says it, with its defaults.
  public var json: JSON {
    var members: [JSON.Member] = suite.isEmpty ? [] : [.init("suite", .string(suite))]
    members.append(.init("metric", .string(metric.rawValue)))
    for (key, value) in [("min", min), ("max_drop", maxDrop), ("max", max), ("max_rise", maxRise)] {
      if let value { members.append(.init(key, .number(value))) }
    }
    if let confidence { members.append(.init("confidence", .number(confidence))) }
    if isLoose { members.append(.init("loose", true)) }
    return .object(members)
  }
}

/// What a gate, or a list of them, came to.
public enum Verdict: String, Sendable, Hashable, CaseIterable {
  case pass
  /// Nothing was measured for it, because another gate had failed.
  case notPut = "not put"
  /// The data allow neither answer.
  case inconclusive
  case fail

  private var severity: Int {
    switch self {
    case .pass: 0
    case .notPut: 1
    case .inconclusive: 2
    case .fail: 3
    }
  }

  /// The graver of two.
  public func and(_ other: Verdict) -> Verdict { severity >= other.severity ? self : other }
}
