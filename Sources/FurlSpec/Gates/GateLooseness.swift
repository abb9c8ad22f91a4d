import FurlBase

/// Bounds that let everything through, or nearly.
///
/// A bound that nothing can violate is no gate, and one that a hundredth or a percentage was mistaken in (`max_drop: 0.5`
/// for half a percent) lets through what nobody meant it to. The first is an error; the second has to be meant, and
/// ``Gate/isLoose`` says that it is.
extension Gate {
  /// A bound that is so weak.
  struct Weakness {
    let key: String
    /// Whether nothing at all can violate it.
    let isVacuous: Bool
    let problem: String
  }

  /// What is vacuous first, then what is only loose.
  var weaknesses: [Weakness] {
    let found = [
      min.flatMap { weakness(min: $0) }, maxDrop.flatMap { weakness(maxDrop: $0) }, max.flatMap { weakness(max: $0) },
      maxRise.flatMap { weakness(maxRise: $0) }, confidence.flatMap { weakness(confidence: $0) },
    ].compactMap { $0 }
    return found.filter(\.isVacuous) + found.filter { !$0.isVacuous }
  }

  private func weakness(min: Double) -> Weakness? {
    if min <= 0 {
      return Weakness(
        key: "min", isVacuous: true, problem: "no \(metric.rawValue) is below 0, so nothing can violate it")
    }
    guard min <= 0.01 else { return nil }
    return Weakness(
      key: "min", isVacuous: false, problem: "\(min) lets through all that is right once in a hundred times")
  }

  private func weakness(maxDrop: Double) -> Weakness? {
    if maxDrop >= 1 {
      return Weakness(
        key: "max_drop", isVacuous: true,
        problem: "no \(metric.rawValue) falls by more than 1, so nothing can violate it")
    }
    guard maxDrop >= 0.5 else { return nil }
    return Weakness(
      key: "max_drop", isVacuous: false,
      problem: "\(maxDrop) allows a fall of \(Gate.points(maxDrop)), which is \(Gate.percent(maxDrop))")
  }

  private func weakness(maxRise: Double) -> Weakness? {
    if maxRise >= 100 {
      return Weakness(
        key: "max_rise", isVacuous: true,
        problem: "\(Gate.percent(maxRise)) more is what no model that works comes near, so nothing can violate it")
    }
    guard maxRise >= 0.5 else { return nil }
    return Weakness(key: "max_rise", isVacuous: false, problem: "\(maxRise) allows \(Gate.percent(maxRise)) more")
  }

  /// With 0.5 the figure itself is held to the bound, and every second draw of problems would let through what breaks it.
  private func weakness(confidence: Double) -> Weakness? {
    guard confidence < Gate.leastConfidence else { return nil }
    return Weakness(
      key: "confidence", isVacuous: false,
      problem: "\(confidence) lets through \(Gate.percent(1 - confidence)) of what just breaks the bound")
  }

  /// What a comparison has to be sure of to show anything.
  private static let leastConfidence = 0.8

  /// Who guesses among the tokens of a vocabulary has its size for a perplexity, and at most its logarithm for a
  /// divergence. The largest vocabularies have some 260,000 tokens.
  private func weakness(max: Double) -> Weakness? {
    func weakness(vacuous: Double, loose: Double, _ problem: String) -> Weakness? {
      guard max >= loose else { return nil }
      return Weakness(
        key: "max", isVacuous: max >= vacuous,
        problem: max >= vacuous ? "\(problem), so nothing can violate it" : "is far above what a model that works gives"
      )
    }
    switch metric {
    case .perplexity:
      return weakness(vacuous: 1e6, loose: 1000, "guessing among all tokens of any vocabulary has a lower perplexity")
    case .klDivergence:
      return weakness(vacuous: 20, loose: 1, "guessing among all tokens of any vocabulary diverges less")
    case .diskBytes: return weakness(vacuous: 1e15, loose: 1e13, "no file is so large")
    case .passAt1, .exactMatch, .editSimilarity, .sameTop: return nil
    }
  }

  /// `1 point`, `2.5 points`: a difference of shares.
  package static func points(_ share: Double) -> String {
    let rounded = (share * 10_000).rounded() / 100
    let text = rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
    return rounded == 1 ? "1 point" : "\(text) points"
  }

  private static func percent(_ share: Double) -> String {
    let value = (share * 1e4).rounded() / 100
    return value == value.rounded() && abs(value) < 1e15 ? "\(Int(value)) %" : "\(value) %"
  }

  /// Refuses what is weak in a gate.
  ///
  /// - Parameter error: makes an error at a key.
  func refuseWeakness(_ error: (_ key: String, _ problem: String, _ remedy: String) -> FurlError) throws {
    for weakness in weaknesses {
      if weakness.isVacuous { throw error(weakness.key, weakness.problem, "give a bound that can be violated") }
      guard !isLoose else { continue }
      throw error(
        weakness.key, weakness.problem,
        (weakness.key == "confidence" ? "0.95 is usual" : "bounds are shares, so 0.02 is 2 %")
          + "; if this is what you mean, add loose: true to the gate")
    }
  }
}
