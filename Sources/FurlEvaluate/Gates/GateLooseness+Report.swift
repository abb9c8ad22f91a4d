import FurlBase
import FurlSpec

extension Gate {
  /// Refuses what only the baseline, or the model, shows to be weak.
  ///
  /// - Parameters:
  ///   - baseline: the baseline's report on the gate's suite.
  ///   - vocabularySize: of the artifact.
  ///   - bytes: of the artifact's file, and of those that it was made from.
  /// - Throws: ``FurlError`` of kind `input`.
  func refuseWeakness(
    baseline: EvaluationReport?, vocabularySize: Int, bytes: (artifact: Int, source: Int)? = nil, file: String
  ) throws {
    guard !isLoose else { return }
    func error(_ problem: String) -> FurlError {
      .input(
        file, "the gate on \(title)", problem,
        remedy: "give a bound that can be violated, or add loose: true to the gate")
    }
    if metric == .perplexity, let max, max >= Double(vocabularySize) {
      throw error("max \(max) holds for a model that guesses among its \(vocabularySize) tokens")
    }
    // What the artifact breaks is no bound that nothing can break.
    if metric == .diskBytes, let max, let bytes, bytes.source > 0, max >= Double(bytes.source),
      Double(bytes.artifact) <= max
    {
      throw error("max \(Int(max)) bytes holds for the checkpoint itself, whose files have \(bytes.source)")
    }
    if let maxRise, metric == .perplexity, case .text(let before)? = baseline?.results,
      before.perplexity * (1 + maxRise) >= Double(vocabularySize)
    {
      throw error(
        "max_rise \(maxRise) holds for a model that guesses among its \(vocabularySize) tokens: the baseline's "
          + "perplexity is \(GateCheck.short(before.perplexity))")
    }
    // A bound on the figure itself still holds the gate.
    if let maxDrop, min == nil, metric.isOfProblems, let baseline {
      let mean = try ProblemScores(self, baseline).mean
      if mean <= maxDrop {
        throw error("max_drop \(maxDrop) cannot be violated: the baseline itself has only \(GateCheck.short(mean))")
      }
    }
  }
}
