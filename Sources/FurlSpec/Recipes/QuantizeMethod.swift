import FurlBase
package import FurlTensor

/// How scales and codes are chosen for the linear layers of a step.
package struct QuantizeMethod: Sendable, Hashable {
  package enum Codes: Sendable, Hashable {
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
    /// The same between rows, too: what errors of outputs do to the predictions decides how rows make up for each other
    /// (Tseng et al. 2025, "Model-Preserving Adaptive Rounding", YAQA).
    case twoSided(Feedback, RowFeedback)
  }

  package struct Feedback: Sendable, Hashable {
    package var order: FeedbackOrder
    /// Added to the diagonal of the second moments, as a share of its mean.
    package var damping: Double

    static let usualDamping = 0.01
  }

  /// What rows make up for.
  package struct RowFeedback: Sendable, Hashable {
    /// How much of the outputs' moments is a multiple of the identity: 1 is feedback between columns alone; nil: chosen
    /// by the divergence on held-out text.
    package var shrinkage: Double?
  }

  package var codes: Codes
  /// Whether scales are searched for; with ``Codes/nearest`` and a calibration, columns are weighted by the mean squares
  /// of their inputs.
  package var searchesScales: Bool
  /// Bits of a weight in the file, where a step is chosen for the entropy coder; nil: codes are of fixed width.
  package var codedBits: Double?
  /// Whether minimums are whole multiples of scales.
  package var hasZeroPoints = false

  /// The nearest codes with scales from the largest weights, which need no calibration.
  package static let plain = QuantizeMethod(codes: .nearest, searchesScales: false)

  /// How a recipe calls it.
  enum Word: String, Sendable, CaseIterable {
    case nearest, imatrix, awq, gptq
    case twoSided = "two-sided"

    var hasFeedback: Bool { self == .gptq || self == .twoSided }
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

  /// The same with minimums that are whole multiples of scales, or need not be.
  package func withZeroPoints(_ hasZeroPoints: Bool) -> QuantizeMethod {
    var method = self
    method.hasZeroPoints = hasZeroPoints
    return method
  }

  /// Whether a recipe with this method must have a calibration.
  var needsCalibration: Bool { codes != .nearest }
  /// Whether the second moments of all pairs of inputs are wanted.
  package var needsAllMoments: Bool {
    switch codes {
    case .gptq, .awq, .twoSided: true
    case .nearest, .imatrix: false
    }
  }
  /// How errors are fed back between columns; nil where they are not.
  package var feedback: Feedback? {
    switch codes {
    case .gptq(let feedback), .twoSided(let feedback, _): feedback
    case .nearest, .imatrix, .awq: nil
    }
  }
  /// How they are fed back between rows; nil where they are not.
  package var rowFeedback: RowFeedback? { if case .twoSided(_, let rows) = codes { rows } else { nil } }
  /// Whether a calibration changes anything.
  package var usesCalibration: Bool { needsCalibration || searchesScales }
}
