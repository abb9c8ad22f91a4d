import FurlBase
import FurlTensor

/// How scales and codes are chosen for the linear layers of a step.
public struct QuantizeMethod: Sendable, Hashable {
  public enum Codes: Sendable, Hashable {
    /// Each weight gets the nearest code.
    case nearest
    /// The same with scales that are searched for, columns weighted by the mean squares of their inputs, which a
    /// calibration must give: what llama.cpp's importance matrix does.
    case imatrix
    /// The same after columns with large inputs have been scaled up, and the layers before them down (Lin et al. 2023,
    /// "AWQ").
    case awq
    /// Errors are fed back into the columns whose codes are still open (GPTQ).
    case gptq(Feedback)
  }

  public struct Feedback: Sendable, Hashable {
    public var order: FeedbackOrder
    /// Added to the diagonal of the second moments, as a share of its mean.
    public var damping: Double
  }

  public var codes: Codes
  /// Whether scales are searched for; with ``Codes/nearest`` and a calibration, columns are weighted by the mean squares
  /// of their inputs.
  public var searchesScales: Bool
  /// Bits of a weight in the file, where a step is chosen for the entropy coder; nil: codes are of fixed width.
  public var codedBits: Double?

  /// The nearest codes with scales from the largest weights, which need no calibration.
  package static let plain = QuantizeMethod(codes: .nearest, searchesScales: false)

  private enum Word { case nearest, imatrix, awq, gptq }

  /// - Parameter hasSteps: whether steps are chosen by coded bits, so that there is nothing to search.
  init(_ reader: DocumentReader, hasSteps: Bool) throws {
    let word =
      try reader.word("method", ["nearest": Word.nearest, "imatrix": .imatrix, "awq": .awq, "gptq": .gptq]) ?? .nearest
    let order = try reader.word(
      "order", ["natural": FeedbackOrder.natural, "activation": .activation])
    let damping = try reader.number("damping", in: 0.0001...1)
    let search = try reader.bool("search")
    if hasSteps, search != nil {
      throw reader.error("search", "has no meaning with goal: disk", remedy: "steps follow from bits; leave it out")
    }
    switch word {
    case .nearest, .imatrix, .awq:
      for (key, isGiven) in [("order", order != nil), ("damping", damping != nil)] where isGiven {
        throw reader.error(key, "has no meaning without feedback", remedy: "use method: gptq")
      }
      codes = word == .nearest ? .nearest : word == .imatrix ? .imatrix : .awq
      searchesScales = search ?? (word != .nearest && !hasSteps)
      if word == .imatrix, !hasSteps, !searchesScales {
        throw reader.error("search", "is what method: imatrix does", remedy: "use method: nearest, or leave it out")
      }
      if word != .nearest, hasSteps {
        throw reader.error(
          "method", "\(word) weighs columns in a search for scales, and goal: disk has none", remedy: "use gptq")
      }
    case .gptq:
      codes = .gptq(Feedback(order: order ?? .activation, damping: damping ?? 0.01))
      searchesScales = search ?? !hasSteps
    }
  }

  init(codes: Codes, searchesScales: Bool, codedBits: Double? = nil) {
    self.codes = codes
    self.searchesScales = searchesScales
    self.codedBits = codedBits
  }

  /// The same with a step for so many bits; nil: with codes of fixed width.
  package func coded(_ bits: Double?) -> QuantizeMethod {
    var method = self
    method.codedBits = bits
    if bits != nil { method.searchesScales = false }
    return method
  }

  /// Whether a recipe with this method must have a calibration.
  var needsCalibration: Bool { codes != .nearest }
  /// Whether the second moments of all pairs of inputs are wanted.
  package var needsAllMoments: Bool {
    switch codes {
    case .gptq, .awq: true
    case .nearest, .imatrix: false
    }
  }
  /// Whether a calibration changes anything.
  package var usesCalibration: Bool { needsCalibration || searchesScales }

  /// The keys that give the method; those of plain codes are what they were before there was another method.
  func members(hasSteps: Bool) -> [JSON.Member] {
    switch codes {
    case .nearest: [.init("method", "nearest")] + (searchesScales ? [.init("search", .bool(true))] : [])
    case .imatrix: [.init("method", "imatrix")]
    case .awq: [.init("method", "awq"), .init("search", .bool(searchesScales))]
    case .gptq(let feedback):
      [
        .init("method", "gptq"), .init("order", .string(feedback.order.rawValue)),
        .init("damping", .number(feedback.damping)),
      ] + (hasSteps ? [] : [.init("search", .bool(searchesScales))])
    }
  }
}
