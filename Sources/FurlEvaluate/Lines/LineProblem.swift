import FurlSpec

/// A line to be completed (the form of CodeXGLUE's line completion).
public struct LineProblem: Sendable, Hashable {
  public var id: ProblemID
  public var input: String
  /// The rest of the line.
  public var gt: String
  /// The file or package that the line comes from, where the suite says it: lines of one resemble each other.
  public var source: String?

  public init(id: ProblemID, input: String, gt: String, source: String? = nil) {
    self.id = id
    self.input = input
    self.gt = gt
    self.source = source
  }
}

extension EvaluationReport {
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
}
