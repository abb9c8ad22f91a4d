/// A block of a model: stages that are computed one after the other.
public struct BlockSpec: Sendable, Hashable {
  public var stages: [StageSpec]
  /// Whether the residual stream is multiplied with a number behind it.
  public var isScaled: Bool

  public init(_ stages: [StageSpec], isScaled: Bool = false) {
    self.stages = stages
    self.isScaled = isScaled
  }

  /// All parts, in the order in which they are computed.
  public var parts: [PartSpec] { stages.flatMap(\.parts) }

  /// What its first attention does; nil: there is none, and setting it changes nothing.
  public var attention: AttentionSpec? {
    get {
      for part in parts { if case .attention(let attention) = part.mixer { return attention } }
      return nil
    }
    set {
      guard let newValue else { return }
      changeFirst {
        if case .attention = $0 { $0 = .attention(newValue) } else { return false }; return true
      }
    }
  }

  /// What its first latent attention does; nil: there is none, and setting it changes nothing.
  public var latentAttention: LatentAttentionSpec? {
    get {
      for part in parts { if case .latentAttention(let attention) = part.mixer { return attention } }
      return nil
    }
    set {
      guard let newValue else { return }
      changeFirst {
        if case .latentAttention = $0 { $0 = .latentAttention(newValue) } else { return false }; return true
      }
    }
  }

  /// What its first MLP without experts does; nil: there is none, and setting it changes nothing.
  public var feedForward: FeedForwardSpec? {
    get {
      for part in parts { if case .feedForward(let mlp) = part.mixer { return mlp } }
      return nil
    }
    set {
      guard let newValue else { return }
      changeFirst {
        if case .feedForward = $0 { $0 = .feedForward(newValue) } else { return false }; return true
      }
    }
  }

  /// What its first MLP with experts does; nil: there is none, and setting it changes nothing.
  public var experts: ExpertsSpec? {
    get {
      for part in parts { if case .experts(let experts) = part.mixer { return experts } }
      return nil
    }
    set {
      guard let newValue else { return }
      changeFirst {
        if case .experts = $0 { $0 = .experts(newValue) } else { return false }; return true
      }
    }
  }

  /// - Parameter change: returns whether it has changed what it was given.
  private mutating func changeFirst(_ change: (inout MixerSpec) -> Bool) {
    for stage in stages.indices {
      for part in stages[stage].parts.indices where change(&stages[stage].parts[part].mixer) { return }
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
  public var widths: UniformDecoder.Widths {
    get {
      let (attention, mlp) = (attention, feedForward)
      return UniformDecoder.Widths(
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
