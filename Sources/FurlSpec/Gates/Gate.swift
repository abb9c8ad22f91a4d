package import FurlBase

/// A bound on a figure of a report.
package struct Gate: DeclaredDocument, Sendable, Hashable {
  /// The figure that is bounded.
  package enum Metric: String, Sendable, Hashable, CaseIterable {
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
    package var needsSuite: Bool { self != .diskBytes }

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
  package var suite: String
  package var metric: Metric
  /// The least value on this fixed set of problems, from 0 to 1.
  package var min: Double?
  /// How far the figure may lie below the baseline's, from 0 to 1.
  package var maxDrop: Double?
  /// The largest value: a perplexity, nats of a token, bytes.
  package var max: Double?
  /// By which part the perplexity may lie above the baseline's: 0.02 allows 2 % more.
  package var maxRise: Double?
  /// Of the one-sided limit by which a fall or a rise is judged, from 0.5 to below 1. With `max`, nil means that the bound
  /// is exact on this fixed text.
  package var confidence: Double?
  /// Whether a bound that lets nearly everything through is meant.
  package var isLoose: Bool

  package init(
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
  package init(_ reader: DocumentReader) throws { try self.init(declared: reader) }

  /// The gate as a recipe says it, with its defaults.
  package var json: JSON { declaredJSON }

  /// Reads the list under the key `gates` of a recipe or a gate file; a document without the key has none.
  ///
  /// - Throws: ``FurlError`` of kind `input` for a wrong entry, or two that are the same.
  package static func parse(from document: DocumentReader) throws -> [Gate] {
    try ValueCodec<[Gate]>.gates.read(document, "gates") ?? []
  }

  /// Reads a gate file.
  ///
  /// - Throws: ``FurlError`` of kind `input` for a mistake, `usage` when there is nothing in it to verify.
  package static func read(path: String) throws -> [Gate] {
    let gates = try GateFile(declared: YAML.read(path: path)).gates
    guard !gates.isEmpty else {
      throw FurlError(
        .usage, file: path, "has no gates, so there is nothing to verify", remedy: "list them under gates:")
    }
    return gates
  }

  /// Whether a baseline's report is needed to judge it.
  package var needsBaseline: Bool { maxDrop != nil || maxRise != nil || needsBaselineModel }

  /// Whether the baseline itself is needed, because both models have to read the text in lockstep.
  package var needsBaselineModel: Bool { metric == .klDivergence || metric == .sameTop }

  /// What it is called in a sentence: `exact_match of lines`.
  package var title: String { suite.isEmpty ? metric.rawValue : "\(metric.rawValue) of \(suite)" }
}

/// What a gate, or a list of them, came to.
package enum Verdict: String, Sendable, Hashable, CaseIterable {
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
  package func and(_ other: Verdict) -> Verdict { severity >= other.severity ? self : other }
}

extension Gate {
  package init() { self.init(suite: "", metric: .passAt1) }

  package static let declaration = Declaration<Gate>(
    "gate", "A bound on a figure of a report: one of `min`, `max_drop`, `max` and `max_rise`, or two."
  ) {
    Field(
      "metric", \.metric, .word(later: ["memory", "speed", "energy"]), "The figure that is bounded.",
      absent: .refused(remedy: "allowed: \(Metric.allCases.map(\.rawValue).joined(separator: ", "))"))
    Field("suite", \.suite, .suiteName, "The suite that gives it, by the name of its card.", absent: .refused())
      .only("for what a suite gives, which is all but disk_bytes", if: \.metric.needsSuite) {
        ("means nothing for \($0.metric.rawValue)", "remove it")
      }
    bound("min", \.min, .number(in: 0...1), "The least value on this fixed set of problems.")
    bound(
      "max_drop", \.maxDrop, .number(in: 0...1), "How far the figure may lie below the baseline's: 0.02 is 2 points.")
    bound("max", \.max, .largest(from: 0), "The largest value: a perplexity, nats a token, or bytes, as 7.5 MB.") {
      $0.metric == .diskBytes ? .largest(from: 0) : .number(in: ($0.metric == .perplexity ? 1 : 0)...1e18)
    }
    bound(
      "max_rise", \.maxRise, .number(in: 0...1e18),
      "By which part the perplexity may lie above the baseline's: 0.02 allows 2 % more.")
    Field.check { gate, reader in
      guard gate.min == nil, gate.maxDrop == nil, gate.max == nil, gate.maxRise == nil else { return }
      let keys = gate.metric.bounds
      throw reader.error(
        keys[0], "is missing",
        remedy: "a gate on \(gate.metric.rawValue) needs \(keys.joined(separator: ", "))"
          + (keys.count == 1 ? "" : " or both"))
    }
    Field(
      "confidence", \.confidence, .confidence, "Of the one-sided limit by which a fall or a rise is judged.",
      absent: .derived("\(usualConfidence) for max_drop and max_rise; a max without it is exact") {
        $0.maxDrop == nil && $0.maxRise == nil ? nil : usualConfidence
      }
    ).only(
      if: { $0.maxDrop != nil || $0.maxRise != nil || $0.metric == .klDivergence },
      else: "belongs to max_drop, max_rise and the max of kl_divergence",
      "other bounds are exact on the fixed set and need none")
    Field("loose", \.isLoose, .truth, "Says that a bound which lets nearly everything through is meant.")
      .written { $0.isLoose }
  }

  private static func bound(
    _ key: String, _ path: any WritableKeyPath<Gate, Double?> & Sendable, _ codec: ValueCodec<Double>, _ line: String,
    reading: (@Sendable (Gate) -> ValueCodec<Double>)? = nil
  ) -> Field {
    let metrics = Metric.allCases.filter { $0.bounds.contains(key) }.map(\.rawValue).joined(separator: ", ")
    return Field(key, path, codec, line, reading: reading).only(
      "for \(metrics)", if: { $0.metric.bounds.contains(key) }
    ) {
      ("means nothing for \($0.metric.rawValue)", "it is bounded by \($0.metric.bounds.joined(separator: ", "))")
    }
  }

  package mutating func settle(_ reader: DocumentReader) throws {
    try refuseWeakness { reader.error($0, $1, remedy: $2) }
  }
}

extension ValueCodec<Double> {
  fileprivate static func largest(from least: Double) -> ValueCodec {
    .size(.number(in: least...1e18), "is no size", remedy: "write bytes, or a number with kB, MB or GB") { $0 }
  }

  fileprivate static var confidence: ValueCodec {
    .number(in: 0.5...1).checked({ _ in "no finite sample gives certainty" }, "0.95 is usual") { $0 < 1 }
  }
}

extension ValueCodec<[Gate]> {
  /// No two of them on the same figure.
  static var gates: ValueCodec {
    documents().mapped(
      { gates, reader, key in
        for (index, gate) in gates.enumerated()
        where gates[..<index].contains(where: { $0.suite == gate.suite && $0.metric == gate.metric }) {
          let owner = gate.suite.isEmpty ? "the artifact" : "suite \(gate.suite)"
          throw reader.error(
            "\(key)[\(index)].metric", "\(owner) already has a gate on \(gate.metric.rawValue)",
            remedy: "put all bounds into one gate")
        }
        return gates
      }, back: { $0 })
  }
}
