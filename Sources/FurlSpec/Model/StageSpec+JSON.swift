import FurlBase

// The second version of the form: a block stage by stage.

extension StageSpec {
  var json: JSON {
    var members: [JSON.Member] = norm.map { [.init("norm", $0.json)] } ?? []
    if isBeside { members.append(.init("beside", true)) }
    return .object(members + [.init("parts", .array(parts.map(\.json)))])
  }

  init(_ reader: DocumentReader) throws {
    self.init(
      norm: try reader.reader("norm").map(NormSpec.init),
      parts: try reader.needed("parts", reader.readers).map(PartSpec.init),
      isBeside: try reader.bool("beside") ?? false)
    try reader.finish()
  }
}

extension PartSpec {
  var json: JSON {
    let mixer: JSON.Member =
      switch mixer {
      case .attention(let attention): .init("attention", attention.json)
      case .latentAttention(let attention): .init("latent_attention", attention.json)
      case .feedForward(let mlp): .init("mlp", mlp.json)
      case .experts(let experts): .init("experts", experts.json)
      case .recurrent(let mixer): .init("recurrent", mixer.json)
      case .tokenInput(let input): .init("token_input", input.json)
      }
    var members = [mixer]
    if let outputNorm { members.append(.init("output_norm", outputNorm.json)) }
    if factor != 1 { members.append(.init("factor", .number(factor))) }
    return .object(members)
  }

  init(_ reader: DocumentReader) throws {
    var mixers: [MixerSpec] = []
    if let found = try reader.reader("attention") { mixers.append(.attention(try AttentionSpec(found))) }
    if let found = try reader.reader("latent_attention") {
      mixers.append(.latentAttention(try LatentAttentionSpec(found)))
    }
    if let found = try reader.reader("mlp") { mixers.append(.feedForward(try FeedForwardSpec(found))) }
    if let found = try reader.reader("experts") { mixers.append(.experts(try ExpertsSpec(found))) }
    if let found = try reader.reader("recurrent") { mixers.append(.recurrent(try RecurrentSpec(found))) }
    if let found = try reader.reader("token_input") { mixers.append(.tokenInput(try TokenInputSpec(found))) }
    guard mixers.count == 1 else {
      throw reader.error(
        nil, "one of attention, latent_attention, mlp, experts, recurrent and token_input is expected")
    }
    self.init(
      mixers[0], outputNorm: try reader.reader("output_norm").map(NormSpec.init),
      factor: try reader.number("factor", in: -1e300...1e300) ?? 1)
    try reader.finish()
  }
}

extension NormSpec {
  var json: JSON {
    let members: [JSON.Member] = [.init("kind", .string(kind.rawValue)), .init("epsilon", .number(epsilon))]
    return .object(members + (hasBias ? [.init("bias", true)] : []))
  }

  init(_ reader: DocumentReader) throws {
    self.init(
      try reader.knownWord("kind"), epsilon: try reader.needed("epsilon") { try reader.number($0, in: 0...1) },
      hasBias: try reader.bool("bias") ?? false)
    try reader.finish()
  }
}

extension AttentionSpec {
  fileprivate var json: JSON {
    var members: [JSON.Member] = [
      .init("heads", .integer(heads)), .init("kv_heads", .integer(kvHeads)), .init("head_size", .integer(headSize)),
    ]
    if let window { members.append(.init("window", .integer(window))) }
    if let rotary { members.append(.init("rotary", rotary.json)) }
    if let scale { members.append(.init("scale", .number(scale))) }
    if let softCap { members.append(.init("soft_cap", .number(softCap))) }
    if hasSinks { members.append(.init("sinks", true)) }
    if let queryNorm { members.append(.init("query_norm", queryNorm.json)) }
    if let keyNorm { members.append(.init("key_norm", keyNorm.json)) }
    if headNorms != .ofHead { members.append(.init("head_norms", .string(headNorms.rawValue))) }
    if let valueNorm { members.append(.init("value_norm", .number(valueNorm))) }
    if keySource != .own { members.append(.init("key_source", .string(keySource.rawValue))) }
    if let slopeLimit { members.append(.init("slope_limit", .number(slopeLimit))) }
    if let slopeHeads {
      members.append(
        .init("slope_heads", ["all": .integer(slopeHeads.all), "kept": .array(slopeHeads.kept.map(JSON.integer))]))
    }
    if let queryGrowth {
      members.append(
        .init("query_growth", ["rate": .number(queryGrowth.rate), "context": .integer(queryGrowth.context)]))
    }
    if let outputGate { members.append(.init("output_gate", .string(outputGate.rawValue))) }
    return .object(members + biases.members)
  }

  fileprivate init(_ reader: DocumentReader) throws {
    self.init(
      heads: try reader.size("heads"), kvHeads: try reader.size("kv_heads"), headSize: try reader.size("head_size"),
      window: try reader.integer("window", in: 0...Int.max),
      rotary: try reader.reader("rotary").map(ModelSpec.Rotary.init),
      biases: try reader.biases(among: [.query, .key, .value, .attentionOutput, .attentionGate]))
    scale = try reader.number("scale", in: -1e300...1e300)
    softCap = try reader.number("soft_cap", in: -1e300...1e300)
    hasSinks = try reader.bool("sinks") ?? false
    queryNorm = try reader.reader("query_norm").map(NormSpec.init)
    keyNorm = try reader.reader("key_norm").map(NormSpec.init)
    if reader.optional("head_norms") != nil { headNorms = try reader.knownWord("head_norms") }
    valueNorm = try reader.number("value_norm", in: -1e300...1e300)
    if reader.optional("key_source") != nil { keySource = try reader.knownWord("key_source") }
    slopeLimit = try reader.number("slope_limit", in: -1e300...1e300)
    slopeHeads = try reader.reader("slope_heads").map { heads in
      let list = heads.optional("kept")?.array ?? []
      let kept = list.compactMap(\.integer)
      guard kept.count == list.count else { throw heads.error("kept", "a list of integers is expected") }
      let result = SlopeHeads(all: try heads.size("all"), kept: kept)
      try heads.finish()
      return result
    }
    queryGrowth = try reader.reader("query_growth").map { growth in
      let result = QueryGrowth(
        rate: try growth.needed("rate") { try growth.number($0, in: 0...1e3) }, context: try growth.size("context"))
      try growth.finish()
      return result
    }
    if reader.optional("output_gate") != nil { outputGate = try reader.knownWord("output_gate") }
    try reader.finish()
  }
}

extension FeedForwardSpec {
  fileprivate var json: JSON {
    var members: [JSON.Member] = [
      .init("size", .integer(size)), .init("gated", .bool(isGated)), .init("activation", .string(activation.rawValue)),
    ]
    if let limit { members.append(.init("limit", .number(limit))) }
    return .object(members + biases.members)
  }

  fileprivate init(_ reader: DocumentReader) throws {
    let isGated = try reader.needed("gated", reader.bool)
    self.init(
      size: try reader.size("size"), isGated: isGated, activation: try reader.knownWord("activation"),
      biases: try reader.biases(among: isGated ? [.gate, .up, .down] : [.up, .down]))
    limit = try reader.number("limit", in: -1e300...1e300)
    try reader.finish()
  }
}

extension ExpertsSpec {
  fileprivate var json: JSON {
    var members: [JSON.Member] = [
      .init("count", .integer(count)), .init("active", .integer(active)), .init("expert", expert.json),
      .init("scoring", .string(scoring.rawValue)), .init("normalizes", .bool(normalizesWeights)),
    ]
    if let shared { members += [.init("shared", shared.json), .init("gates_shared", .bool(gatesShared))] }
    if weightFactor != 1 { members.append(.init("factor", .number(weightFactor))) }
    if routerHasBias { members.append(.init("router_bias", true)) }
    if let routerSoftCap { members.append(.init("router_soft_cap", .number(routerSoftCap))) }
    if routerHasChoiceBias { members.append(.init("choice_bias", true)) }
    if let groups {
      members.append(
        .init(
          "groups",
          ["count": .integer(groups.count), "active": .integer(groups.active), "best": .integer(groups.best)]))
    }
    if jitter != 0 { members.append(.init("jitter", .number(jitter))) }
    if let ownNorms { members.append(.init("own_norms", ownNorms.json)) }
    if hasExpertFactors { members.append(.init("expert_factors", true)) }
    return .object(members)
  }

  fileprivate init(_ reader: DocumentReader) throws {
    let shared = try reader.reader("shared").map(FeedForwardSpec.init)
    self.init(
      count: try reader.size("count"), active: try reader.size("active"),
      expert: try FeedForwardSpec(reader.needed("expert", reader.reader)), shared: shared,
      gatesShared: shared == nil ? false : try reader.bool("gates_shared") ?? false,
      scoring: try reader.knownWord("scoring"), normalizesWeights: try reader.needed("normalizes", reader.bool),
      weightFactor: try reader.number("factor", in: -1e300...1e300) ?? 1)
    routerHasBias = try reader.bool("router_bias") ?? false
    routerSoftCap = try reader.number("router_soft_cap", in: -1e300...1e300)
    routerHasChoiceBias = try reader.bool("choice_bias") ?? false
    groups = try reader.reader("groups").map { groups in
      let result = Groups(
        count: try groups.size("count"), active: try groups.size("active"), best: try groups.size("best"))
      try groups.finish()
      return result
    }
    jitter = try reader.number("jitter", in: 0...1e3) ?? 0
    ownNorms = try reader.reader("own_norms").map(NormSpec.init)
    hasExpertFactors = try reader.bool("expert_factors") ?? false
    try reader.finish()
  }
}

extension RecurrentSpec {
  fileprivate var json: JSON {
    [
      "key_heads": .integer(keyHeads), "key_size": .integer(keySize), "value_heads": .integer(valueHeads),
      "value_size": .integer(valueSize), "convolution": .integer(convolution),
    ]
  }

  fileprivate init(_ reader: DocumentReader) throws {
    self.init(
      keyHeads: try reader.size("key_heads"), keySize: try reader.size("key_size"),
      valueHeads: try reader.size("value_heads"), valueSize: try reader.size("value_size"),
      convolution: try reader.size("convolution"))
    try reader.finish()
  }
}

extension TokenInputSpec {
  fileprivate var json: JSON {
    ["size": .integer(size), "activation": .string(activation.rawValue), "norm": norm.json]
  }

  fileprivate init(_ reader: DocumentReader) throws {
    self.init(
      size: try reader.size("size"), activation: try reader.knownWord("activation"),
      norm: try NormSpec(reader.needed("norm", reader.reader)))
    try reader.finish()
  }
}

extension Set<TensorRole> {
  /// As a list of an object, in a fixed order.
  var members: [JSON.Member] {
    isEmpty ? [] : [.init("biases", .array(TensorRole.allCases.filter(contains).map { .string($0.rawValue) }))]
  }
}

extension DocumentReader {
  func biases(among roles: Set<TensorRole>) throws -> Set<TensorRole> {
    try Set(
      (strings("biases") ?? []).map { name in
        guard let role = TensorRole(rawValue: name), roles.contains(role) else {
          throw error("biases", "a bias of \(name) does not fit this layer")
        }
        return role
      })
  }
}
