/// An architecture as data: everything that the forward pass wants to know about a model.
///
/// A family is one file that maps its `config.json` to this; the forward pass knows no family by name.
public struct ModelSpec: Sendable, Hashable {
  /// What comes before attention and MLP, and at the end.
  public enum Norm: String, Sendable, Hashable, CaseIterable {
    /// Mean and variance over the hidden size, a weight and a bias (Ba, Kiros and Hinton 2016).
    case layerNorm = "layer_norm"
    /// Root mean square over the hidden size, a weight (Zhang and Sennrich 2019).
    case rmsNorm = "rms_norm"
  }

  /// How a block's parts are joined.
  public enum Residual: String, Sendable, Hashable, CaseIterable {
    /// Attention after its norm, added; then the MLP after its own norm, added.
    case sequential
    /// Attention and MLP both after the block's one norm (`attention.norm`), both added.
    case parallel
  }

  /// How a model knows where a token stands.
  public enum Positions: Sendable, Hashable {
    /// A row for each position, added to the embedding.
    case learned
    /// Queries and keys are turned by angles that grow with the position.
    case rotary(Rotary)
  }

  public enum MLP: String, Sendable, Hashable, CaseIterable {
    /// down(activation(up(x))).
    case plain
    /// down(activation(gate(x)) * up(x)) (Shazeer 2020).
    case gated
  }

  public enum Activation: String, Sendable, Hashable, CaseIterable {
    /// x * Phi(x) (Hendrycks and Gimpel 2016).
    case gelu
    /// The tanh form of GELU.
    case geluTanh = "gelu_tanh"
    /// x * sigmoid(1.702 x).
    case quickGelu = "quick_gelu"
    /// x * sigmoid(x) (Elfwing, Uchibe and Doya 2018).
    case silu
    case relu
    case tanh
  }

  /// The widths of one block; they may differ from block to block.
  public struct Block: Sendable, Hashable {
    public var heads: Int
    public var kvHeads: Int
    public var headSize: Int
    public var mlpSize: Int
    /// Positions that a query sees at most, its own included; nil: all.
    public var window: Int?

    public init(heads: Int, kvHeads: Int, headSize: Int, mlpSize: Int, window: Int? = nil) {
      self.heads = heads
      self.kvHeads = kvHeads
      self.headSize = headSize
      self.mlpSize = mlpSize
      self.window = window
    }
  }

  /// The family: `gpt2`.
  public var architecture: String
  public var vocabularySize: Int
  public var hiddenSize: Int
  /// The most positions.
  public var contextLength: Int
  public var norm: Norm
  public var normEpsilon: Double
  public var residual: Residual
  public var positions: Positions
  public var mlp: MLP
  public var activation: Activation
  /// Roles whose tensors come with a bias; `head` only with a head of its own.
  public var biases: Set<TensorRole>
  /// Whether the head is the embedding.
  public var tiedEmbeddings: Bool
  public var blocks: [Block]
  /// Where blocks were cut out and a linear map stands in for them: h + A h + b, before the block of that number; the
  /// number of blocks means behind the last one.
  public var patches: Set<Int>

  public init(
    architecture: String, vocabularySize: Int, hiddenSize: Int, contextLength: Int, norm: Norm, normEpsilon: Double,
    residual: Residual, positions: Positions, mlp: MLP, activation: Activation, biases: Set<TensorRole>,
    tiedEmbeddings: Bool, blocks: [Block], patches: Set<Int> = []
  ) {
    self.architecture = architecture
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.contextLength = contextLength
    self.norm = norm
    self.normEpsilon = normEpsilon
    self.residual = residual
    self.positions = positions
    self.mlp = mlp
    self.activation = activation
    self.biases = biases
    self.tiedEmbeddings = tiedEmbeddings
    self.blocks = blocks
    self.patches = patches
  }

  // MARK: Tensors

  /// The name of what stands in for blocks that were cut out before a block, or behind the last one.
  public func patchName(before block: Int) -> String { block == blocks.count ? "patch" : "blocks.\(block).patch" }

  /// Every tensor of the model, in the order in which files hold them.
  public var tensors: [TensorSpec] {
    var list = tensor("embedding", .embedding, [vocabularySize, hiddenSize], nil)
    switch positions {
    case .learned: list += tensor("positions", .positions, [contextLength, hiddenSize], nil)
    case .rotary: break
    }
    for index in blocks.indices {
      if patches.contains(index) { list += patch(before: index, index) }
      list += tensors(of: stages(of: index), block: index)
    }
    if patches.contains(blocks.count) { list += patch(before: blocks.count, nil) }
    list += tensor("norm", .norm, [hiddenSize], nil, hasBias: normSpec.hasBias)
    if !tiedEmbeddings {
      list += tensor("head", .head, [vocabularySize, hiddenSize], nil, hasBias: biases.contains(.head))
    }
    return list
  }

  private func tensors(of stages: [StageSpec], block: Int) -> [TensorSpec] {
    let prefix = "blocks.\(block)."
    var list: [TensorSpec] = []
    func append(_ norm: NormSpec?, _ name: String, _ count: Int) {
      if let norm { list += tensor(prefix + name, .norm, [count], block, hasBias: norm.hasBias) }
    }
    func append(_ layers: [LinearSpec]) {
      for layer in layers {
        list += tensor(prefix + layer.name, layer.role, [layer.rows, layer.columns], block, hasBias: layer.hasBias)
      }
    }
    for stage in stages {
      append(stage.norm, stage.normName, hiddenSize)
      for part in stage.parts {
        append(part.inputs(hidden: hiddenSize))
        for vector in part.vectors {
          list += tensor(prefix + vector.name, .norm, vector.shape, block, hasBias: vector.norm?.hasBias ?? false)
        }
        append(part.outputs(hidden: hiddenSize))
        append(part.outputNorm, part.name + ".output_norm", hiddenSize)
      }
    }
    return list
  }

  private func patch(before place: Int, _ block: Int?) -> [TensorSpec] {
    tensor(patchName(before: place), .patch, [hiddenSize, hiddenSize], block, hasBias: true)
  }

  /// A tensor, and the bias of its outputs.
  private func tensor(
    _ name: String, _ role: TensorRole, _ shape: [Int], _ block: Int?, hasBias: Bool = false
  ) -> [TensorSpec] {
    [TensorSpec(name: name, role: role, shape: shape, block: block)]
      + (hasBias ? [TensorSpec(name: name + ".bias", role: .bias, shape: [shape[0]], block: block)] : [])
  }

  /// Numbers in all tensors.
  public var parameterCount: Int { tensors.reduce(0) { $0 + $1.elementCount } }

  /// Numbers in the linear layers of the blocks, without biases.
  public var blockLinearCount: Int { tensors.reduce(0) { $0 + ($1.role.isBlockLinear ? $1.elementCount : 0) } }

  /// Numbers in the embedding, the positions and a separate head.
  public var embeddingParameterCount: Int {
    tensors.filter { [.embedding, .positions, .head].contains($0.role) }.reduce(0) { $0 + $1.elementCount }
  }
}
