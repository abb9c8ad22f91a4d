/// A block of a model: stages that are computed one after the other.
package struct BlockSpec: Sendable, Hashable {
  package var stages: [StageSpec]
  /// Whether the residual stream is multiplied with a number behind it.
  package var isScaled: Bool

  package init(_ stages: [StageSpec], isScaled: Bool = false) {
    self.stages = stages
    self.isScaled = isScaled
  }

  /// All parts, in the order in which they are computed.
  package var parts: [PartSpec] { stages.flatMap(\.parts) }

  /// What its first attention does; nil: there is none, and setting it changes nothing.
  package var attention: AttentionSpec? {
    get { first(Self.attention) }
    set { replaceFirst(Self.attention, by: newValue.map(MixerSpec.attention)) }
  }

  /// What its first latent attention does; nil: there is none, and setting it changes nothing.
  package var latentAttention: LatentAttentionSpec? {
    get { first(Self.latentAttention) }
    set { replaceFirst(Self.latentAttention, by: newValue.map(MixerSpec.latentAttention)) }
  }

  /// What its first MLP without experts does; nil: there is none, and setting it changes nothing.
  package var feedForward: FeedForwardSpec? {
    get { first(Self.feedForward) }
    set { replaceFirst(Self.feedForward, by: newValue.map(MixerSpec.feedForward)) }
  }

  /// What its first MLP with experts does; nil: there is none, and setting it changes nothing.
  package var experts: ExpertsSpec? {
    get { first(Self.experts) }
    set { replaceFirst(Self.experts, by: newValue.map(MixerSpec.experts)) }
  }

  /// How its attention turns queries and keys, latent attention a part of them; nil: not at all.
  package var rotary: ModelSpec.Rotary? { attention?.rotary ?? latentAttention?.rotary }

  private static func attention(_ mixer: MixerSpec) -> AttentionSpec? {
    if case .attention(let spec) = mixer { spec } else { nil }
  }

  private static func latentAttention(_ mixer: MixerSpec) -> LatentAttentionSpec? {
    if case .latentAttention(let spec) = mixer { spec } else { nil }
  }

  private static func feedForward(_ mixer: MixerSpec) -> FeedForwardSpec? {
    if case .feedForward(let spec) = mixer { spec } else { nil }
  }

  private static func experts(_ mixer: MixerSpec) -> ExpertsSpec? {
    if case .experts(let spec) = mixer { spec } else { nil }
  }

  private func first<Spec>(_ kind: (MixerSpec) -> Spec?) -> Spec? {
    for part in parts { if let spec = kind(part.mixer) { return spec } }
    return nil
  }

  private mutating func replaceFirst<Spec>(_ kind: (MixerSpec) -> Spec?, by mixer: MixerSpec?) {
    guard let mixer else { return }
    for stage in stages.indices {
      for part in stages[stage].parts.indices where kind(stages[stage].parts[part].mixer) != nil {
        stages[stage].parts[part].mixer = mixer
        return
      }
    }
  }

  /// Changes the mixer of every part.
  mutating func changeAll(_ change: (inout MixerSpec) -> Void) {
    for stage in stages.indices {
      for part in stages[stage].parts.indices { change(&stages[stage].parts[part].mixer) }
    }
  }
}

extension MixerSpec {
  /// The roles of its layers that have a bias.
  package var biases: Set<TensorRole> {
    switch self {
    case .attention(let attention): attention.biases
    case .latentAttention(let attention): attention.biases
    case .feedForward(let mlp): mlp.biases
    case .experts(let experts): experts.expert.biases
    case .recurrent, .tokenInput: []
    }
  }

  /// Gives its layers of some roles a bias, where it has such layers.
  package mutating func addBiases(_ roles: Set<TensorRole>) {
    func added(_ mlp: FeedForwardSpec) -> FeedForwardSpec {
      var mlp = mlp
      mlp.biases.formUnion(roles.intersection(mlp.isGated ? [.gate, .up, .down] : [.up, .down]))
      return mlp
    }
    switch self {
    case .attention(var attention):
      let gate: Set<TensorRole> = attention.outputGate == nil ? [] : [.attentionGate]
      attention.biases.formUnion(roles.intersection(gate.union(attention.inputRoles + [.attentionOutput])))
      self = .attention(attention)
    case .latentAttention(var attention):
      attention.biases.formUnion(roles.intersection(attention.outerRoles))
      self = .latentAttention(attention)
    case .feedForward(let mlp): self = .feedForward(added(mlp))
    case .experts(var experts):
      experts.expert = added(experts.expert)
      experts.shared = experts.shared.map(added)
      self = .experts(experts)
    case .recurrent, .tokenInput: break
    }
  }
}

extension BlockSpec {
  /// The widths of its first attention and its first MLP; 0 where it has none. Setting them changes those that there are.
  package var widths: UniformDecoder.DecoderWidths {
    get {
      let (attention, mlp) = (attention, feedForward)
      return UniformDecoder.DecoderWidths(
        heads: attention?.heads ?? 0, kvHeads: attention?.kvHeads ?? 0, headSize: attention?.headSize ?? 0,
        mlpSize: mlp?.size ?? 0, window: attention?.window)
    }
    set {
      if var attention {
        attention.heads = newValue.heads
        attention.kvHeads = newValue.kvHeads
        attention.headSize = newValue.headSize
        attention.window = newValue.window
        self.attention = attention
      }
      if var mlp = feedForward {
        mlp.size = newValue.mlpSize
        feedForward = mlp
      }
    }
  }
}
