import FurlSpec

extension ExpertRouting {
  /// From the gradients of the chosen experts' weights to those of the router's outputs.
  ///
  /// The choice itself has none: neither which scores are the largest, nor which groups may give some, nor which experts
  /// SparseMixer takes to be near enough. What is differentiated is what is computed, also while a model is trained: with
  /// SparseMixer the weight of an expert in the softmax that it was taken from. (The training that Liu et al. 2023 propose
  /// draws the experts at random and corrects gradients for that; Phi-3.5-MoE was made so, and is not healed so.)
  ///
  /// - Parameters:
  ///   - logits: of the router: [count].
  ///   - chosen: the experts, in the order of the gradients.
  /// - Returns: [count].
  func gradient(_ logits: [Float], chosen: [Int], weights gradients: [Double]) -> [Float] {
    let capped = capped(logits)
    let scaled = zip(chosen, gradients).map { $1 * spec.weightFactor * (factors.isEmpty ? 1 : factors[$0]) }
    var result = spec.scoring == .sparseMixer ? sparse(capped, chosen, scaled) : scored(logits, chosen, scaled)
    if let cap = spec.routerSoftCap {
      // The derivative of cap tanh(x / cap) is 1 - tanh(x / cap)^2.
      result = zip(result, capped).map { $0 * (1 - $1 / cap * ($1 / cap)) }
    }
    return result.map { Float($0) }
  }

  /// Where weights are of one softmax, or of sigmoids.
  ///
  /// - Parameter gradients: of the weights before the factor.
  private func scored(_ logits: [Float], _ chosen: [Int], _ gradients: [Double]) -> [Double] {
    let scores = scores(logits)
    // Of the scores that were chosen: w = factor s / sum, or factor s.
    var scoreGradients = gradients
    if spec.normalizesWeights {
      let divisor = divisor(scores, chosen)
      let mean = zip(chosen, scoreGradients).reduce(0) { $0 + scores[$1.0] * $1.1 } / divisor
      scoreGradients = scoreGradients.map { ($0 - mean) / divisor }
    }
    var result = [Double](repeating: 0, count: scores.count)
    if spec.scoring == .softmax {
      let mean = zip(chosen, scoreGradients).reduce(0) { $0 + scores[$1.0] * $1.1 }
      for (expert, gradient) in zip(chosen, scoreGradients) { result[expert] = gradient }
      for index in result.indices { result[index] = scores[index] * (result[index] - mean) }
    } else {
      for (expert, gradient) in zip(chosen, scoreGradients) {
        result[expert] = gradient * scores[expert] * (1 - scores[expert])
      }
    }
    return result
  }

  /// Where each of two experts has a softmax of its own.
  private func sparse(_ logits: [Double], _ chosen: [Int], _ gradients: [Double]) -> [Double] {
    var result = [Double](repeating: 0, count: logits.count)
    for (expert, shares) in sparseShares(logits) {
      guard let place = chosen.firstIndex(of: expert) else { continue }
      let own = gradients[place] * shares[expert]
      for index in result.indices { result[index] -= own * shares[index] }
      result[expert] += own
    }
    return result
  }
}
