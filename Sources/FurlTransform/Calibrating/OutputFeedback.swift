import FurlBase
import FurlNumerics
import FurlSpec
import FurlTensor

/// A sketch, and how far it is believed.
struct OutputFeedback {
  let sketch: OutputSketch
  /// How much of the outputs' moments is a multiple of the identity.
  let shrinkage: Double
  /// Whether positions count in the inputs' moments by their gradients, too, half and half; nothing says so of independent rows.
  var weighsPositions: Bool { shrinkage < 1 }
  /// Whether the embedding's errors are fed back, too.
  var feedsEmbedding = true

  func factor(for name: String) throws -> OutputFactor? { try sketch.factor(for: name, shrinkage: shrinkage) }

  /// What positions count in the moments of what some layers read: half of it alike, and half as the squares of the gradients
  /// of their outputs, each layer's relative to its mean (the other half step of the sketch). Nil: all alike.
  func weights(of readers: [String], positions: Int) -> [Float]? {
    guard weighsPositions else { return nil }
    var weights = [Float](repeating: 0, count: positions)
    var parts: Float = 0
    for name in readers {
      guard let squares = sketch.squares[name], squares.count == positions else { continue }
      let mean = squares.reduce(0) { $0 + Double($1) } / Double(positions)
      guard mean > 0 else { continue }
      parts += 1
      for index in weights.indices { weights[index] += squares[index] / Float(mean) }
    }
    return parts > 0 ? weights.map { 0.5 + 0.5 * $0 / parts } : nil
  }
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
    return try CalibratedEncoder(tensor, scheme: tensor.scheme, objective: .outputs(factor)).encode(source, on: math)
  }
}
