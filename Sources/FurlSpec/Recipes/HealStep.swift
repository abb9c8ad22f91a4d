package import FurlBase

/// Trains what is left of a model to do as the source does (Hinton, Vinyals and Dean, "Distilling the knowledge in a
/// neural network", 2015).
package struct HealStep: DeclaredDocument, Sendable {
  package private(set) var train = TrainSettings()
  /// What the next tokens of the text count beside the source's probabilities: 0 to 1.
  package private(set) var labels = 0.0
  /// What the distance of the last hidden states counts, over the mean square of the source's.
  package private(set) var hidden = 0.0
  /// Columns of the low-rank update of every linear layer in the blocks; nil: all weights are trained.
  package private(set) var rank: Int?
  package private(set) var location = DocumentLocation.none

  package init() {}

  package static let declaration = Declaration<HealStep>(
    "heal", "Trains what is left of the model to do as the source does."
  ) {
    Field("train", \.train, .document, "How it is trained.", absent: .refused())
    Field(
      "labels", \.labels, .number(in: 0...1),
      "What the next tokens of the text count beside the source's probabilities.")
    Field(
      "hidden", \.hidden, .number(in: 0...1e6),
      "What the distance of the last hidden states counts, over the mean square of the source's.")
    Field(
      "rank", \.rank, .integer(in: 1...4096, unit: "columns"),
      "Trains an update of so low a rank for every linear layer in the blocks alone.",
      absent: .means("all weights are trained"))
    Field.check { $0.location = $1.location }
  }

  /// Whether anything of the source's predictions or hidden states is learnt.
  package var needsTeacher: Bool { labels < 1 || hidden > 0 }

  /// Why nothing is distilled from a source whose tokens are others: of a text that is cut into smaller pieces it
  /// predicts tokens that the model does not have.
  package static let otherVocabulary =
    "the model has fewer tokens than the source, whose predictions it cannot learn from"
  package static let otherVocabularyRemedy =
    "put the step before the one that prunes the vocabulary, or learn from the text alone: labels: 1, hidden: 0"
}
