import FurlBase

/// Trains what is left of a model to do as the source does (Hinton, Vinyals and Dean, "Distilling the knowledge in a
/// neural network", 2015).
public struct HealStep: Sendable {
  public let train: TrainSettings
  /// What the next tokens of the text count beside the source's probabilities: 0 to 1.
  public let labels: Double
  /// What the distance of the last hidden states counts, over the mean square of the source's.
  public let hidden: Double
  /// Columns of the low-rank update of every linear layer in the blocks; nil: all weights are trained.
  public let rank: Int?
  package let location: DocumentLocation

  init(_ reader: DocumentReader) throws {
    guard let settings = try reader.reader("train") else { throw reader.error("train", "is missing") }
    train = try TrainSettings(settings)
    labels = try reader.number("labels", in: 0...1) ?? 0
    hidden = try reader.number("hidden", in: 0...1e6) ?? 0
    rank = try reader.integer("rank", in: 1...4096)
    try reader.finish()
    location = reader.location
  }

  /// Whether anything of the source's predictions or hidden states is learnt.
  public var needsTeacher: Bool { labels < 1 || hidden > 0 }

  /// Why nothing is distilled from a source whose tokens are others: of a text that is cut into smaller pieces it
  /// predicts tokens that the model does not have.
  package static let otherVocabulary =
    "the model has fewer tokens than the source, whose predictions it cannot learn from"
  package static let otherVocabularyRemedy =
    "put the step before the one that prunes the vocabulary, or learn from the text alone: labels: 1, hidden: 0"

  /// The step with every default spelled out, in the keys that a recipe has.
  var json: JSON {
    var members: [JSON.Member] = [
      .init("train", train.json), .init("labels", .number(labels)), .init("hidden", .number(hidden)),
    ]
    if let rank { members.append(.init("rank", .integer(rank))) }
    return .object(members)
  }
}
