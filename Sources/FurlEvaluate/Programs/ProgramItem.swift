package import FurlSpec

extension EvaluationReport {
  /// One executed program.
  package struct ProgramItem: Sendable, Hashable {
    package var id: ProblemID
    package var outcome: Outcome
    package var detail: String?
    package var tokens: Int?
    package var stopReason: String?
    package var passed: Bool { outcome == .passed }
    /// Of inputs: what the base ones alone came to.
    package var base: Outcome?
    /// What each of several completions came to, the first one included; empty where there is one.
    package var draws: [Outcome]

    package init(
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
