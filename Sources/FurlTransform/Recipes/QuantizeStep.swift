import FurlSpec
import FurlTensor

/// Writes weights down in fewer bits.
public struct QuantizeStep: Sendable {
  /// Another scheme for some tensors.
  struct Override: Sendable {
    let selector: Selector
    let scheme: Scheme
    let match: String
    let location: DocumentLocation
  }

  /// Of the linear layers in the blocks.
  public let scheme: Scheme
  /// Of the embedding, the head and the positions.
  public let embeddingScheme: Scheme
  /// What stays in FP32, as the recipe says it.
  public let keep: [String]
  let keepSelectors: [Selector]
  let overrides: [Override]
  let location: DocumentLocation

  init(_ reader: DocumentReader) throws {
    guard let settings = try SchemeSettings(reader, inheriting: nil) else {
      throw reader.error("weights", "is missing")
    }
    scheme = try settings.scheme(reader)
    _ = try reader.word("scales", ["f16": "f16"], later: ["u8"])
    _ = try reader.word("method", ["nearest": "nearest"], later: ["awq", "gptq"])
    if let coding = try reader.word("embeddings", SchemeSettings.words, later: SchemeSettings.later) {
      var embeddings = settings
      embeddings.weights = coding
      // A minimum is a property of 4-bit codes; an 8-bit embedding beside them is symmetric.
      if coding == .int8 { embeddings.hasMinimum = false }
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
    overrides = try (reader.readers("overrides") ?? []).map { try QuantizeStep.override($0, inheriting: settings) }
    try reader.finish()
    location = reader.location
  }

  private static func override(_ reader: DocumentReader, inheriting settings: SchemeSettings) throws -> Override {
    guard let match = try reader.string("match") else { throw reader.error("match", "is missing") }
    guard let selector = Selector(match) else { throw reader.error("match", "\"\(match)\" is not a role or a name") }
    guard let own = try SchemeSettings(reader, inheriting: settings) else {
      throw reader.error("weights", "is missing")
    }
    let scheme = try own.scheme(reader)
    try reader.finish()
    return Override(selector: selector, scheme: scheme, match: match, location: reader.location)
  }

  /// The step with every default spelled out, in the keys that a recipe has.
  var json: JSON {
    var members = SchemeSettings.members(of: scheme)
    members += [
      .init("scales", "f16"), .init("method", "nearest"),
      .init("embeddings", .string(SchemeSettings.word(of: embeddingScheme))),
      .init("keep", .array(keep.map(JSON.string))),
    ]
    if !overrides.isEmpty {
      let list = overrides.map {
        JSON.object([.init("match", .string($0.match))] + SchemeSettings.members(of: $0.scheme))
      }
      members.append(.init("overrides", .array(list)))
    }
    return .object(members)
  }
}

/// `weights`, `zero` and `block` as a recipe says them.
struct SchemeSettings {
  enum Weights: Sendable { case int8, int4 }

  static let words: KeyValuePairs<String, Weights> = ["int8": .int8, "int4": .int4]
  static let later = ["nf4", "fp4", "int3", "int5", "int6", "int2", "mxfp4", "nvfp4", "fp8"]

  var weights: Weights
  var hasMinimum: Bool
  var block: Scheme.Block

  /// Nil when `weights` is missing.
  init?(_ reader: DocumentReader, inheriting outer: SchemeSettings?) throws {
    let zero = try reader.word("zero", ["symmetric": false, "minimum": true])
    let block = try reader.word(
      "block", ["32": Scheme.Block.columns(32), "64": .columns(64), "128": .columns(128), "row": .row])
    guard let weights = try reader.word("weights", SchemeSettings.words, later: SchemeSettings.later) else {
      return nil
    }
    self.weights = weights
    hasMinimum = zero ?? (weights == .int4 ? outer?.hasMinimum ?? false : false)
    self.block = block ?? outer?.block ?? .columns(32)
  }

  /// The word of a scheme's codes.
  static func word(of scheme: Scheme) -> String { scheme.codingName == Scheme.int8(.row).codingName ? "int8" : "int4" }

  /// The keys that give a scheme.
  static func members(of scheme: Scheme) -> [JSON.Member] {
    let block: JSON = if case .columns(let size) = scheme.block { .integer(size) } else { "row" }
    let hasMinimum = scheme.codingName == Scheme.int4Minimum(.row).codingName
    return [
      .init("weights", .string(word(of: scheme))), .init("zero", hasMinimum ? "minimum" : "symmetric"),
      .init("block", block),
    ]
  }

  func scheme(_ reader: DocumentReader) throws -> Scheme {
    switch weights {
    case .int8:
      guard !hasMinimum else { throw reader.error("zero", "int8 has no minimum", remedy: "use symmetric") }
      return .int8(block)
    case .int4: return hasMinimum ? .int4Minimum(block) : .int4(block)
    }
  }
}
