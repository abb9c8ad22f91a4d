import FurlSpec
import FurlTestSupport

/// Models whose blocks say one thing beside the plain, and models that say many.
enum StagedModels {
  /// One thing that a model may do.
  struct Feature: Sendable {
    let name: String
    /// What differs from ``spec`` in this one thing.
    let without: ModelSpec
    let spec: ModelSpec

    init(_ name: String, _ without: ModelSpec = StagedModels.plain, _ change: (inout ModelSpec) -> Void) {
      self.name = name
      self.without = without
      var spec = without
      change(&spec)
      self.spec = spec
    }
  }

  static let rms = NormSpec(.rmsNorm, epsilon: 1e-6)
  static let layerNorm = NormSpec(.layerNorm, epsilon: 1e-5, hasBias: true)
  static let contextLength = 80

  /// Two blocks of other shapes, each attention and then an MLP behind norms; the second one's positions are other ones.
  static let plain: ModelSpec = {
    func attention(_ heads: Int, _ kvHeads: Int, _ size: Int, turned: Int) -> AttentionSpec {
      AttentionSpec(
        heads: heads, kvHeads: kvHeads, headSize: size, rotary: .init(theta: 100, dimensions: turned))
    }
    func stages(_ attention: AttentionSpec, _ mlp: FeedForwardSpec) -> BlockSpec {
      BlockSpec([
        StageSpec(norm: rms, parts: [PartSpec(.attention(attention))]),
        StageSpec(norm: rms, parts: [PartSpec(.feedForward(mlp))]),
      ])
    }
    return ModelSpec(
      architecture: "any", vocabularySize: 29, hiddenSize: 36, contextLength: contextLength, norm: rms,
      tiedEmbeddings: false,
      blocks: [
        stages(attention(4, 2, 8, turned: 8), .init(size: 40, isGated: true, activation: .silu)),
        stages(attention(3, 3, 12, turned: 6), .init(size: 33, isGated: false, activation: .gelu)),
      ])
  }()

  private static func plain(_ change: (inout ModelSpec) -> Void) -> ModelSpec {
    var spec = plain
    change(&spec)
    return spec
  }

  static let stages: [Feature] = [
    Feature("norms behind parts and none before") { spec in
      spec.eachStage { $0.norm = nil }
      spec.eachPart { $0.outputNorm = rms }
    },
    Feature("norms before and behind") { spec in
      spec.eachPart { $0.outputNorm = $0.name == "mlp" ? rms : layerNorm }
    },
    Feature("no norms but the last") { $0.eachStage { $0.norm = nil } },
    Feature("other norms in every stage") { spec in
      spec.blocks[0].stages[0].norm = layerNorm
      spec.blocks[1].stages[1].norm = NormSpec(.layerNorm, epsilon: 0.1)
      spec.norm = NormSpec(.rmsNorm, epsilon: 0.5, hasBias: true)
    },
    Feature("factors") { $0.eachPart { $0.factor = $0.name == "mlp" ? -1.5 : 0.4 } },
    Feature("factors behind norms", plain { $0.eachPart { $0.outputNorm = rms } }) { $0.eachPart { $0.factor = 0.3 } },
    Feature("stages beside each other") { spec in
      for block in spec.blocks.indices { spec.blocks[block].stages[1].isBeside = true }
    },
    Feature("stages beside each other, the MLP first", plain { $0.eachBlock { $0.stages.reverse() } }) { spec in
      spec.eachBlock { $0.stages[1].isBeside = true }
    },
    Feature("stages beside each other with norms behind", plain { $0.eachPart { $0.outputNorm = layerNorm } }) {
      $0.eachBlock { $0.stages[1].isBeside = true }
    },
    Feature("one stage") { $0.eachBlock { $0 = BlockSpec([StageSpec(norm: rms, parts: $0.parts)]) } },
    Feature("one stage, the MLP first") {
      $0.eachBlock { $0 = BlockSpec([StageSpec(norm: layerNorm, parts: $0.parts.reversed())]) }
    },
    Feature("the MLP first") { $0.eachBlock { $0.stages.reverse() } },
    Feature("attention alone, then an MLP alone") { spec in
      for block in 0..<2 { spec.blocks[block].stages.remove(at: 1 - block) }
    },
    Feature("an MLP alone, then attention alone") { spec in
      for block in 0..<2 { spec.blocks[block].stages.remove(at: block) }
    },
    Feature("nothing but MLPs") { $0.eachBlock { $0.stages.remove(at: 0) } },
    Feature("a linear map before a block and behind the last") { $0.patches = [1, 2] },
    Feature("a table of positions beside turned heads") { $0.hasLearnedPositions = true },
    Feature("a head with a bias") { $0.hasHeadBias = true },
    Feature("biases") { $0.addBiases([.query, .value, .attentionOutput, .gate, .up, .down]) },
    Feature("logits are capped") { $0.logitSoftCap = 0.7 },
    Feature("a gate's limit", plain { $0.eachMLP { $0.activation = .quickGelu } }) { spec in
      spec.blocks[0].feedForward?.limit = 0.2
    },
  ]

  static let attention: [Feature] = [
    Feature("norms of each head") { spec in
      spec.eachAttention { ($0.queryNorm, $0.keyNorm) = (rms, rms) }
    },
    Feature("norms of whole rows") { spec in
      spec.eachAttention { ($0.queryNorm, $0.keyNorm, $0.headNorms) = (rms, rms, .ofRow) }
    },
    Feature("layer norms of each head") { spec in
      spec.eachAttention { ($0.queryNorm, $0.keyNorm) = (layerNorm, NormSpec(.layerNorm, epsilon: 1e-5)) }
    },
    Feature("layer norms of whole rows") { spec in
      spec.eachAttention { ($0.queryNorm, $0.keyNorm, $0.headNorms) = (layerNorm, layerNorm, .ofRow) }
    },
    Feature("norms of queries alone") { $0.eachAttention { $0.queryNorm = rms } },
    Feature("norms of keys alone") { $0.eachAttention { $0.keyNorm = rms } },
    Feature("a block without positions") { $0.blocks[1].attention?.rotary = nil },
    Feature("no positions at all") { $0.eachAttention { $0.rotary = nil } },
    Feature("other angles in a block") { $0.blocks[1].attention?.rotary = .init(theta: 10, dimensions: 12) },
    Feature("turned heads grow") { $0.eachAttention { $0.rotary?.attentionFactor = 1.4 } },
    Feature("yarn") { spec in
      spec.eachAttention { attention in
        attention.rotary?.scaling = .yarn(
          factor: 8, slowTurns: 0.5, fastTurns: 3, originalContext: 16, truncates: attention.heads == 3)
        attention.rotary?.attentionFactor = 1.2
      }
    },
    Feature("a longer context's base") {
      $0.eachAttention { $0.rotary?.scaling = .dynamic(factor: 4, originalContext: 20) }
    },
    Feature("divisors of a short context") { $0.eachAttention { $0.divide(originalContext: contextLength) } },
    Feature("divisors of a long context") { $0.eachAttention { $0.divide(originalContext: 20) } },
    Feature("frequencies of Llama 3 in a block, divided ones in the other") { spec in
      spec.blocks[0].attention?.rotary?.scaling = .llama3(
        factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 20)
      spec.blocks[1].attention?.rotary?.scaling = .linear(factor: 3)
    },
    Feature("a window in a block") { $0.blocks[0].attention?.window = 5 },
    Feature("a scale of its own") { $0.eachAttention { $0.scale = 1.3 } },
    Feature("scores are capped", plain { $0.eachAttention { $0.scale = 1 } }) { $0.eachAttention { $0.softCap = 0.4 } },
    Feature("sinks") { $0.eachAttention { $0.hasSinks = true } },
    Feature("sinks and a cap in a window", plain { $0.eachAttention { $0.window = 4 } }) {
      $0.eachAttention { ($0.hasSinks, $0.softCap, $0.scale) = (true, 0.6, 2) }
    },
  ]

  /// With experts in the place of both MLPs.
  static func experts(_ count: Int = 6, active: Int = 2, _ change: (inout ExpertsSpec) -> Void = { _ in }) -> ModelSpec
  {
    var experts = ExpertsSpec(
      count: count, active: active, expert: .init(size: 20, isGated: true, activation: .silu))
    change(&experts)
    return plain { $0.eachBlock { $0.stages[1].parts[0].mixer = .experts(experts) } }
  }

  private static let shared = FeedForwardSpec(size: 27, isGated: true, activation: .geluTanh)
  private static let sigmoid = experts { $0.scoring = .sigmoid }
  private static let judged = experts(8) { ($0.scoring, $0.routerHasChoiceBias) = (.sigmoid, true) }

  static let routed: [Feature] = [
    Feature("experts") { $0 = experts() },
    Feature("one expert of one", experts()) { $0 = experts(1, active: 1) },
    Feature("all experts", experts()) { $0 = experts(6, active: 6) },
    Feature("weights as they are", experts()) { $0.eachRouter { $0.normalizesWeights = false } },
    Feature("weights times a factor", experts()) { $0.eachRouter { $0.weightFactor = 2.5 } },
    Feature("sigmoids", experts()) { $0 = sigmoid },
    Feature("sigmoids as they are", sigmoid) { $0.eachRouter { $0.normalizesWeights = false } },
    Feature("a bias for the choice", sigmoid) { $0.eachRouter { $0.routerHasChoiceBias = true } },
    Feature("groups by their two best", judged) {
      $0.eachRouter { $0.groups = .init(count: 4, active: 2, best: 2) }
    },
    Feature("groups by their best", experts(9, active: 3) { $0.normalizesWeights = false }) {
      $0.eachRouter { $0.groups = .init(count: 3, active: 1, best: 1) }
    },
    Feature("SparseMixer", experts()) { $0.eachRouter { ($0.scoring, $0.jitter) = (.sparseMixer, 0.2) } },
    Feature(
      "SparseMixer that lets nobody near",
      experts {
        $0.scoring = .sparseMixer; $0.jitter = 0.3
      }
    ) {
      $0.eachRouter { $0.jitter = 0 }
    },
    Feature("a router with a bias", experts()) { $0.eachRouter { $0.routerHasBias = true } },
    Feature("a shared expert", experts()) { $0.eachRouter { $0.shared = shared } },
    Feature("a gated shared expert", experts { $0.shared = shared }) { $0.eachRouter { $0.gatesShared = true } },
    Feature("a shared expert of one layer more or less", experts { $0.shared = shared }) {
      $0.eachRouter { $0.shared = .init(size: 50, isGated: false, activation: .relu, biases: [.up]) }
    },
    Feature("experts without gates", experts()) {
      $0.eachRouter { $0.expert = .init(size: 24, isGated: false, activation: .geluTanh) }
    },
    Feature("experts with biases", experts()) { $0.eachRouter { $0.expert.biases = [.gate, .up, .down] } },
    Feature("a limit of the experts' gates", experts { $0.expert.activation = .quickGelu }) {
      $0.eachRouter { $0.expert.limit = 0.2 }
    },
    Feature("a limit of the shared expert's gate", experts { $0.shared = shared }) {
      $0.eachRouter { $0.shared?.limit = 0.1 }
    },
    Feature("experts beside attention", experts { $0.shared = shared }) {
      $0.eachBlock { $0 = BlockSpec([StageSpec(norm: rms, parts: $0.parts)]) }
    },
    Feature("experts before attention in one stage", experts { $0.shared = shared }) {
      $0.eachBlock { $0 = BlockSpec([StageSpec(norm: rms, parts: $0.parts.reversed())]) }
    },
    Feature("experts in a stage beside attention's", experts()) { $0.eachBlock { $0.stages[1].isBeside = true } },
    Feature("experts alone", experts()) { $0.blocks[1].stages.remove(at: 0) },
    Feature("experts behind a norm and times a factor", experts()) {
      $0.eachPart { ($0.outputNorm, $0.factor) = $0.name == "mlp" ? (layerNorm, -0.6) : (nil, 1) }
    },
    Feature("experts in one block") { $0.blocks[1] = experts().blocks[1] },
  ]

  static let all = stages + attention + routed
}

extension AttentionSpec {
  fileprivate mutating func divide(originalContext: Int) {
    let count = (rotary?.dimensions ?? 0) / 2
    rotary?.scaling = .longRoPE(
      short: (0..<count).map { 1.5 + 0.2 * Double($0) }, long: (0..<count).map { 2 + 3 * Double($0) },
      originalContext: originalContext)
  }
}

extension ModelSpec {
  fileprivate mutating func eachBlock(_ change: (inout BlockSpec) -> Void) {
    for block in blocks.indices { change(&blocks[block]) }
  }

  fileprivate mutating func eachStage(_ change: (inout StageSpec) -> Void) {
    eachBlock { block in for stage in block.stages.indices { change(&block.stages[stage]) } }
  }

  fileprivate mutating func eachPart(_ change: (inout PartSpec) -> Void) {
    eachStage { stage in for part in stage.parts.indices { change(&stage.parts[part]) } }
  }

  fileprivate mutating func eachAttention(_ change: (inout AttentionSpec) -> Void) {
    eachBlock { if var attention = $0.attention { change(&attention); $0.attention = attention } }
  }

  fileprivate mutating func eachMLP(_ change: (inout FeedForwardSpec) -> Void) {
    eachBlock { if var mlp = $0.feedForward { change(&mlp); $0.feedForward = mlp } }
  }

  fileprivate mutating func eachRouter(_ change: (inout ExpertsSpec) -> Void) {
    eachBlock { if var experts = $0.experts { change(&experts); $0.experts = experts } }
  }
}
