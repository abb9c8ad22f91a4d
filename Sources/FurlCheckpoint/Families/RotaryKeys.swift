import FurlBase
import FurlSpec
import FurlTensor

/// Where `config.json` says how heads are turned. transformers 5 has one mapping, `rope_parameters`, or one in it for each
/// kind of layer; before it there were `rope_theta` and `partial_rotary_factor` at the top and a mapping `rope_scaling`,
/// which still goes first.
extension DecoderConfig {
  /// - Parameters:
  ///   - kind: of layers, for families in which they differ.
  ///   - assumedShare: the share of each head that is turned where `partial_rotary_factor` is missing; nil: all of it,
  ///     and the family has no such key.
  ///   - theta: the base where nothing says it.
  ///   - scales: whether layers of this kind are turned as `rope_scaling` of older files says.
  /// - Throws: ``FurlError`` of kind `input` naming the key.
  func rotary(
    kind: String? = nil, assumedShare: Double? = nil, theta assumedTheta: Double = 10_000,
    older: (theta: String?, scales: Bool) = ("rope_theta", true)
  ) throws -> ModelSpec.Rotary {
    let scaling = older.scales ? try mapping("rope_scaling", kind) : nil
    let parameters = try scaling ?? mapping("rope_parameters", kind)
    let theta =
      try parameters?.number("rope_theta", in: 1...1e12)
      ?? older.theta.flatMap { try reader.number($0, in: 1...1e12) }
    let share = try parameters?.number("partial_rotary_factor", in: 0...1) ?? partialFactor()
    if assumedShare == nil, let share, share != 1 {
      throw reader.error("partial_rotary_factor", "\(share) is not supported yet", remedy: "supported: 1")
    }
    // As int() of Python: towards zero. What is too large for a head is refused with the rest of the specification.
    let turned = (Double(headSize) * (share ?? assumedShare ?? 1)).rounded(.towardZero)
    var rotary = ModelSpec.Rotary(theta: theta ?? assumedTheta, dimensions: Int(exactly: turned) ?? 0)
    if let parameters {
      let scaling = try RotaryScaling(parameters, reader, contextLength: statedContext)
      if kind != nil { try scaling.refuseLongRoPE() }
      try scaling.apply(to: &rotary)
    }
    return rotary
  }

  /// What DeepSeek multiplies scores with where positions are scaled: the square of YaRN's growth by `mscale_all_dim`.
  ///
  /// - Throws: ``FurlError`` of kind `input` naming the key.
  func scoreGrowth() throws -> Double {
    guard let parameters = try mapping("rope_scaling", nil) ?? mapping("rope_parameters", nil),
      let scale = try parameters.number("mscale_all_dim", in: -1e6...1e6), scale != 0
    else { return 1 }
    let kind = try parameters.string("rope_type") ?? parameters.string("type")
    guard let kind, kind != "default" else { return 1 }
    let factor = try parameters.needed("factor") { try parameters.number($0, in: 1e-3...1e6) }
    let growth = factor <= 1 ? 1 : 0.1 * scale * Elementary.log(factor) + 1
    return growth * growth
  }

  private func partialFactor() throws -> Double? { try reader.number("partial_rotary_factor", in: 0...1) }

  /// The mapping under a key; one without keys says nothing.
  private func mapping(_ key: String, _ kind: String?) throws -> DocumentReader? {
    guard let mapping = try reader.reader(key), !mapping.keys.isEmpty else { return nil }
    if let kind, mapping.keys.contains(kind) || mapping.keys.contains(where: { mapping.optional($0)?.members != nil }) {
      guard let own = try mapping.reader(kind) else { throw mapping.error(kind, "is missing") }
      return own
    }
    for other in mapping.keys where mapping.optional(other)?.members != nil {
      throw mapping.error(other, "rotary positions of its own for a kind of layer are not supported yet")
    }
    return mapping
  }
}

extension ModelSpec.Rotary {
  /// YaRN as families assume it where their keys are missing.
  mutating func setYaRN(factor: Double, originalContext: Int, truncates: Bool) {
    scaling = .yarn(
      factor: factor, slowTurns: 1, fastTurns: 32, originalContext: originalContext, truncates: truncates)
    attentionFactor = 0.1 * Elementary.log(factor) + 1
  }
}

/// How frequencies are scaled, by the words of transformers' `modeling_rope_utils`.
struct RotaryScaling {
  private let parameters: DocumentReader
  private let config: DocumentReader
  private let contextLength: Int
  private let kind: ScalingKind

  private enum ScalingKind { case none, linear, llama3, yarn, dynamic, longRoPE }

  init(_ parameters: DocumentReader, _ config: DocumentReader, contextLength: Int) throws {
    self.parameters = parameters
    self.config = config
    self.contextLength = contextLength
    // The older name of the key.
    let key = parameters.optional("rope_type") != nil ? "rope_type" : "type"
    let words: KeyValuePairs<String, ScalingKind> = [
      "default": .none, "linear": .linear, "llama3": .llama3, "yarn": .yarn, "dynamic": .dynamic,
      "longrope": .longRoPE, "su": .longRoPE,
    ]
    kind = try parameters.word(key, words, later: ["mrope", "proportional", "axial"]) ?? .none
  }

  /// The positions that there may be: dynamic scaling reaches beyond those that a model was trained with, which its key
  /// says; the others have them in it.
  static func context(_ stated: Int, _ config: DocumentReader) throws -> Int {
    guard let parameters = try config.reader("rope_scaling") ?? config.reader("rope_parameters"),
      parameters.optional("rope_type") ?? parameters.optional("type") == "dynamic",
      let factor = try parameters.number("factor", in: 1e-3...1e6), factor > 1
    else { return stated }
    return Int(exactly: (Double(stated) * factor).rounded(.down)) ?? stated
  }

  func apply(to rotary: inout ModelSpec.Rotary) throws {
    switch kind {
    case .none: break
    case .linear: rotary.scaling = .linear(factor: try factor("factor"))
    case .llama3:
      rotary.scaling = .llama3(
        factor: try factor("factor"), lowFrequencyFactor: try factor("low_freq_factor"),
        highFrequencyFactor: try factor("high_freq_factor"), originalContext: try original())
    case .dynamic: rotary.scaling = .dynamic(factor: try factor("factor"), originalContext: contextLength)
    case .yarn: try yarn(&rotary)
    case .longRoPE: try longRoPE(&rotary)
    }
  }

  /// What its original context is for one kind of layer is not settled in transformers.
  func refuseLongRoPE() throws {
    guard kind == .longRoPE else { return }
    throw parameters.error("rope_type", "\"longrope\" for one kind of layer is not supported yet")
  }

  private func optional(_ key: String) throws -> Double? { try parameters.number(key, in: -1e6...1e6) }

  private func factor(_ key: String) throws -> Double {
    try parameters.needed(key) { try parameters.number($0, in: 1e-3...1e6) }
  }

  /// The key beside the mapping goes first.
  private func original() throws -> Int {
    let key = "original_max_position_embeddings"
    return try config.integer(key, in: 1...(1 << 24)) ?? parameters.integer(key, in: 1...(1 << 24)) ?? contextLength
  }

  private func yarn(_ rotary: inout ModelSpec.Rotary) throws {
    let original = try original()
    let factor = try parameters.number("factor", in: 1e-3...1e6) ?? Double(contextLength) / Double(original)
    rotary.scaling = .yarn(
      factor: factor, slowTurns: try optional("beta_slow") ?? 1, fastTurns: try optional("beta_fast") ?? 32,
      originalContext: original, truncates: try parameters.bool("truncate") ?? true)
    func growth(_ scale: Double) -> Double { factor <= 1 ? 1 : 0.1 * scale * Elementary.log(factor) + 1 }
    if let stated = try optional("attention_factor") {
      rotary.attentionFactor = stated
    } else if let scale = try optional("mscale"), let all = try optional("mscale_all_dim"), scale != 0, all != 0 {
      rotary.attentionFactor = growth(scale) / growth(all)
    } else {
      rotary.attentionFactor = growth(1)
    }
  }

  private func longRoPE(_ rotary: inout ModelSpec.Rotary) throws {
    func divisors(_ key: String) throws -> [Double] {
      let list = try parameters.required(key)
      let numbers = list.array?.compactMap(\.number) ?? []
      guard numbers.count == list.array?.count, numbers.count == rotary.dimensions / 2 else {
        throw parameters.error(key, "a list of \(rotary.dimensions / 2) numbers is expected")
      }
      return numbers
    }
    let original = try original()
    rotary.scaling = .longRoPE(
      short: try divisors("short_factor"), long: try divisors("long_factor"), originalContext: original)
    let factor = try parameters.number("factor", in: 1e-3...1e6) ?? Double(contextLength) / Double(original)
    if let stated = try optional("attention_factor") {
      rotary.attentionFactor = stated
    } else if factor > 1, original > 1 {
      rotary.attentionFactor = (1 + Elementary.log(factor) / Elementary.log(Double(original))).squareRoot()
    }
  }
}
