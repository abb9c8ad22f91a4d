import FurlBase
import FurlTensor

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
  init?(_ reader: DocumentReader, of settings: SchemeSettings, isCoded: Bool, hasBudget: Bool) throws {
    let least = try reader.number("least_bits", in: 1...7)
    let most = try reader.number("most_bits", in: 1...7)
    let choices = try reader.readers("choices")
    for (key, isGiven, fits) in [
      ("least_bits", least != nil, isCoded), ("most_bits", most != nil, isCoded), ("choices", choices != nil, !isCoded),
    ] where isGiven {
      guard hasBudget else {
        throw reader.error(key, "has no meaning without a budget", remedy: "add budget: {disk: 90MB}")
      }
      guard fits else {
        throw reader.error(
          key, "has no meaning with goal: \(isCoded ? "disk" : "memory")",
          remedy: isCoded ? "use least_bits and most_bits" : "use choices")
      }
    }
    guard hasBudget else { return nil }
    if isCoded {
      guard reader.optional("bits") == nil else {
        throw reader.error("bits", "are chosen by the budget", remedy: "use least_bits and most_bits for its bounds")
      }
      let (low, high) = (least ?? 2, most ?? 7)
      guard low < high else { throw reader.error("most_bits", "is not more than least_bits") }
      range = .coded(low...high)
    } else {
      var schemes = [try settings.scheme(reader)]
      for choice in choices ?? [] {
        guard let own = try SchemeSettings(choice, inheriting: settings) else {
          throw choice.error("weights", "is missing")
        }
        let scheme = try own.scheme(choice)
        try choice.finish()
        guard !schemes.contains(scheme) else { throw choice.error(nil, "\(scheme) is there twice") }
        schemes.append(scheme)
      }
      guard schemes.count > 1 else { return nil }
      range = .fixed(schemes)
    }
    hasEmbeddings = reader.optional("embeddings") == nil && reader.optional("embedding_bits") == nil
  }

  /// The keys that say it.
  var members: [JSON.Member] {
    switch range {
    case .coded(let bits):
      [.init("least_bits", .number(bits.lowerBound)), .init("most_bits", .number(bits.upperBound))]
    case .fixed(let schemes):
      [
        .init(
          "choices", .array(schemes.dropFirst().map { .object(SchemeSettings.members(of: $0, bits: nil)) }))
      ]
    }
  }
}
