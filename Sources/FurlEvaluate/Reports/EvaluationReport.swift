import FurlBase
import FurlSpec

/// What the evaluation of one model on one suite found: the document of `eval --json`.
public struct EvaluationReport: Sendable, Hashable {
  /// Which problems were put.
  public struct SuiteSummary: Sendable, Hashable {
    public var name: String
    public var sha256: Digest
    public var kind: SuiteKind
    /// The problems of the whole suite.
    public var count: Int

    public init(_ suite: Suite) {
      self.init(name: suite.name, sha256: suite.sha256, kind: suite.kind, count: suite.count)
    }

    init(name: String, sha256: Digest, kind: SuiteKind, count: Int) {
      self.name = name
      self.sha256 = sha256
      self.kind = kind
      self.count = count
    }
  }

  /// Which model was asked.
  public struct Model: Sendable, Hashable {
    /// The base name of its file or folder.
    public var path: String
    /// The artifact's id, or the digest of a checkpoint's weights; nil when completions came from elsewhere.
    public var digest: Digest?
    /// What was put before texts and at which tokens they ended; nil when completions came from elsewhere.
    public var texts: Texts?

    /// How a model's texts begin and end.
    public struct Texts: Sendable, Hashable {
      /// The id of the token that its configuration puts before a text; nil for none.
      public var begin: Int?
      /// Ids of the tokens at which generation ends, ascending.
      public var ends: [Int]
    }

    public init(path: String, digest: Digest?, texts: Texts? = nil) {
      self.path = path.lastName
      self.digest = digest
      self.texts = texts
    }
  }

  /// What was found, of whatever kind the suite is.
  public struct Results: Sendable, Hashable {
    package let found: any SuiteResults

    package init(_ found: any SuiteResults) { self.found = found }

    /// The problems' names, in the suite's order; a text has none.
    public var ids: [ProblemID] { found.ids }

    public static func == (one: Results, other: Results) -> Bool {
      AnyHashable(one.found) == AnyHashable(other.found)
    }

    public func hash(into hasher: inout Hasher) { found.hash(into: &hasher) }
  }

  public var suite: SuiteSummary
  public var model: Model
  /// What was in force, options of the command included.
  public var `protocol`: SuiteProtocol
  /// The keys of the protocol that options changed.
  public var overrides: [String]
  /// How many of the problems were put, when not all of them.
  public var limit: Int?
  /// What programs were kept in: `bwrap+seccomp`, `bwrap` or `none`; nil when none was executed.
  public var sandbox: String?
  /// The version of the Python that executed them.
  public var python: String?
  public var seconds: Double
  public var results: Results
  /// What a reader should know of how the figures came about, a sentence each.
  public var notes: [String] = []
  /// Whether the run was stopped as soon as its gates were settled. The results are then a part of the suite that is
  /// no random draw from it.
  public private(set) var isCurtailed = false

  /// - Throws: ``FurlError`` of kind `defect` when the results are not those of the suite's problems.
  public init(
    suite: Suite, model: Model, overrides: [String] = [], sandbox: String? = nil, python: String? = nil,
    seconds: Double, results: Results, isCurtailed: Bool = false
  ) throws {
    let ids = results.ids
    let all = suite.problems.ids
    let expected = isCurtailed ? all.filter(Set(ids).contains) : Array(all.prefix(ids.count))
    guard expected == ids else {
      throw FurlError(.defect, "the results do not belong to the problems of suite \(suite.name)")
    }
    let hasProblems = suite.kind.type.hasProblems
    if hasProblems, ids.isEmpty { throw FurlError(.usage, "no problem of suite \(suite.name) was put") }
    self.suite = SuiteSummary(suite)
    self.model = model
    self.protocol = suite.protocol
    self.overrides = overrides
    limit = !hasProblems || isCurtailed || ids.count == suite.count ? nil : ids.count
    self.isCurtailed = isCurtailed
    self.sandbox = sandbox
    self.python = python
    self.seconds = seconds
    self.results = results
  }

  init(
    suite: SuiteSummary, model: Model, protocol: SuiteProtocol, overrides: [String], limit: Int?, sandbox: String?,
    python: String?, seconds: Double, results: Results, notes: [String] = []
  ) {
    self.notes = notes
    self.suite = suite
    self.model = model
    self.protocol = `protocol`
    self.overrides = overrides
    self.limit = limit
    self.sandbox = sandbox
    self.python = python
    self.seconds = seconds
    self.results = results
  }
}

extension EvaluationReport {
  /// What gates hold, by its name; nil where it was not measured.
  public func value(_ metric: Gate.Metric) -> Double? { results.found.value(metric) }

  /// The 95 % interval of the suite's first figure: Wilson's for a share.
  public var interval95: ClosedRange<Double>? { results.found.interval95 }

  /// The report on the baseline that was read in lockstep; nil for a report without one.
  func ofBaseline(_ model: Model) -> EvaluationReport? {
    results.found.ofBaseline.map { found in
      var report = self
      report.model = model
      report.results = Results(found)
      return report
    }
  }
}
