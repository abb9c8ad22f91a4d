import FurlBase

/// A model whose blocks differ in their widths only: what files of the first version of the format say.
///
/// A model that can be said this way is said this way, so that artifacts keep their bytes and ids.
package struct UniformDecoder: Sendable, Hashable {
  /// How a block's parts are joined.
  package enum Residual: String, Sendable, Hashable, CaseIterable {
    /// Attention after its norm, added; then the MLP after its own norm, added.
    case sequential
    /// Attention and MLP both after the block's one norm, both added.
    case parallel
  }

  /// How a model knows where a token stands.
  package enum Positions: Sendable, Hashable {
    /// A row for each position, added to the embedding.
    case learned
    /// Queries and keys are turned by angles that grow with the position.
    case rotary(ModelSpec.Rotary)
  }

  package enum MLP: String, Sendable, Hashable, CaseIterable {
    /// down(activation(up(x))).
    case plain
    /// down(activation(gate(x)) * up(x)) (Shazeer 2020).
    case gated
  }

  /// The widths of one block.
  package struct DecoderWidths: Sendable, Hashable {
    package var heads: Int
    package var kvHeads: Int
    package var headSize: Int
    package var mlpSize: Int
    /// Positions that a query sees at most, its own included; nil: all.
    package var window: Int?

    package init(heads: Int, kvHeads: Int, headSize: Int, mlpSize: Int, window: Int? = nil) {
      self.heads = heads
      self.kvHeads = kvHeads
      self.headSize = headSize
      self.mlpSize = mlpSize
      self.window = window
    }
  }

  package var norm: ModelSpec.Norm
  package var normEpsilon: Double
  package var residual: Residual
  package var positions: Positions
  package var mlp: MLP
  package var activation: ModelSpec.Activation
  /// Roles whose tensors come with a bias; `head` only with a head of its own.
  package var biases: Set<TensorRole>
  package var blocks: [DecoderWidths]

  package init(
    norm: ModelSpec.Norm, normEpsilon: Double, residual: Residual, positions: Positions, mlp: MLP,
    activation: ModelSpec.Activation, biases: Set<TensorRole>, blocks: [DecoderWidths]
  ) {
    self.norm = norm
    self.normEpsilon = normEpsilon
    self.residual = residual
    self.positions = positions
    self.mlp = mlp
    self.activation = activation
    self.biases = biases
    self.blocks = blocks
  }

  private var normSpec: NormSpec { NormSpec(norm, epsilon: normEpsilon, hasBias: biases.contains(.norm)) }

  /// A block of these widths.
  private func block(_ widths: DecoderWidths) -> BlockSpec {
    var attention = AttentionSpec(
      heads: widths.heads, kvHeads: widths.kvHeads, headSize: widths.headSize, window: widths.window,
      biases: biases.intersection([.query, .key, .value, .attentionOutput]))
    if case .rotary(let rotary) = positions { attention.rotary = rotary }
    let neurons = FeedForwardSpec(
      size: widths.mlpSize, isGated: mlp == .gated, activation: activation,
      biases: biases.intersection(mlp == .gated ? [.gate, .up, .down] : [.up, .down]))
    let parts = [PartSpec(.attention(attention)), PartSpec(.feedForward(neurons))]
    return switch residual {
    case .parallel: BlockSpec([StageSpec(norm: normSpec, parts: parts)])
    case .sequential: BlockSpec(parts.map { StageSpec(norm: normSpec, parts: [$0]) })
    }
  }

  /// A model's description in this form; nil where it cannot be said so.
  package init?(_ spec: ModelSpec) {
    guard spec.logitSoftCap == nil else { return nil }
    let first = spec.blocks.first
    // Without a block nothing says what it would be: any form says the same.
    let mlp = first?.feedForward
    let attention = first?.attention
    if first != nil { guard mlp != nil, attention != nil else { return nil } }
    norm = spec.norm.kind
    normEpsilon = spec.norm.epsilon
    residual = first?.stages.count == 1 ? .parallel : .sequential
    positions = .learned
    if !spec.hasLearnedPositions {
      if let rotary = attention?.rotary {
        positions = .rotary(rotary)
      } else {
        guard first == nil else { return nil }
        positions = .rotary(.init(theta: 10_000, dimensions: 2))
      }
    }
    self.mlp = mlp?.isGated ?? true ? .gated : .plain
    activation = mlp?.activation ?? .silu
    biases = (attention?.biases ?? []).union(mlp?.biases ?? [])
    if spec.norm.hasBias { biases.insert(.norm) }
    if spec.hasHeadBias { biases.insert(.head) }
    blocks = []
    for block in spec.blocks {
      guard let attention = block.attention, let mlp = block.feedForward else { return nil }
      let widths = DecoderWidths(
        heads: attention.heads, kvHeads: attention.kvHeads, headSize: attention.headSize, mlpSize: mlp.size,
        window: attention.window)
      guard self.block(widths) == block else { return nil }
      blocks.append(widths)
    }
  }

  /// The blocks of the model.
  var blockSpecs: [BlockSpec] { blocks.map(block) }

  /// The norm behind the last block.
  var lastNorm: NormSpec { normSpec }
}

extension ModelSpec {
  /// A model whose blocks differ in their widths only.
  package init(
    architecture: String, vocabularySize: Int, hiddenSize: Int, contextLength: Int, norm: Norm, normEpsilon: Double,
    residual: UniformDecoder.Residual, positions: UniformDecoder.Positions, mlp: UniformDecoder.MLP,
    activation: Activation, biases: Set<TensorRole>, tiedEmbeddings: Bool, blocks: [UniformDecoder.DecoderWidths],
    patches: Set<Int> = []
  ) {
    let uniform = UniformDecoder(
      norm: norm, normEpsilon: normEpsilon, residual: residual, positions: positions, mlp: mlp,
      activation: activation, biases: biases, blocks: blocks)
    self.init(
      architecture: architecture, vocabularySize: vocabularySize, hiddenSize: hiddenSize,
      contextLength: contextLength, norm: uniform.lastNorm, tiedEmbeddings: tiedEmbeddings,
      blocks: uniform.blockSpecs)
    hasLearnedPositions = positions == .learned
    hasHeadBias = biases.contains(.head) && !tiedEmbeddings
    self.patches = patches
  }
}
