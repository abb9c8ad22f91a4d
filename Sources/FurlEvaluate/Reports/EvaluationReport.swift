package import FurlBase
package import FurlSpec

/// What the evaluation of one model on one suite found: the document of `eval --json`.
package struct EvaluationReport: Sendable, Hashable {
  /// Which problems were put.
  package struct SuiteSummary: Sendable, Hashable {
    package var name: String
    package var sha256: Digest
    package var kind: SuiteKind
    /// The problems of the whole suite.
    package var count: Int

    package init(_ suite: Suite) {
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
  package struct EvaluatedModel: Sendable, Hashable {
    /// The base name of its file or folder.
    package var path: String
    /// The artifact's id, or the digest of a checkpoint's weights; nil when completions came from elsewhere.
    package var digest: Digest?
    /// What was put before texts and at which tokens they ended; nil when completions came from elsewhere.
    package var texts: Texts?

    /// How a model's texts begin and end.
    package struct Texts: Sendable, Hashable {
      /// The id of the token that its configuration puts before a text; nil for none.
      package var begin: Int?
      /// Ids of the tokens at which generation ends, ascending.
      package var ends: [Int]
    }

    package init(path: String, digest: Digest?, texts: Texts? = nil) {
      self.path = path.lastName
      self.digest = digest
      self.texts = texts
    }
  }

  /// What was found, of whatever kind the suite is.
  package struct ReportedResults: Sendable, Hashable {
    package let found: any SuiteResults

    package init(_ found: any SuiteResults) { self.found = found }

    /// The problems' names, in the suite's order; a text has none.
    package var ids: [ProblemID] { found.ids }

    package static func == (one: ReportedResults, other: ReportedResults) -> Bool {
      AnyHashable(one.found) == AnyHashable(other.found)
    }

    package func hash(into hasher: inout Hasher) { found.hash(into: &hasher) }
  }

  package var suite: SuiteSummary
  package var model: EvaluatedModel
  /// What was in force, options of the command included.
  package var `protocol`: SuiteProtocol
  /// The keys of the protocol that options changed.
  package var overrides: [String]
  /// How many of the problems were put, when not all of them.
  package var limit: Int?
  /// What programs were kept in: `bwrap+seccomp`, `bwrap` or `none`; nil when none was executed.
  package var sandbox: String?
  /// The version of the Python that executed them.
  package var python: String?
  package var seconds: Double
  package var results: ReportedResults
  /// What a reader should know of how the figures came about, a sentence each.
  package var notes: [String] = []
  /// Whether the run was stopped as soon as its gates were settled. The results are then a part of the suite that is
  /// no random draw from it.
  package private(set) var isCurtailed = false

  /// - Throws: ``FurlError`` of kind `defect` when the results are not those of the suite's problems.
  package init(
    suite: Suite, model: EvaluatedModel, overrides: [String] = [], sandbox: String? = nil, python: String? = nil,
    seconds: Double, results: ReportedResults, isCurtailed: Bool = false
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
    suite: SuiteSummary, model: EvaluatedModel, protocol: SuiteProtocol, overrides: [String], limit: Int?,
    sandbox: String?,
    python: String?, seconds: Double, results: ReportedResults, notes: [String] = []
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
  package func value(_ metric: Gate.Metric) -> Double? { results.found.value(metric) }

  /// The 95 % interval of the suite's first figure: Wilson's for a share.
  package var interval95: ClosedRange<Double>? { results.found.interval95 }

  /// The report on the baseline that was read in lockstep; nil for a report without one.
  func ofBaseline(_ model: EvaluatedModel) -> EvaluationReport? {
    results.found.ofBaseline.map { found in
      var report = self
      report.model = model
      report.results = ReportedResults(found)
      return report
    }
  }
}
