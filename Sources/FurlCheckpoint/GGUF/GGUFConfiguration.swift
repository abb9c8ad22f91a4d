import FurlBase
import FurlSpec
import FurlTensor

/// The `config.json` that a GGUF model would have in Hugging Face's form, so that one reader serves both.
///
/// Keys of the metadata: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; what a missing key means is what
/// llama.cpp takes it for. What a family's files say beyond that is declared with the family (``GGUFFamily``).
struct GGUFConfiguration {
  let head: GGUFHead
  let family: any Architecture.Type
  let gguf: GGUFFamily
  var keys: any GGUFKeys { head.keys }

  /// Families that GGUF files are read as, and those with more markers first.
  private static var readable: [(family: any Architecture.Type, gguf: GGUFFamily)] {
    Architectures.all.flatMap { family in
      family.ggufForms.filter(\.isRead).map { (family, $0) }
    }.sorted { $0.gguf.markers.count > $1.gguf.markers.count }
  }

  /// - Throws: ``FurlError`` of kind `input` when the architecture is not among them.
  init(_ file: GGUFFile) throws {
    try file.refuseOtherKinds()
    try self.init(GGUFHead(file))
  }

  init(_ head: GGUFHead) throws {
    let key = "general.architecture"
    guard let architecture = try head.keys.string(key) else { throw head.keys.error(key, "is missing") }
    let all = GGUFConfiguration.readable
    let found = try all.first { candidate in
      try candidate.gguf.architecture == architecture && GGUFConfiguration.hasGating(of: candidate.gguf, head.keys)
        && candidate.gguf.markers.allSatisfy { marker in
          switch marker {
          case .number(let key): try (head.keys.integer("\(architecture).\(key)") ?? 0) != 0
          case .no(let key): try head.keys.bool("\(architecture).\(key)") == false
          }
        }
    }
    if found == nil, all.contains(where: { $0.gguf.architecture == architecture && $0.gguf.gating != nil }) {
      let key = architecture + ".expert_gating_func"
      throw head.keys.error(key, "\(try head.keys.integer(key) ?? 0) is not supported yet")
    }
    guard let found else {
      throw head.keys.error(
        key, "\"\(architecture)\" is not supported yet",
        remedy: "supported: \(Set(all.map(\.gguf.architecture)).sorted().joined(separator: ", "))")
    }
    self.init(head, family: found.family, gguf: found.gguf)
  }

  /// Whether a file makes weights of experts as a family does.
  private static func hasGating(of gguf: GGUFFamily, _ keys: any GGUFKeys) throws -> Bool {
    guard let gating = gguf.gating else { return true }
    let stated = try keys.integer("\(gguf.architecture).expert_gating_func") ?? 0
    return stated == gating.rawValue || stated == 0 && gguf.assumesGating
  }

  /// What a file says to a family.
  init(_ head: GGUFHead, family: any Architecture.Type, gguf: GGUFFamily) {
    (self.head, self.family, self.gguf) = (head, family, gguf)
  }

  /// - Throws: ``FurlError`` of kind `input` naming the key, also for what Furl does not compute.
  func json() throws -> JSON {
    try refuseOthers()
    var members: [JSON.Member] = [
      .init("model_type", .string(family.modelType)), .init("architectures", [.string(gguf.className)]),
    ]
    func set(_ key: String, _ value: JSON) {
      members.removeAll { $0.key == key }
      members.append(.init(key, value))
    }
    for (key, value) in gguf.fixed { set(key, value) }
    if let word = gguf.layerType {
      set("layer_types", .array(try (0..<blockCount()).map { _ in .string(word) }))
    }
    for (key, value) in try sizes() + denseBlocks() { set(key, value) }
    if let key = gguf.keys.first(where: { $0.name == "attention.scale" })?.configuration {
      let heads = try required("attention.head_count")
      let size = try headSize(hidden: required("embedding_length"), heads: heads)
      set(key, .number(1 / Double(max(1, size)).squareRoot()))
    }
    for (key, tensors) in gguf.switches {
      set(key, .bool(tensors.contains { $0.hasPrefix("!") ? !has(String($0.dropFirst())) : has($0) }))
    }
    var rotaryKeys: [JSON.Member] = []
    for key in gguf.keys {
      guard let configuration = key.configuration, let value = try value(key) else { continue }
      if key.isRotary { rotaryKeys.append(.init(configuration, value)) } else { set(configuration, value) }
    }
    for member in try windows() + rotary(rotaryKeys) { set(member.key, member.value) }
    set("tie_word_embeddings", .bool(head.shapes["output.weight"] == nil))
    for (key, name) in [("bos_token_id", "bos"), ("eos_token_id", "eos")] {
      // An id that no row has stands for none, as in llama.cpp.
      if let id = try keys.integer("tokenizer.ggml.\(name)_token_id"), try (0..<vocabularySize()).contains(id) {
        set(key, .integer(id))
      }
    }
    return .object(members)
  }

  // MARK: Sizes

  /// Heads of the first block.
  func heads() throws -> Int {
    try gguf.headsByBlock == nil ? required("attention.head_count") : headsByBlock().first ?? 0
  }

  /// Heads of every block, where they may differ.
  private func headsByBlock() throws -> [Int] {
    try eachBlock("attention.head_count", of: "heads", in: 1...(1 << 12))
  }

  /// What says whether a gate is of a head or of each of its outputs: its width.
  private func gating(_ heads: Int, _ headSize: Int) throws -> JSON {
    let rows = head.shapes["blk.0.attn_gate.weight"]?.first
    guard rows != heads else { return "per-head" }
    guard heads <= 1 << 12, headSize <= 1 << 12, rows == heads * headSize else {
      throw FurlError.input(
        head.path, "blk.0.attn_gate.weight",
        "has neither a row for each of \(heads) heads nor one for each of their outputs")
    }
    return "per-element"
  }

  private func sizes() throws -> [(String, JSON)] {
    let names = family.configurationKeys
    let heads = try heads()
    let hidden = try required("embedding_length")
    var sizes: [(String, JSON)] = [
      (names.vocabulary, .integer(try vocabularySize())), (names.hidden, .integer(hidden)),
      (names.mlp, .integer(try mlpSize())), (names.layers, .integer(try blockCount())),
      (names.heads, .integer(heads)), (names.context, .integer(try required("context_length"))),
      (names.normEpsilon, .number(try epsilon())),
    ]
    if gguf.isLatent { return sizes + (try latentSizes()) }
    if gguf.differsByWindow { return sizes + (try sizesByWindow(heads: heads)) }
    let headSize = try headSize(hidden: hidden, heads: heads)
    let kvHeads = try perBlock("attention.head_count_kv") ?? heads
    if let key = names.kvHeads {
      sizes.append((key, .integer(kvHeads)))
    } else if let key = gguf.singleKeyHead, kvHeads == 1 || kvHeads == heads {
      sizes.append((key, .bool(kvHeads == 1)))
    } else if kvHeads != heads {
      throw keys.error(
        name("attention.head_count_kv"), "fewer key/value heads are not supported yet for \(gguf.architecture)")
    }
    let (product, overflow) = headSize.multipliedReportingOverflow(by: heads)
    let isPlain = !overflow && product == hidden
    // Some families assume another size where the key is missing.
    if let key = names.headSize {
      if !isPlain || gguf.hasHeadSize { sizes.append((key, .integer(headSize))) }
    } else if !isPlain {
      throw keys.error(
        name("attention.key_length"), "\(heads) heads of \(headSize) are not the embedding length of \(hidden)")
    }
    if let key = gguf.headsByBlock {
      sizes += [(key, .array(try headsByBlock().map(JSON.integer))), ("gating", try gating(heads, headSize))]
    }
    if let divisor = scoreDivisor(hidden: hidden, heads: heads, headSize: headSize) {
      sizes.append(("query_pre_attn_scalar", .integer(divisor)))
    }
    return sizes
  }

  /// The blocks of the model, without those behind them that predict further tokens.
  func blockCount() throws -> Int {
    let (count, beyond) = (try required("block_count"), try layersBeyond())
    guard (0...4096).contains(count), beyond <= count else {
      throw keys.error(name("block_count"), "\(count) is out of range")
    }
    return count - beyond
  }

  /// Blocks behind those of the model.
  func layersBeyond() throws -> Int {
    let key = name("nextn_predict_layers")
    guard gguf.isLatent, let count = try keys.integer(key) else { return 0 }
    guard (0...64).contains(count) else { throw keys.error(key, "\(count) is out of range") }
    return count
  }

  /// Which blocks have no experts.
  private func denseBlocks() throws -> [(String, JSON)] {
    guard let kind = gguf.denseBlocks else { return [] }
    let key = name("leading_dense_block_count")
    let (blocks, dense) = (try blockCount(), try keys.integer(key) ?? 0)
    guard (0...blocks).contains(dense) else { throw keys.error(key, "\(dense) of \(blocks) blocks is out of range") }
    switch kind {
    case .count: return [("first_k_dense_replace", .integer(dense))]
    case .types: return [("mlp_layer_types", .array((0..<blocks).map { $0 < dense ? "dense" : "sparse" }))]
    }
  }

  /// What Gemma's `config.json` says and its GGUF files do not.
  private func scoreDivisor(hidden: Int, heads: Int, headSize: Int) -> Int? {
    guard let blocks = gguf.dividesByWidth else { return nil }
    return (try? required("block_count")) == blocks ? hidden / heads : headSize
  }

  private func mlpSize() throws -> Int {
    if gguf.differsByWindow {
      return try eachBlock("feed_forward_length", of: "neurons", in: GGUFConfiguration.widths).first ?? 0
    }
    return try perBlock("feed_forward_length") ?? perBlock("expert_feed_forward_length")
      ?? required("feed_forward_length")
  }

  private func epsilon() throws -> Double {
    guard let value = try keys.number(name(gguf.epsilon)) else { throw keys.error(name(gguf.epsilon), "is missing") }
    return value
  }

  func vocabularySize() throws -> Int {
    guard let shape = head.shapes["token_embd.weight"], shape.count == 2 else {
      throw FurlError.input(head.path, "token_embd.weight", "is missing or no matrix")
    }
    return shape[0]
  }

  private func headSize(hidden: Int, heads: Int) throws -> Int {
    let size = try statedHeadSize()
    guard heads > 0, size != nil || hidden % heads == 0 else {
      throw keys.error(
        name("attention.head_count"), "\(heads) heads do not divide an embedding length of \(hidden)")
    }
    return size ?? hidden / heads
  }

  // MARK: Keys

  func name(_ key: String) -> String { gguf.architecture + "." + key }

  /// Whether the first block has a tensor, or the model has: `output.bias`.
  private func has(_ tensor: String) -> Bool { head.shapes["blk.0." + tensor] != nil || head.shapes[tensor] != nil }

  func required(_ key: String) throws -> Int {
    guard let value = try perBlock(key) else { throw keys.error(name(key), "is missing") }
    return value
  }

  /// An integer, or a list with one for every block if all are the same.
  private func perBlock(_ key: String) throws -> Int? {
    guard keys.count(name(key)) != nil else { return try keys.integer(name(key)) }
    guard let list = try keys.integers(name(key)), let first = list.first, list.allSatisfy({ $0 == first }) else {
      throw keys.error(name(key), "differs from block to block, which is not supported yet")
    }
    return first
  }

  private func value(_ key: GGUFKey) throws -> JSON? {
    switch key.kind {
    case .integer: try perBlock(key.name).map(JSON.integer)
    // 0 stands for nothing said.
    case .number: try keys.number(name(key.name)).flatMap { $0 == 0 ? nil : .number($0) }
    case .numberOrNone: try keys.number(name(key.name)).map { $0 == 0 ? .null : .number($0) }
    case .flag: try keys.bool(name(key.name)).map(JSON.bool)
    case .word: try keys.string(name(key.name)).map(JSON.string)
    }
  }

  /// Keys that change what a model computes, where their values are not the ones that mean nothing.
  private func refuseOthers() throws {
    let known = Set(gguf.keys.map(\.name) + gguf.numbers.map(\.key))
    for (key, harmless) in [
      ("expert_count", [0.0]), ("attention.scale", [0]), ("attention.clamp_kqv", [0]),
      ("attention.max_alibi_bias", [0]),
      ("logit_scale", [0]), ("attn_logit_softcapping", [0]), ("final_logit_softcapping", [0]), ("embedding_scale", [0]),
      ("residual_scale", [0]), ("expert_weights_scale", [0, 1]), ("expert_shared_count", [0]),
      ("expert_group_count", [0, 1]), ("expert_shared_feed_forward_length", [0]), ("attention.temperature_scale", [0]),
      ("attention.value_scale", [0, 1]), ("attention.output_scale", [0, 1]), ("router_logit_softcapping", [0]),
      // A softmax over all experts, or over the chosen ones.
      ("expert_gating_func", [0, 1, 3]),
    ] where !known.contains(key) {
      // Where it tells families from each other, it has been looked at.
      if key == "expert_gating_func", gguf.gating != nil { continue }
      guard let value = try keys.number(name(key)), !harmless.contains(value) else { continue }
      throw keys.error(name(key), "\(value) is not supported yet")
    }
    if gguf.isLatent, !known.contains("expert_weights_norm"), try keys.bool(name("expert_weights_norm")) == true {
      throw keys.error(name("expert_weights_norm"), "true is not supported yet beside a softmax")
    }
    if try keys.bool(name("attention.causal")) == false {
      throw keys.error(name("attention.causal"), "false is not supported")
    }
    for (key, number) in gguf.numbers {
      let value = try keys.number(name(key)) ?? 0
      guard value == number else {
        throw keys.error(name(key), "\(value) is not supported yet", remedy: "supported: \(number)")
      }
    }
    if gguf.architecture.hasPrefix("granite"), !gguf.turnsNothing,
      try keys.bool(name("rope.scaling.finetuned")) == false
    {
      throw keys.error(name("rope.scaling.finetuned"), "false, heads that are not turned, is not supported yet")
    }
    if case .none = gguf.windows, let window = try keys.integer(name("attention.sliding_window")), window != 0 {
      throw keys.error(name("attention.sliding_window"), "\(window) is not supported yet for \(gguf.architecture)")
    }
  }

  // MARK: Windows and positions

  private func windows() throws -> [JSON.Member] {
    let key = "attention.sliding_window"
    let stated = try keys.integer(name(key)).flatMap { $0 == 0 ? nil : $0 }
    switch gguf.windows {
    case .none: return []
    case .leftOut: return [.init("sliding_window", .optional(stated))]
    case .pattern(let every, let assumed, let startsWithout):
      let hasKey = keys.has(name(key))
      let window = hasKey ? stated : assumed
      let sliding = try window == nil ? nil : slidingBlocks(every, startsWithout)
      let blocks = try blockCount()
      let words = (0..<blocks).map { sliding?($0) ?? false ? "sliding_attention" : "full_attention" }
      return [.init("sliding_window", .optional(window)), .init("layer_types", .array(words.map(JSON.string)))]
    }
  }

  /// Which blocks have a window.
  private func slidingBlocks(_ assumed: Int, _ startsWithout: Bool) throws -> (Int) -> Bool {
    let key = name("attention.sliding_window_pattern")
    if keys.count(key) != nil {
      guard let list = try keys.bools(key), try list.count >= blockCount() else {
        throw keys.error(key, "is shorter than the list of blocks")
      }
      return { list[$0] }
    }
    let every = try keys.integer(key) ?? assumed
    guard every >= 0 else { throw keys.error(key, "\(every) is out of range") }
    return { GGUFFamily.Windows.slides($0, every: every, startsWithout) }
  }

  private func rotary(_ others: [JSON.Member]) throws -> [JSON.Member] {
    // Learned positions.
    guard head.shapes["position_embd.weight"] == nil else { return [] }
    let heads = try heads()
    let headSize =
      try gguf.isLatent
      ? required("rope.dimension_count") : headSize(hidden: required("embedding_length"), heads: heads)
    let turned = try keys.integer(name("rope.dimension_count")) ?? headSize
    let sliding = try keys.integer(name("rope.dimension_count_swa")) ?? turned
    let shares =
      gguf.turnsSharesByKind ? (full: share(turned, of: headSize), sliding: share(sliding, of: headSize)) : nil
    var members = try GGUFRotary(head: head, gguf: gguf, dimensions: turned, shares: shares, others: others).members()
    if shares != nil { return members }
    guard try sliding == (gguf.differsByWindow ? statedHeadSize("_swa") : turned) else {
      throw keys.error(name("rope.dimension_count_swa"), "\(sliding) is not supported for \(gguf.architecture)")
    }
    if let key = gguf.turnedShare {
      members.append(.init(key, .number(share(turned, of: headSize))))
    } else if turned != headSize {
      throw keys.error(
        name("rope.dimension_count"),
        "\(turned) of \(headSize) numbers of a head are turned, which is not supported for \(gguf.architecture)")
    }
    return members
  }

  /// The share of a head that gives its turned numbers back when it is multiplied and cut off.
  private func share(_ turned: Int, of headSize: Int) -> Double {
    let share = Double(turned) / Double(max(1, headSize))
    return Int(exactly: (Double(headSize) * share).rounded(.towardZero)) == turned ? share : share.nextUp
  }
}
