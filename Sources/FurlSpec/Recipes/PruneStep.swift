import FurlBase

/// Removes groups of weights for good: attention heads, MLP neurons and channels of the residual stream disappear from
/// the matrices. Or, to compare with, sets single weights to zero, which changes no width.
public struct PruneStep: Sendable {
  public enum Method: String, Sendable, CaseIterable {
    case groupLasso = "group-lasso"
    /// Single weights, by what they add to the outputs.
    case wanda
    /// Single weights, and others make up for them.
    case sparseGPT = "sparsegpt"
  }

  /// What the sparsity is a share of.
  public enum Whole: String, Sendable, CaseIterable {
    /// The weights of the blocks' linear layers.
    case blocks
    /// All parameters.
    case model
    /// The weights of the groups that the step names.
    case groups
  }

  public enum Group: String, Sendable, CaseIterable {
    /// Attention heads; where several share a key/value head, all of those with it.
    case heads
    /// Neurons of the MLP.
    case neurons
  }

  /// What groups are chosen by.
  public enum Choice: String, Sendable, CaseIterable {
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
    public var isOfExperts: Bool { [.frequency, .reap, .measured, .predictions].contains(self) }
  }

  /// What makes up for groups that are gone.
  public enum Refit: String, Sendable, CaseIterable {
    /// Least squares over the groups that stay, and the bias from the means.
    case squares
    /// The bias from the means alone.
    case bias
    case none
  }

  /// How much each layer loses.
  public enum Allocation: String, Sendable, CaseIterable {
    /// One threshold over all layers.
    case global
    /// One threshold over all layers, whose importances are weighed by what the loss of the same share of each does to
    /// the model's predictions.
    case measured
    /// The same share everywhere.
    case uniform
  }

  /// Group lasso while the model is trained.
  public struct Finetune: Sendable {
    public let train: TrainSettings
    /// What each group shrinks by at each step: rate * penalty * sqrt(numbers).
    public let penalty: Double
    /// Steps in which groups go; in those that are left the rest recovers.
    public let ramp: Int
    /// What the next tokens of the text count beside the source's probabilities: 0 to 1.
    public let labels: Double
  }

  public let method: Method
  public private(set) var sparsity: Double
  public private(set) var of: Whole
  /// Groups of the blocks.
  public let groups: [Group]
  /// Whether rows of the vocabulary go.
  public private(set) var prunesVocabulary: Bool
  /// Whether experts go, as many from every block that has some.
  public let prunesExperts: Bool
  /// Whether rows of the vocabulary have gone, and this is what is left of the step.
  package private(set) var isRest = false
  /// Whether channels of the residual stream go, too.
  public let hasChannels: Bool
  public let choose: Choice
  public let refit: Refit
  public let allocation: Allocation
  /// Widths are kept to multiples of this.
  public let multiple: Int
  /// The largest share of its groups that a layer may lose; nil: what suits the allocation.
  public let limit: Double?
  public let seed: Int
  /// How the model is trained meanwhile; nil: groups go by reconstruction.
  public let finetune: Finetune?
  package let location: DocumentLocation

  init(_ reader: DocumentReader) throws {
    method = try reader.name("method", of: Method.self) ?? .groupLasso
    if method != .groupLasso, let key = reader.keys.first(where: { !["method", "sparsity", "of"].contains($0) }) {
      throw reader.error(key, "has no meaning for single weights", remedy: "use method: group-lasso")
    }
    guard let sparsity = try reader.number("sparsity", in: 0.001...0.95) else {
      throw reader.error("sparsity", "is missing", remedy: "the share that goes, such as 0.6")
    }
    self.sparsity = sparsity
    let of = try reader.name("of", of: Whole.self) ?? .blocks
    self.of = of
    guard method == .groupLasso || of == .blocks else {
      throw reader.error("of", "single weights are a share of the blocks'", remedy: "use of: blocks")
    }
    let words = try reader.strings("groups") ?? ["heads", "neurons"]
    guard !words.isEmpty, Set(words).count == words.count else {
      throw reader.error("groups", "a list of different groups is expected")
    }
    prunesVocabulary = words.contains(PruneStep.vocabularyWord)
    hasChannels = words.contains(PruneStep.channelsWord)
    prunesExperts = words.contains(PruneStep.expertsWord)
    let others = [PruneStep.vocabularyWord, PruneStep.channelsWord, PruneStep.expertsWord]
    groups = try words.filter { !others.contains($0) }.map { word in
      guard let group = Group(rawValue: word) else {
        throw reader.error(
          "groups", "\"\(word)\" is not a group", remedy: "known: heads, neurons, channels, vocabulary, experts")
      }
      return group
    }
    if prunesExperts { try PruneStep.checkExperts(reader, words) }
    if prunesVocabulary { try PruneStep.checkVocabulary(reader, of, words) }
    let isTrained = try reader.word("fit", ["reconstruct": false, "finetune": true]) ?? false
    guard !(isTrained && hasChannels) else {
      throw reader.error(
        "groups", "channels do not go while a model is trained",
        remedy: "take channels with fit: reconstruct, and heal behind it")
    }
    finetune = isTrained ? try PruneStep.finetune(reader) : nil
    choose = try reader.name("choose", of: Choice.self) ?? (prunesExperts ? .frequency : .lasso)
    let isOfExperts = prunesExperts
    guard choose.isOfExperts == isOfExperts else {
      throw reader.error(
        "choose", "\"\(choose.rawValue)\" does not choose among \(words.joined(separator: " and "))",
        remedy: "use "
          + Choice.allCases.filter { $0.isOfExperts == isOfExperts }.map(\.rawValue).joined(separator: ", "))
    }
    let refit = try reader.name("refit", of: Refit.self) ?? .squares
    // What is trained makes up for what is gone; for rows of the vocabulary smaller pieces do.
    self.refit = isTrained || words == [PruneStep.vocabularyWord] ? .none : refit
    allocation = try reader.name("allocation", of: Allocation.self) ?? .global
    guard !groups.isEmpty || isOfExperts || reader.optional("allocation") == nil else {
      throw reader.error(
        "allocation", "has no meaning for channels, which are the same ones in all layers", remedy: "leave it out")
    }
    multiple = try reader.integer("multiple", in: 1...1024) ?? 16
    limit = try reader.number("limit", in: 0.01...1) ?? (allocation == .measured ? nil : PruneStep.limit(sparsity))
    guard choose == .random || reader.optional("seed") == nil else {
      throw reader.error("seed", "has no meaning without draws", remedy: "use choose: random")
    }
    seed = try reader.integer("seed", in: 0...Int.max) ?? 0
    try reader.finish()
    location = reader.location
  }

  static let vocabularyWord = "vocabulary"
  static let channelsWord = "channels"
  static let expertsWord = "experts"

  /// Whether nothing else goes.
  package var isVocabularyAlone: Bool { prunesVocabulary && groups.isEmpty }

  /// What does not go together with experts.
  private static func checkExperts(_ reader: DocumentReader, _ groups: [String]) throws {
    guard groups.count == 1 else {
      throw reader.error(
        "groups", "experts and other groups do not go in one step",
        remedy: "prune them in a step of its own before: prune: {groups: [experts], of: groups, sparsity: 0.25}")
    }
    guard reader.optional("fit")?.string != "finetune" else {
      throw reader.error(
        "fit", "experts do not go while a model is trained",
        remedy: "take them with fit: reconstruct, and heal behind it")
    }
    for key in ["allocation", "multiple", "limit"] where reader.optional(key) != nil {
      throw reader.error(
        key, "has no meaning for experts, of which every block loses as many", remedy: "leave it out")
    }
    guard reader.optional("refit")?.string != "bias" else {
      throw reader.error("refit", "experts have no bias that makes up for others", remedy: "use squares or none")
    }
  }

  /// What does not go together with rows of the vocabulary.
  private static func checkVocabulary(_ reader: DocumentReader, _ of: Whole, _ groups: [String]) throws {
    let before = "prune them in a step of its own before: prune: {groups: [vocabulary], of: groups, sparsity: 0.25}"
    guard !groups.contains("channels") else {
      throw reader.error("groups", "channels and rows of the vocabulary do not go in one step", remedy: before)
    }
    guard of != .blocks else {
      throw reader.error(
        "of", "rows of the vocabulary are no weights of the blocks", remedy: "say of: groups or of: model")
    }
    if reader.optional("fit")?.string == "finetune" {
      throw reader.error(
        "fit", "rows of the vocabulary do not go while a model is trained", remedy: before)
    }
    guard groups.count == 1 else { return }
    for key in ["choose", "refit", "allocation", "limit", "seed"] where reader.optional(key) != nil {
      throw reader.error(
        key, "has no meaning for rows of the vocabulary: those go that the calibration's text uses least",
        remedy: "leave it out")
    }
  }

  /// The rest of the step when rows of the vocabulary are gone.
  ///
  /// - Parameter share: of the other groups' weights.
  package func afterVocabulary(removing share: Double) -> PruneStep {
    var step = self
    step.isRest = true
    step.prunesVocabulary = false
    step.of = .groups
    step.sparsity = share
    return step
  }

  /// Half of what would be left everywhere may go from one layer, too.
  private static func limit(_ sparsity: Double) -> Double { (1 + sparsity) / 2 }

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

  private static func finetune(_ reader: DocumentReader) throws -> Finetune {
    for key in ["choose", "refit", "allocation", "seed"] where reader.optional(key) != nil {
      throw reader.error(key, "has no meaning with fit: finetune", remedy: "leave it out")
    }
    guard let settings = try reader.reader("train") else {
      throw reader.error("train", "is missing", remedy: "say how: train: {text: FILE, steps: 800, rate: 3.0e-4}")
    }
    let train = try TrainSettings(settings)
    let ramp = try reader.integer("ramp", in: 1...train.steps) ?? max(1, train.steps / 2)
    return Finetune(
      train: train, penalty: try reader.number("penalty", in: 0...1e3) ?? 0.1, ramp: ramp,
      labels: try reader.number("labels", in: 0...1) ?? 1)
  }

  /// Of the second moments, as a share of the mean of their diagonal.
  package static let damping = 0.01

  var json: JSON {
    guard method == .groupLasso else {
      return ["method": .string(method.rawValue), "sparsity": .number(sparsity), "of": .string(of.rawValue)]
    }
    let words =
      groups.map(\.rawValue) + (hasChannels ? [PruneStep.channelsWord] : [])
      + (prunesVocabulary ? [PruneStep.vocabularyWord] : []) + (prunesExperts ? [PruneStep.expertsWord] : [])
    let common: [JSON.Member] = [
      .init("method", "group-lasso"), .init("sparsity", .number(sparsity)), .init("of", .string(of.rawValue)),
      .init("groups", .array(words.map(JSON.string))),
    ]
    if isVocabularyAlone { return .object(common + [.init("multiple", .integer(multiple))]) }
    if prunesExperts {
      return .object(
        common + [
          .init("fit", "reconstruct"), .init("choose", .string(choose.rawValue)),
          .init("refit", .string(refit.rawValue)),
        ])
    }
    let widths =
      [JSON.Member("multiple", .integer(multiple))] + (limit.map { [JSON.Member("limit", .number($0))] } ?? [])
    if let finetune {
      return .object(
        common + [
          .init("fit", "finetune"), .init("train", finetune.train.json), .init("penalty", .number(finetune.penalty)),
          .init("ramp", .integer(finetune.ramp)), .init("labels", .number(finetune.labels)),
        ] + widths)
    }
    return .object(
      common + [
        .init("fit", "reconstruct"),
        .init("choose", .string(choose.rawValue)), .init("refit", .string(refit.rawValue)),
      ] + (groups.isEmpty ? [] : [.init("allocation", .string(allocation.rawValue))]) + widths
        + (choose == .random ? [.init("seed", .integer(seed))] : []))
  }
}
