import FurlBase
import FurlSpec

extension GGUFArchitecture {
  /// What a file says about the model, without its tokenizer.
  func metadata(name modelName: String, fileType: UInt32) -> [GGUFEntry] {
    var entries: [GGUFEntry] = [
      .init("general.architecture", .text(name)), .init("general.type", .text("model")),
      .init("general.name", .text(modelName)),
    ]
    entries += description
    if case .none = gguf.windows, let window = spec.blocks.compactMap(\.attention?.window).min() {
      entries.append(integer("attention.sliding_window", window))
    }
    entries += [
      integer("vocab_size", spec.vocabularySize),
      .init("general.file_type", .uint32(fileType)), .init("general.quantization_version", .uint32(2)),
    ]
    return entries
  }

  /// The keys that Furl reads as well.
  var description: [GGUFEntry] {
    guard let block = spec.blocks.first else { return [] }
    var entries = [
      integer("block_count", spec.blocks.count), integer("context_length", spec.contextLength),
      integer("embedding_length", spec.hiddenSize),
      gguf.differsByWindow
        ? integers("feed_forward_length", spec.blocks.map(\.neurons)) : integer("feed_forward_length", neurons(block)),
    ]
    entries +=
      block.attention.map(gguf.differsByWindow ? headsByWindow : heads) ?? block.latentAttention.map(latentHeads) ?? []
    entries.append(real(gguf.epsilon, spec.norm.epsilon))
    if gguf.denseBlocks != nil {
      entries.append(integer("leading_dense_block_count", spec.blocks.prefix { $0.experts == nil }.count))
    }
    entries += gguf.numbers.map { real($0.key, $0.value) }
    if gguf.turnsNothing { entries.append(.init("\(name).rope.scaling.finetuned", .bool(false))) }
    if let gating = gguf.gating { entries.append(integer("expert_gating_func", gating.rawValue)) }
    entries += windows + rotary
    for key in gguf.keys {
      guard let value = key.value(spec, config) else { continue }
      switch value {
      case .integer(let number): entries.append(integer(key.name, number))
      case .number(let number): entries.append(real(key.name, number))
      case .flag(let flag): entries.append(.init("\(name).\(key.name)", .bool(flag)))
      case .word(let text): entries.append(.init("\(name).\(key.name)", .text(text)))
      }
    }
    return entries
  }

  private func heads(_ attention: AttentionSpec) -> [GGUFEntry] {
    let list = spec.blocks.map { Int32(clamping: $0.attention?.heads ?? 0) }
    var entries = [
      gguf.headsByBlock == nil
        ? integer("attention.head_count", attention.heads) : .init("\(name).attention.head_count", .int32s(list)),
      integer("attention.head_count_kv", attention.kvHeads),
    ]
    if attention.queries != spec.hiddenSize || gguf.headsByBlock != nil {
      entries.append(integer("attention.key_length", attention.headSize))
      entries.append(integer("attention.value_length", attention.headSize))
    }
    return entries
  }

  func integer(_ key: String, _ value: Int) -> GGUFEntry {
    .init("\(name).\(key)", .uint32(UInt32(clamping: value)))
  }

  /// One number where all blocks have the same, as llama.cpp's converter writes it.
  func integers(_ key: String, _ values: [Int]) -> GGUFEntry {
    if let first = values.first, values.allSatisfy({ $0 == first }) { return integer(key, first) }
    return .init("\(name).\(key)", .int32s(values.map { Int32(clamping: $0) }))
  }

  func real(_ key: String, _ value: Double) -> GGUFEntry { .init("\(name).\(key)", .float32(Float(value))) }

  /// Neurons of an MLP; where all blocks have experts, those that `config.json` still says, or those of an expert.
  private func neurons(_ block: BlockSpec) -> Int {
    if let mlp = spec.blocks.lazy.compactMap(\.feedForward).first { return mlp.size }
    let size = block.experts?.expert.size ?? 0
    guard gguf.keys.contains(where: { $0.name == "expert_feed_forward_length" }) else { return size }
    return config[family.configurationKeys.mlp]?.integer ?? size
  }

  private var windows: [GGUFEntry] {
    let windows = spec.blocks.map { $0.attention?.window }
    let window = windows.lazy.compactMap({ $0 }).first
    switch gguf.windows {
    case .none: return []
    case .leftOut(let writesZero):
      guard let size = window ?? (writesZero ? 0 : nil) else { return [] }
      return [integer("attention.sliding_window", size)]
    case .pattern(_, let assumed, _):
      if window == nil, assumed == nil { return [] }
      var entries = [integer("attention.sliding_window", window ?? spec.contextLength)]
      let isUsual = windows.indices.allSatisfy { (windows[$0] != nil) == gguf.windows.slides($0) }
      // llama.cpp assumes no list where the sizes of heads depend on it.
      if !isUsual || gguf.differsByWindow {
        entries.append(.init("\(name).attention.sliding_window_pattern", .bools(windows.map { $0 != nil })))
      }
      return entries
    }
  }

  private var rotary: [GGUFEntry] {
    let turned = spec.blocks.compactMap { block in
      block.rotary.map { (block.attention?.window, $0) }
    }
    guard let full = turned.first(where: { $0.0 == nil }) ?? turned.first else { return [] }
    let rotary = full.1
    var entries = [integer("rope.dimension_count", rotary.dimensions), real("rope.freq_base", rotary.theta)]
    if case .own = gguf.slidingBase, let sliding = turned.first(where: { $0.0 != nil }) {
      entries.append(real("rope.freq_base_swa", sliding.1.theta))
      if gguf.turnsSharesByKind || gguf.differsByWindow {
        entries.append(integer("rope.dimension_count_swa", sliding.1.dimensions))
      }
    }
    func kind(_ word: String) -> GGUFEntry { .init("\(name).rope.scaling.type", .text(word)) }
    switch rotary.scaling {
    case .none, .llama3, .dynamic, .proportional: break
    case .linear(let factor): entries += [kind("linear"), real("rope.scaling.factor", factor)]
    case .yarn(let factor, let slow, let fast, let original, _):
      entries += [
        kind("yarn"), real("rope.scaling.factor", factor), integer("rope.scaling.original_context_length", original),
      ]
      if fast != 32 { entries.append(real("rope.scaling.yarn_beta_fast", fast)) }
      if slow != 1 { entries.append(real("rope.scaling.yarn_beta_slow", slow)) }
      if let latent = spec.blocks[0].latentAttention { return entries + latentYaRN(latent, factor: factor) }
      // llama.cpp multiplies with the usual factor in any case.
      let share = rotary.attentionFactor / GGUFRotary.growth(factor)
      if abs(share - 1) > 1e-6 { entries.append(real("rope.scaling.attn_factor", share)) }
    case .longRoPE(_, _, let original):
      entries += [
        kind("longrope"), integer("rope.scaling.original_context_length", original),
        real("rope.scaling.attn_factor", rotary.attentionFactor),
      ]
    }
    return entries
  }
}
