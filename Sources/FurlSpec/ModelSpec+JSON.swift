import FurlTensor

extension ModelSpec {
  /// The form that artifacts hold.
  public var json: JSON {
    [
      "vocabulary_size": .integer(vocabularySize),
      "hidden_size": .integer(hiddenSize),
      "context_length": .integer(contextLength),
      "norm": .string(norm.rawValue),
      "norm_epsilon": .number(normEpsilon),
      "residual": .string(residual.rawValue),
      "positions": .string(positions.rawValue),
      "mlp": .string(mlp.rawValue),
      "activation": .string(activation.rawValue),
      "biases": .array(TensorRole.allCases.filter(biases.contains).map { .string($0.rawValue) }),
      "tied_embeddings": .bool(tiedEmbeddings),
      "blocks": .array(
        blocks.map {
          [
            "heads": .integer($0.heads), "kv_heads": .integer($0.kvHeads), "head_size": .integer($0.headSize),
            "mlp_size": .integer($0.mlpSize),
          ]
        }),
    ]
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
      try block.finish()
      return Block(heads: sizes[0], kvHeads: sizes[1], headSize: sizes[2], mlpSize: sizes[3])
    }
    guard let epsilon = try reader.number("norm_epsilon", in: 0...1) else {
      throw reader.error("norm_epsilon", "is missing")
    }
    guard let tied = try reader.bool("tied_embeddings") else { throw reader.error("tied_embeddings", "is missing") }
    self.init(
      architecture: architecture, vocabularySize: try integer("vocabulary_size"),
      hiddenSize: try integer("hidden_size"), contextLength: try integer("context_length"),
      norm: try word("norm", Norm.self), normEpsilon: epsilon, residual: try word("residual", Residual.self),
      positions: try word("positions", Positions.self), mlp: try word("mlp", MLP.self),
      activation: try word("activation", Activation.self),
      biases: Set(
        try biases.map { name in
          guard let role = TensorRole(rawValue: name) else { throw reader.error("biases", "\"\(name)\" is not a role") }
          return role
        }),
      tiedEmbeddings: tied, blocks: blocks)
    try reader.finish()
    try validate(file: file)
  }
}
