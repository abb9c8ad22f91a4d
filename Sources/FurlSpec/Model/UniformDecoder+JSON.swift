import FurlBase

extension UniformDecoder {
  /// What the form says beside the model's sizes.
  func members(tiedEmbeddings: Bool) -> [JSON.Member] {
    var members: [JSON.Member] = [
      .init("norm", .string(norm.rawValue)),
      .init("norm_epsilon", .number(normEpsilon)),
      .init("residual", .string(residual.rawValue)),
    ]
    switch positions {
    case .learned: members.append(.init("positions", "learned"))
    case .rotary(let rotary): members += [.init("positions", "rotary"), .init("rotary", rotary.json)]
    }
    members += [
      .init("mlp", .string(mlp.rawValue)),
      .init("activation", .string(activation.rawValue)),
      .init("biases", .array(TensorRole.allCases.filter(biases.contains).map { .string($0.rawValue) })),
      .init("tied_embeddings", .bool(tiedEmbeddings)),
      .init("blocks", .array(blocks.map(\.json))),
    ]
    return members
  }

  /// - Throws: ``FurlError`` of kind `input` that names the key.
  init(_ reader: DocumentReader) throws {
    let biases = try reader.needed("biases", reader.strings).map { name in
      guard let role = TensorRole(rawValue: name) else { throw reader.error("biases", "\"\(name)\" is not a role") }
      return role
    }
    let blocks = try reader.needed("blocks", reader.readers).map { block in
      let sizes = try ["heads", "kv_heads", "head_size", "mlp_size"].map { try block.size($0) }
      let window = try block.integer("window", in: 0...Int.max)
      try block.finish()
      return DecoderWidths(heads: sizes[0], kvHeads: sizes[1], headSize: sizes[2], mlpSize: sizes[3], window: window)
    }
    self.init(
      norm: try reader.knownWord("norm"),
      normEpsilon: try reader.needed("norm_epsilon") { try reader.number($0, in: 0...1) },
      residual: try reader.knownWord("residual"), positions: try Positions(reader), mlp: try reader.knownWord("mlp"),
      activation: try reader.knownWord("activation"), biases: Set(biases), blocks: blocks)
  }

  /// Checks what the blocks do not hold: biases that no layer has, and rotary positions where there is no block.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names the role or the figure.
  func validate(tiedEmbeddings: Bool, file: String?) throws {
    var biased: Set<TensorRole> = [.norm, .query, .key, .value, .attentionOutput, .up, .down]
    if mlp == .gated { biased.insert(.gate) }
    if !tiedEmbeddings { biased.insert(.head) }
    if let role = biases.subtracting(biased).map(\.rawValue).min() {
      throw FurlError.input(file, "biases", "a bias of \(role) does not fit this model")
    }
    if blocks.isEmpty, case .rotary(let rotary) = positions {
      try rotary.validate(headSize: SpecChecks.largestHead, SpecChecks(file: file, place: ""))
    }
  }
}

extension UniformDecoder.DecoderWidths {
  var json: JSON {
    var members: [JSON.Member] = [
      .init("heads", .integer(heads)), .init("kv_heads", .integer(kvHeads)), .init("head_size", .integer(headSize)),
      .init("mlp_size", .integer(mlpSize)),
    ]
    if let window { members.append(.init("window", .integer(window))) }
    return .object(members)
  }
}

extension UniformDecoder.Positions {
  /// Reads `positions`, and `rotary` where it belongs.
  init(_ reader: DocumentReader) throws {
    let isRotary = try reader.needed("positions") { try reader.word($0, ["learned": false, "rotary": true]) }
    self = isRotary ? .rotary(try ModelSpec.Rotary(reader.needed("rotary", reader.reader))) : .learned
  }
}

extension DocumentReader {
  /// A word of a list that newer versions may make longer.
  func knownWord<Value: RawRepresentable>(_ key: String) throws -> Value where Value.RawValue == String {
    let text = try string(key)
    guard let text, let value = Value(rawValue: text) else {
      throw error(key, "\"\(text ?? "")\" is not known to this version of Furl", remedy: "use a newer Furl")
    }
    return value
  }
}
