import FurlBase

extension ModelSpec {
  /// The form that artifacts hold.
  public var json: JSON {
    var members: [JSON.Member] = [
      .init("vocabulary_size", .integer(vocabularySize)),
      .init("hidden_size", .integer(hiddenSize)),
      .init("context_length", .integer(contextLength)),
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
    if !patches.isEmpty { members.append(.init("patches", .array(patches.sorted().map(JSON.integer)))) }
    return .object(members)
  }

  /// Reads the form that artifacts hold; nothing may be missing or unknown.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names the key.
  public init(_ json: JSON, architecture: String, file: String?) throws {
    let reader = try DocumentReader(json, file: file, path: "spec")
    let anySize = 0...Int.max
    func integer(_ key: String) throws -> Int {
      guard let value = try reader.integer(key, in: anySize) else { throw reader.error(key, "is missing") }
      return value
    }
    func word<Value: RawRepresentable & CaseIterable>(_ key: String, _: Value.Type) throws -> Value
    where Value.RawValue == String {
      let text = try reader.string(key)
      guard let text, let value = Value(rawValue: text) else {
        throw reader.error(key, "\"\(text ?? "")\" is not known to this version of Furl", remedy: "use a newer Furl")
      }
      return value
    }
    guard let biases = try reader.strings("biases") else { throw reader.error("biases", "is missing") }
    guard let blockReaders = try reader.readers("blocks") else { throw reader.error("blocks", "is missing") }
    let blocks = try blockReaders.map { block in
      let sizes = try ["heads", "kv_heads", "head_size", "mlp_size"].map { key in
        guard let value = try block.integer(key, in: anySize) else { throw block.error(key, "is missing") }
        return value
      }
      let window = try block.integer("window", in: anySize)
      try block.finish()
      return Block(heads: sizes[0], kvHeads: sizes[1], headSize: sizes[2], mlpSize: sizes[3], window: window)
    }
    guard let epsilon = try reader.number("norm_epsilon", in: 0...1) else {
      throw reader.error("norm_epsilon", "is missing")
    }
    let patches = try reader.optional("patches").map { value in
      let places = value.array?.compactMap(\.integer) ?? []
      guard let list = value.array, places.count == list.count, Set(places).count == places.count else {
        throw reader.error("patches", "a list of different whole numbers is expected")
      }
      return places
    }
    guard let tied = try reader.bool("tied_embeddings") else { throw reader.error("tied_embeddings", "is missing") }
    self.init(
      architecture: architecture, vocabularySize: try integer("vocabulary_size"),
      hiddenSize: try integer("hidden_size"), contextLength: try integer("context_length"),
      norm: try word("norm", Norm.self), normEpsilon: epsilon, residual: try word("residual", Residual.self),
      positions: try Positions(reader), mlp: try word("mlp", MLP.self),
      activation: try word("activation", Activation.self),
      biases: Set(
        try biases.map { name in
          guard let role = TensorRole(rawValue: name) else { throw reader.error("biases", "\"\(name)\" is not a role") }
          return role
        }),
      tiedEmbeddings: tied, blocks: blocks, patches: Set(patches ?? []))
    try reader.finish()
    try validate(file: file)
  }
}

extension ModelSpec.Block {
  var json: JSON {
    var members: [JSON.Member] = [
      .init("heads", .integer(heads)), .init("kv_heads", .integer(kvHeads)), .init("head_size", .integer(headSize)),
      .init("mlp_size", .integer(mlpSize)),
    ]
    if let window { members.append(.init("window", .integer(window))) }
    return .object(members)
  }
}

extension ModelSpec.Positions {
  /// Reads `positions`, and `rotary` where it belongs.
  init(_ reader: DocumentReader) throws {
    let isRotary = try reader.word("positions", ["learned": false, "rotary": true])
    guard let isRotary else { throw reader.error("positions", "is missing") }
    guard isRotary else {
      self = .learned
      return
    }
    guard let rotary = try reader.reader("rotary") else { throw reader.error("rotary", "is missing") }
    self = .rotary(try ModelSpec.Rotary(rotary))
  }
}
