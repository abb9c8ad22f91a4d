package import FurlBase
import FurlTensor

/// What is to be done to a checkpoint: ordered steps, storage and gates, read strictly from YAML.
package struct Recipe: DeclaredDocument, Sendable {
  /// One transform.
  package enum Step: Sendable {
    case truncate(TruncateStep)
    case prune(PruneStep)
    case heal(HealStep)
    case quantize(QuantizeStep)
    case tune(TuneStep)
  }

  /// How the artifact stores its streams.
  package enum Storage: String, Sendable, CaseIterable {
    /// The smallest file; codes are entropy-coded and unpacked on loading.
    case compact
    /// Aligned and used as it lies in the file.
    case mapped
  }

  /// What becomes of the codes of a checkpoint that is quantized already.
  package enum StoredCodes: String, Sendable, CaseIterable {
    /// They are decoded, and the weights compressed anew.
    case decode
    /// They are taken over as they are, with their scales, where one of Furl's layouts holds them.
    case keep
  }

  package private(set) var name = ""
  package private(set) var summary: String?
  package var codes = StoredCodes.decode
  package private(set) var steps: [Step] = []
  /// What a model is to read; nil where no step looks at activations.
  package private(set) var calibration: CalibrationSettings?
  /// What the artifact may take; nil where the steps say what every tensor gets.
  package private(set) var budget: Budget?
  package private(set) var storage = Storage.compact
  package private(set) var gates: [Gate] = []

  package init() {}

  /// The recipe that keeps codes and does nothing else.
  package static var keepingCodes: Recipe {
    var recipe = Recipe()
    (recipe.name, recipe.codes) = ("keep-codes", .keep)
    return recipe
  }

  /// Whether stored codes are taken over as they are.
  package var keepsCodes: Bool { codes == .keep }

  /// Reads a recipe file.
  ///
  /// - Throws: ``FurlError`` of kind `input` with file, line and key, for unknown keys and bad values alike; what
  ///   this version does not do is refused as "not supported yet".
  package init(path: String) throws { try self.init(YAML.read(path: path)) }

  package init(_ reader: DocumentReader) throws { try self.init(declared: reader) }

  package mutating func settle(_ reader: DocumentReader) throws {
    try checkCalibration(reader)
    try checkOrder()
    try checkVocabulary()
    try budget?.check(steps, hasCalibration: calibration != nil)
    try checkZeros()
  }

  /// The recipe with every default spelled out: what is echoed into the artifact and hashed. It is a recipe itself.
  package var json: JSON { declaredJSON }

  /// The hash of the canonical form.
  package var digest: Digest { Digest(of: json.canonicalText.utf8) }

  /// A calibration is there where it is needed, and only where something comes of it.
  private func checkCalibration(_ reader: DocumentReader) throws {
    var methods: [(method: QuantizeMethod, location: DocumentLocation)] = []
    var hasThreshold = false
    for case .quantize(let step) in steps {
      methods.append((step.method, step.location))
      guard step.outliers?.threshold != nil else { continue }
      hasThreshold = true
      guard calibration != nil else {
        throw step.location.error(
          "outliers.threshold", "needs a calibration",
          remedy: "add calibration: {text: FILE} at the end of the recipe, or give a share without a threshold")
      }
    }
    let remedy = "add calibration: {text: FILE} at the end of the recipe"
    if calibration == nil, let first = methods.first(where: { $0.method.needsCalibration }) {
      throw first.location.error("method", "needs a calibration", remedy: remedy)
    }
    if calibration == nil, let first = steps.first(where: \.needsCalibration) {
      throw first.location.error(nil, "needs a calibration", remedy: remedy)
    }
    if calibration != nil, budget == nil, !hasThreshold, !steps.contains(where: \.needsCalibration),
      !methods.contains(where: { $0.method.usesCalibration })
    {
      throw reader.error(
        "calibration", "is used by no step", remedy: "set method: gptq or search: true, or leave it out")
    }
  }

  /// Steps that change weights or widths come before those that write them down, and what is tuned is written down.
  private func checkOrder() throws {
    if let index = steps.firstIndex(where: { if case .tune = $0 { true } else { false } }) {
      let location = steps[index].location
      guard index == steps.count - 1 else {
        throw location.error(nil, "is not the last step", remedy: "tune once, behind every other step")
      }
      guard steps.contains(where: { if case .quantize = $0 { true } else { false } }) else {
        throw location.error(nil, "has no scales to tune", remedy: "put a quantize step before it")
      }
      guard budget == nil else {
        throw location.error(nil, "cannot be joined with a budget", remedy: "give the steps' bits, or leave one out")
      }
      let hasZeroPoints = steps.contains { if case .quantize(let step) = $0 { step.makesZeroPoints } else { false } }
      guard !hasZeroPoints else {
        throw location.error(
          nil, "trains minimums by themselves, which are multiples of their scales with zero: point",
          remedy: "use zero: minimum or symmetric, or leave it out")
      }
    }
    guard changesModel, let first = steps.firstIndex(where: { if case .quantize = $0 { true } else { false } }),
      let late = steps[first...].first(where: \.changesModel)
    else { return }
    throw late.location.error(nil, "comes behind quantize", remedy: "quantize what is left")
  }

  /// What is trained behind the rounding.
  package var tuning: TuneStep? { if case .tune(let step)? = steps.last { step } else { nil } }

  /// Behind a step that prunes the vocabulary nothing learns from the source's predictions, which are of other tokens.
  private func checkVocabulary() throws {
    guard
      let first = steps.firstIndex(where: { if case .prune(let step) = $0 { step.prunesVocabulary } else { false } })
    else { return }
    for step in steps[first...] {
      switch step {
      case .heal(let step) where step.needsTeacher:
        throw step.location.error(nil, HealStep.otherVocabulary, remedy: HealStep.otherVocabularyRemedy)
      case .prune(let step) where (step.finetune?.labels ?? 1) < 1:
        throw step.location.error("labels", HealStep.otherVocabulary, remedy: HealStep.otherVocabularyRemedy)
      default: continue
      }
    }
  }

  /// Zeros stay zeros where codes are the nearest of a symmetric grid, and nowhere else.
  private func checkZeros() throws {
    guard steps.contains(where: { if case .prune(let step) = $0 { step.method != .groupLasso } else { false } }) else {
      return
    }
    for case .quantize(let step) in steps {
      guard step.method == .plain, step.bits == nil, !step.scheme.hasMinimum,
        !step.overrides.contains(where: { $0.scheme.hasMinimum })
      else {
        throw step.location.error(
          nil, "would make other numbers of single weights that are zero",
          remedy: "use method: nearest with zero: symmetric behind wanda and sparsegpt")
      }
    }
  }

  /// Whether a step has to compute with the model to know what it makes of it.
  package var changesModel: Bool { steps.contains(where: \.changesModel) }
}

extension Recipe.Step {
  /// Whether the model has to be computed with to know what the step makes of it.
  var changesModel: Bool {
    switch self {
    case .truncate(let step): step.needsCalibration
    case .prune, .heal: true
    case .quantize, .tune: false
    }
  }

  /// Whether the step computes with the calibration's text.
  var needsCalibration: Bool {
    switch self {
    case .truncate(let step): step.needsCalibration
    case .prune(let step): step.finetune == nil
    case .heal, .quantize, .tune: false
    }
  }

  var location: DocumentLocation {
    switch self {
    case .truncate(let step): step.location
    case .prune(let step): step.location
    case .heal(let step): step.location
    case .quantize(let step): step.location
    case .tune(let step): step.location
    }
  }
}

extension Recipe {
  package static let declaration = Declaration<Recipe>(
    "recipe", "What is done to a checkpoint, and how the artifact is stored and judged."
  ) {
    Field.version(of: "recipe")
    Field("recipe", \.name, .recipeName, "Its name, which the artifact keeps.", absent: .refused())
    Field("description", \.summary, .text, "What it is for.")
    Field(
      "codes", \.codes, .word,
      "What becomes of the codes of a checkpoint that is quantized already: they are decoded and the weights compressed "
        + "anew, or they are kept bit for bit where a layout holds them. `--keep-codes` says the same."
    ).written(if: \.keepsCodes)
    Field("steps", \.transforms, .documents(), "What is done, in this order; needed unless codes are kept.")
    Field.check { recipe, reader in
      if recipe.steps.isEmpty, !recipe.keepsCodes { throw reader.error("steps", "at least one step is expected") }
    }
    Field("calibration", \.calibration, .document, "What the model reads, where a step computes with it.")
    Field("budget", \.budget, .document, "What the artifact may take, where schemes are chosen for that.")
    Field.check { recipe, _ in
      for (index, step) in recipe.steps.enumerated() {
        guard case .quantize(var step) = step else { continue }
        try step.open(hasBudget: recipe.budget != nil)
        recipe.steps[index] = .quantize(step)
      }
    }
    Field("storage", \.storage, .word, "The smallest file; or aligned streams that are used as they lie in it.")
    Field("gates", \.gates, .gates, "What the artifact is held to, as in a gate file.").written { !$0.gates.isEmpty }
  }

  private var transforms: [Transform] {
    get { steps.map(Transform.init) }
    set { steps = newValue.compactMap(\.step) }
  }
}

/// A step under the name of its transform.
private struct Transform: DeclaredDocument {
  var truncate: TruncateStep?
  var prune: PruneStep?
  var heal: HealStep?
  var quantize: QuantizeStep?
  var tune: TuneStep?

  init() {}

  init(_ step: Recipe.Step) {
    switch step {
    case .truncate(let step): truncate = step
    case .prune(let step): prune = step
    case .heal(let step): heal = step
    case .quantize(let step): quantize = step
    case .tune(let step): tune = step
    }
  }

  var step: Recipe.Step? {
    truncate.map(Recipe.Step.truncate) ?? prune.map(Recipe.Step.prune) ?? heal.map(Recipe.Step.heal)
      ?? quantize.map(Recipe.Step.quantize) ?? tune.map(Recipe.Step.tune)
  }

  static let declaration: Declaration<Transform> = Declaration("step", "One transform with its settings.") {
    Field.check { _, reader in
      guard reader.keys.count == 1, let verb = reader.keys.first else {
        throw reader.error(
          nil, "a step is one transform with its settings", remedy: "truncate, prune, heal, quantize or tune")
      }
      guard declaration.fields.contains(where: { $0.outline.key == verb }) else {
        throw reader.error(verb, "is not a transform", remedy: "known: truncate, prune, quantize, heal, tune")
      }
      guard reader.optional(verb) != nil else { throw reader.error(verb, "has no settings") }
    }
    Field("truncate", \.truncate, .document, "Removes whole blocks.")
    Field("prune", \.prune, .document, "Removes groups of weights, or sets single ones to zero.")
    Field("heal", \.heal, .document, "Trains what is left.")
    Field("quantize", \.quantize, .document, "Writes weights down in fewer bits.")
    Field("tune", \.tune, .document, "Trains scales, norms and biases behind it, codes fixed.")
  }
}

extension ValueCodec<String> {
  fileprivate static var recipeName: ValueCodec {
    text(matching: "^[A-Za-z0-9._-]{1,100}$").checked(
      { "\"\($0)\" is not a name" }, "use letters, digits, dots, dashes and underscores"
    ) { (1...100).contains($0.utf8.count) && $0.utf8.allSatisfy(SuiteName.isByte) }
  }
}
