package import FurlBase

extension ModelSpec {
  /// The version of the form that says this model: 1 where blocks differ in their widths only, else 2.
  package var formVersion: Int { UniformDecoder(self) == nil ? 2 : 1 }

  /// The form that artifacts hold: the oldest that can say it.
  package var json: JSON {
    var members: [JSON.Member] = [
      .init("vocabulary_size", .integer(vocabularySize)),
      .init("hidden_size", .integer(hiddenSize)),
      .init("context_length", .integer(contextLength)),
    ]
    if let uniform = UniformDecoder(self) {
      members += uniform.members(tiedEmbeddings: tiedEmbeddings)
    } else {
      members += [.init("norm", norm.json), .init("tied_embeddings", .bool(tiedEmbeddings))]
      if hasLearnedPositions { members.append(.init("learned_positions", true)) }
      if hasHeadBias { members.append(.init("head_bias", true)) }
      if let logitSoftCap { members.append(.init("logit_soft_cap", .number(logitSoftCap))) }
      members.append(.init("blocks", .array(blocksJSON)))
    }
    if !patches.isEmpty { members.append(.init("patches", .array(patches.sorted().map(JSON.integer)))) }
    return .object(members)
  }

  /// Blocks that are alike and follow each other are said once.
  private var blocksJSON: [JSON] {
    var runs: [(block: BlockSpec, count: Int)] = []
    for block in blocks {
      if let last = runs.last, last.block == block {
        runs[runs.count - 1].count += 1
      } else {
        runs.append((block, 1))
      }
    }
    return runs.map { run in
      let count: [JSON.Member] = run.count > 1 ? [.init("count", .integer(run.count))] : []
      let scale: [JSON.Member] = run.block.isScaled ? [.init("scaled", true)] : []
      return .object(count + [.init("stages", .array(run.block.stages.map(\.json)))] + scale)
    }
  }

  /// Reads the form that artifacts hold; nothing may be missing or unknown.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names the key.
  package init(_ json: JSON, architecture: String, file: String?) throws {
    let reader = try DocumentReader(json, file: file, path: "spec")
    let patches = try reader.optional("patches").map { value in
      let places = value.array?.compactMap(\.integer) ?? []
      guard let list = value.array, places.count == list.count, Set(places).count == places.count else {
        throw reader.error("patches", "a list of different whole numbers is expected")
      }
      return places
    }
    let tied = try reader.needed("tied_embeddings", reader.bool)
    if json["norm"]?.string != nil || json["norm"] == nil {
      let uniform = try UniformDecoder(reader)
      self.init(
        architecture: architecture, vocabularySize: try reader.size("vocabulary_size"),
        hiddenSize: try reader.size("hidden_size"), contextLength: try reader.size("context_length"),
        norm: uniform.norm, normEpsilon: uniform.normEpsilon, residual: uniform.residual,
        positions: uniform.positions, mlp: uniform.mlp, activation: uniform.activation, biases: uniform.biases,
        tiedEmbeddings: tied, blocks: uniform.blocks)
      try uniform.validate(tiedEmbeddings: tied, file: file)
    } else {
      self.init(
        architecture: architecture, vocabularySize: try reader.size("vocabulary_size"),
        hiddenSize: try reader.size("hidden_size"), contextLength: try reader.size("context_length"),
        norm: try NormSpec(reader.needed("norm", reader.reader)), tiedEmbeddings: tied,
        blocks: try ModelSpec.blocks(reader))
      hasLearnedPositions = try reader.bool("learned_positions") ?? false
      hasHeadBias = try reader.bool("head_bias") ?? false
      logitSoftCap = try reader.number("logit_soft_cap", in: -1e300...1e300)
    }
    self.patches = Set(patches ?? [])
    try reader.finish()
    try validate(file: file)
  }

  private static func blocks(_ reader: DocumentReader) throws -> [BlockSpec] {
    var blocks: [BlockSpec] = []
    for run in try reader.needed("blocks", reader.readers) {
      let count = try run.integer("count", in: 1...mostBlocks) ?? 1
      guard count <= mostBlocks - blocks.count else {
        throw run.error("count", "makes more than \(mostBlocks) blocks")
      }
      let stages = try run.needed("stages", run.readers).map(StageSpec.init)
      let isScaled = try run.bool("scaled") ?? false
      try run.finish()
      blocks += Array(repeating: BlockSpec(stages, isScaled: isScaled), count: count)
    }
    return blocks
  }
}
