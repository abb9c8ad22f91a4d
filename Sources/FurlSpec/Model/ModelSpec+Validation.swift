import FurlBase

extension ModelSpec {
  static let mostBlocks = 4096
  private static let mostExperts = 4096
  /// Experts of all blocks: each has tensors of its own.
  private static let mostExpertsInAll = 1 << 17

  /// Checks that sizes are within bounds and fit each other, before anything is allocated for them, and that Furl computes
  /// what the blocks do.
  ///
  /// - Parameter file: the name that errors carry.
  /// - Throws: ``FurlError`` of kind `input` that names the figure.
  package func validate(file: String?) throws {
    let checks = SpecChecks(file: file, place: "")
    try checks.range("vocabulary_size", vocabularySize, 1...(1 << 24))
    try checks.range("hidden_size", hiddenSize, 1...(1 << 17))
    try checks.range("context_length", contextLength, 1...(1 << 24))
    try checks.range("blocks", blocks.count, 0...ModelSpec.mostBlocks)
    try checks.norm("norm", norm)
    if hasHeadBias, tiedEmbeddings {
      throw checks.error("biases", "a bias of head does not fit this model")
    }
    if let logitSoftCap { try checks.positive("logit_soft_cap", logitSoftCap) }
    var experts = 0
    for (index, block) in blocks.enumerated() where index == 0 || block != blocks[index - 1] {
      try validate(block, SpecChecks(file: file, place: "blocks[\(index)]."))
    }
    if let problem = sharingProblem { throw checks.error("blocks", problem) }
    for block in blocks { experts += block.experts?.count ?? 0 }
    guard experts <= ModelSpec.mostExpertsInAll else {
      throw checks.error("experts", "\(experts) in all blocks are more than \(ModelSpec.mostExpertsInAll)")
    }
    for place in patches.sorted() { try checks.range("patches", place, 0...blocks.count) }
  }

  /// Why blocks cannot take keys and values from earlier ones; nil: they can.
  package var sharingProblem: String? {
    let lost = zip(blocks.indices, keyBlocks).first { blocks[$0].takesKeys && $1 == nil }
    return lost.map { "no block before block \($0.0) makes the keys and values that it takes from an earlier one" }
  }

  private func validate(_ block: BlockSpec, _ checks: SpecChecks) throws {
    guard let first = block.stages.first, !first.isBeside, block.stages.allSatisfy({ !$0.parts.isEmpty }) else {
      throw checks.error("stages", "a block needs stages with parts, and the first reads the stream")
    }
    // Names of tensors follow from what parts are.
    let names = block.parts.map(\.name)
    guard Set(names).count == names.count else {
      throw checks.error("stages", "two parts of a block are of one kind")
    }
    for stage in block.stages {
      if let norm = stage.norm { try checks.norm("norm", norm) }
      for part in stage.parts {
        if let norm = part.outputNorm { try checks.norm("output_norm", norm) }
        guard part.factor.isFinite, abs(part.factor) <= 1e6 else {
          throw checks.error("factor", "\(part.factor) is out of range")
        }
        switch part.mixer {
        case .attention(let attention): try validate(attention, checks)
        case .latentAttention(let attention): try attention.validate(checks)
        case .feedForward(let mlp): try checks.mlp(mlp)
        case .experts(let experts): try validate(experts, checks)
        case .recurrent: throw checks.error("recurrent", "is not computed by this version of Furl")
        case .tokenInput(let input):
          try checks.range("token_input.size", input.size, 1...(1 << 17))
          try checks.norm("token_input.norm", input.norm)
          guard !input.norm.hasBias else { throw checks.error("token_input.norm", "has no bias") }
        }
      }
    }
  }

  private func validate(_ attention: AttentionSpec, _ checks: SpecChecks) throws {
    try checks.range("heads", attention.heads, 1...(1 << 12))
    try checks.range("kv_heads", attention.kvHeads, 1...attention.heads)
    try checks.range("head_size", attention.headSize, 1...SpecChecks.largestHead)
    guard attention.heads % attention.kvHeads == 0 else {
      throw checks.error(
        "kv_heads", "\(attention.heads) heads cannot share \(attention.kvHeads) key/value heads evenly")
    }
    guard attention.headSize % 2 == 0 else {
      throw checks.error("head_size", "\(attention.headSize) is odd, which is not supported")
    }
    if let window = attention.window { try checks.range("window", window, 1...(1 << 30)) }
    if let scale = attention.scale { try checks.positive("scale", scale) }
    if let limit = attention.slopeLimit { try checks.range("slope_limit", limit, 1e-3...1e3) }
    if let slopeHeads = attention.slopeHeads {
      let kept = slopeHeads.kept
      try checks.range("slope_heads.all", slopeHeads.all, attention.heads...(1 << 12))
      guard attention.slopeLimit != nil, kept.count == attention.heads, kept.allSatisfy({ 0..<slopeHeads.all ~= $0 }),
        zip(kept, kept.dropFirst()).allSatisfy(<)
      else {
        throw checks.error("slope_heads.kept", "\(attention.heads) different heads of those are expected")
      }
    }
    if let cap = attention.softCap { try checks.positive("soft_cap", cap) }
    if let norm = attention.queryNorm { try checks.norm("query_norm", norm) }
    if let norm = attention.keyNorm { try checks.norm("key_norm", norm) }
    if let epsilon = attention.valueNorm { try checks.range("value_norm", epsilon, 0...1) }
    if attention.keySource == .earlier, attention.keyNorm != nil || attention.valueNorm != nil {
      throw checks.error("key_source", "keys and values of an earlier block are as that one has normed them")
    }
    if let growth = attention.queryGrowth { try checks.range("query_growth.context", growth.context, 1...(1 << 24)) }
    if let rotary = attention.rotary { try rotary.validate(headSize: attention.headSize, checks) }
  }

  private func validate(_ experts: ExpertsSpec, _ checks: SpecChecks) throws {
    try checks.range("experts.count", experts.count, 1...ModelSpec.mostExperts)
    try checks.range("experts.active", experts.active, 1...experts.count)
    try checks.mlp(experts.expert)
    if let shared = experts.shared { try checks.mlp(shared) }
    guard experts.weightFactor.isFinite, abs(experts.weightFactor) <= 1e6 else {
      throw checks.error("experts.factor", "\(experts.weightFactor) is out of range")
    }
    if let norm = experts.ownNorms {
      try checks.norm("experts.own_norms", norm)
      guard !norm.hasBias, experts.shared != nil, !experts.gatesShared else {
        throw checks.error("experts.own_norms", "are of experts beside a shared one without a gate, and have no bias")
      }
    }
    if let cap = experts.routerSoftCap { try checks.positive("experts.router_soft_cap", cap) }
    if let groups = experts.groups {
      try checks.range("experts.groups.count", groups.count, 1...experts.count)
      guard experts.count % groups.count == 0 else {
        throw checks.error("experts.groups.count", "\(experts.count) experts are not \(groups.count) equal groups")
      }
      try checks.range("experts.groups.active", groups.active, 1...groups.count)
      try checks.range("experts.groups.best", groups.best, 1...(experts.count / groups.count))
      guard groups.active * (experts.count / groups.count) >= experts.active else {
        throw checks.error("experts.active", "\(experts.active) experts are not in \(groups.active) groups")
      }
    }
    guard experts.scoring != .sparseMixer || experts.active == 2 && experts.count > 2 else {
      throw checks.error("experts.active", "SparseMixer chooses two experts of more")
    }
    guard experts.scoring != .sparseMixer || experts.groups == nil && !experts.routerHasChoiceBias else {
      throw checks.error("experts.scoring", "SparseMixer knows neither groups nor a bias for the choice")
    }
    try checks.range("experts.jitter", experts.jitter, 0...1e3)
  }
}

/// Checks of single figures, with the place that errors name.
struct SpecChecks {
  static let largestHead = 1 << 12
  let file: String?
  let place: String

  func error(_ name: String, _ problem: String, remedy: String? = nil) -> FurlError {
    .input(file, place + name, problem, remedy: remedy)
  }

  func range(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws {
    guard range.contains(value) else {
      throw error(
        name, "\(value) is out of range", remedy: "allowed: \(range.lowerBound) to \(range.upperBound)")
    }
  }

  func range(_ name: String, _ value: Double, _ range: ClosedRange<Double>) throws {
    guard range.contains(value) else {
      throw error(
        name, "\(value) is out of range", remedy: "allowed: \(range.lowerBound) to \(range.upperBound)")
    }
  }

  func positive(_ name: String, _ value: Double) throws { try range(name, value, 1e-6...1e6) }

  func norm(_ name: String, _ norm: NormSpec) throws {
    guard norm.epsilon.isFinite, norm.epsilon >= 0, norm.epsilon <= 1 else {
      throw error(name + "_epsilon", "\(norm.epsilon) is out of range", remedy: "allowed: 0 to 1")
    }
  }

  func mlp(_ mlp: FeedForwardSpec) throws {
    try range("mlp_size", mlp.size, 1...(1 << 20))
    if let limit = mlp.limit {
      try positive("limit", limit)
      guard mlp.isGated else { throw error("limit", "is of gated MLPs only") }
    }
  }
}
