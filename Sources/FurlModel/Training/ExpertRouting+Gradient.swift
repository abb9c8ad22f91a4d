import FurlSpec

extension ExpertRouting {
  /// From the gradients of the chosen experts' weights to those of the router's outputs. The choice itself has none.
  ///
  /// - Parameters:
  ///   - logits: of the router: [count].
  ///   - chosen: the experts, in the order of the gradients.
  /// - Returns: [count].
  func gradient(_ logits: [Float], chosen: [Int], weights gradients: [Double]) -> [Float] {
    let scores = scores(logits)
    // Of the scores that were chosen: w = factor s / sum, or factor s.
    var scoreGradients = gradients.map { $0 * spec.weightFactor }
    if spec.normalizesWeights {
      let divisor = divisor(scores, chosen)
      let mean = zip(chosen, scoreGradients).reduce(0) { $0 + scores[$1.0] * $1.1 } / divisor
      scoreGradients = scoreGradients.map { ($0 - mean) / divisor }
    }
    var result = [Double](repeating: 0, count: scores.count)
    switch spec.scoring {
    case .softmax:
      let mean = zip(chosen, scoreGradients).reduce(0) { $0 + scores[$1.0] * $1.1 }
      for (expert, gradient) in zip(chosen, scoreGradients) { result[expert] = gradient }
      for index in result.indices { result[index] = scores[index] * (result[index] - mean) }
    case .sigmoid:
      for (expert, gradient) in zip(chosen, scoreGradients) {
        result[expert] = gradient * scores[expert] * (1 - scores[expert])
      }
    case .sparseMixer: preconditionFailure("SparseMixer was not refused")
    }
    return result.map { Float($0) }
  }
}
