import FurlBase
import FurlTensor

/// Writes weights down in fewer bits.
public struct QuantizeStep: DeclaredDocument, Sendable {
  /// Another scheme for some tensors.
  package struct Override: DeclaredDocument, Sendable {
    package internal(set) var selector = Selector(.norm)
    /// With coded bits: of these tensors.
    package internal(set) var bits: Double?
    var settings = SchemeSettings()
    package internal(set) var scheme = Scheme.float32

    package init() {}

    package var match: String { selector.text }
    package var location: DocumentLocation { settings.location }
  }

  enum Goal: String, Sendable, CaseIterable { case memory, disk }

  /// Of the linear layers in the blocks, as the recipe says it.
  var settings = SchemeSettings()
  /// Coded bits of the linear layers' weights in the file; nil: codes of fixed width, or bits that a budget chooses.
  public internal(set) var bits: Double?
  /// The same of the embedding, the head and the positions.
  public internal(set) var embeddingBits: Double?
  var leastBits: Double?
  var mostBits: Double?
  var choices: [SchemeSettings]?
  var methodWord = QuantizeMethod.Word.nearest
  var order: FeedbackOrder?
  var damping: Double?
  var search = false
  var embeddings: SchemeSettings.Weights?
  /// Columns of the linear layers in the blocks that are kept apart; nil: none.
  public internal(set) var outliers: OutlierSettings?
  /// What stays in FP32.
  package internal(set) var keepSelectors = [Selector(.norm), Selector(.bias)]
  package internal(set) var overrides: [Override] = []

  /// Of the linear layers in the blocks.
  public private(set) var scheme = Scheme.float32
  /// Of the embedding, the head and the positions.
  public private(set) var embeddingScheme = Scheme.float32
  /// What a budget chooses from.
  package private(set) var freedom: StepFreedom?

  package init() {}

  package var location: DocumentLocation { settings.location }

  /// Whether steps are chosen for the entropy coder: `goal: disk`.
  public var isCoded: Bool { settings.isCoded }

  var goal: Goal {
    get { isCoded ? .disk : .memory }
    set { settings.isCoded = newValue == .disk }
  }

  /// What stays in FP32, as the recipe says it.
  public var keep: [String] { keepSelectors.map(\.text) }

  /// How the codes of the linear layers are found.
  public var method: QuantizeMethod {
    let codes: QuantizeMethod.Codes =
      switch methodWord {
      case .nearest: .nearest
      case .imatrix: .imatrix
      case .awq: .awq
      case .gptq:
        .gptq(.init(order: order ?? .activation, damping: damping ?? QuantizeMethod.Feedback.usualDamping))
      }
    return QuantizeMethod(codes: codes, searchesScales: search)
  }

  package mutating func settle(_ reader: DocumentReader) throws {
    settings = settings.filled(from: nil)
    scheme = try settings.scheme()
    embeddingScheme = scheme
    if let embeddings {
      var own = settings
      own.weights = embeddings
      // A minimum is a property of some codes; an 8-bit embedding beside them is symmetric.
      if !embeddings.mayHaveMinimum { own.zero = .symmetric }
      embeddingScheme = try own.scheme()
    }
    for index in overrides.indices { try overrides[index].settle(in: self) }
  }

  /// Finds out what a budget chooses from, which is said with every default then.
  ///
  /// - Throws: ``FurlError`` of kind `input` for what means nothing with a budget, or without one.
  mutating func open(hasBudget: Bool) throws {
    freedom = try StepFreedom(self, hasBudget: hasBudget)
    if isCoded, bits == nil, freedom == nil {
      throw location.error("bits", "is missing", remedy: "goal: disk asks for coded bits per weight, such as 3.5")
    }
    guard outliers == nil || freedom == nil else {
      throw location.error(
        "outliers", "have no meaning where a budget chooses the schemes", remedy: "leave one of the two out")
    }
    guard outliers == nil || !isCoded && settings.weights == .int8 else {
      throw location.error(
        "outliers", "are kept apart from int8 weights only", remedy: "use weights: int8, or leave them out")
    }
    guard let freedom else { return }
    if case .coded(let bits) = freedom.range { (leastBits, mostBits) = (bits.lowerBound, bits.upperBound) }
    choices = choices?.map {
      var choice = $0.filled(from: settings)
      choice.scales = nil
      return choice
    }
  }
}

extension QuantizeStep.Override {
  /// Fills up what it does not say from the step that it is in.
  mutating func settle(in step: QuantizeStep) throws {
    guard bits == nil || step.isCoded else {
      throw location.error("bits", QuantizeStep.noBits.problem, remedy: QuantizeStep.noBits.remedy)
    }
    settings = settings.filled(from: step.settings)
    scheme = try settings.scheme()
    if scheme.scales == step.scheme.scales { settings.scales = nil }
  }
}
