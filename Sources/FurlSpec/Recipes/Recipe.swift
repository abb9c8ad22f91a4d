import FurlBase
import FurlTensor

/// What is to be done to a checkpoint: ordered steps, storage and gates, read strictly from YAML.
public struct Recipe: DeclaredDocument, Sendable {
  /// One transform.
  public enum Step: Sendable {
    case truncate(TruncateStep)
    case prune(PruneStep)
    case heal(HealStep)
    case quantize(QuantizeStep)
  }

  /// How the artifact stores its streams.
  public enum Storage: String, Sendable, CaseIterable {
    /// The smallest file; codes are entropy-coded and unpacked on loading.
    case compact
    /// Aligned and used as it lies in the file.
    case mapped
  }

  public internal(set) var name = ""
  public internal(set) var summary: String?
  public internal(set) var steps: [Step] = []
  /// What a model is to read; nil where no step looks at activations.
  public internal(set) var calibration: CalibrationSettings?
  /// What the artifact may take; nil where the steps say what every tensor gets.
  public internal(set) var budget: Budget?
  public internal(set) var storage = Storage.compact
  public internal(set) var gates: [Gate] = []

  package init() {}

  /// Reads a recipe file.
  ///
  /// - Throws: ``FurlError`` of kind `input` with file, line and key, for unknown keys and bad values alike; what
  ///   this version does not do is refused as "not supported yet".
  public init(path: String) throws { try self.init(YAML.read(path: path)) }

  public init(_ reader: DocumentReader) throws { try self.init(declared: reader) }

  package mutating func settle(_ reader: DocumentReader) throws {
    try checkCalibration(reader)
    try checkOrder()
    try checkVocabulary()
    try budget?.check(steps, hasCalibration: calibration != nil)
    try checkZeros()
  }

  /// The recipe with every default spelled out: what is echoed into the artifact and hashed. It is a recipe itself.
  public var json: JSON { declaredJSON }

  /// The hash of the canonical form.
  public var digest: Digest { Digest(of: json.canonicalText.utf8) }

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

  /// Steps that change weights or widths come before those that write them down.
  private func checkOrder() throws {
    guard changesModel, let first = steps.firstIndex(where: { if case .quantize = $0 { true } else { false } }),
      let late = steps[first...].first(where: { if case .quantize = $0 { false } else { true } })
    else { return }
    throw late.location.error(nil, "comes behind quantize", remedy: "quantize what is left")
  }

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
  public var changesModel: Bool { steps.contains(where: \.changesModel) }
}

extension Recipe.Step {
  /// Whether the model has to be computed with to know what the step makes of it.
  var changesModel: Bool {
    switch self {
    case .truncate(let step): step.needsCalibration
    case .prune, .heal: true
    case .quantize: false
    }
  }

  /// Whether the step computes with the calibration's text.
  var needsCalibration: Bool {
    switch self {
    case .truncate(let step): step.needsCalibration
    case .prune(let step): step.finetune == nil
    case .heal, .quantize: false
    }
  }

  var location: DocumentLocation {
    switch self {
    case .truncate(let step): step.location
    case .prune(let step): step.location
    case .heal(let step): step.location
    case .quantize(let step): step.location
    }
  }
}
