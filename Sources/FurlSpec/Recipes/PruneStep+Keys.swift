import FurlBase

extension PruneStep {
  package static let declaration = Declaration<PruneStep>(
    "prune", "Removes groups of weights for good; or, to compare with, sets single weights to zero."
  ) {
    Field(
      "method", \.method, .word,
      "Whole groups by group lasso; or single weights by what they add to the outputs, as Wanda and SparseGPT.")
    Field.check { step, reader in
      guard step.method != .groupLasso,
        let key = reader.keys.first(where: { !["method", "sparsity", "of"].contains($0) })
      else { return }
      throw reader.error(key, "has no meaning for single weights", remedy: "use method: group-lasso")
    }
    Field(
      "sparsity", \.sparsity, .number(in: 0.001...0.95), "The share that goes.",
      absent: .refused(remedy: "the share that goes, such as 0.6"))
    Field(
      "of", \.of, .word,
      "What it is a share of: the weights in the blocks' linear layers, all parameters, or those of the groups.")
    Field.check { step, reader in
      guard step.method == .groupLasso || step.of == .blocks else {
        throw reader.error("of", "single weights are a share of the blocks'", remedy: "use of: blocks")
      }
    }
    ofGroups.map { $0.known("with method: group-lasso") { $0.method == .groupLasso } }
    Field.check { $0.location = $1.location }
  }

  @DeclarationBuilder<PruneStep> private static var ofGroups: [Field] {
    Field(
      "groups", \.words, .groups,
      "Attention heads (with all that share a key/value head), neurons of the MLP, channels of the residual stream, "
        + "rows of the vocabulary."
    )
    Field.check { try $0.checkVocabulary($1) }
    Field("fit", \.fit, .word, "Closed form, layer by layer; or training with the penalty.")
      .written { !$0.isVocabularyAlone }
    Field.check { try $0.checkFit($1) }
    ofTraining.map { $0.known("with fit: finetune") { $0.fit == .finetune } }
    beside(
      Field(
        "choose", \.choose, .word,
        "What groups go by: the penalty at which they vanish, the variance of what they add, inputs times weights, "
          + "weights, or draws."
      ))
    beside(
      Field(
        "refit", \.refit, .word,
        "What makes up for them: least squares over those that stay, the bias alone, or nothing."))
    beside(
      Field(
        "allocation", \.allocation, .word,
        "How much each layer loses: by one threshold, by one that is weighed by what is measured, or the same everywhere."
      )
    ).only(
      if: { !$0.groups.isEmpty }, else: "has no meaning for channels, which are the same ones in all layers",
      "leave it out")
    Field("multiple", \.multiple, .integer(in: 1...1024), "Widths are kept to multiples of this.")
    Field(
      "limit", \.limit, .number(in: 0.01...1), "The largest share of its groups that a layer may lose.",
      absent: .derived("half of what stays; with allocation: measured a third more than the others lose") {
        // Half of what would be left everywhere may go from one layer, too.
        $0.allocation == .measured ? nil : (1 + $0.sparsity) / 2
      }
    ).beside()
    beside(Field("seed", \.seed, .integer(in: 0...Int.max), "Begins the draws.")).only(
      if: { $0.choose == .random }, else: "has no meaning without draws", "use choose: random")
  }

  @DeclarationBuilder<PruneStep> private static var ofTraining: [Field] {
    Field(
      "train", \.training.train, .document, "How the model is trained meanwhile.",
      absent: .refused(remedy: "say how: train: {text: FILE, steps: 800, rate: 3.0e-4}"))
    Field(
      "penalty", \.training.penalty, .number(in: 0...1e3),
      "What each group shrinks by at a step, times its rate and the root of its size.")
    Field(
      "ramp", \.training.ramp, .integer(in: 1...Int.max, unit: "steps"),
      "How long groups go, at most all steps; in the rest what stays recovers.",
      absent: .derived("half of the steps") { max(1, $0.training.train.steps / 2) },
      reading: { .integer(in: 1...$0.training.train.steps) })
    Field("labels", \.training.labels, .number(in: 0...1), "As `labels` of heal.")
  }

  /// A key of groups that go by reconstruction.
  private static func beside(_ field: Field) -> Field {
    field.beside().only(if: { $0.fit != .finetune }, else: "has no meaning with fit: finetune", "leave it out")
  }

  /// All groups as a recipe names them, those of the blocks first.
  private var words: [String] {
    get {
      groups.map(\.rawValue) + (hasChannels ? [PruneStep.channels] : [])
        + (prunesVocabulary ? [PruneStep.vocabulary] : [])
    }
    set {
      groups = newValue.compactMap(Group.init)
      hasChannels = newValue.contains(PruneStep.channels)
      prunesVocabulary = newValue.contains(PruneStep.vocabulary)
    }
  }

  private static let vocabulary = "vocabulary"
  private static let channels = "channels"
  fileprivate static let groupWords = Group.allCases.map(\.rawValue) + [channels, vocabulary]

  private static let apart =
    "prune them in a step of its own before: prune: {groups: [vocabulary], of: groups, sparsity: 0.25}"

  /// What does not go together with rows of the vocabulary.
  private func checkVocabulary(_ reader: DocumentReader) throws {
    guard prunesVocabulary else { return }
    guard !hasChannels else {
      throw reader.error(
        "groups", "channels and rows of the vocabulary do not go in one step", remedy: PruneStep.apart)
    }
    guard of != .blocks else {
      throw reader.error(
        "of", "rows of the vocabulary are no weights of the blocks", remedy: "say of: groups or of: model")
    }
  }

  private func checkFit(_ reader: DocumentReader) throws {
    guard fit == .finetune else { return }
    guard !prunesVocabulary else {
      throw reader.error(
        "fit", "rows of the vocabulary do not go while a model is trained", remedy: PruneStep.apart)
    }
    guard !hasChannels else {
      throw reader.error(
        "groups", "channels do not go while a model is trained",
        remedy: "take channels with fit: reconstruct, and heal behind it")
    }
  }

  package mutating func settle(_ reader: DocumentReader) throws {
    // What is trained makes up for what is gone; for rows of the vocabulary smaller pieces do.
    if fit == .finetune || isVocabularyAlone { refit = .none }
  }
}

extension DocumentField<PruneStep> {
  /// A key that means nothing where rows of the vocabulary alone go.
  fileprivate func beside() -> DocumentField {
    only(
      if: { !$0.isVocabularyAlone },
      else: "has no meaning for rows of the vocabulary: those go that the calibration's text uses least", "leave it out"
    )
  }
}

extension ValueCodec<[String]> {
  fileprivate static var groups: ValueCodec {
    let words = JSON.array(PruneStep.groupWords.map(JSON.string))
    return texts.described(ValueOutline(schema: ["type": "array", "minItems": 1, "items": ["enum": words]]))
      .checked { words, reader, key in
        guard !words.isEmpty, Set(words).count == words.count else {
          throw reader.error(key, "a list of different groups is expected")
        }
        if let word = words.first(where: { !PruneStep.groupWords.contains($0) }) {
          throw reader.error(
            key, "\"\(word)\" is not a group", remedy: "known: \(PruneStep.groupWords.joined(separator: ", "))")
        }
      }
  }
}
