package import FurlBase

/// Trains what rounding has left in real numbers, codes fixed, to do as the model did before it was rounded: scales and minimums of
/// blocks, norms and biases (Chen et al., "EfficientQAT", 2024, its second phase; Li et al., "Norm Tweaking", 2023).
package struct TuneStep: DeclaredDocument, Sendable {
  package private(set) var train = TrainSettings()
  /// What the next tokens of the text count beside the rounded model's teacher: 0 to 1.
  package private(set) var labels = 0.0
  package private(set) var location = DocumentLocation.none

  package init() {}

  package static let declaration = Declaration<TuneStep>(
    "tune", "Trains scales, norms and biases behind `quantize`, codes fixed, to do as before it."
  ) {
    Field("train", \.train, .document, "How they are trained; a rate is a share of what they are.", absent: .refused())
    Field(
      "labels", \.labels, .number(in: 0...1),
      "What the next tokens of the text count beside the probabilities from before.")
    Field.check { $0.location = $1.location }
  }
}
