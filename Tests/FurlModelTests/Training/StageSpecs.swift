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
    default: nil
    }
  }

  static let names = [
    "qwen3", "gemma2", "gemma3", "olmo2", "gpt_neox", "glm4_moe", "qwen2_moe", "qwen3_moe", "gpt_oss", "smollm3",
    "granite",
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
}
