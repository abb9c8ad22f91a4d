import FurlBase
package import FurlTensor

/// What a budget may choose from for the matrices of a step.
package struct StepFreedom: Sendable, Hashable {
  package enum Range: Sendable, Hashable {
    /// Coded bits of a weight.
    case coded(ClosedRange<Double>)
    /// Schemes of fixed width, the step's own first.
    case fixed([Scheme])
  }

  package let range: Range
  /// Whether embedding, head and positions are chosen for, too.
  package let hasEmbeddings: Bool

  /// Nil where there is nothing to choose: without a budget, or with bits that are given.
  ///
  /// - Throws: ``FurlError`` of kind `input` for keys that only a budget gives a meaning.
  init?(_ step: QuantizeStep, hasBudget: Bool) throws {
    let isCoded = step.isCoded
    for (key, isGiven, fits) in [
      ("least_bits", step.leastBits != nil, isCoded), ("most_bits", step.mostBits != nil, isCoded),
      ("choices", step.choices != nil, !isCoded),
    ] where isGiven {
      guard hasBudget else {
        throw step.location.error(key, "has no meaning without a budget", remedy: "add budget: {disk: 90MB}")
      }
      guard fits else {
        throw step.location.error(
          key, "has no meaning with goal: \(isCoded ? "disk" : "memory")",
          remedy: isCoded ? "use least_bits and most_bits" : "use choices")
      }
    }
    guard hasBudget else { return nil }
    hasEmbeddings = step.embeddings == nil && step.embeddingBits == nil
    if isCoded {
      guard step.bits == nil else {
        throw step.location.error(
          "bits", "are chosen by the budget", remedy: "use least_bits and most_bits for its bounds")
      }
      let (low, high) = (step.leastBits ?? 2, step.mostBits ?? 7)
      guard low < high else { throw step.location.error("most_bits", "is not more than least_bits") }
      range = .coded(low...high)
    } else {
      var schemes = [step.scheme]
      for choice in step.choices ?? [] {
        let scheme = try choice.filled(from: step.settings).scheme()
        guard !schemes.contains(scheme) else { throw choice.location.error(nil, "\(scheme) is there twice") }
        schemes.append(scheme)
      }
      guard schemes.count > 1 else { return nil }
      range = .fixed(schemes)
    }
  }
}
