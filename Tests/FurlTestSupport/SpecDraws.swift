import FurlBase
package import FurlSpec

/// Small models with anything that stages can say.
package struct SpecDraws {
  private var draws: SplitMix64
  private let activations = ModelSpec.Activation.allCases

  package init(seed: UInt64) { draws = SplitMix64(seed: seed) }

  package mutating func below(_ limit: Int) -> Int { Int(draws.next() % UInt64(limit)) }

  package mutating func coin() -> Bool { below(2) == 0 }

  private mutating func number(_ range: ClosedRange<Double>) -> Double {
    range.lowerBound + draws.unit() * (range.upperBound - range.lowerBound)
  }

  private mutating func one<Value>(of values: [Value]) -> Value { values[below(values.count)] }

  private mutating func some(_ roles: Set<TensorRole>) -> Set<TensorRole> {
    // In a fixed order: a set's own is another one in every run.
    Set(TensorRole.allCases.filter { roles.contains($0) && coin() })
  }

  /// - Parameter contextLength: of the model; windows and other contexts are about as long as a third of it.
  package mutating func spec(contextLength: Int = 64) -> ModelSpec {
    let isTied = coin()
    var spec = ModelSpec(
      architecture: "any", vocabularySize: 11 + below(40), hiddenSize: 8 + below(50), contextLength: contextLength,
      norm: norm(), tiedEmbeddings: isTied, blocks: [])
    spec.hasLearnedPositions = below(3) == 0
    spec.hasHeadBias = !isTied && coin()
    if below(3) == 0 { spec.logitSoftCap = number(0.5...5) }
    for _ in 0..<1 + below(3) {
      let last = spec.blocks.last
      spec.blocks.append(last != nil && coin() ? last! : block(context: contextLength / 3))
    }
    spec.patches = below(4) == 0 ? [below(spec.blocks.count + 1)] : []
    return spec
  }

  package mutating func norm() -> NormSpec {
    NormSpec(one(of: ModelSpec.Norm.allCases), epsilon: one(of: [1e-5, 1e-6, 0.001]), hasBias: coin())
  }

  /// Attention and an MLP in some arrangement, or one of them alone.
  package mutating func block(context: Int) -> BlockSpec {
    var parts = [
      PartSpec(.attention(attention(context: context))),
      PartSpec(coin() ? .feedForward(feedForward(size: 1 + below(60))) : .experts(experts())),
    ]
    for part in parts.indices {
      if coin() { parts[part].outputNorm = norm() }
      if below(3) == 0 { parts[part].factor = number(-1.5...1.5) }
    }
    if below(4) == 0 { parts.reverse() }
    switch below(8) {
    case 0: return BlockSpec([StageSpec(norm: norm(), parts: [parts[0]])])
    case 1, 2: return BlockSpec([StageSpec(norm: coin() ? norm() : nil, parts: parts)])
    case let kind:
      let isBeside = kind < 5
      return BlockSpec([
        StageSpec(norm: below(4) == 0 ? nil : norm(), parts: [parts[0]]),
        StageSpec(norm: below(4) == 0 ? nil : norm(), parts: [parts[1]], isBeside: isBeside),
      ])
    }
  }

  package mutating func attention(context: Int) -> AttentionSpec {
    let kvHeads = 1 + below(2)
    let size = 8 * (1 + below(2))
    var attention = AttentionSpec(
      heads: kvHeads * (1 + below(3)), kvHeads: kvHeads, headSize: size, window: coin() ? nil : 1 + below(context),
      rotary: below(4) == 0 ? nil : rotary(headSize: size, context: context),
      biases: some([.query, .key, .value, .attentionOutput]))
    if coin() { attention.scale = number(0.1...1) }
    if coin() { attention.softCap = number(0.3...3) }
    attention.hasSinks = coin()
    if coin() { attention.queryNorm = norm() }
    if coin() { attention.keyNorm = norm() }
    attention.headNorms = coin() ? .ofRow : .ofHead
    return attention
  }

  package mutating func rotary(headSize: Int, context: Int) -> ModelSpec.Rotary {
    let dimensions = coin() ? headSize : 2 * (1 + below(headSize / 2))
    let original = 1 + below(2 * context)
    let scaling: ModelSpec.Rotary.Scaling
    switch below(7) {
    case 0: scaling = .linear(factor: number(1...8))
    case 1:
      scaling = .llama3(
        factor: number(1...8), lowFrequencyFactor: 1, highFrequencyFactor: number(1.5...8), originalContext: original)
    case 2:
      scaling = .yarn(
        factor: number(1...8), slowTurns: number(0.1...1), fastTurns: number(1...32), originalContext: original,
        truncates: coin())
    case 3: scaling = .dynamic(factor: number(1...8), originalContext: original)
    case 4:
      scaling = .longRoPE(
        short: (0..<dimensions / 2).map { _ in number(1...2) }, long: (0..<dimensions / 2).map { _ in number(1...30) },
        originalContext: original)
    default: scaling = .none
    }
    return ModelSpec.Rotary(
      theta: one(of: [10_000, 1e6, 100]), dimensions: dimensions, scaling: scaling,
      attentionFactor: coin() ? 1 : number(0.5...1.5))
  }

  /// - Parameter isGated: nil: either.
  package mutating func feedForward(size: Int, isGated: Bool? = nil) -> FeedForwardSpec {
    let isGated = isGated ?? coin()
    var mlp = FeedForwardSpec(
      size: size, isGated: isGated, activation: one(of: activations),
      biases: some(isGated ? [.gate, .up, .down] : [.up, .down]))
    if isGated, below(3) == 0 { mlp.limit = number(0.1...1) }
    return mlp
  }

  package mutating func experts() -> ExpertsSpec {
    var experts = ExpertsSpec(
      count: 1 + below(9), active: 1, expert: feedForward(size: 1 + below(40)),
      shared: coin() ? feedForward(size: 1 + below(40)) : nil,
      scoring: one(of: ExpertsSpec.Scoring.allCases), normalizesWeights: coin(),
      weightFactor: coin() ? 1 : number(0.3...2.5))
    experts.gatesShared = experts.shared != nil && coin()
    experts.routerHasBias = coin()
    if experts.scoring == .sparseMixer {
      (experts.count, experts.active) = (3 + below(6), 2)
      experts.jitter = number(0...0.4)
      return experts
    }
    experts.active = 1 + below(experts.count)
    experts.routerHasChoiceBias = coin()
    if coin() {
      let (count, size) = (1 + below(4), 1 + below(3))
      let active = 1 + below(count)
      experts.count = count * size
      experts.groups = .init(count: count, active: active, best: 1 + below(size))
      experts.active = 1 + below(active * size)
    }
    return experts
  }
}
