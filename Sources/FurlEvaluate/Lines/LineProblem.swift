package import FurlSpec

/// A line to be completed (the form of CodeXGLUE's line completion).
package struct LineProblem: Sendable, Hashable {
  package var id: ProblemID
  package var input: String
  /// The rest of the line.
  package var gt: String
  /// The file or package that the line comes from, where the suite says it: lines of one resemble each other.
  package var source: String?

  package init(id: ProblemID, input: String, gt: String, source: String? = nil) {
    self.id = id
    self.input = input
    self.gt = gt
    self.source = source
  }
}

extension EvaluationReport {
  /// One completed line.
  package struct LineItem: Sendable, Hashable {
    package var id: ProblemID
    package var exact: Bool
    /// From 0 to 1.
    package var editSimilarity: Double
    package var tokens: Int?
    package var stopReason: String?
    /// What the line was taken from, where the suite says it.
    package var source: String?

    package init(id: ProblemID, score: LineScore, tokens: Int?, stopReason: String?, source: String? = nil) {
      self.id = id
      self.source = source
      exact = score.exact
      editSimilarity = score.editSimilarity
      self.tokens = tokens
      self.stopReason = stopReason
    }
  }
}
