import FurlBase
import FurlSpec
import FurlTensor

// What files of `deepseek2` say about latent attention, in both directions.
//
// llama.cpp multiplies queries with the keys' weights and attends to latents: one head for all, as large as a latent and what
// is turned. The sizes of the model's own heads have keys that end with `_mla`. Files of before that have those under the
// usual keys, and the weights of keys and values in one tensor; they are read, too.

extension GGUFConfiguration {
  private static let sizes = 1...(1 << 18)

  /// The keys of `config.json` that say how large heads and latents are.
  ///
  /// - Throws: ``FurlError`` of kind `input` naming the key.
  func latentSizes() throws -> [(String, JSON)] {
    func size(_ key: String) throws -> Int {
      let size = try required(key)
      guard GGUFConfiguration.sizes.contains(size) else { throw keys.error(name(key), "\(size) is out of range") }
      return size
    }
    let suffix = keys.has(name("attention.key_length_mla")) ? "_mla" : ""
    let (turned, key) = (try size("rope.dimension_count"), try size("attention.key_length" + suffix))
    guard key > turned else {
      throw keys.error(
        name("attention.key_length" + suffix),
        "\(key) numbers of a head cannot be more than the \(turned) that are turned")
    }
    // The key says 0, or nothing, where queries are made from the stream; which of them depends on the number of blocks.
    let hasLatentQueries = head.shapes["blk.0.attn_q_a.weight"] != nil
    return [
      ("num_key_value_heads", .integer(try size("attention.head_count"))), ("qk_rope_head_dim", .integer(turned)),
      ("qk_nope_head_dim", .integer(key - turned)),
      ("v_head_dim", .integer(try size("attention.value_length" + suffix))),
      ("kv_lora_rank", .integer(try size("attention.kv_lora_rank"))),
      ("q_lora_rank", hasLatentQueries ? .integer(try size("attention.q_lora_rank")) : .null),
    ]
  }
}

extension GGUFRotary {
  /// YaRN as `deepseek2` has it: what is turned is multiplied with one factor, and scores with the square of another.
  func latentYaRN(_ factor: Double) throws -> [JSON.Member] {
    let share = try keys.number(name("scaling.attn_factor")) ?? 1
    guard factor > 1 || factor == 1 && share == 1 else {
      throw keys.error(name("scaling.factor"), "\(factor) is not supported", remedy: "supported: more than 1")
    }
    let growth = 0.1 * Elementary.log(factor)
    for (key, bounds) in [("attn_factor", 1e-3...1e3), ("yarn_log_multiplier", -1e3...1e3)] {
      guard let value = try keys.number(name("scaling." + key)), !bounds.contains(value) else { continue }
      throw keys.error(name("scaling." + key), "\(value) is out of range")
    }
    // Ten times the key, whose number the converter divides by ten.
    let multiplier = 10 * (try keys.number(name("scaling.yarn_log_multiplier")) ?? 0)
    let turned = multiplier == 0 ? share * (1 + growth) : share
    let scores = turned * (1 + multiplier * growth)
    var members: [JSON.Member] = [.init("attention_factor", .number(abs(turned - 1) < 1e-6 ? 1 : turned))]
    // None at all, but for rounding.
    if abs(scores - 1) >= 1e-6 { members.append(.init("mscale_all_dim", .number((scores - 1) / growth))) }
    return members
  }
}

extension GGUFArchitecture {
  /// What a file says about latent attention.
  func latentHeads(_ attention: LatentAttentionSpec) -> [GGUFEntry] {
    var entries = [
      integer("attention.head_count", attention.heads), integer("attention.head_count_kv", 1),
      integer("attention.key_length", attention.rank + attention.turnedSize),
      integer("attention.value_length", attention.rank), integer("attention.key_length_mla", attention.querySize),
      integer("attention.value_length_mla", attention.valueSize), integer("attention.kv_lora_rank", attention.rank),
    ]
    if let rank = attention.queryRank ?? (looksLite ? nil : 0) {
      entries.append(integer("attention.q_lora_rank", rank))
    }
    return entries
  }

  /// What a file says about YaRN; see ``GGUFRotary/latentYaRN(_:)``.
  func latentYaRN(_ attention: LatentAttentionSpec, factor: Double) -> [GGUFEntry] {
    let usual = 1 / Double(attention.querySize).squareRoot()
    let (turned, growth) = (attention.rotary.attentionFactor, Elementary.log(factor))
    let scores = ((attention.scale ?? usual) / usual).squareRoot()
    let multiplier = growth > 0 ? (scores / turned - 1) / growth : 0
    let isPlain = abs(scores / turned - 1) <= 1e-6
    let share = isPlain ? turned / (1 + 0.1 * growth) : turned
    var entries: [GGUFEntry] = []
    if abs(share - 1) > 1e-6 { entries.append(real("rope.scaling.attn_factor", share)) }
    if !isPlain { entries.append(real("rope.scaling.yarn_log_multiplier", multiplier)) }
    return entries
  }

  /// llama.cpp takes models of so many blocks for small ones, whose queries are made from the stream.
  private var looksLite: Bool {
    [26, 27].contains(spec.blocks.count) || spec.blocks.count == 48 && spec.vocabularySize == 128_256
  }

  /// What keeps llama.cpp from running latent attention.
  func latentProblem(_ attention: LatentAttentionSpec) -> String? {
    if looksLite, attention.queryRank != nil {
      return "\(name) takes a model of \(spec.blocks.count) blocks for one whose queries are not made from latents"
    }
    if case .linear = attention.rotary.scaling {
      return "\(name) multiplies scores otherwise where frequencies are divided by one factor"
    }
    guard let experts = spec.blocks.lazy.compactMap(\.experts).first else { return "\(name) needs experts" }
    if let groups = experts.groups {
      guard groups.best == 2 else {
        return "\(name) values a group of experts by the two best of it, and the model by the best"
      }
      guard groups.count < experts.count / 2 + 1 else {
        return "\(name) needs two experts in each group, and there are \(experts.count) in \(groups.count)"
      }
    }
    return nil
  }

  /// llama.cpp has one epsilon for all norms.
  var latentNotes: [String] {
    guard let own = spec.blocks.first?.latentAttention?.norm.epsilon, own != spec.norm.epsilon else { return [] }
    return [
      "llama.cpp's \(name) has one epsilon for all norms, \(spec.norm.epsilon), and the model \(own) for those of latents"
    ]
  }
}
