import FurlBase
import FurlSpec

/// Where `config.json` says how heads are turned. transformers 5 has one mapping, `rope_parameters`; before it there
/// were `rope_theta` and `partial_rotary_factor` at the top and a mapping `rope_scaling`, which still goes first.
extension DecoderConfig {
  /// - Parameter assumedShare: the share of each head that is turned where `partial_rotary_factor` is missing; nil:
  ///   all of it, and the family has no such key.
  /// - Throws: ``FurlError`` of kind `input` naming the key.
  func rotary(assumedShare: Double? = nil) throws -> ModelSpec.Rotary {
    let parameters = try mapping("rope_scaling") ?? mapping("rope_parameters")
    let theta = try parameters?.number("rope_theta", in: 1...1e12) ?? reader.number("rope_theta", in: 1...1e12)
    let share = try parameters?.number("partial_rotary_factor", in: 0...1) ?? partialFactor()
    if assumedShare == nil, let share, share != 1 {
      throw reader.error("partial_rotary_factor", "\(share) is not supported yet", remedy: "supported: 1")
    }
    // As int() of Python: towards zero. What is too large for a head is refused with the rest of the specification.
    let turned = (Double(headSize) * (share ?? assumedShare ?? 1)).rounded(.towardZero)
    return ModelSpec.Rotary(
      theta: theta ?? 10_000, dimensions: Int(exactly: turned) ?? 0, scaling: try scaling(parameters))
  }

  private func partialFactor() throws -> Double? { try reader.number("partial_rotary_factor", in: 0...1) }

  /// The mapping under a key; one without keys says nothing.
  private func mapping(_ key: String) throws -> DocumentReader? {
    guard let mapping = try reader.reader(key), !mapping.keys.isEmpty else { return nil }
    for kind in mapping.keys where mapping.optional(kind)?.members != nil {
      throw mapping.error(kind, "rotary positions of its own for a kind of layer are not supported yet")
    }
    return mapping
  }

  private enum Kind { case none, linear, llama3 }

  private func scaling(_ parameters: DocumentReader?) throws -> ModelSpec.Rotary.Scaling {
    guard let parameters else { return .none }
    // The older name of the key.
    let key = parameters.optional("rope_type") != nil ? "rope_type" : "type"
    let kind = try parameters.word(
      key, ["default": Kind.none, "linear": .linear, "llama3": .llama3],
      later: ["dynamic", "yarn", "longrope", "su", "mrope", "proportional", "axial"])
    func factor(_ key: String) throws -> Double {
      guard let value = try parameters.number(key, in: 1e-3...1e6) else { throw parameters.error(key, "is missing") }
      return value
    }
    switch kind ?? .none {
    case .none: return .none
    case .linear: return .linear(factor: try factor("factor"))
    case .llama3:
      let original = "original_max_position_embeddings"
      return .llama3(
        factor: try factor("factor"), lowFrequencyFactor: try factor("low_freq_factor"),
        highFrequencyFactor: try factor("high_freq_factor"),
        originalContext: try reader.integer(original, in: 1...(1 << 24))
          ?? parameters.integer(original, in: 1...(1 << 24)) ?? contextLength)
    }
  }
}
