import FurlBase
import FurlSpec
import FurlTensor

/// How a GGUF file says that heads are turned, in the keys of `config.json`.
struct GGUFRotary {
  let head: GGUFHead
  let gguf: GGUFFamily
  /// Numbers of each head that are turned.
  let dimensions: Int
  /// The shares of a head that are turned, where blocks with a window may have one of their own.
  var shares: (full: Double, sliding: Double)?
  /// Further members of the mapping that says how frequencies are scaled.
  let others: [JSON.Member]
  var keys: any GGUFKeys { head.keys }

  func name(_ key: String) -> String { gguf.architecture + ".rope." + key }

  /// - Throws: ``FurlError`` of kind `input` for a scaling that Furl does not compute.
  func members() throws -> [JSON.Member] {
    let theta = try base("freq_base") ?? 10_000
    let sliding = try base("freq_base_swa")
    let scaling = try scaling(theta: theta)
    switch gguf.slidingBase {
    case .same:
      guard sliding == nil || sliding == theta else {
        throw keys.error(
          name("freq_base_swa"), "another base for blocks with a window is not supported for \(gguf.architecture)")
      }
      var members: [JSON.Member] = [.init(gguf.baseKey, .number(theta))]
      if !scaling.isEmpty { members.append(.init("rope_scaling", .object(scaling))) }
      return members
    case .own(let assumed):
      let full =
        [JSON.Member("rope_theta", .number(theta))] + (scaling.isEmpty ? [.init("rope_type", "default")] : scaling)
      let own: [JSON.Member] = [
        .init("rope_type", "default"), .init("rope_theta", .number(sliding ?? assumed ?? theta)),
      ]
      func turned(_ share: Double?) -> [JSON.Member] {
        share.map { [.init("partial_rotary_factor", .number($0))] } ?? []
      }
      return [
        .init(
          "rope_parameters",
          [
            "full_attention": .object(full + turned(shares?.full)),
            "sliding_attention": .object(own + turned(shares?.sliding)),
          ])
      ]
    }
  }

  private func base(_ key: String) throws -> Double? {
    guard let theta = try keys.number(name(key)) else { return nil }
    guard theta >= 1, theta <= 1e12 else {
      throw keys.error(name(key), "\(theta) is out of range", remedy: "allowed: 1 to 1e12")
    }
    return theta
  }

  // MARK: Scaling

  private func scaling(theta: Double) throws -> [JSON.Member] {
    let kind = try keys.string(name("scaling.type")) ?? "linear"
    let divided = try gguf.turnsByFactors ? proportional() : llama3Factor(theta: theta)
    let long = try longFactors()
    // The second is the key of files of 2023.
    let stated = try keys.number(name("scaling.factor")) ?? keys.number(name("scale_linear")) ?? 1
    let factor = stated == 0 ? 1 : stated
    if divided != nil || long != nil, ["linear", "yarn"].contains(kind), factor != 1 {
      throw keys.error(
        name("scaling.factor"), "is given beside \(divided != nil ? GGUFNames.rotaryFactors : GGUFNames.longFactors)")
    }
    if let long { return long + others }
    if let divided {
      try refuseFactor()
      return divided
    }
    switch kind {
    case "yarn" where !gguf.turnsByFactors: return try yarn(factor) + others
    case "none", "longrope":
      try refuseFactor()
      return []
    case "linear":
      try refuseFactor()
      guard factor == 1 || !gguf.isLatent else {
        throw keys.error(name("scaling.factor"), "\(factor) without YaRN is not supported for \(gguf.architecture)")
      }
      return factor == 1 ? [] : [.init("rope_type", "linear"), .init("factor", .number(factor))]
    default:
      throw keys.error(
        name("scaling.type"), "\"\(kind)\" is not supported yet", remedy: "supported: none, linear, yarn, longrope")
    }
  }

  private func refuseFactor() throws {
    guard let factor = try keys.number(name("scaling.attn_factor")), factor != 1 else { return }
    throw keys.error(name("scaling.attn_factor"), "\(factor) is not supported yet without YaRN or LongRoPE")
  }

  private func yarn(_ factor: Double) throws -> [JSON.Member] {
    if let weight = try keys.number(name("scaling.yarn_ext_factor")), weight != 1, weight >= 0 {
      throw keys.error(name("scaling.yarn_ext_factor"), "\(weight) is not supported yet", remedy: "supported: 1")
    }
    var members: [JSON.Member] = [
      .init("rope_type", "yarn"), .init("factor", .number(factor)),
      .init("original_max_position_embeddings", .integer(try original())),
      .init("beta_fast", .number(try keys.number(name("scaling.yarn_beta_fast")) ?? 32)),
      .init("beta_slow", .number(try keys.number(name("scaling.yarn_beta_slow")) ?? 1)),
    ]
    if gguf.isLatent { return members + (try latentYaRN(factor)) }
    if !gguf.roundsYarn { members.append(.init("truncate", false)) }
    if let attention = try keys.number(name("scaling.yarn_attn_factor")), attention != 1 {
      members.append(.init("attention_factor", .number(attention)))
    } else if let share = try keys.number(name("scaling.attn_factor")), share != 1 {
      let attention = share * GGUFRotary.growth(factor)
      // None at all, but for the rounding of the share.
      members.append(.init("attention_factor", .number(abs(attention - 1) < 1e-6 ? 1 : attention)))
    }
    // mscale is 1 wherever there is such a key.
    if let all = try keys.number(name("scaling.yarn_log_multiplier")), all != 0 {
      members += [.init("mscale", 1), .init("mscale_all_dim", .number(all))]
    }
    return members
  }

  /// What YaRN multiplies turned numbers with where nothing says it, in llama.cpp as in transformers.
  static func growth(_ factor: Double) -> Double { factor <= 1 ? 1 : 0.1 * Elementary.log(factor) + 1 }

  private func original() throws -> Int {
    let context = gguf.architecture + ".context_length"
    return try keys.integer(name("scaling.original_context_length")) ?? keys.integer(context) ?? 0
  }

  /// LongRoPE: a divisor of each frequency for short contexts, and one for long ones.
  private func longFactors() throws -> [JSON.Member]? {
    guard gguf.hasLongFactors, let long = try head.vector(GGUFNames.longFactors),
      let short = try head.vector(GGUFNames.shortFactors)
    else { return nil }
    func list(_ numbers: [Float]) -> JSON { .array(numbers.map { .number(Double($0.description) ?? Double($0)) }) }
    return [
      .init("rope_type", "longrope"), .init("short_factor", list(short)), .init("long_factor", list(long)),
      .init("attention_factor", .number(try keys.number(name("scaling.attn_factor")) ?? 1)),
      .init("original_max_position_embeddings", .integer(try original())),
    ]
  }

  // What every Llama 3.1, 3.2 and 3.3 was trained with; the file has only what becomes of it.
  private static let (low, high, originalContext) = (1.0, 4.0, 8192)

  /// Llama 3's scaling: the file has what each frequency is divided by, and this finds the factor that gives the same
  /// numbers.
  private func llama3Factor(theta: Double) throws -> [JSON.Member]? {
    guard gguf.hasFrequencyFactors, let stored = try head.vector(GGUFNames.rotaryFactors) else { return nil }
    guard dimensions > 0, dimensions <= 1 << 16, stored.count == dimensions / 2 else {
      throw FurlError.input(
        head.path, GGUFNames.rotaryFactors, "has \(stored.count) numbers; \(dimensions / 2) are expected")
    }
    let divisors = stored.map(Double.init)
    if divisors.allSatisfy({ $0 == 1 }) { return nil }
    let factor = divisors.max() ?? 1
    let plain = ModelSpec.Rotary(theta: theta, dimensions: dimensions)
    let scaled = ModelSpec.Rotary(
      theta: theta, dimensions: dimensions,
      scaling: .llama3(
        factor: factor, lowFrequencyFactor: GGUFRotary.low, highFrequencyFactor: GGUFRotary.high,
        originalContext: GGUFRotary.originalContext))
    // The converter computes in FP32.
    let isSame = zip(divisors, zip(plain.frequencies, scaled.frequencies)).allSatisfy { divisor, pair in
      abs(divisor - pair.0 / pair.1) <= 1e-4 * divisor
    }
    guard factor.isFinite, factor > 1, isSame else {
      throw FurlError.input(
        head.path, GGUFNames.rotaryFactors,
        "divides the rotary frequencies otherwise than Llama 3 does, which is not supported yet")
    }
    return [
      .init("rope_type", "llama3"), .init("factor", .number(factor)), .init("low_freq_factor", .number(GGUFRotary.low)),
      .init("high_freq_factor", .number(GGUFRotary.high)),
      .init("original_max_position_embeddings", .integer(GGUFRotary.originalContext)),
    ]
  }
}
