package import FurlBase
package import FurlSpec

/// A kind of suite: everything that tells it from the others. What runs suites, judges gates and draws reports asks the type,
/// and never which kind it is.
///
/// A value holds the problems of one suite. A new kind is such a type with what scores it, its word in `SuiteKind` and its
/// line in ``FurlSpec/SuiteKind/type``; a figure that gates may bound is a word of `Gate.Metric`, too.
package protocol SuiteType: Sendable, Hashable {
  associatedtype Results: SuiteResults

  // MARK: The kind

  static var kind: SuiteKind { get }
  /// What its reports say; there is at least one, and the first is what their interval is of.
  static var figures: [SuiteFigure] { get }
  /// The keys of a protocol that mean something for it, in the order in which they are written.
  static var keys: [String] { get }
  /// Those after them that older reports do not have; their defaults are what was done then.
  static var laterKeys: [String] { get }
  /// Makes a protocol the one that a bare problem file is put by.
  static func setDefaults(_ settings: inout SuiteProtocol)
  /// Whether it consists of problems that are put one by one; a text does not.
  static var hasProblems: Bool { get }
  /// Whether what the model writes is executed.
  static var executes: Bool { get }
  /// Whether a baseline reads it beside the model.
  static var readsBaseline: Bool { get }
  /// How reports say what became of a problem: the key, and the words for right and wrong.
  static var answer: (key: String, right: String, wrong: String)? { get }

  // MARK: Reading

  /// The keys that a line of its files has, in words; nil where a file has no lines of JSON.
  static var form: String? { get }
  /// Whether a file is of this kind by the keys of its first line; nil where it is no file of JSON lines.
  static func takes(_ keys: Set<String>?) -> Bool
  /// Reads a problem file's content.
  ///
  /// - Throws: ``FurlError`` of kind `input` with line and key.
  init(_ bytes: [UInt8], file: String) throws

  // MARK: The problems

  /// How many there are; a text is one.
  var count: Int { get }
  /// The problems' names in their order; a text has none.
  var ids: [ProblemID] { get }
  /// What problems have in common, such as the file that lines were taken from; one entry for each.
  var clusters: [String?] { get }
  /// What a reader is shown of each; a text has none.
  var shown: [ShownProblem] { get }
  /// The first problems; a text stays whole.
  func prefix(_ count: Int) -> Self
  /// What these problems are put by where no card says it.
  var defaults: SuiteProtocol { get }
  /// Refuses a protocol that asks for what the problems do not have.
  func check(_ settings: SuiteProtocol) throws(FurlError)
  /// Tokens that a model generates for it at most; one that is only read costs about an eighth.
  func cost(_ settings: SuiteProtocol) -> Int

  // MARK: Scoring

  /// Has the run's source answer the problems, and scores the answers.
  func score(_ run: SuiteRun) async throws -> Scored
  /// Why a gate cannot be violated by what its baseline gave, or by a model of a vocabulary; nil where it can.
  static func weakness(of gate: Gate, baseline: EvaluationReport?, vocabularySize: Int) throws -> String?
}

/// What most kinds have in common: problems with names, whose completions are compared.
extension SuiteType {
  package static var hasProblems: Bool { true }
  package static var executes: Bool { false }
  package static var readsBaseline: Bool { false }
  package var count: Int { ids.count }
  package var clusters: [String?] { [String?](repeating: nil, count: ids.count) }
  package var defaults: SuiteProtocol { SuiteProtocol(defaultsOf: Self.kind) }
  package func check(_ settings: SuiteProtocol) throws(FurlError) {}
  package func cost(_ settings: SuiteProtocol) -> Int { count * settings.maxTokens }

  /// A fall that is allowed must be one that the baseline can take.
  package static func weakness(of gate: Gate, baseline: EvaluationReport?, vocabularySize: Int) throws -> String? {
    // A bound on the figure itself still holds the gate.
    guard let maxDrop = gate.maxDrop, gate.min == nil, let baseline else { return nil }
    let mean = try ProblemScores(gate, baseline).mean
    return mean > maxDrop
      ? nil : "max_drop \(maxDrop) cannot be violated: the baseline itself has only \(GateCheck.short(mean))"
  }

  /// The results that a report holds.
  static func results(_ reader: DocumentReader) throws -> any SuiteResults { try Results(reader) }
}

extension SuiteType {
  /// The figure that stands for a suite in one line or one plot.
  package static var headline: SuiteFigure { figures[0] }

  /// The figure that gates call by a name; nil for one of another kind.
  package static func figure(_ metric: Gate.Metric) -> SuiteFigure? { figures.first { $0.metric == metric } }
}
