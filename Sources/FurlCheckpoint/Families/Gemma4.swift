import FurlBase
import FurlSpec
import FurlTensor

/// Gemma 4 (Google DeepMind 2026, https://ai.google.dev/gemma/docs/core/model_card_4), its text part: Gemma 3 with plain
/// norms, normed values, heads of another size in blocks that see everything, blocks at the end that take keys and values
/// from earlier ones, and what every block takes from the tokens themselves.
enum Gemma4: Architecture {
  static let modelType = "gemma4_text"
  static let models = "Gemma 4 E2B, E4B, 26B-A4B, 31B (text)"
  static let configurationKeys = ConfigurationKeys(
    tableRows: "vocab_size_per_layer_input", hasLayerTypes: true)
  static let names = TensorNames(
    block: Gemma2.names.block.merging([
      "input.gate": "per_layer_input_gate", "input.output": "per_layer_projection",
      "input.output_norm": "post_per_layer_input_norm",
      // Beside experts the MLP is the one that all rows go through.
      "mlp.shared.gate": "mlp.gate_proj", "mlp.shared.up": "mlp.up_proj", "mlp.shared.down": "mlp.down_proj",
      "mlp.router": "router.proj", "mlp.router_norm": "router.scale", "mlp.router.factors": "router.per_expert_scale",
      "mlp.expert_norm": "pre_feedforward_layernorm_2", "mlp.expert_output_norm": "post_feedforward_layernorm_2",
      "mlp.shared_output_norm": "post_feedforward_layernorm_1",
    ]) { $1 }, experts: .fused(gateUp: "experts.gate_up_proj", down: "experts.down_proj"))
  static let otherNames = [names.with(experts: .mlx("experts.switch_glu"))]

  static let gguf: GGUFFamily? = GGUFFamily("gemma4", "Gemma4ForCausalLM").with {
    $0.names = GGUFFamily.names(block: [
      "input.gate": "inp_gate", "input.output": "proj", "input.output_norm": "post_norm", "scale": "layer_output_scale",
      "mlp.shared.gate": "ffn_gate", "mlp.shared.up": "ffn_up", "mlp.shared.down": "ffn_down",
      "mlp.expert_norm": "pre_ffw_norm_2", "mlp.expert_output_norm": "post_ffw_norm_2",
      "mlp.shared_output_norm": "post_ffw_norm_1",
    ])
    $0.places = { tensor, spec, location in
      switch tensor.nameInBlock {
      case "mlp.router_norm": location.name = "blk.\(tensor.block ?? 0).ffn_gate_inp.scale"
      case "mlp.router.factors": location.name = "blk.\(tensor.block ?? 0).ffn_down_exps.scale"
      default:
        spread(
          tensor, spec, &location, table: "per_layer_token_embd.weight", context: "per_layer_model_proj.weight",
          norm: "per_layer_proj_norm.weight")
      }
    }
    $0.fixed = [
      "hidden_activation": "gelu_pytorch_tanh", "hidden_size_per_layer_input": 0, "final_logit_softcapping": 30,
    ]
    $0.switches = ["enable_moe_block": ["ffn_gate_inp.weight"]]
    $0.keys =
      GGUFKey.experts("num_experts", active: "top_k_experts") + [.expertSize("moe_intermediate_size"), .statedLogitCap]
      + [
        GGUFKey("embedding_length_per_layer_input", "hidden_size_per_layer_input", .integer) { spec, _ in
          .integer(spec.blocks.first.flatMap(tokenInput)?.size ?? 0)
        }
      ]
    $0.windows = .pattern(every: 6)
    $0.slidingBase = .own(assumed: 10_000)
    ($0.differsByWindow, $0.turnsByFactors) = (true, true)
    $0.scale = 1
    $0.hasHeadSize = true
  }

  private static let (full, sliding) = ("full_attention", "sliding_attention")

  // MARK: The configuration

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    try refuse(config)
    let decoder = try DecoderConfig(
      config, .init(context: 131_072, kvHeads: 4, headSize: 256, keepsWindows: true, keepsSizes: true))
    guard let window = try decoder.slidingWindow(assumed: 512) else {
      throw config.error("sliding_window", "a number is expected")
    }
    let kinds = try kinds(decoder)
    let sizes = try sizes(decoder, kinds)
    let shared = try sharedLayers(decoder, kinds)
    let norm = NormSpec(.rmsNorm, epsilon: try decoder.epsilon("rms_norm_eps", assumed: 1e-6))
    let rotaries = try Dictionary(
      uniqueKeysWithValues: Set(kinds).map { ($0, try rotary(decoder, $0, headSize: sizes[$0]?.headSize ?? 0)) })
    let hasBiases = try decoder.flag("attention_bias", assumed: false)
    let valuesAreKeys = try decoder.flag("attention_k_eq_v", assumed: false)
    let widens = try decoder.flag("use_double_wide_mlp", assumed: false)
    let activation = try config.activation("hidden_activation", assumed: .geluTanh)
    let input = try inputSize(decoder).map { TokenInputSpec(size: $0, activation: activation, norm: norm) }
    let experts = try experts(decoder, activation, norm)
    func attention(_ index: Int) -> AttentionSpec {
      let kind = kinds[index]
      var attention = decoder.attention(window: kind == sliding ? window : nil, rotary: rotaries[kind])
      if let size = sizes[kind] { (attention.headSize, attention.kvHeads) = (size.headSize, size.kvHeads) }
      attention.scale = 1
      attention.queryNorm = norm
      attention.keySource = shared.contains(index) ? .earlier : valuesAreKeys && kind == full ? .keysAlone : .own
      if attention.keySource != .earlier { (attention.keyNorm, attention.valueNorm) = (norm, norm.epsilon) }
      if hasBiases { attention.biases = Set(attention.inputRoles + [.attentionOutput]) }
      return attention
    }
    var spec = try decoder.model(modelType, norm: norm, before: norm, behind: norm, assumesTied: true) { index in
      let size = decoder.mlpSize.multipliedReportingOverflow(by: widens && shared.contains(index) ? 2 : 1)
      let mlp = FeedForwardSpec(
        size: size.overflow ? decoder.mlpSize : size.partialValue, isGated: true, activation: activation)
      guard var experts else { return [.attention(attention(index)), .feedForward(mlp)] }
      experts.shared = mlp
      return [.attention(attention(index)), .experts(experts)]
    }
    for index in spec.blocks.indices {
      spec.blocks[index].isScaled = true
      guard let input else { continue }
      spec.blocks[index].stages.append(StageSpec(norm: nil, parts: [PartSpec(.tokenInput(input), outputNorm: norm)]))
    }
    spec.logitSoftCap = try config.number("final_logit_softcapping", in: 1e-6...1e6)
    return spec
  }

  /// What is not computed.
  private static func refuse(_ config: DocumentReader) throws {
    // Of text alone tokens of images are none, so that "vision" changes nothing.
    let key = "use_bidirectional_attention"
    guard config.optional(key) == nil || config.optional(key) == "vision" else {
      throw config.error(
        key, "anything but null and \"vision\" lets tokens see those behind them, which is not supported")
    }
    if config.optional("rope_scaling") != nil {
      throw config.error("rope_scaling", "is not where this family says how heads are turned")
    }
  }

  /// The kind of each layer; the last one always sees everything, whatever files say.
  private static func kinds(_ decoder: DecoderConfig) throws -> [String] {
    var kinds = try decoder.layerTypes([full, sliding]) { ($0 + 1) % 6 == 0 ? full : sliding }
    if !kinds.isEmpty { kinds[kinds.count - 1] = full }
    return kinds
  }

  private struct Gemma4Sizes: Equatable {
    var headSize: Int
    var kvHeads: Int
  }

  /// The sizes of heads of each kind of layer: `per_layer_config` says what single layers have, older files what those have
  /// that see everything.
  private static func sizes(_ decoder: DecoderConfig, _ kinds: [String]) throws -> [String: Gemma4Sizes] {
    let config = decoder.reader
    var sizes = kinds.map { _ in Gemma4Sizes(headSize: decoder.headSize, kvHeads: decoder.kvHeads) }
    let key = "per_layer_config"
    if config.keys.contains(key) {
      if let layers = try config.reader(key) {
        for name in layers.keys {
          guard let index = Int(name), kinds.indices.contains(index), let own = try layers.reader(name) else {
            throw layers.error(name, "is not one of \(kinds.count) layers")
          }
          for other in own.keys where !["head_dim", "num_key_value_heads"].contains(other) {
            throw own.error(other, "of a single layer is not supported")
          }
          if own.keys.contains("head_dim") { sizes[index].headSize = try own.size("head_dim") }
          if own.keys.contains("num_key_value_heads") { sizes[index].kvHeads = try own.size("num_key_value_heads") }
        }
      }
    } else {
      let size = config.keys.contains("global_head_dim") ? try config.size("global_head_dim") : 512
      let valuesAreKeys = try decoder.flag("attention_k_eq_v", assumed: false)
      let kvHeads = try config.integer("num_global_key_value_heads", in: 1...Int.max)
      for index in kinds.indices where kinds[index] == full {
        sizes[index].headSize = size
        // Without values of their own alone these have as many heads as that key says.
        if valuesAreKeys, let kvHeads { sizes[index].kvHeads = kvHeads }
      }
    }
    var result: [String: Gemma4Sizes] = [:]
    for (kind, own) in zip(kinds, sizes) {
      guard result[kind] == nil || result[kind] == own else {
        throw config.error(key, "gives layers of one kind (\(kind)) heads of different sizes, which is not supported")
      }
      result[kind] = own
    }
    return result
  }

  /// The layers that take keys and values of earlier ones.
  private static func sharedLayers(_ decoder: DecoderConfig, _ kinds: [String]) throws -> Range<Int> {
    let key = "num_kv_shared_layers"
    let count = try decoder.reader.integer(key, in: 0...Int.max) ?? 0
    let first = kinds.count - min(count, kinds.count)
    guard count == 0 || Set(kinds[..<first]) == Set(kinds) else {
      throw decoder.reader.error(key, "\(count) leaves no layer of each kind that makes keys and values")
    }
    return first..<kinds.count
  }

  /// Experts, without the MLP that all rows go through; nil: there are none.
  private static func experts(
    _ decoder: DecoderConfig, _ activation: ModelSpec.Activation, _ norm: NormSpec
  ) throws -> ExpertsSpec? {
    let config = decoder.reader
    guard try decoder.flag("enable_moe_block", assumed: false) else { return nil }
    func size(_ key: String) throws -> Int { try config.needed(key) { try config.integer($0, in: 1...(1 << 20)) } }
    let (count, active) = (try size("num_experts"), try size("top_k_experts"))
    guard active <= count else {
      throw config.error("top_k_experts", "\(active) experts of \(count) cannot be chosen")
    }
    let expert = FeedForwardSpec(size: try size("moe_intermediate_size"), isGated: true, activation: activation)
    var experts = ExpertsSpec(count: count, active: active, expert: expert)
    (experts.ownNorms, experts.hasExpertFactors) = (norm, true)
    return experts
  }

  /// What each block takes from tokens; nil: nothing.
  private static func inputSize(_ decoder: DecoderConfig) throws -> Int? {
    let config = decoder.reader
    let (key, rows) = ("hidden_size_per_layer_input", "vocab_size_per_layer_input")
    guard !config.keys.contains(key) || config.optional(key) != nil else {
      throw config.error(key, "a number is expected")
    }
    let size = try config.integer(key, in: 0...(1 << 17)) ?? 256
    guard size > 0 else { return nil }
    let count = try config.integer(rows, in: 0...Int.max) ?? 262_144
    guard count == decoder.vocabularySize else {
      throw config.error(rows, "\(count) is not the \(decoder.vocabularySize) of vocab_size, which is not supported")
    }
    return size
  }

  private static func rotary(_ decoder: DecoderConfig, _ kind: String, headSize: Int) throws -> ModelSpec.Rotary {
    guard let all = try decoder.reader.reader("rope_parameters") else {
      var rotary = ModelSpec.Rotary(theta: kind == full ? 1e6 : 10_000, dimensions: headSize)
      if kind == full { rotary.scaling = .proportional(factor: 1, turning: headSize / 8) }
      return rotary
    }
    guard let own = try all.reader(kind) else { throw all.error(kind, "is missing") }
    let theta = try own.needed("rope_theta") { try own.number($0, in: 1...1e12) }
    var rotary = ModelSpec.Rotary(theta: theta, dimensions: headSize)
    let share = try own.number("partial_rotary_factor", in: 0...1) ?? 1
    switch try own.string("rope_type") {
    case "default": break
    case "proportional":
      rotary.scaling = .proportional(
        factor: try own.number("factor", in: 1e-3...1e6) ?? 1, turning: Int(share * Double(headSize) / 2))
    case "dynamic": throw own.error("rope_type", "\"dynamic\" for one kind of layer is not supported yet")
    default:
      guard share == 1 else { throw own.error("partial_rotary_factor", "\(share) is not supported yet") }
      let scaling = try RotaryScaling(own, decoder.reader, contextLength: decoder.statedContext)
      try scaling.refuseLongRoPE()
      try scaling.apply(to: &rotary)
    }
    return rotary
  }

  // MARK: Tensors

  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation {
    var location = names.location(of: tensor, in: spec)
    guard let block = tensor.block else { return location }
    // This is no layer of its own in transformers.
    if tensor.nameInBlock == "mlp.router_norm" {
      location.name = String(location.name.dropLast(".weight".count))
    }
    if tensor.nameInBlock == "scale" { return TensorLocation(name: "layers.\(block).layer_scalar") }
    spread(
      tensor, spec, &location, table: "embed_tokens_per_layer.weight", context: "per_layer_model_projection.weight",
      norm: "per_layer_projection_norm.weight")
    return location
  }

  /// What blocks take from tokens lies beside each other, that of all of them.
  private static func spread(
    _ tensor: TensorSpec, _ spec: ModelSpec, _ location: inout TensorLocation, table: String, context: String,
    norm: String
  ) {
    func part(_ size: Int) -> (start: Int, total: Int) { ((tensor.block ?? 0) * size, spec.blocks.count * size) }
    switch tensor.nameInBlock {
    case "input.table": location = TensorLocation(name: table, columns: part(tensor.shape[1]))
    case "input.context": location = TensorLocation(name: context, part: part(tensor.shape[0]))
    case "input.context_norm": location = TensorLocation(name: norm, isShared: true)
    default: break
    }
  }

  private static func tokenInput(_ block: BlockSpec) -> TokenInputSpec? {
    guard case .tokenInput(let input) = block.stages.last?.parts.last?.mixer else { return nil }
    return input
  }

  static func folds(_ config: DocumentReader, _ spec: ModelSpec) throws -> Folds {
    let width = Double(spec.hiddenSize)
    var folds: Folds = ["embedding": .init(factor: Float(width.squareRoot()))]
    // The head is the embedding, with its factor.
    if spec.tiedEmbeddings { folds["norm"] = .init(factor: Float(1 / width.squareRoot())) }
    // What comes of the embedding and of the table is added, and halved in its square.
    folds["input.context"] = .init(factor: Float(1 / width.squareRoot()))
    folds["input.context_norm"] = .init(factor: Float(0.5.squareRoot()))
    folds["mlp.router_norm"] = .init(factor: Float(1 / width.squareRoot()))
    if let input = spec.blocks.first.flatMap(tokenInput) {
      folds["input.table"] = .init(factor: Float((Double(input.size) / 2).squareRoot()))
    }
    return folds
  }

  /// Published files have keys and values of layers that take those of others.
  static func isUnused(_ name: String, in spec: ModelSpec) -> Bool {
    let words = name.split(separator: ".")
    guard words.count >= 4, words[0] == "layers", let index = Int(words[1]), spec.blocks.indices.contains(index),
      words[2] == "self_attn", spec.blocks[index].takesKeys
    else { return false }
    return ["k_proj", "v_proj", "k_norm", "v_norm"].contains(words[3])
  }

  // MARK: Exports

  static func keys(of spec: ModelSpec, before: ModelSpec) -> [JSON.Member] {
    guard spec.blocks.count != before.blocks.count || spec.vocabularySize != before.vocabularySize else { return [] }
    var members: [JSON.Member] = [
      .init("num_kv_shared_layers", .integer(spec.blocks.count(where: \.takesKeys))),
      .init("vocab_size_per_layer_input", .integer(spec.vocabularySize)),
    ]
    // What stands beside those keys is of layers that see a window.
    let usual = before.blocks.compactMap(\.attention).first { $0.window != nil }
    let layers = spec.blocks.enumerated().compactMap { index, block -> JSON.Member? in
      guard let attention = block.attention, let usual,
        attention.headSize != usual.headSize || attention.kvHeads != usual.kvHeads
      else { return nil }
      return .init(
        "\(index)", ["head_dim": .integer(attention.headSize), "num_key_value_heads": .integer(attention.kvHeads)])
    }
    if usual != nil { members.append(.init("per_layer_config", .object(layers))) }
    return members
  }
}
