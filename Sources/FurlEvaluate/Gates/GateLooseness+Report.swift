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
    if let problem = try metric.type?.weakness(of: self, baseline: baseline, vocabularySize: vocabularySize) {
      throw error(problem)
    }
    // What the artifact breaks is no bound that nothing can break.
    if metric == .diskBytes, let max, let bytes, bytes.source > 0, max >= Double(bytes.source),
      Double(bytes.artifact) <= max
    {
      throw error("max \(Int(max)) bytes holds for the checkpoint itself, whose files have \(bytes.source)")
    }
  }
}
