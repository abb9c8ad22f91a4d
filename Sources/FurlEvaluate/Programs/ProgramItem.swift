import FurlSpec

extension EvaluationReport {
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
}
