import FurlTensor

/// What lies between the layers that read a stage's input and the one that writes to the residual stream.
package enum MixerSpec: Sendable, Hashable {
  case attention(AttentionSpec)
  case latentAttention(LatentAttentionSpec)
  case feedForward(FeedForwardSpec)
  case experts(ExpertsSpec)
  case recurrent(RecurrentSpec)
  case tokenInput(TokenInputSpec)
}

/// Attention of a row to the rows before it (Vaswani et al. 2017), by groups of heads (Ainslie et al. 2023).
package struct AttentionSpec: Sendable, Hashable {
  /// Heads of the queries.
  package var heads: Int
  /// Heads of keys and values, each for as many heads as come to it.
  package var kvHeads: Int
  /// Numbers of a head, of queries, keys and values alike.
  package var headSize: Int
  /// Positions that a query sees at most, its own included; nil: all.
  package var window: Int?
  /// How queries and keys are turned by their positions; nil: not at all.
  package var rotary: ModelSpec.Rotary?
  /// What products of queries and keys are multiplied with; nil: one over the square root of the head's size.
  package var scale: Double?
  /// Products are drawn into (-softCap, softCap) by tanh; nil: they stay.
  package var softCap: Double?
  /// Whether every head has a number of its own that the softmax counts beside the rows.
  package var hasSinks: Bool
  /// Before queries and keys are turned.
  package var queryNorm: NormSpec?
  package var keyNorm: NormSpec?
  /// What those norms are over.
  package var headNorms: HeadNorms
  /// Values are divided by the root mean squares of their heads, this added to the mean squares; nil: they stay.
  package var valueNorm: Double?
  /// Where keys and values come from.
  package var keySource: KeySource
  /// What the slopes of scores over positions reach up to: 2^-i slopeLimit / heads for head i (ALiBi; Press et al. 2022);
  /// nil: scores have none.
  package var slopeLimit: Double?
  /// Which heads of a wider attention these are whose slopes they have; nil: they are all heads.
  package var slopeHeads: SlopeHeads?
  /// How queries grow with their position; nil: not.
  package var queryGrowth: QueryGrowth?
  /// What the heads' outputs are multiplied with before the last layer; nil: nothing.
  package var outputGate: OutputGate?
  /// Which of `query`, `key`, `value`, `attentionGate` and `attentionOutput` have a bias.
  package var biases: Set<TensorRole>

  /// Where keys and values come from.
  package enum KeySource: String, Sendable, Hashable, CaseIterable {
    /// Each from a layer of its own.
    case own
    /// From one layer: values are keys that are neither normed nor turned.
    case keysAlone = "keys"
    /// Those of the last block before this one that makes its own, for heads that a cache keeps alike.
    case earlier
  }

  /// Outputs of heads are multiplied with log(1 + exp(g)), g from a linear layer that reads the stage's input (Laguna).
  package enum OutputGate: String, Sendable, Hashable, CaseIterable {
    /// One number for each head.
    case ofHead = "head"
    /// One for each output.
    case ofElement = "element"
  }

  /// What norms of queries and keys are over.
  package enum HeadNorms: String, Sendable, Hashable, CaseIterable {
    /// Each head alone, with the same weights.
    case ofHead = "head"
    /// Each head alone, with weights of its own.
    case ofEachHead = "each_head"
    /// All heads of a row.
    case ofRow = "row"
  }

  /// Queries are multiplied with 1 + rate log(1 + floor(position / context)) (Llama 4).
  package struct QueryGrowth: Sendable, Hashable {
    package var rate: Double
    package var context: Int

    package init(rate: Double, context: Int) {
      self.rate = rate
      self.context = context
    }

    /// What the query of a position is multiplied with.
    package func factor(position: Int) -> Float {
      Float(1 + rate * Elementary.log(Double(1 + position / context)))
    }
  }

  /// Heads that are left of more, each with a slope of its own.
  package struct SlopeHeads: Sendable, Hashable {
    /// Heads that there were.
    package var all: Int
    /// Those that are left, ascending.
    package var kept: [Int]

    package init(all: Int, kept: [Int]) {
      self.all = all
      self.kept = kept
    }
  }

  package init(
    heads: Int, kvHeads: Int, headSize: Int, window: Int? = nil, rotary: ModelSpec.Rotary? = nil,
    biases: Set<TensorRole> = []
  ) {
    self.heads = heads
    self.kvHeads = kvHeads
    self.headSize = headSize
    self.window = window
    self.rotary = rotary
    self.biases = biases
    (scale, softCap, hasSinks, queryNorm, keyNorm) = (nil, nil, false, nil, nil)
    (headNorms, queryGrowth, outputGate, slopeLimit, slopeHeads) = (.ofHead, nil, nil, nil, nil)
    (valueNorm, keySource) = (nil, .own)
  }

  /// The slope of each head, as MPT has them: those of the next power of two of heads, every other one first where that is more.
  package var slopes: [Float]? {
    guard let slopeLimit else { return nil }
    guard let slopeHeads else { return AttentionSpec.slopes(heads, limit: slopeLimit) }
    let slopes = AttentionSpec.slopes(slopeHeads.all, limit: slopeLimit)
    return slopeHeads.kept.map { slopes[$0] }
  }

  private static func slopes(_ heads: Int, limit: Double) -> [Float] {
    var all = 1
    while all < heads { all *= 2 }
    let slopes = (1...all).map { Float(Elementary.pow(2, -limit * Double($0) / Double(all))) }
    guard all > heads else { return slopes }
    let (odd, even) = (stride(from: 1, to: all, by: 2), stride(from: 0, to: all, by: 2))
    return Array((odd.map { slopes[$0] } + even.map { slopes[$0] }).prefix(heads))
  }

  /// The roles of the layers that make queries, keys and values.
  package var inputRoles: [TensorRole] {
    switch keySource {
    case .own: [.query, .key, .value]
    case .keysAlone: [.query, .key]
    case .earlier: [.query]
    }
  }

  /// Numbers of all queries of a row.
  package var queries: Int { heads * headSize }
  /// Numbers of all keys of a row.
  package var keys: Int { kvHeads * headSize }
  /// Numbers of a row's gates; 0: there are none.
  package var gates: Int {
    switch outputGate {
    case nil: 0
    case .ofHead: heads
    case .ofElement: queries
    }
  }
}

/// Two or three linear layers with a function between them.
package struct FeedForwardSpec: Sendable, Hashable {
  /// Neurons.
  package var size: Int
  /// down(activation(gate(x)) * up(x)) (Shazeer 2020), and not down(activation(up(x))).
  package var isGated: Bool
  package var activation: ModelSpec.Activation
  /// Which of `gate`, `up` and `down` have a bias.
  package var biases: Set<TensorRole>
  /// gpt-oss: a gate's outputs are cut off above this, those of up on both sides, and one is added to these then; nil: not.
  package var limit: Double?

  package init(size: Int, isGated: Bool, activation: ModelSpec.Activation, biases: Set<TensorRole> = []) {
    self.size = size
    self.isGated = isGated
    self.activation = activation
    self.biases = biases
  }
}

/// Several MLPs of which a router chooses some for each row (Shazeer et al. 2017), and perhaps one that all rows go through.
package struct ExpertsSpec: Sendable, Hashable {
  /// How the router's outputs become weights.
  package enum Scoring: String, Sendable, Hashable, CaseIterable {
    /// A softmax over all experts; the largest are chosen.
    case softmax
    /// A sigmoid of each; the largest are chosen (DeepSeek-V3).
    case sigmoid
    /// Two experts, each by a softmax over those that are not far behind the best that is left (SparseMixer; Liu et al. 2023).
    case sparseMixer = "sparse_mixer"
  }

  /// Experts come in groups as large as each other, of which the best alone may give some.
  package struct Groups: Sendable, Hashable {
    package var count: Int
    /// How many of them a row may choose from.
    package var active: Int
    /// How many of a group's best scores are added up to its own.
    package var best: Int

    package init(count: Int, active: Int, best: Int) {
      self.count = count
      self.active = active
      self.best = best
    }
  }

  package var count: Int
  /// How many of them a row goes through.
  package var active: Int
  /// One of them.
  package var expert: FeedForwardSpec
  /// What every row goes through beside them; nil: nothing.
  package var shared: FeedForwardSpec?
  /// Whether the shared one is weighed by a sigmoid of a linear layer with one output.
  package var gatesShared: Bool
  package var scoring: Scoring
  /// Whether the weights of those that were chosen are made to add up to one; those of SparseMixer never are.
  package var normalizesWeights: Bool
  /// What weights are multiplied with behind that.
  package var weightFactor: Double
  /// Whether the router's outputs have a bias, and whether one is added for the choice alone.
  package var routerHasBias: Bool
  package var routerHasChoiceBias: Bool
  /// The router's outputs are drawn into (-routerSoftCap, routerSoftCap) by tanh first; nil: they stay.
  package var routerSoftCap: Double?
  package var groups: Groups?
  /// How far behind the best SparseMixer lets experts be.
  package var jitter: Double
  /// Norms between which router, experts and the shared one stand, each with weights of its own (Gemma 4): the router reads
  /// the residual stream through one and experts through another, the shared one reads what the stage reads; what experts
  /// together give and what the shared one gives goes through one each before it is added up. Nil: there are none.
  package var ownNorms: NormSpec?
  /// Whether weights are multiplied with a number of their expert's.
  package var hasExpertFactors: Bool

  package init(
    count: Int, active: Int, expert: FeedForwardSpec, shared: FeedForwardSpec? = nil, gatesShared: Bool = false,
    scoring: Scoring = .softmax, normalizesWeights: Bool = true, weightFactor: Double = 1
  ) {
    self.count = count
    self.active = active
    self.expert = expert
    self.shared = shared
    self.gatesShared = gatesShared
    self.scoring = scoring
    self.normalizesWeights = normalizesWeights
    self.weightFactor = weightFactor
    (routerHasBias, routerHasChoiceBias) = (false, false)
    (groups, routerSoftCap) = (nil, nil)
    jitter = 0
    (ownNorms, hasExpertFactors) = (nil, false)
  }
}

/// What a block takes from the tokens themselves beside the stream (Gemma 3n and 4: "per-layer embeddings"): it gives
/// output(activation(gate(x)) * t), with t the norm of a linear layer on the token's embedding plus a row of a table.
package struct TokenInputSpec: Sendable, Hashable {
  /// Numbers of t.
  package var size: Int
  package var activation: ModelSpec.Activation
  /// Over what comes from the embedding.
  package var norm: NormSpec

  package init(size: Int, activation: ModelSpec.Activation, norm: NormSpec) {
    self.size = size
    self.activation = activation
    self.norm = norm
  }
}

/// A mixer whose rows are computed one after the other from a state, by the gated delta rule (Yang, Kautz and Hatamizadeh
/// 2025), behind a short convolution over rows.
package struct RecurrentSpec: Sendable, Hashable {
  /// Heads of queries and keys.
  package var keyHeads: Int
  package var keySize: Int
  /// Heads of values.
  package var valueHeads: Int
  package var valueSize: Int
  /// Rows that the convolution reaches over, its own included.
  package var convolution: Int

  package init(keyHeads: Int, keySize: Int, valueHeads: Int, valueSize: Int, convolution: Int) {
    self.keyHeads = keyHeads
    self.keySize = keySize
    self.valueHeads = valueHeads
    self.valueSize = valueSize
    self.convolution = convolution
  }
}
