import FurlBase

/// A bound on a figure of a report.
public struct Gate: DeclaredDocument, Sendable, Hashable {
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

    /// The kind of suite that gives it; nil for what needs no suite.
    public var kind: SuiteKind? {
      switch self {
      case .passAt1: .passAt1
      case .exactMatch, .editSimilarity: .lines
      case .perplexity, .klDivergence, .sameTop: .text
      case .diskBytes: nil
      }
    }

    /// The keys that bound it.
    var bounds: [String] {
      switch self {
      case .passAt1, .exactMatch, .editSimilarity: ["min", "max_drop"]
      case .perplexity: ["max", "max_rise"]
      case .klDivergence, .diskBytes: ["max"]
      case .sameTop: ["min"]
      }
    }

    /// Whether it is the mean of what single problems gave.
    public var isOfProblems: Bool { kind == .passAt1 || kind == .lines }
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
  public init(_ reader: DocumentReader) throws { try self.init(declared: reader) }

  /// The gate as a recipe says it, with its defaults.
  public var json: JSON { declaredJSON }

  /// Reads the list under the key `gates` of a recipe or a gate file; a document without the key has none.
  ///
  /// - Throws: ``FurlError`` of kind `input` for a wrong entry, or two that are the same.
  public static func parse(from document: DocumentReader) throws -> [Gate] {
    try ValueCodec<[Gate]>.gates.read(document, "gates") ?? []
  }

  /// Reads a gate file.
  ///
  /// - Throws: ``FurlError`` of kind `input` for a mistake, `usage` when there is nothing in it to verify.
  public static func read(path: String) throws -> [Gate] {
    let gates = try GateFile(declared: YAML.read(path: path)).gates
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
