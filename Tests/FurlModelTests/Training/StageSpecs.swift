import FurlSpec

/// The models of Tests/Fixtures/gradients/stages, as make_stage_gradients.py builds them.
enum StageSpecs {
  static let vocabulary = 20
  static let hidden = 12
  static let heads = 4
  static let kvHeads = 2
  static let headSize = 4
  static let neurons = 10

  private static let rms = NormSpec(.rmsNorm, epsilon: 1e-5)

  private static func model(
    _ blocks: [BlockSpec], norm: NormSpec = rms, isTied: Bool = false
  ) -> ModelSpec {
    ModelSpec(
      architecture: "test", vocabularySize: vocabulary, hiddenSize: hidden, contextLength: 128, norm: norm,
      tiedEmbeddings: isTied, blocks: blocks)
  }

  private static func rotary(_ theta: Double = 1e4, _ dimensions: Int = headSize) -> ModelSpec.Rotary {
    ModelSpec.Rotary(theta: theta, dimensions: dimensions)
  }

  private static func attention(_ rotary: ModelSpec.Rotary? = rotary()) -> AttentionSpec {
    AttentionSpec(heads: heads, kvHeads: kvHeads, headSize: headSize, rotary: rotary)
  }

  private static func mlp(_ activation: ModelSpec.Activation = .silu, size: Int = neurons) -> FeedForwardSpec {
    FeedForwardSpec(size: size, isGated: true, activation: activation)
  }

  /// Attention and then something else, each behind a norm.
  private static func block(_ attention: AttentionSpec, _ mixer: MixerSpec) -> BlockSpec {
    BlockSpec([
      StageSpec(norm: rms, parts: [PartSpec(.attention(attention))]), StageSpec(norm: rms, parts: [PartSpec(mixer)]),
    ])
  }

  static func named(_ name: String) -> ModelSpec? {
    switch name {
    case "qwen3": qwen3
    case "gemma2": gemma2
    case "gemma3": gemma3
    case "olmo2": olmo2
    case "gpt_neox": gptNeoX
    case "glm4_moe": glm4MoE
    case "qwen2_moe": qwen2MoE
    case "qwen3_moe": qwen3MoE
    case "gpt_oss": gptOSS
    case "smollm3": smolLM3
    case "granite": granite
    case "deepseek_v2": deepSeekV2
    case "deepseek_v3": deepSeekV3
    case "mpt": mpt
    case "stablelm": stableLM
    case "laguna": laguna(.ofHead)
    case "laguna_elements": laguna(.ofElement)
    case "phimoe": phiMoE
    case "mixed": mixed
    case "gemma4": gemma4
    case "gemma4_experts": gemma4Experts
    default: nil
    }
  }

  static let names = [
    "qwen3", "gemma2", "gemma3", "olmo2", "gpt_neox", "glm4_moe", "qwen2_moe", "qwen3_moe", "gpt_oss", "smollm3",
    "granite", "deepseek_v2", "deepseek_v3", "mpt", "stablelm", "laguna", "laguna_elements", "phimoe", "mixed",
    "gemma4", "gemma4_experts",
  ]

  private static var qwen3: ModelSpec {
    var rotary = rotary()
    rotary.scaling = .dynamic(factor: 4, originalContext: 12)
    var own = attention(rotary)
    (own.queryNorm, own.keyNorm) = (rms, rms)
    return model([block(own, .feedForward(mlp())), block(own, .feedForward(mlp()))])
  }

  /// Norms before and behind every part.
  private static func sandwich(_ attention: AttentionSpec) -> BlockSpec {
    BlockSpec(
      [MixerSpec.attention(attention), .feedForward(mlp(.geluTanh))].map {
        StageSpec(norm: rms, parts: [PartSpec($0, outputNorm: rms)])
      })
  }

  private static var gemma2: ModelSpec {
    var full = attention()
    full.scale = 1 / 2.0.squareRoot()
    full.softCap = 1.5
    var near = full
    near.window = 5
    var spec = model([sandwich(near), sandwich(full)], isTied: true)
    spec.logitSoftCap = 3
    return spec
  }

  private static var gemma3: ModelSpec {
    var far = rotary()
    far.scaling = .linear(factor: 4)
    var full = attention(far)
    full.scale = 0.5
    (full.queryNorm, full.keyNorm) = (rms, rms)
    var near = full
    near.rotary = rotary(100)
    near.window = 5
    return model([sandwich(near), sandwich(full)], isTied: true)
  }

  private static var olmo2: ModelSpec {
    var own = AttentionSpec(heads: 2, kvHeads: 1, headSize: 6, rotary: rotary(1e4, 6))
    (own.queryNorm, own.keyNorm, own.headNorms) = (rms, rms, .ofRow)
    let block = BlockSpec(
      [MixerSpec.attention(own), .feedForward(mlp())].map {
        StageSpec(norm: nil, parts: [PartSpec($0, outputNorm: rms)])
      })
    return model([block, block])
  }

  private static var gptNeoX: ModelSpec {
    let norm = NormSpec(.layerNorm, epsilon: 1e-5, hasBias: true)
    let own = AttentionSpec(
      heads: 3, kvHeads: 3, headSize: 4, rotary: rotary(1e4, 2), biases: [.query, .key, .value, .attentionOutput])
    let mlp = FeedForwardSpec(size: neurons, isGated: false, activation: .gelu, biases: [.up, .down])
    let block = BlockSpec([
      StageSpec(norm: norm, parts: [PartSpec(.attention(own))]),
      StageSpec(norm: norm, parts: [PartSpec(.feedForward(mlp))], isBeside: true),
    ])
    return model([block, block], norm: norm)
  }

  private static var glm4MoE: ModelSpec {
    let own = attention(rotary(1e4, 2))
    var experts = ExpertsSpec(
      count: 6, active: 2, expert: mlp(size: 5), shared: mlp(size: 10), scoring: .sigmoid, weightFactor: 2.5)
    experts.routerHasChoiceBias = true
    experts.groups = .init(count: 3, active: 2, best: 2)
    return model([block(own, .feedForward(mlp())), block(own, .experts(experts))])
  }

  private static var qwen2MoE: ModelSpec {
    var own = attention()
    own.biases = [.query, .key, .value]
    let experts = ExpertsSpec(
      count: 5, active: 2, expert: mlp(size: 5), shared: mlp(size: 7), gatesShared: true, normalizesWeights: false)
    return model([block(own, .experts(experts)), block(own, .experts(experts))])
  }

  private static var qwen3MoE: ModelSpec {
    var own = attention()
    (own.queryNorm, own.keyNorm) = (rms, rms)
    let experts = ExpertsSpec(count: 5, active: 3, expert: mlp(size: 5))
    return model([block(own, .experts(experts)), block(own, .experts(experts))])
  }

  private static var gptOSS: ModelSpec {
    var rotary = rotary()
    rotary.scaling = .yarn(factor: 8, slowTurns: 1, fastTurns: 4, originalContext: 16, truncates: false)
    // 0.1 ln 8 + 1
    rotary.attentionFactor = 1.2079441541679836
    var full = attention(rotary)
    full.hasSinks = true
    full.biases = [.query, .key, .value, .attentionOutput]
    var near = full
    near.window = 5
    var expert = mlp(.quickGelu, size: 5)
    expert.biases = [.gate, .up, .down]
    expert.limit = 0.7
    var experts = ExpertsSpec(count: 4, active: 2, expert: expert)
    experts.routerHasBias = true
    return model([block(near, .experts(experts)), block(full, .experts(experts))])
  }

  private static var smolLM3: ModelSpec {
    model([block(attention(), .feedForward(mlp())), block(attention(nil), .feedForward(mlp()))])
  }

  private static var granite: ModelSpec {
    var own = AttentionSpec(heads: 3, kvHeads: 1, headSize: 4, rotary: rotary())
    own.scale = 0.8
    let block = BlockSpec(
      [MixerSpec.attention(own), .feedForward(mlp())].map {
        StageSpec(norm: rms, parts: [PartSpec($0, factor: 0.4)])
      })
    return model([block, block])
  }

  /// Values wider than queries, which are made from the stage's input.
  private static var deepSeekV2: ModelSpec {
    let own = LatentAttentionSpec(
      heads: 3, turnedSize: 2, plainSize: 3, valueSize: 7, queryRank: nil, rank: 6, rotary: rotary(1e4, 2),
      norm: NormSpec(.rmsNorm, epsilon: 1e-6))
    var experts = ExpertsSpec(
      count: 6, active: 2, expert: mlp(size: 5), shared: mlp(size: 10), normalizesWeights: false, weightFactor: 1.5)
    experts.groups = .init(count: 3, active: 2, best: 1)
    return model(
      [MixerSpec.feedForward(mlp()), .experts(experts)].map { mixer in
        BlockSpec([
          StageSpec(norm: rms, parts: [PartSpec(.latentAttention(own))]),
          StageSpec(norm: rms, parts: [PartSpec(mixer)]),
        ])
      })
  }

  /// Queries from a short vector, values narrower than they are, scores that grow with the context, and biases.
  private static var deepSeekV3: ModelSpec {
    var rotary = rotary(100, 4)
    rotary.scaling = .yarn(factor: 4, slowTurns: 1, fastTurns: 4, originalContext: 12, truncates: true)
    // g(0.5) / g(1.2) of g(m) = 0.1 m ln 4 + 1; scores have g(1.2)^2.
    rotary.attentionFactor = 1.0693147180559945 / 1.166355323334387
    var own = LatentAttentionSpec(
      heads: 3, turnedSize: 4, plainSize: 3, valueSize: 5, queryRank: 8, rank: 6, rotary: rotary,
      norm: NormSpec(.rmsNorm, epsilon: 1e-6))
    own.scale = 1.166355323334387 * 1.166355323334387 / 7.0.squareRoot()
    own.biases = [.queryLatent, .latent, .sharedKey, .attentionOutput]
    var experts = ExpertsSpec(
      count: 6, active: 2, expert: mlp(size: 5), shared: mlp(size: 5), scoring: .sigmoid, weightFactor: 2.5)
    experts.routerHasChoiceBias = true
    experts.groups = .init(count: 3, active: 2, best: 2)
    return model(
      [MixerSpec.feedForward(mlp()), .experts(experts)].map { mixer in
        BlockSpec([
          StageSpec(norm: rms, parts: [PartSpec(.latentAttention(own))]),
          StageSpec(norm: rms, parts: [PartSpec(mixer)]),
        ])
      })
  }

  private static var mpt: ModelSpec {
    let norm = NormSpec(.layerNorm, epsilon: 1e-5)
    var own = AttentionSpec(heads: 3, kvHeads: 3, headSize: 4)
    own.slopeLimit = 8
    own.scale = 0.3
    let mlp = FeedForwardSpec(size: 4 * hidden, isGated: false, activation: .gelu)
    let block = BlockSpec(
      [MixerSpec.attention(own), .feedForward(mlp)].map { StageSpec(norm: norm, parts: [PartSpec($0)]) })
    return model([block, block], norm: norm, isTied: true)
  }

  private static var stableLM: ModelSpec {
    let norm = NormSpec(.layerNorm, epsilon: 1e-5, hasBias: true)
    var own = AttentionSpec(
      heads: 3, kvHeads: 3, headSize: 4, rotary: rotary(1e4, 2), biases: [.query, .key, .value])
    let headNorm = NormSpec(.layerNorm, epsilon: 1e-5)
    (own.queryNorm, own.keyNorm, own.headNorms) = (headNorm, headNorm, .ofEachHead)
    let parts = [PartSpec(.attention(own)), PartSpec(.feedForward(mlp()))]
    let block = BlockSpec([StageSpec(norm: norm, parts: parts)])
    return model([block, block], norm: norm)
  }

  /// As many heads as each block says; with a gate for each output the router's outputs are capped, too.
  private static func laguna(_ gate: AttentionSpec.OutputGate) -> ModelSpec {
    func own(_ heads: Int, _ window: Int?, _ rotary: ModelSpec.Rotary) -> AttentionSpec {
      var own = AttentionSpec(heads: heads, kvHeads: kvHeads, headSize: headSize, window: window, rotary: rotary)
      (own.queryNorm, own.keyNorm, own.outputGate) = (rms, rms, gate)
      if gate == .ofElement { own.biases = [.query, .key, .value, .attentionOutput] }
      return own
    }
    var experts = ExpertsSpec(
      count: 5, active: 2, expert: mlp(size: 5), shared: mlp(size: 7), scoring: .sigmoid, weightFactor: 1.7)
    experts.routerHasChoiceBias = true
    if gate == .ofElement { experts.routerSoftCap = 0.8 }
    return model([
      block(own(4, nil, rotary(1e4, 2)), .feedForward(mlp())),
      block(own(gate == .ofHead ? 2 : 4, 6, rotary(100)), .experts(experts)),
    ])
  }

  private static var phiMoE: ModelSpec {
    let norm = NormSpec(.layerNorm, epsilon: 1e-5, hasBias: true)
    var own = attention()
    own.biases = [.query, .key, .value, .attentionOutput]
    var experts = ExpertsSpec(
      count: 5, active: 2, expert: mlp(size: 5), scoring: .sparseMixer, normalizesWeights: false)
    experts.jitter = 0.4
    let block = BlockSpec(
      [MixerSpec.attention(own), .experts(experts)].map { StageSpec(norm: norm, parts: [PartSpec($0)]) })
    var spec = model([block, block], norm: norm)
    spec.hasHeadBias = true
    return spec
  }

  /// Blocks 3 and 4 take the keys and values of 1 and 2.
  private static var gemma4: ModelSpec {
    let size = 6
    var far = rotary(1e4, 8)
    far.scaling = .proportional(factor: 1, turning: 2)
    func own(isFull: Bool, takes: Bool) -> AttentionSpec {
      var own = AttentionSpec(
        heads: heads, kvHeads: kvHeads, headSize: isFull ? 8 : headSize, window: isFull ? nil : 5,
        rotary: isFull ? far : rotary(100))
      (own.scale, own.queryNorm) = (1, rms)
      own.keySource = takes ? .earlier : isFull ? .keysAlone : .own
      if !takes { (own.keyNorm, own.valueNorm) = (rms, rms.epsilon) }
      return own
    }
    let input = TokenInputSpec(size: size, activation: .geluTanh, norm: rms)
    let blocks = [(false, false), (false, false), (true, false), (false, true), (true, true)].map { isFull, takes in
      var block = sandwich(own(isFull: isFull, takes: takes))
      if takes { block.feedForward?.size = 2 * neurons }
      block.stages.append(StageSpec(norm: nil, parts: [PartSpec(.tokenInput(input), outputNorm: rms)]))
      block.isScaled = true
      return block
    }
    var spec = model(blocks, isTied: true)
    spec.logitSoftCap = 3
    return spec
  }

  /// Router and experts that read the stream through norms of their own, beside an MLP.
  private static var gemma4Experts: ModelSpec {
    var far = rotary(1e4, headSize)
    far.scaling = .proportional(factor: 1, turning: 1)
    var experts = ExpertsSpec(
      count: 5, active: 2, expert: mlp(.geluTanh, size: 5), shared: mlp(.geluTanh))
    (experts.ownNorms, experts.hasExpertFactors) = (rms, true)
    let blocks = [rotary(100), far].enumerated().map { index, rotary in
      var own = attention(rotary)
      (own.scale, own.window) = (1, index == 0 ? 5 : nil)
      (own.queryNorm, own.keyNorm, own.valueNorm) = (rms, rms, rms.epsilon)
      var block = BlockSpec(
        [MixerSpec.attention(own), .experts(experts)].map {
          StageSpec(norm: rms, parts: [PartSpec($0, outputNorm: rms)])
        })
      block.isScaled = true
      return block
    }
    var spec = model(blocks, isTied: true)
    spec.logitSoftCap = 3
    return spec
  }

  /// What no family has together: soft caps of scores, router and logits, sinks, slopes, windows, norms before and behind
  /// parts, norms and a gate of each head, experts beside attention.
  private static var mixed: ModelSpec {
    var own = attention()
    (own.softCap, own.hasSinks, own.window, own.slopeLimit) = (1.5, true, 7, 4)
    (own.queryNorm, own.keyNorm, own.headNorms) = (rms, NormSpec(.layerNorm, epsilon: 1e-5, hasBias: true), .ofEachHead)
    own.outputGate = .ofHead
    own.queryGrowth = .init(rate: 0.3, context: 8)
    own.biases = [.attentionGate]
    var experts = ExpertsSpec(
      count: 5, active: 2, expert: mlp(.geluTanh, size: 5), shared: mlp(.geluTanh, size: 7), gatesShared: true,
      weightFactor: 1.3)
    (experts.routerSoftCap, experts.routerHasBias) = (0.8, true)
    let block = BlockSpec([
      StageSpec(norm: rms, parts: [PartSpec(.attention(own), outputNorm: rms, factor: 0.7)]),
      StageSpec(norm: rms, parts: [PartSpec(.experts(experts), outputNorm: rms)], isBeside: true),
    ])
    var spec = model([block, block], isTied: true)
    spec.logitSoftCap = 3
    return spec
  }
}
