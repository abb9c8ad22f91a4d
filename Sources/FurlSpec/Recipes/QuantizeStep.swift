package import FurlBase
package import FurlTensor

/// Writes weights down in fewer bits.
package struct QuantizeStep: DeclaredDocument, Sendable {
  /// Another scheme for some tensors.
  package struct Override: DeclaredDocument, Sendable {
    package private(set) var selector = Selector(.norm)
    /// With coded bits: of these tensors.
    package private(set) var bits: Double?
    var settings = SchemeSettings()
    package private(set) var scheme = Scheme.float32

    package init() {}

    package var match: String { selector.text }
    package var location: DocumentLocation { settings.location }
    /// Whether minimums are whole multiples of scales.
    package var hasZeroPoints: Bool { settings.hasZeroPoints }
  }

  enum Goal: String, Sendable, CaseIterable { case memory, disk }

  /// Of the linear layers in the blocks, as the recipe says it.
  var settings = SchemeSettings()
  /// Coded bits of the linear layers' weights in the file; nil: codes of fixed width, or bits that a budget chooses.
  package private(set) var bits: Double?
  /// The same of the embedding, the head and the positions.
  package private(set) var embeddingBits: Double?
  var leastBits: Double?
  var mostBits: Double?
  var choices: [SchemeSettings]?
  var methodWord = QuantizeMethod.Word.nearest
  var order: FeedbackOrder?
  var damping: Double?
  var shrinkage: Double?
  var search = false
  var embeddings: SchemeSettings.Weights?
  /// Which scheme each tensor gets, as llama.cpp chooses; nil: as the other keys say.
  package private(set) var mix: GGUFMix?
  /// Columns of the linear layers in the blocks that are kept apart; nil: none.
  package private(set) var outliers: OutlierSettings?
  /// What stays in FP32.
  package private(set) var keepSelectors = [Selector(.norm), Selector(.bias)]
  package private(set) var overrides: [Override] = []

  /// Of the linear layers in the blocks.
  package private(set) var scheme = Scheme.float32
  /// Of the embedding, the head and the positions.
  package private(set) var embeddingScheme = Scheme.float32
  /// Whether the minimums of each are whole multiples of scales.
  package var hasZeroPoints: Bool { settings.hasZeroPoints }
  package private(set) var embeddingHasZeroPoints = false
  /// What a budget chooses from.
  package private(set) var freedom: StepFreedom?

  package init() {}

  package var location: DocumentLocation { settings.location }

  /// Whether steps are chosen for the entropy coder: `goal: disk`.
  package var isCoded: Bool { settings.isCoded }

  var goal: Goal {
    get { isCoded ? .disk : .memory }
    set { settings.isCoded = newValue == .disk }
  }

  /// Whether some tensor has minimums that are whole multiples of scales.
  var makesZeroPoints: Bool { hasZeroPoints || embeddingHasZeroPoints || overrides.contains(where: \.hasZeroPoints) }

  /// What stays in FP32, as the recipe says it.
  package var keep: [String] { keepSelectors.map(\.text) }

  /// How the codes of the linear layers are found.
  package var method: QuantizeMethod {
    let feedback = QuantizeMethod.Feedback(
      order: order ?? .activation, damping: damping ?? QuantizeMethod.Feedback.usualDamping)
    let codes: QuantizeMethod.Codes =
      switch methodWord {
      case .nearest: .nearest
      case .imatrix: .imatrix
      case .awq: .awq
      case .gptq: .gptq(feedback)
      case .twoSided: .twoSided(feedback, .init(shrinkage: shrinkage))
      }
    return QuantizeMethod(codes: codes, searchesScales: search)
  }

  package mutating func settle(_ reader: DocumentReader) throws {
    if let mix {
      (scheme, embeddingScheme) = (mix.base, mix.base)
      for index in overrides.indices { try overrides[index].settle(in: self) }
      return
    }
    settings = settings.filled(from: nil)
    scheme = try settings.scheme()
    embeddingScheme = scheme
    embeddingHasZeroPoints = hasZeroPoints
    if let embeddings {
      var own = settings
      own.weights = embeddings
      // A minimum is a property of some codes; an 8-bit embedding beside them is symmetric.
      if !embeddings.mayHaveMinimum { own.zero = .symmetric }
      if embeddings.fixed != nil { (own.zero, own.block, own.scales) = (nil, nil, nil) }
      embeddingScheme = try own.scheme()
      embeddingHasZeroPoints = own.hasZeroPoints
    }
    for index in overrides.indices { try overrides[index].settle(in: self) }
    guard scheme.hasCodes || methodWord == .nearest && !search else {
      throw location.error(
        search ? "search" : "method",
        "has no meaning with \(settings.weights?.rawValue ?? scheme.name), whose weights are the numbers that they stand for",
        remedy: "leave it out, or use weights with codes: int8, int4, q4_k")
    }
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
    if let chosen = ([settings] + (choices ?? [])).first(where: \.hasZeroPoints) {
      throw chosen.location.error(
        "zero", "point has no meaning where a budget chooses the schemes", remedy: "use zero: minimum, or give the bits"
      )
    }
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

extension QuantizeStep {
  package static let declaration = Declaration<QuantizeStep>("quantize", "Writes weights down in fewer bits.") {
    Field(
      "goal", \.goal, .word,
      "Codes of fixed width, as small in memory as in the file; or 8 bits in memory, with steps that an entropy coder "
        + "makes small on disk."
    ).written { $0.isCoded }
    Field(
      "mix", \.mix, .word,
      "GGUF's blocks for each tensor as llama.cpp's quantizer mixes them: the types by role and block of what it calls so, "
        + "and those that it falls back to where rows are not whole blocks."
    ).only(if: { !$0.isCoded }, else: "has no meaning with goal: disk", "leave it out")
    SchemeSettings.keys.map {
      $0.lifted(to: \.settings).only(
        if: { $0.mix == nil }, else: "is what mix chooses", "leave one of them out; overrides may name tensors")
    }
    Field.check { step, reader in
      if !step.isCoded, step.mix == nil, step.settings.weights == nil { throw reader.error("weights", "is missing") }
    }
    coded(
      "bits", \.bits,
      "Coded bits of a weight in the linear layers; needed with goal: disk unless a budget chooses them.")
    coded("embedding_bits", \.embeddingBits, "The same of the embedding, the head and the positions.")
    ofBudgets.map { $0.written { $0.freedom != nil } }
    ofMethods
    Field("outliers", \.outliers, .document, "Columns of int8 matrices that are kept apart.")
    Field(
      "embeddings", \.embeddings, .embeddings, "The codes of embedding, head and positions.",
      absent: .means("those of the weights, or what a budget chooses")
    ).writing {
      // What a budget is to choose is not said, for then it were fixed.
      $0.freedom?.hasEmbeddings == true ? .null : .string(($0.embeddings ?? $0.settings.weights ?? .int8).rawValue)
    }.only(if: { $0.mix == nil }, else: "is what mix chooses", "leave one of them out; overrides may name tensors")
    Field(
      "keep", \.keepSelectors, .selectors,
      "What stays in FP32: roles, ranges of blocks or globs; `norm` and `bias` always.")
    Field.rule("embeddings", "are int8 where they have embedding_bits", "leave one of them out") {
      $0.embeddingBits == nil || $0.embeddings == nil || $0.embeddings == .int8
    }
    Field.check { step, reader in
      for role in ["norm", "bias"] where !step.keep.contains(role) {
        throw reader.error("keep", "norms and biases stay in FP32", remedy: "add \(role)")
      }
    }
    Field("overrides", \.overrides, .documents(), "Other schemes for some tensors; no two for one.").written {
      !$0.overrides.isEmpty
    }
  }

  static let noBits = (problem: "has no meaning without goal: disk", remedy: "add goal: disk, or leave it out")

  /// Bits are coded with `goal: disk`. Above 7, eight bits without a step are as small.
  private static func coded(
    _ key: String, _ path: any WritableKeyPath<QuantizeStep, Double?> & Sendable, _ line: String
  ) -> Field {
    Field(key, path, .codedBits, line).only(if: \.isCoded, else: noBits.problem, noBits.remedy)
  }

  @DeclarationBuilder<QuantizeStep> private static var ofBudgets: [Field] {
    Field(
      "least_bits", \.leastBits, .codedBits, "With goal: disk, the fewest bits that a budget may choose.",
      absent: .means("2"))
    Field(
      "most_bits", \.mostBits, .codedBits, "With goal: disk, the most bits that a budget may choose.",
      absent: .means("7"))
    Field(
      "choices", \.choices, .documents(),
      "Without goal: disk, the schemes besides the step's own that a budget may choose."
    ).only(if: { $0.mix == nil }, else: "have no meaning with a mix", "leave one of them out")
  }

  @DeclarationBuilder<QuantizeStep> private static var ofMethods: [Field] {
    Field(
      "method", \.methodWord, .word,
      "How codes are found: each by itself; with scales by the inputs' mean squares; with columns scaled before (AWQ); "
        + "with errors fed back between columns (GPTQ); or between columns and rows (YAQA)."
    )
    Field(
      "order", \.order, .word, "Which columns get their codes first: from the left, or those with the largest inputs.",
      absent: .derived("activation") { _ in .activation }
    ).withFeedback()
    Field(
      "damping", \.damping, .number(in: 0.0001...1),
      "Added to the diagonal of the second moments, as a share of its mean.",
      absent: .derived("0.01") { _ in QuantizeMethod.Feedback.usualDamping }
    ).withFeedback()
    Field(
      "shrinkage", \.shrinkage, .number(in: 0.0001...1),
      "How much of the moments of the outputs' gradients is a multiple of the identity: with 1 columns alone are fed back.",
      absent: .means("what diverges least on sequences of the calibration's text that are held out")
    ).only(if: { $0.methodWord == .twoSided }, else: "has no meaning without rows", "use method: two-sided")
    Field(
      "search", \.search, .truth, "Tries several scales for each block.",
      absent: .derived("true, with method: nearest false") { $0.methodWord != .nearest }
    ).only(
      if: { !$0.isCoded }, else: "has no meaning with goal: disk", "steps follow from bits; leave it out"
    ).written { $0.methodWord != .imatrix && ($0.methodWord != .nearest || $0.search) }
    Field.check { step, reader in
      guard step.isCoded, step.methodWord == .imatrix || step.methodWord == .awq else { return }
      throw reader.error(
        "method", "\(step.methodWord) weighs columns in a search for scales, and goal: disk has none",
        remedy: "use gptq or two-sided")
    }
    Field.check { step, reader in
      guard step.methodWord == .twoSided, step.settings.weights == .nested8 else { return }
      throw reader.error("method", "two-sided does not choose codes in two planes", remedy: "use gptq")
    }
    Field.rule("search", "is what method: imatrix does", "use method: nearest, or leave it out") {
      $0.methodWord != .imatrix || $0.search
    }
  }
}

extension QuantizeStep.Override {
  package static let declaration = Declaration<QuantizeStep.Override>("override", "Another scheme for some tensors.") {
    Field(
      "match", \.selector, .selector, "Which tensors: a role, `blocks.0-1.mlp.down`, or a glob on names.",
      absent: .refused())
    Field("bits", \.bits, .codedBits, "Coded bits of these tensors, with goal: disk.")
    Field.check { override, _ in override.settings.isCoded = override.bits != nil }
    SchemeSettings.keys.map { $0.lifted(to: \.settings) }
    Field.check { override, reader in
      if override.bits == nil, override.settings.weights == nil { throw reader.error("weights", "is missing") }
    }
  }
}

extension DocumentField<QuantizeStep> {
  fileprivate func withFeedback() -> DocumentField {
    only(
      if: { $0.methodWord.hasFeedback }, else: "has no meaning without feedback", "use method: gptq or two-sided")
  }
}

extension ValueCodec<Double> {
  fileprivate static var codedBits: ValueCodec { .number(in: 1...7, unit: "bits") }
}

extension ValueCodec<SchemeSettings.Weights> {
  /// A canonical recipe says null for what a budget chooses.
  fileprivate static var embeddings: ValueCodec {
    let word = word(later: Value.later)
    return word.described(.any(of: [word.outline, ValueOutline(schema: ["type": "null"])]))
  }
}
