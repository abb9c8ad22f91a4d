import FurlBase
import FurlSpec
import FurlTensor

/// What families with latent attention (DeepSeek-V2, 2024) share: keys of `config.json` and names of tensors.
struct LatentConfig {
  let decoder: DecoderConfig

  /// `head_dim` is the size of what is turned, whatever files say.
  static let keys = ConfigurationKeys(headSize: "qk_rope_head_dim")

  /// The latents' norms have one of their own, whatever `rms_norm_eps` says.
  private static let norm = NormSpec(.rmsNorm, epsilon: 1e-6)

  /// - Throws: ``FurlError`` of kind `input` naming the key.
  init(_ config: DocumentReader, context: Int) throws {
    decoder = try DecoderConfig(config, .init(context: context, headSize: 64), keys: LatentConfig.keys)
    // Each head has keys and values of its own.
    guard decoder.kvHeads == decoder.heads else {
      throw config.error("num_key_value_heads", "\(decoder.kvHeads) is not \(decoder.heads), one for each head")
    }
  }

  /// - Parameters:
  ///   - valueSize, plainSize, queryRank: where their keys are missing.
  func attention(plainSize: Int = 128, valueSize: Int = 128, queryRank: Int = 1536) throws -> LatentAttentionSpec {
    let reader = decoder.reader
    func size(_ key: String, assumed: Int) throws -> Int { try reader.integer(key, in: 1...(1 << 17)) ?? assumed }
    let queryKey = "q_lora_rank"
    var attention = LatentAttentionSpec(
      heads: decoder.heads, turnedSize: decoder.headSize,
      plainSize: try size("qk_nope_head_dim", assumed: plainSize),
      valueSize: try size("v_head_dim", assumed: valueSize),
      queryRank: try reader.integer(queryKey, in: 1...(1 << 17)) ?? (reader.keys.contains(queryKey) ? nil : queryRank),
      rank: try size("kv_lora_rank", assumed: 512), rotary: try decoder.rotary(), norm: LatentConfig.norm)
    let growth = try decoder.scoreGrowth()
    if growth != 1 { attention.scale = growth / Double(attention.querySize).squareRoot() }
    if try decoder.flag("attention_bias", assumed: false) {
      attention.biases = [.latent, .sharedKey, .attentionOutput]
      if attention.queryRank != nil { attention.biases.insert(.queryLatent) }
    }
    return attention
  }

  /// Experts with one that all rows go through.
  ///
  /// - Parameter shared: `n_shared_experts` where the key is missing.
  func experts(_ config: ExpertConfig, shared: Int, factor: Double, biases: Set<TensorRole> = []) throws -> ExpertsSpec
  {
    let reader = decoder.reader
    let size = try config.size("moe_intermediate_size")
    let count = try reader.integer("n_shared_experts", in: 1...4096) ?? shared
    guard size <= 1 << 20 else { throw reader.error("moe_intermediate_size", "\(size) is out of range") }
    return ExpertsSpec(
      count: config.count, active: config.active, expert: try config.mlp(size),
      shared: try config.mlp(count * size, biases: biases), normalizesWeights: false,
      weightFactor: try reader.number("routed_scaling_factor", in: -1e6...1e6) ?? factor)
  }

  /// The groups that experts are chosen in; nil: a row may choose from all.
  ///
  /// - Parameter best: scores that make up a group's.
  func groups(_ config: ExpertConfig, count: Int, active: Int, best: Int) throws -> ExpertsSpec.Groups? {
    let reader = decoder.reader
    let count = try reader.integer("n_group", in: 1...4096) ?? count
    let active = try reader.integer("topk_group", in: 1...4096) ?? active
    guard config.count % count == 0 else {
      throw reader.error("n_group", "\(config.count) experts are not \(count) equal groups")
    }
    guard active <= count else { throw reader.error("topk_group", "\(active) groups of \(count) cannot be chosen") }
    return active == count ? nil : ExpertsSpec.Groups(count: count, active: active, best: best)
  }

  /// The router of DeepSeek-V3: sigmoids, a bias for the choice, the two best of a group.
  func sigmoidExperts(groups: (count: Int, active: Int), active: Int, factor: Double) throws -> ExpertsSpec {
    let config = try ExpertConfig(decoder, active: active)
    var experts = try experts(config, shared: 1, factor: factor)
    experts.scoring = .sigmoid
    experts.normalizesWeights = try decoder.flag("norm_topk_prob", assumed: true)
    experts.routerHasChoiceBias = true
    experts.groups = try self.groups(config, count: groups.count, active: groups.active, best: 2)
    return experts
  }

  /// A model of such blocks.
  ///
  /// - Parameters:
  ///   - isSparse: which blocks have experts.
  ///   - epsilon: of norms of the residual stream where the key is missing.
  func model(
    _ architecture: String, _ attention: LatentAttentionSpec, _ experts: ExpertsSpec, isSparse: [Bool],
    epsilon: Double = 1e-6
  ) throws -> ModelSpec {
    let norm = NormSpec(.rmsNorm, epsilon: try decoder.epsilon("rms_norm_eps", assumed: epsilon))
    var neurons = experts.shared ?? experts.expert
    neurons.size = decoder.mlpSize
    return try decoder.model(architecture, norm: norm, before: norm) { [neurons] index in
      [.latentAttention(attention), isSparse[index] ? .experts(experts) : .feedForward(neurons)]
    }
  }

  // MARK: Names

  static let names = TensorNames(
    block: [
      "attention.query_latent": "self_attn.q_a_proj", "attention.query_latent_norm": "self_attn.q_a_layernorm",
      "attention.latent_norm": "self_attn.kv_a_layernorm", "mlp.router.choice": "mlp.gate.e_score_correction_bias",
      "mlp.shared.gate": "mlp.shared_experts.gate_proj", "mlp.shared.up": "mlp.shared_experts.up_proj",
      "mlp.shared.down": "mlp.shared_experts.down_proj",
    ], fusions: [.init(name: "self_attn.kv_a_proj_with_mqa", parts: ["attention.latent", "attention.shared_key"])],
    experts: .single(prefix: "mlp.experts", gate: "gate_proj", up: "up_proj", down: "down_proj"))

  /// Files hold what is turned behind the rest of a head, its halves taking turns, and keys and values of each head
  /// together.
  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation {
    var location = names.location(of: tensor, in: spec)
    guard let block = tensor.block, let attention = spec.blocks[block].latentAttention else { return location }
    switch tensor.nameInBlock {
    case "attention.query":
      if attention.queryRank != nil { location.name = "layers.\(block).self_attn.q_b_proj.weight" }
      location.rowOrder = queryOrder(attention)
    case "attention.shared_key", "attention.shared_key.bias":
      location.rowOrder = .interleavedHalves(headSize: attention.turnedSize)
    case "attention.key", "attention.value":
      join(
        &location, attention, isKey: tensor.nameInBlock == "attention.key",
        name: "layers.\(block).self_attn.kv_b_proj.weight")
    default: break
    }
    return location
  }

  /// MLX stores keys and values of each head as matrices by themselves, keys input x output, in models that it attends to
  /// latents with.
  static let otherNames = names.stacked(in: "mlp").map {
    $0.with(block: ["attention.key": "self_attn.embed_q", "attention.value": "self_attn.unembed_out"])
  }

  static func location(of tensor: TensorSpec, in spec: ModelSpec, called names: TensorNames) -> TensorLocation {
    var location = names.location(of: tensor, in: spec)
    guard let block = tensor.block, let attention = spec.blocks[block].latentAttention else { return location }
    switch tensor.nameInBlock {
    case "attention.key":
      location.storedShape = [attention.heads, attention.rank, attention.plainSize]
      location.headRows = attention.plainSize
    case "attention.value": location.storedShape = [attention.heads, attention.valueSize, attention.rank]
    default: break
    }
    return location
  }

  static func queryOrder(_ attention: LatentAttentionSpec) -> WeightSource.RowOrder {
    .interleavedHalves(headSize: attention.querySize, turned: attention.turnedSize, start: attention.plainSize)
  }

  /// Keys and values of each head together.
  static func join(_ location: inout TensorLocation, _ attention: LatentAttentionSpec, isKey: Bool, name: String) {
    let both = attention.plainSize + attention.valueSize
    location.name = name
    location.part = (isKey ? 0 : attention.plainSize, attention.heads * both)
    location.rowOrder = .stored.grouped(rows: isKey ? attention.plainSize : attention.valueSize, stride: both)
  }

  // MARK: GGUF

  /// What files of llama.cpp's `deepseek2` have in common.
  static let gguf = GGUFFamily("deepseek2", "").with {
    $0.isLatent = true
    $0.names = GGUFFamily.names(fusions: [GGUFFamily.fusedLatents])
    // Queries that are made from the stream, groups and factors are there or not.
    $0.fixed = [
      "hidden_act": "silu", "norm_topk_prob": false, "routed_scaling_factor": 1, "n_group": 1, "topk_group": 1,
    ]
    $0.keys =
      GGUFKey.experts("n_routed_experts") + [
        .expertSize("moe_intermediate_size"), .sharedCount, .weightFactor("routed_scaling_factor"),
      ]
  }

  /// The same of those whose experts are chosen by sigmoids.
  static let sigmoidGGUF = gguf.with {
    $0.gating = .sigmoid
    $0.keys += GGUFKey.groups + [.normalizesWeights("norm_topk_prob")]
  }

  /// Files may hold one layer behind the model's.
  static func layersBeyond(_ config: DocumentReader) throws -> Int {
    try config.integer("num_nextn_predict_layers", in: 0...64) ?? 1
  }
}
