import FurlBase
import FurlTensor

extension QuantizeStep {
  package static let declaration = Declaration<QuantizeStep>("quantize", "Writes weights down in fewer bits.") {
    Field(
      "goal", \.goal, .word,
      "Codes of fixed width, as small in memory as in the file; or 8 bits in memory, with steps that an entropy coder "
        + "makes small on disk."
    ).written { $0.isCoded }
    SchemeSettings.keys.map { $0.lifted(to: \.settings) }
    Field.check { step, reader in
      if !step.isCoded, step.settings.weights == nil { throw reader.error("weights", "is missing") }
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
    }
    Field(
      "keep", \.keepSelectors, .selectors,
      "What stays in FP32: roles, ranges of blocks or globs; `norm` and `bias` always.")
    Field.check { step, reader in
      if step.embeddings != nil, step.embeddings != .int8, step.embeddingBits != nil {
        throw reader.error("embeddings", "are int8 where they have embedding_bits", remedy: "leave one of them out")
      }
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
      "Without goal: disk, the schemes besides the step's own that a budget may choose.")
  }

  @DeclarationBuilder<QuantizeStep> private static var ofMethods: [Field] {
    Field(
      "method", \.methodWord, .word,
      "How codes are found: each by itself; with scales by the inputs' mean squares; with columns scaled before (AWQ); "
        + "or with errors fed back (GPTQ)."
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
      "search", \.search, .truth, "Tries several scales for each block.",
      absent: .derived("true, with method: nearest false") { $0.methodWord != .nearest }
    ).only(
      if: { !$0.isCoded }, else: "has no meaning with goal: disk", "steps follow from bits; leave it out"
    ).written { $0.methodWord != .imatrix && ($0.methodWord != .nearest || $0.search) }
    Field.check { step, reader in
      guard step.methodWord == .imatrix || step.methodWord == .awq else { return }
      guard !step.isCoded else {
        throw reader.error(
          "method", "\(step.methodWord) weighs columns in a search for scales, and goal: disk has none",
          remedy: "use gptq")
      }
      guard step.methodWord == .awq || step.search else {
        throw reader.error("search", "is what method: imatrix does", remedy: "use method: nearest, or leave it out")
      }
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
    only(if: { $0.methodWord == .gptq }, else: "has no meaning without feedback", "use method: gptq")
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
