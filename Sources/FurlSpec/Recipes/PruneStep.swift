package import FurlBase

/// Removes groups of weights for good: attention heads, MLP neurons and channels of the residual stream disappear from
/// the matrices. Or, to compare with, sets single weights to zero, which changes no width.
package struct PruneStep: DeclaredDocument, Sendable {
  package enum Method: String, Sendable, CaseIterable {
    case groupLasso = "group-lasso"
    /// Single weights, by what they add to the outputs.
    case wanda
    /// Single weights, and others make up for them.
    case sparseGPT = "sparsegpt"
  }

  /// What the sparsity is a share of.
  package enum Whole: String, Sendable, CaseIterable {
    /// The weights of the blocks' linear layers.
    case blocks
    /// All parameters.
    case model
    /// The weights of the groups that the step names.
    case groups
  }

  package enum Group: String, Sendable, CaseIterable {
    /// Attention heads; where several share a key/value head, all of those with it.
    case heads
    /// Neurons of MLPs; of a block's experts as many of each.
    case neurons
  }

  /// What groups are chosen by.
  package enum GroupChoice: String, Sendable, CaseIterable {
    /// The penalty of a group lasso on the layer's outputs at which a group vanishes.
    case lasso
    /// The variance of what a group adds to the outputs.
    case variance
    /// Mean squares of inputs times squares of weights.
    case wanda
    case magnitude
    /// Seeded draws, to compare with.
    case random
    /// Of experts: how often one is chosen.
    case frequency
    /// Of experts: the mean of weight times length of the output where one is chosen (REAP; Lasby et al. 2025).
    case reap
    /// Of experts: what a layer's outputs become without one, others chosen in its place.
    case measured
    /// Of experts: what predictions become without one, others chosen in its place.
    case predictions

    /// Whether experts are what it chooses, and nothing else is.
    package var isOfExperts: Bool { [.frequency, .reap, .measured, .predictions].contains(self) }
  }

  /// What makes up for groups that are gone.
  package enum Refit: String, Sendable, CaseIterable {
    /// Least squares over the groups that stay, and the bias from the means.
    case squares
    /// The bias from the means alone.
    case bias
    case none
  }

  /// How much each layer loses.
  package enum AllocationRule: String, Sendable, CaseIterable {
    /// One threshold over all layers.
    case global
    /// One threshold over all layers, whose importances are weighed by what the loss of the same share of each does to
    /// the model's predictions.
    case measured
    /// The same share everywhere.
    case uniform
  }

  /// Group lasso while the model is trained.
  package struct Finetune: Sendable {
    package fileprivate(set) var train = TrainSettings()
    /// What each group shrinks by at each step: rate * penalty * sqrt(numbers).
    package fileprivate(set) var penalty = 0.1
    /// Steps in which groups go; in those that are left the rest recovers.
    package fileprivate(set) var ramp = 1
    /// What the next tokens of the text count beside the source's probabilities: 0 to 1.
    package fileprivate(set) var labels = 1.0
  }

  /// What goes, and how: one of these, decided when the recipe is read.
  package enum Removal: Sendable {
    /// Single weights become zero.
    case weights
    /// Heads and neurons, layer by layer.
    case groups
    /// Heads and neurons, while the model is trained.
    case trainedGroups(Finetune)
    /// Channels of the residual stream, then heads and neurons where they are named.
    case channels
    /// Rows of the vocabulary, then heads and neurons where they are named.
    case vocabulary
    case experts
  }

  enum Fit: String, Sendable, CaseIterable { case reconstruct, finetune }

  package private(set) var method = Method.groupLasso
  package private(set) var sparsity = 0.0
  package private(set) var of = Whole.blocks
  /// Groups of the blocks.
  package private(set) var groups: [Group] = [.heads, .neurons]
  /// Whether rows of the vocabulary go.
  package private(set) var prunesVocabulary = false
  /// Whether experts go, as many from every block that has some.
  package private(set) var prunesExperts = false
  /// Whether rows of the vocabulary have gone, and this is what is left of the step.
  package private(set) var isRest = false
  /// Whether channels of the residual stream go, too.
  package private(set) var hasChannels = false
  package private(set) var choose = GroupChoice.lasso
  package private(set) var refit = Refit.squares
  package private(set) var allocation = AllocationRule.global
  /// Widths are kept to multiples of this.
  package private(set) var multiple = 16
  /// The largest share of its groups that a layer may lose; nil: what suits the allocation.
  package private(set) var limit: Double?
  package private(set) var seed = 0
  var fit = Fit.reconstruct
  var training = Finetune()
  package private(set) var location = DocumentLocation.none

  package init() {}

  package private(set) var removal = Removal.groups

  /// How the model is trained meanwhile; nil: groups go by reconstruction.
  package var finetune: Finetune? { if case .trainedGroups(let finetune) = removal { finetune } else { nil } }

  /// Whether nothing else goes.
  package var isVocabularyAlone: Bool { prunesVocabulary && groups.isEmpty }

  /// The rest of the step when rows of the vocabulary are gone.
  ///
  /// - Parameter share: of the other groups' weights.
  package func afterVocabulary(removing share: Double) -> PruneStep {
    var step = self
    step.isRest = true
    step.prunesVocabulary = false
    step.removal = .groups
    step.of = .groups
    step.sparsity = share
    return step
  }

  /// The most groups that a layer may lose.
  ///
  /// What is measured of one layer alone holds for a little more than it was measured with: what many layers lose in a
  /// row adds up to more than its parts. But every layer may lose what it would where all lose the same.
  ///
  /// - Parameters:
  ///   - count: groups of the layer.
  ///   - chunk: groups that go at once.
  ///   - share: what each layer would lose where all lose the same.
  package func mostRemoved(of count: Int, chunk: Int, share: Double) -> Int {
    if let limit { return Int(limit * Double(count)) }
    let even = Int((share * Double(count) / Double(chunk)).rounded(.up)) * chunk
    return min(count, max(Int(share * 4 / 3 * Double(count)), even))
  }

  /// Of the second moments, as a share of the mean of their diagonal.
  package static let damping = 0.01
}

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
    Field.rule("of", "single weights are a share of the blocks'", "use of: blocks") {
      $0.method == .groupLasso || $0.of == .blocks
    }
    ofGroups.map { $0.known("with method: group-lasso") { $0.method == .groupLasso } }
    Field.check { $0.location = $1.location }
  }

  @DeclarationBuilder<PruneStep> private static var ofGroups: [Field] {
    Field(
      "groups", \.words, .groups,
      "Attention heads (with all that share a key/value head), neurons of MLPs (of experts as many of each), "
        + "channels of the residual stream, rows of the vocabulary, experts."
    )
    Field.rule(
      "groups", "experts and other groups do not go in one step",
      "prune them in a step of its own before: prune: {groups: [experts], of: groups, sparsity: 0.25}"
    ) { !$0.prunesExperts || $0.words.count == 1 }
    Field.rule("groups", "channels and rows of the vocabulary do not go in one step", apart) {
      !$0.hasChannels || !$0.prunesVocabulary
    }
    Field.rule("of", "rows of the vocabulary are no weights of the blocks", "say of: groups or of: model") {
      $0.of != .blocks || !$0.prunesVocabulary
    }
    Field("fit", \.fit, .word, "Closed form, layer by layer; or training with the penalty.")
      .written { !$0.isVocabularyAlone }
    Field.rule("fit", "rows of the vocabulary do not go while a model is trained", apart) {
      $0.fit != .finetune || !$0.prunesVocabulary
    }
    Field.rule(
      "groups", "channels do not go while a model is trained", "take channels with fit: reconstruct, and heal behind it"
    ) { $0.fit != .finetune || !$0.hasChannels }
    Field.rule(
      "fit", "experts do not go while a model is trained", "take them with fit: reconstruct, and heal behind it"
    ) { $0.fit != .finetune || !$0.prunesExperts }
    ofTraining.map { $0.known("with fit: finetune") { $0.fit == .finetune } }
    Field(
      "choose", \.choose, .word,
      "What groups go by: the penalty at which they vanish, the variance of what they add, inputs times weights, "
        + "weights, or draws; experts by how often one is chosen, by weight times length of its output, or by what the "
        + "layer's outputs or the predictions become without it.",
      absent: .derived("lasso; of experts frequency") { $0.prunesExperts ? .frequency : .lasso }
    ).unlessVocabularyAlone().unlessTrained()
    Field.check { step, reader in
      guard step.choose.isOfExperts != step.prunesExperts else { return }
      let fitting = GroupChoice.allCases.filter { $0.isOfExperts == step.prunesExperts }
      throw reader.error(
        "choose", "\"\(step.choose.rawValue)\" does not choose among \(step.words.joined(separator: " and "))",
        remedy: "use " + fitting.map(\.rawValue).joined(separator: ", "))
    }
    Field(
      "refit", \.refit, .word,
      "What makes up for them: least squares over those that stay, the bias alone, or nothing."
    ).unlessVocabularyAlone().unlessTrained()
    Field.rule("refit", "experts have no bias that makes up for others", "use squares or none") {
      !$0.prunesExperts || $0.refit != .bias
    }
    Field(
      "allocation", \.allocation, .word,
      "How much each layer loses: by one threshold, by one that is weighed by what is measured, or the same everywhere."
    ).unlessVocabularyAlone().unlessTrained().unlessExperts().only(
      if: { !$0.groups.isEmpty }, else: "has no meaning for channels, which are the same ones in all layers",
      "leave it out")
    Field("multiple", \.multiple, .integer(in: 1...1024), "Widths are kept to multiples of this.").unlessExperts()
    Field(
      "limit", \.limit, .number(in: 0.01...1), "The largest share of its groups that a layer may lose.",
      absent: .derived("half way from `sparsity` to 1; with allocation: measured a third more than the mean") {
        // Half of what would be left everywhere may go from one layer, too.
        $0.allocation == .measured ? nil : (1 + $0.sparsity) / 2
      }
    ).unlessVocabularyAlone().unlessExperts()
    Field("seed", \.seed, .integer(in: 0...Int.max), "Begins the draws.").unlessVocabularyAlone().unlessTrained().only(
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

  /// All groups as a recipe names them, those of the blocks first.
  private var words: [String] {
    get {
      groups.map(\.rawValue) + (hasChannels ? [PruneStep.channels] : [])
        + (prunesVocabulary ? [PruneStep.vocabulary] : []) + (prunesExperts ? [PruneStep.experts] : [])
    }
    set {
      groups = newValue.compactMap(Group.init)
      hasChannels = newValue.contains(PruneStep.channels)
      prunesVocabulary = newValue.contains(PruneStep.vocabulary)
      prunesExperts = newValue.contains(PruneStep.experts)
    }
  }

  private static let vocabulary = "vocabulary"
  private static let channels = "channels"
  private static let experts = "experts"
  fileprivate static let groupWords = Group.allCases.map(\.rawValue) + [channels, vocabulary, experts]

  private static let apart =
    "prune them in a step of its own before: prune: {groups: [vocabulary], of: groups, sparsity: 0.25}"

  package mutating func settle(_ reader: DocumentReader) throws {
    // What is trained makes up for what is gone; for rows of the vocabulary smaller pieces do.
    if fit == .finetune || isVocabularyAlone { refit = .none }
    // The rules above leave one of them at most.
    let ways: [(isMeant: Bool, removal: Removal)] = [
      (method != .groupLasso, .weights), (fit == .finetune, .trainedGroups(training)), (hasChannels, .channels),
      (prunesVocabulary, .vocabulary), (prunesExperts, .experts),
    ]
    let meant = ways.filter(\.isMeant)
    guard meant.count <= 1 else { throw FurlError(.defect, "a step of pruning means two things") }
    removal = meant.first?.removal ?? .groups
  }
}

extension DocumentField<PruneStep> {
  fileprivate func unlessTrained() -> DocumentField {
    only(if: { $0.fit != .finetune }, else: "has no meaning with fit: finetune", "leave it out")
  }

  fileprivate func unlessExperts() -> DocumentField {
    only(
      if: { !$0.prunesExperts }, else: "has no meaning for experts, of which every block loses as many", "leave it out")
  }

  fileprivate func unlessVocabularyAlone() -> DocumentField {
    only(
      if: { !$0.isVocabularyAlone },
      else: "has no meaning for rows of the vocabulary: those go that the calibration's text uses least", "leave it out"
    )
  }
}

extension ValueCodec<[String]> {
  fileprivate static var groups: ValueCodec {
    let known = PruneStep.groupWords
    let words = JSON.array(known.map(JSON.string))
    return texts.described(ValueOutline(schema: ["type": "array", "minItems": 1, "items": ["enum": words]]))
      .checked({ _ in "a list of different groups is expected" }) { !$0.isEmpty && Set($0).count == $0.count }
      .checked(
        { words in "\"\(words.first { !known.contains($0) } ?? "")\" is not a group" },
        "known: \(known.joined(separator: ", "))"
      ) { $0.allSatisfy(known.contains) }
  }
}
