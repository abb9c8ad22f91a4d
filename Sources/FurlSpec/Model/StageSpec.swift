/// What reads the residual stream at one place, and adds to it.
package struct StageSpec: Sendable, Hashable {
  /// What its parts read the stream through; nil: they read it as it is.
  package var norm: NormSpec?
  /// They read the same input. What they give is added to the stream in this order.
  package var parts: [PartSpec]
  /// Whether it reads the stream as the stage before it has read it, and not with what that one adds (GPT-NeoX).
  package var isBeside: Bool

  package init(norm: NormSpec?, parts: [PartSpec], isBeside: Bool = false) {
    self.norm = norm
    self.parts = parts
    self.isBeside = isBeside
  }

  /// The name of its norm in a block: that of its first part.
  package var normName: String { (parts.first?.name ?? "mixer") + ".norm" }
}

/// Linear layers that read a stage's input, what is done with their outputs, and the layer that adds to the stream.
package struct PartSpec: Sendable, Hashable {
  package var mixer: MixerSpec
  /// Behind the layer that writes, before what it gives is added; nil: none.
  package var outputNorm: NormSpec?
  /// What is multiplied with what it gives before that is added.
  package var factor: Double

  package init(_ mixer: MixerSpec, outputNorm: NormSpec? = nil, factor: Double = 1) {
    self.mixer = mixer
    self.outputNorm = outputNorm
    self.factor = factor
  }

  /// What its tensors' names in a block begin with.
  package var name: String {
    switch mixer {
    case .attention, .latentAttention: "attention"
    case .feedForward, .experts: "mlp"
    case .recurrent: "mixer"
    case .tokenInput: "input"
    }
  }
}

/// A linear layer of a block.
package struct LinearSpec: Sendable, Hashable {
  /// In its block: `attention.query`, `mlp.experts.3.up`.
  package let name: String
  package let role: TensorRole
  /// Outputs.
  package let rows: Int
  /// Inputs.
  package let columns: Int
  package let hasBias: Bool
  /// The expert that it is a layer of; nil: every row goes through it.
  package var expert: Int?
}

extension LinearSpec {
  fileprivate func of(expert: Int) -> LinearSpec {
    var layer = self
    layer.expert = expert
    return layer
  }
}

extension PartSpec {
  /// The layers that read the stage's input, in the order of files.
  ///
  /// - Parameter hidden: the width of the residual stream.
  package func inputs(hidden: Int) -> [LinearSpec] {
    switch mixer {
    case .attention(let attention):
      attention.inputRoles.map { role in
        LinearSpec(
          name: role.rawValue, role: role, rows: role == .query ? attention.queries : attention.keys, columns: hidden,
          hasBias: attention.biases.contains(role))
      } + (attention.outputGate == nil ? [] : [attention.gate(hidden: hidden)])
    case .latentAttention(let attention): attention.inputs(hidden: hidden)
    case .feedForward(let mlp): mlp.inputs(hidden: hidden, in: "mlp")
    case .experts(let experts):
      (experts.ownNorms == nil ? [experts.router(hidden: hidden)] : [])
        + (0..<experts.count).flatMap { index in
          experts.expert.inputs(hidden: hidden, in: "mlp.experts.\(index)").map { $0.of(expert: index) }
        }
        + (experts.gatesShared && experts.shared != nil
          ? [LinearSpec(name: "mlp.shared.router", role: .router, rows: 1, columns: hidden, hasBias: false)] : [])
        + (experts.shared?.inputs(hidden: hidden, in: "mlp.shared") ?? [])
    case .recurrent(let mixer):
      [
        ("query", mixer.keyHeads * mixer.keySize), ("key", mixer.keyHeads * mixer.keySize),
        ("value", mixer.valueHeads * mixer.valueSize), ("gate", mixer.valueHeads * mixer.valueSize),
        ("decay", mixer.valueHeads), ("rate", mixer.valueHeads),
      ].map { LinearSpec(name: "mixer." + $0, role: .mixerInput, rows: $1, columns: hidden, hasBias: false) }
    case .tokenInput(let input):
      [LinearSpec(name: "input.gate", role: .inputGate, rows: input.size, columns: hidden, hasBias: false)]
    }
  }

  /// The router, where it reads the stream through a norm of its own.
  ///
  /// - Parameter hidden: the width of the residual stream.
  package func ownRouter(hidden: Int) -> [LinearSpec] {
    guard case .experts(let experts) = mixer, experts.ownNorms != nil else { return [] }
    return [experts.router(hidden: hidden)]
  }

  /// The names of norms as wide as the residual stream that are neither before nor behind the part.
  package var ownNormNames: [String] {
    guard case .experts(let experts) = mixer, experts.ownNorms != nil else { return [] }
    return ["mlp.router_norm", "mlp.expert_norm", "mlp.expert_output_norm", "mlp.shared_output_norm"]
  }

  /// The layers that read the token's embedding, as the first block gets it.
  ///
  /// - Parameter hidden: the width of the residual stream.
  package func embeddingReaders(hidden: Int) -> [LinearSpec] {
    guard case .tokenInput(let input) = mixer else { return [] }
    return [LinearSpec(name: "input.context", role: .inputContext, rows: input.size, columns: hidden, hasBias: false)]
  }

  /// Tables with a row for each token, which are looked up.
  package func tables(vocabulary: Int) -> [LinearSpec] {
    guard case .tokenInput(let input) = mixer else { return [] }
    return [LinearSpec(name: "input.table", role: .inputTable, rows: vocabulary, columns: input.size, hasBias: false)]
  }

  /// The layers whose outputs are added to the stream: one, or one for each expert.
  ///
  /// - Parameter hidden: the width of the residual stream.
  package func outputs(hidden: Int) -> [LinearSpec] {
    switch mixer {
    case .attention(let attention):
      [
        LinearSpec(
          name: "attention.output", role: .attentionOutput, rows: hidden, columns: attention.queries,
          hasBias: attention.biases.contains(.attentionOutput))
      ]
    case .latentAttention(let attention): [attention.output(hidden: hidden)]
    case .feedForward(let mlp): [mlp.output(hidden: hidden, in: "mlp")]
    case .experts(let experts):
      (0..<experts.count).map { experts.expert.output(hidden: hidden, in: "mlp.experts.\($0)").of(expert: $0) }
        + (experts.shared.map { [$0.output(hidden: hidden, in: "mlp.shared")] } ?? [])
    case .recurrent(let mixer):
      [
        LinearSpec(
          name: "mixer.output", role: .mixerOutput, rows: hidden, columns: mixer.valueHeads * mixer.valueSize,
          hasBias: false)
      ]
    case .tokenInput(let input):
      [LinearSpec(name: "input.output", role: .inputOutput, rows: hidden, columns: input.size, hasBias: false)]
    }
  }

  /// Its vectors and small tables beside the linear layers.
  package var vectors: [VectorSpec] {
    func norm(_ name: String, _ count: Int, _ norm: NormSpec?) -> [VectorSpec] {
      norm.map { [VectorSpec(name: name, role: .norm, count: count, hasBias: $0.hasBias)] } ?? []
    }
    func plain(_ name: String, _ role: TensorRole, _ count: Int, if isThere: Bool = true) -> [VectorSpec] {
      isThere ? [VectorSpec(name: name, role: role, count: count, hasBias: false)] : []
    }
    switch mixer {
    case .attention(let attention):
      let (queries, keys) =
        attention.headNorms == .ofHead
        ? (attention.headSize, attention.headSize) : (attention.queries, attention.keys)
      return norm("attention.query_norm", queries, attention.queryNorm)
        + norm("attention.key_norm", keys, attention.keySource == .earlier ? nil : attention.keyNorm)
        + plain("attention.sinks", .sinks, attention.heads, if: attention.hasSinks)
    case .latentAttention(let attention):
      let ofQueries = attention.queryRank == nil ? nil : attention.norm
      return norm("attention.query_latent_norm", attention.queryRank ?? 0, ofQueries)
        + norm("attention.latent_norm", attention.rank, attention.norm)
    case .feedForward: return []
    case .experts(let experts):
      return plain("mlp.router.choice", .routerChoice, experts.count, if: experts.routerHasChoiceBias)
        + plain("mlp.router.factors", .routerFactors, experts.count, if: experts.hasExpertFactors)
    case .recurrent(let mixer):
      let channels = 2 * mixer.keyHeads * mixer.keySize + mixer.valueHeads * mixer.valueSize
      return plain("mixer.convolution", .norm, channels * mixer.convolution)
        + plain("mixer.decay_rate", .norm, mixer.valueHeads) + plain("mixer.rate_offset", .norm, mixer.valueHeads)
        + plain("mixer.value_norm", .norm, mixer.valueSize)
    case .tokenInput(let input): return norm("input.context_norm", input.size, input.norm)
    }
  }
}

/// A vector of a block that is no norm of a stage.
package struct VectorSpec: Sendable, Hashable {
  /// In its block: `attention.query_norm`.
  package let name: String
  package let role: TensorRole
  package let count: Int
  package let hasBias: Bool
}

extension ExpertsSpec {
  fileprivate func router(hidden: Int) -> LinearSpec {
    LinearSpec(name: "mlp.router", role: .router, rows: count, columns: hidden, hasBias: routerHasBias)
  }
}

extension AttentionSpec {
  fileprivate func gate(hidden: Int) -> LinearSpec {
    LinearSpec(
      name: TensorRole.attentionGate.rawValue, role: .attentionGate, rows: gates, columns: hidden,
      hasBias: biases.contains(.attentionGate))
  }
}

extension FeedForwardSpec {
  fileprivate func inputs(hidden: Int, in prefix: String) -> [LinearSpec] {
    ((isGated ? [("gate", TensorRole.gate)] : []) + [("up", .up)]).map { name, role in
      LinearSpec(
        name: "\(prefix).\(name)", role: role, rows: size, columns: hidden, hasBias: biases.contains(role))
    }
  }

  fileprivate func output(hidden: Int, in prefix: String) -> LinearSpec {
    LinearSpec(
      name: prefix + ".down", role: .down, rows: hidden, columns: size, hasBias: biases.contains(.down))
  }
}
