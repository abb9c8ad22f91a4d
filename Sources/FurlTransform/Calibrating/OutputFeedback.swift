import FurlBase
import FurlNumerics
import FurlSpec
import FurlTensor

/// A sketch, and how far it is believed.
struct OutputFeedback {
  let sketch: OutputSketch
  /// How much of the outputs' moments is a multiple of the identity.
  let shrinkage: Double
  /// Whether the embedding's errors are fed back, too.
  var feedsEmbedding = true

  func factor(for name: String) throws -> OutputFactor? { try sketch.factor(for: name, shrinkage: shrinkage) }
}

extension CodeChooser {
  /// The codes of an embedding, errors fed back between its columns by what the predictions make of them.
  ///
  /// - Returns: nil where nothing is known of that.
  func encode(
    embedding tensor: Plan.PlannedTensor, _ source: WeightSource, _ outputs: OutputFeedback, tolerance: Double
  ) throws -> PackedMatrix? {
    guard outputs.feedsEmbedding, let moments = outputs.sketch.embedding, let feedback = tensor.method.feedback,
      let block = tensor.scheme.choiceBlock
    else { return nil }
    let factor = try FeedbackFactor(
      moments, order: feedback.order, block: block, damping: feedback.damping, on: math)
    if let bits = tensor.method.codedBits {
      let steps = TokenSteps(shares: outputs.sketch.rowShares)
      return try CodedSteps(
        source, scheme: tensor.scheme, objective: .outputs(factor), on: math, rowFactors: steps.factors
      ).encode(bits: bits, tolerance: tolerance)
    }
    return try CalibratedEncoder(
      scheme: tensor.scheme, scales: tensor.method.searchesScales ? .search : .extremes, objective: .outputs(factor)
    ).encode(source, on: math)
  }
}
