/// An architecture as data: everything that the forward pass wants to know about a model.
///
/// A family is one file that maps its `config.json` to this; the forward pass knows no family by name.
package struct ModelSpec: Sendable, Hashable {
  /// What comes before attention and MLP, and at the end.
  package enum Norm: String, Sendable, Hashable, CaseIterable {
    /// Mean and variance over the hidden size, a weight and a bias (Ba, Kiros and Hinton 2016).
    case layerNorm = "layer_norm"
    /// Root mean square over the hidden size, a weight (Zhang and Sennrich 2019).
    case rmsNorm = "rms_norm"
  }

  package enum Activation: String, Sendable, Hashable, CaseIterable {
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

  /// The family: `gpt2`.
  package var architecture: String
  package var vocabularySize: Int
  package var hiddenSize: Int
  /// The most positions.
  package var contextLength: Int
  /// What comes behind the last block.
  package var norm: NormSpec
  /// Whether a row for each position is added to the embedding.
  package var hasLearnedPositions = false
  /// Whether the head is the embedding.
  package var tiedEmbeddings: Bool
  /// Whether a head of its own has a bias.
  package var hasHeadBias = false
  /// Logits are drawn into (-logitSoftCap, logitSoftCap) by tanh; nil: they stay.
  package var logitSoftCap: Double?
  package var blocks: [BlockSpec]
  /// Where blocks were cut out and a linear map stands in for them: h + A h + b, before the block of that number; the
  /// number of blocks means behind the last one.
  package var patches: Set<Int> = []

  package init(
    architecture: String, vocabularySize: Int, hiddenSize: Int, contextLength: Int, norm: NormSpec,
    tiedEmbeddings: Bool, blocks: [BlockSpec]
  ) {
    self.architecture = architecture
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.contextLength = contextLength
    self.norm = norm
    self.tiedEmbeddings = tiedEmbeddings
    self.blocks = blocks
  }

  /// What a block does, stage by stage.
  ///
  /// - Parameter block: its number.
  package func stages(of block: Int) -> [StageSpec] { blocks[block].stages }

  /// Gives the layers of some roles a bias in every block, and a head of its own where `head` is among them.
  package mutating func addBiases(_ roles: Set<TensorRole>) {
    for block in blocks.indices { blocks[block].changeAll { $0.addBiases(roles) } }
    if roles.contains(.head), !tiedEmbeddings { hasHeadBias = true }
  }

  /// Multiplies what is added to mean squares and variances in the norms of the residual stream.
  package mutating func scaleNormEpsilons(by factor: Double) {
    norm.epsilon *= factor
    for block in blocks.indices {
      for stage in blocks[block].stages.indices {
        blocks[block].stages[stage].norm?.epsilon *= factor
        for part in blocks[block].stages[stage].parts.indices {
          blocks[block].stages[stage].parts[part].outputNorm?.epsilon *= factor
        }
      }
    }
  }

  /// Roles that have a bias anywhere, norms and the head included.
  package var biases: Set<TensorRole> {
    var roles = blocks.reduce(into: Set<TensorRole>()) { roles, block in
      for part in block.parts { roles.formUnion(part.mixer.biases) }
    }
    if norm.hasBias { roles.insert(.norm) }
    if hasHeadBias { roles.insert(.head) }
    return roles
  }

  // MARK: Tensors

  /// The name of what stands in for blocks that were cut out before a block, or behind the last one.
  package func patchName(before block: Int) -> String { block == blocks.count ? "patch" : "blocks.\(block).patch" }

  /// Every tensor of the model, in the order in which files hold them.
  package var tensors: [TensorSpec] {
    var list = tensor("embedding", .embedding, [vocabularySize, hiddenSize], nil)
    if hasLearnedPositions { list += tensor("positions", .positions, [contextLength, hiddenSize], nil) }
    for index in blocks.indices {
      if patches.contains(index) { list += patch(before: index, index) }
      list += tensors(of: stages(of: index), block: index)
      if blocks[index].isScaled { list += tensor("blocks.\(index).scale", .scale, [1], index) }
    }
    if patches.contains(blocks.count) { list += patch(before: blocks.count, nil) }
    list += tensor("norm", .norm, [hiddenSize], nil, hasBias: norm.hasBias)
    if !tiedEmbeddings {
      list += tensor("head", .head, [vocabularySize, hiddenSize], nil, hasBias: hasHeadBias)
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
        append(
          part.ownRouter(hidden: hiddenSize) + part.inputs(hidden: hiddenSize) + part.innerLayers
            + part.embeddingReaders(hidden: hiddenSize)
            + part.tables(vocabulary: vocabularySize))
        for vector in part.vectors {
          list += tensor(prefix + vector.name, vector.role, [vector.count], block, hasBias: vector.hasBias)
        }
        if case .experts(let experts) = part.mixer {
          for name in part.ownNormNames { append(experts.ownNorms, name, hiddenSize) }
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
  package var parameterCount: Int { tensors.reduce(0) { $0 + $1.elementCount } }

  /// Numbers that a token goes through: all but those of the experts that its routers do not choose.
  package var activeParameterCount: Int {
    let idle = blocks.flatMap(\.parts).reduce(0) { sum, part in
      guard case .experts(let experts) = part.mixer else { return sum }
      let layers = (part.inputs(hidden: hiddenSize) + part.outputs(hidden: hiddenSize)).filter { $0.expert == 0 }
      let one = layers.reduce(0) { $0 + $1.rows * ($1.columns + ($1.hasBias ? 1 : 0)) }
      return sum + (experts.count - experts.active) * one
    }
    return parameterCount - idle
  }

  /// Numbers in the linear layers of the blocks, without biases.
  package var blockLinearCount: Int { tensors.reduce(0) { $0 + ($1.role.isBlockLinear ? $1.elementCount : 0) } }

  /// Numbers in the embedding, the positions, a separate head and what blocks look up by tokens.
  package var embeddingParameterCount: Int {
    tensors.filter { [.embedding, .positions, .head, .inputTable].contains($0.role) }.reduce(0) { $0 + $1.elementCount }
  }
}
