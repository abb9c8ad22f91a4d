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

  /// One executed program.
  public struct ProgramItem: Sendable, Hashable {
    public var id: ProblemID
    public var outcome: Outcome
    public var detail: String?
    public var tokens: Int?
    public var stopReason: String?
    public var passed: Bool { outcome == .passed }
    /// Of inputs: what the base ones alone came to.
    public var base: Outcome?
    /// What each of several completions came to, the first one included; empty where there is one.
    public var draws: [Outcome]

    public init(
      id: ProblemID, outcome: Outcome, detail: String?, tokens: Int?, stopReason: String?, base: Outcome? = nil,
      draws: [Outcome] = []
    ) {
      self.base = base
      self.draws = draws
      self.id = id
      self.outcome = outcome
      self.detail = detail
      self.tokens = tokens
      self.stopReason = stopReason
    }
  }

  /// One completed line.
  public struct LineItem: Sendable, Hashable {
    public var id: ProblemID
    public var exact: Bool
    /// From 0 to 1.
    public var editSimilarity: Double
    public var tokens: Int?
    public var stopReason: String?
    /// What the line was taken from, where the suite says it.
    public var source: String?

    public init(id: ProblemID, score: LineScore, tokens: Int?, stopReason: String?, source: String? = nil) {
      self.id = id
      self.source = source
      exact = score.exact
      editSimilarity = score.editSimilarity
      self.tokens = tokens
      self.stopReason = stopReason
    }
  }

  /// What was found, problem by problem in the suite's order.
  public enum Results: Sendable, Hashable {
    case programs([ProgramItem])
    case lines([LineItem])
    case text(TextFigures)

    /// The problems' names.
    public var ids: [ProblemID] {
      switch self {
      case .programs(let items): items.map(\.id)
      case .lines(let items): items.map(\.id)
      case .text: []
      }
    }
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
    if suite.kind != .text, ids.isEmpty { throw FurlError(.usage, "no problem of suite \(suite.name) was put") }
    self.suite = SuiteSummary(suite)
    self.model = model
    self.protocol = suite.protocol
    self.overrides = overrides
    limit = suite.kind == .text || isCurtailed || ids.count == suite.count ? nil : ids.count
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
  /// Programs that passed, of those that were executed; of several completions the first ones.
  public var passAt1: Proportion? {
    guard case .programs(let items) = results, !items.isEmpty else { return nil }
    return Proportion(successes: items.count(where: \.passed), count: items.count)
  }

  /// Lines that are equal to the truth.
  public var exactMatch: Proportion? {
    guard case .lines(let items) = results, !items.isEmpty else { return nil }
    return Proportion(successes: items.count(where: \.exact), count: items.count)
  }

  /// The mean similarity of the lines, from 0 to 1.
  public var editSimilarity: Double? {
    guard case .lines(let items) = results, !items.isEmpty else { return nil }
    return items.reduce(0) { $0 + $1.editSimilarity } / Double(items.count)
  }

  public var perplexity: Double? { if case .text(let figures) = results { figures.perplexity } else { nil } }
  public var klDivergence: Double? { if case .text(let figures) = results { figures.klDivergence } else { nil } }

  /// The 95 % interval of the suite's first figure: Wilson's for a share.
  public var interval95: ClosedRange<Double>? {
    switch results {
    case .programs: passAt1Interval
    case .lines: exactMatch?.interval()
    case .text(let figures): figures.interval95
    }
  }
}

extension EvaluationReport.Results {
  /// Scores completions of lines. Each completion must be of the problem at its place.
  ///
  /// - Throws: ``FurlError`` of kind `input` for a completion that is too long to compare, `defect` for one
  ///   that belongs to another problem.
  public static func scoring(
    _ completions: [Completion], of problems: [LineProblem], method: LineScore.Method = .plain
  ) throws -> Self {
    guard completions.count <= problems.count else { throw FurlError(.defect, "more completions than problems") }
    return .lines(
      try zip(completions, problems).map { completion, problem in
        guard completion.id == problem.id else {
          throw FurlError(.defect, "completion \(completion.id) is not of problem \(problem.id)")
        }
        do {
          return EvaluationReport.LineItem(
            id: problem.id, score: try LineScore(completion: completion.text, gt: problem.gt, method: method),
            tokens: completion.tokens, stopReason: completion.stopReason, source: problem.source)
        } catch var error as FurlError {
          error.place = "problem \(problem.id)"
          throw error
        }
      })
  }

  /// Puts executed programs and their completions together, place by place.
  ///
  /// - Parameter draws: how many of them belong to each problem, one after the other.
  public static func executed(_ results: [ProgramResult], _ completions: [Completion], draws: Int = 1) throws -> Self {
    guard results.map(\.id) == completions.map(\.id), results.count.isMultiple(of: draws) else {
      throw FurlError(.defect, "results and completions are not of the same problems")
    }
    return .programs(
      stride(from: 0, to: results.count, by: draws).map { start in
        let (result, completion) = (results[start], completions[start])
        return EvaluationReport.ProgramItem(
          id: result.id, outcome: result.outcome, detail: result.detail, tokens: completion.tokens,
          stopReason: completion.stopReason, base: result.base,
          draws: draws == 1 ? [] : results[start..<start + draws].map(\.outcome))
      })
  }
}
