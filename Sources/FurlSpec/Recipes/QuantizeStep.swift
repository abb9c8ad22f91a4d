import FurlBase
import FurlTensor

/// Writes weights down in fewer bits.
public struct QuantizeStep: Sendable {
  /// Another scheme for some tensors.
  package struct Override: Sendable {
    package let selector: Selector
    package let scheme: Scheme
    /// With coded bits: of these tensors.
    package let bits: Double?
    package let match: String
    package let location: DocumentLocation
  }

  /// Whether steps are chosen for the entropy coder: `goal: disk`.
  public let isCoded: Bool
  /// Coded bits of the linear layers' weights in the file; nil: codes of fixed width, or bits that a budget chooses.
  public let bits: Double?
  /// The same of the embedding, the head and the positions.
  public let embeddingBits: Double?
  /// Of the linear layers in the blocks.
  public let scheme: Scheme
  /// Of the embedding, the head and the positions.
  public let embeddingScheme: Scheme
  /// How the codes of the linear layers are found.
  public let method: QuantizeMethod
  /// Columns of the linear layers in the blocks that are kept apart; nil: none.
  public let outliers: OutlierSettings?
  /// What stays in FP32, as the recipe says it.
  public let keep: [String]
  /// What a budget chooses from.
  package let freedom: StepFreedom?
  package let keepSelectors: [Selector]
  package let overrides: [Override]
  package let location: DocumentLocation

  /// - Parameter hasBudget: whether the recipe leaves it to a budget what each tensor gets.
  init(_ reader: DocumentReader, hasBudget: Bool = false) throws {
    let isCoded = try reader.word("goal", ["memory": false, "disk": true]) ?? false
    self.isCoded = isCoded
    let settings: SchemeSettings
    if isCoded {
      settings = try SchemeSettings(coded: reader)
    } else if let fixed = try SchemeSettings(reader, inheriting: nil) {
      settings = fixed
    } else {
      throw reader.error("weights", "is missing")
    }
    bits = try SchemeSettings.bits(reader, "bits", isCoded: isCoded)
    embeddingBits = try SchemeSettings.bits(reader, "embedding_bits", isCoded: isCoded)
    freedom = try StepFreedom(reader, of: settings, isCoded: isCoded, hasBudget: hasBudget)
    if isCoded, bits == nil, freedom == nil {
      throw reader.error("bits", "is missing", remedy: "goal: disk asks for coded bits per weight, such as 3.5")
    }
    scheme = try settings.scheme(reader)
    method = try QuantizeMethod(reader, hasSteps: isCoded)
    outliers = try reader.reader("outliers").map(OutlierSettings.init)
    if outliers != nil, freedom != nil {
      throw reader.error(
        "outliers", "have no meaning where a budget chooses the schemes", remedy: "leave one of the two out")
    }
    if outliers != nil, isCoded || settings.weights != .int8 {
      throw reader.error(
        "outliers", "are kept apart from int8 weights only", remedy: "use weights: int8, or leave them out")
    }
    if let coding = try reader.word("embeddings", SchemeSettings.words, later: SchemeSettings.later) {
      guard embeddingBits == nil || coding == .int8 else {
        throw reader.error("embeddings", "are int8 where they have embedding_bits", remedy: "leave one of them out")
      }
      var embeddings = settings
      embeddings.weights = coding
      // A minimum is a property of some codes; an 8-bit embedding beside them is symmetric.
      if !coding.mayHaveMinimum { embeddings.hasMinimum = false }
      embeddingScheme = try embeddings.scheme(reader)
    } else {
      embeddingScheme = scheme
    }
    keep = try reader.strings("keep") ?? ["norm", "bias"]
    keepSelectors = try keep.map { text in
      guard let selector = Selector(text) else { throw reader.error("keep", "\"\(text)\" is not a role or a name") }
      return selector
    }
    for role in ["norm", "bias"] where !keep.contains(role) {
      throw reader.error("keep", "norms and biases stay in FP32", remedy: "add \(role)")
    }
    overrides = try (reader.readers("overrides") ?? []).map {
      try QuantizeStep.override($0, inheriting: settings, isCoded: isCoded)
    }
    try reader.finish()
    location = reader.location
  }

  private static func override(_ reader: DocumentReader, inheriting settings: SchemeSettings, isCoded: Bool) throws
    -> Override
  {
    guard let match = try reader.string("match") else { throw reader.error("match", "is missing") }
    guard let selector = Selector(match) else { throw reader.error("match", "\"\(match)\" is not a role or a name") }
    let bits = try SchemeSettings.bits(reader, "bits", isCoded: isCoded)
    guard
      let own = try bits.map({ _ in try SchemeSettings(coded: reader) }) ?? SchemeSettings(reader, inheriting: settings)
    else { throw reader.error("weights", "is missing") }
    let scheme = try own.scheme(reader)
    try reader.finish()
    return Override(selector: selector, scheme: scheme, bits: bits, match: match, location: reader.location)
  }

  /// The step with every default spelled out, in the keys that a recipe has.
  var json: JSON {
    var members = SchemeSettings.members(of: scheme, bits: bits)
    members += freedom?.members ?? []
    if isCoded { members.insert(.init("goal", "disk"), at: 0) }
    if let embeddingBits { members.append(.init("embedding_bits", .number(embeddingBits))) }
    members.append(.init("scales", .string(scheme.scales.rawValue)))
    members += method.members(hasSteps: isCoded)
    if let outliers { members.append(.init("outliers", outliers.json)) }
    members += [
      // What a budget is to choose is not said, for then it were fixed.
      .init("embeddings", freedom?.hasEmbeddings == true ? .null : .string(SchemeSettings.word(of: embeddingScheme))),
      .init("keep", .array(keep.map(JSON.string))),
    ]
    if !overrides.isEmpty {
      let list = overrides.map {
        JSON.object(
          [.init("match", .string($0.match))] + SchemeSettings.members(of: $0.scheme, bits: $0.bits)
            + ($0.scheme.scales == scheme.scales ? [] : [.init("scales", .string($0.scheme.scales.rawValue))]))
      }
      members.append(.init("overrides", .array(list)))
    }
    return .object(members)
  }
}

/// `weights`, `zero`, `block` and `scales` as a recipe says them.
struct SchemeSettings {
  enum Weights: String, Sendable {
    case int8, int4, int3, int2, nf4, fp4, codebook4

    var mayHaveMinimum: Bool { [.int4, .int3, .int2].contains(self) }
  }

  static let words: KeyValuePairs<String, Weights> = [
    "int8": .int8, "int4": .int4, "int3": .int3, "int2": .int2, "nf4": .nf4, "fp4": .fp4, "codebook4": .codebook4,
  ]
  static let later = ["int5", "int6", "mxfp4", "nvfp4", "fp8"]

  var weights: Weights
  var hasMinimum: Bool
  var block: Scheme.Block
  var scales: Scheme.Scales

  /// Nil when `weights` is missing.
  init?(_ reader: DocumentReader, inheriting outer: SchemeSettings?) throws {
    let zero = try reader.word("zero", ["symmetric": false, "minimum": true])
    let block = try reader.word(
      "block", ["32": Scheme.Block.columns(32), "64": .columns(64), "128": .columns(128), "row": .row])
    let scales = try reader.word("scales", ["f16": Scheme.Scales.f16, "u8": .u8])
    guard let weights = try reader.word("weights", SchemeSettings.words, later: SchemeSettings.later) else {
      return nil
    }
    self.weights = weights
    hasMinimum = zero ?? (weights.mayHaveMinimum ? outer?.hasMinimum ?? false : false)
    self.block = block ?? outer?.block ?? .columns(32)
    self.scales = scales ?? outer?.scales ?? .f16
  }

  /// What steps for an entropy coder are kept in: 8 bits and a scale a row, which keys may say and not change.
  init(coded reader: DocumentReader) throws {
    _ = try reader.word("weights", ["int8": Weights.int8])
    _ = try reader.word("zero", ["symmetric": false])
    _ = try reader.word("block", ["row": Scheme.Block.row])
    _ = try reader.word("scales", ["f16": Scheme.Scales.f16])
    (weights, hasMinimum, block, scales) = (.int8, false, .row, .f16)
  }

  /// Coded bits, which there are with `goal: disk`. Above 7, eight bits without a step are as small.
  static func bits(_ reader: DocumentReader, _ key: String, isCoded: Bool) throws -> Double? {
    let bits = try reader.number(key, in: 1...7)
    guard bits == nil || isCoded else {
      throw reader.error(key, "has no meaning without goal: disk", remedy: "add goal: disk, or leave it out")
    }
    return bits
  }

  /// The word of a scheme's codes.
  static func word(of scheme: Scheme) -> String {
    String(scheme.codingName.split(separator: "-").first ?? "")
  }

  /// The keys that give a scheme.
  static func members(of scheme: Scheme, bits: Double?) -> [JSON.Member] {
    let block: JSON = if case .columns(let size) = scheme.block { .integer(size) } else { "row" }
    return [
      .init("weights", .string(word(of: scheme))),
      .init("zero", scheme.codingName.hasSuffix("-minimum") ? "minimum" : "symmetric"), .init("block", block),
    ] + (bits.map { [.init("bits", .number($0))] } ?? [])
  }

  func scheme(_ reader: DocumentReader) throws -> Scheme {
    guard !hasMinimum || weights.mayHaveMinimum else {
      throw reader.error("zero", "\(weights.rawValue) has no minimum", remedy: "use symmetric")
    }
    let plain: Scheme =
      switch weights {
      case .int8: .int8(block)
      case .int4: hasMinimum ? .int4Minimum(block) : .int4(block)
      case .int3: hasMinimum ? .int3Minimum(block) : .int3(block)
      case .int2: hasMinimum ? .int2Minimum(block) : .int2(block)
      case .nf4: .nf4(block)
      case .fp4: .fp4(block)
      case .codebook4: .codebook4(block)
      }
    guard scales == .u8 else { return plain }
    guard let small = plain.withSmallScales else {
      throw reader.error(
        "scales", "u8 has no meaning with one scale a row", remedy: "use block: 32, 64 or 128, or scales: f16")
    }
    return small
  }
}
