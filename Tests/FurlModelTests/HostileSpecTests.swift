import FurlTensor
import FurlBase
import FurlModel
import FurlSpec
import FurlTestSupport
import FurlTokenizer
import Testing

/// Artifacts whose specification is unusual, and those whose specification lies.
@Suite struct HostileSpecTests {
  private static func spec(
    vocabulary: Int = 19, hidden: Int, context: Int = 12, tied: Bool = true,
    biases: Set<TensorRole> = [.norm, .query, .key, .value, .attentionOutput, .up, .down],
    positions: UniformDecoder.Positions = .learned, blocks: [UniformDecoder.DecoderWidths], patches: Set<Int> = []
  ) -> ModelSpec {
    ModelSpec(
      architecture: "gpt2", vocabularySize: vocabulary, hiddenSize: hidden, contextLength: context, norm: .layerNorm,
      normEpsilon: 1e-5, residual: .sequential, positions: positions, mlp: .plain, activation: .geluTanh,
      biases: biases, tiedEmbeddings: tied, blocks: blocks, patches: patches)
  }

  private static func block(
    _ heads: Int, _ kvHeads: Int, _ headSize: Int, _ mlp: Int, window: Int? = nil
  ) -> UniformDecoder.DecoderWidths {
    .init(heads: heads, kvHeads: kvHeads, headSize: headSize, mlpSize: mlp, window: window)
  }

  /// Shapes that no checkpoint of GPT-2 has, but pruning and other families do.
  static let unusual: [(name: String, spec: ModelSpec)] = [
    ("no blocks", spec(hidden: 33, blocks: [])),
    (
      "other widths in every block",
      spec(hidden: 40, blocks: [block(5, 5, 8, 160), block(2, 2, 16, 7), block(1, 1, 8, 1)])
    ),
    (
      "linear maps in place of blocks",
      spec(hidden: 40, blocks: [block(2, 2, 8, 20), block(3, 3, 8, 9)], patches: [0, 1, 2])
    ),
    ("a linear map and no blocks", spec(hidden: 33, blocks: [], patches: [0])),
    ("shared keys and values", spec(hidden: 36, blocks: [block(6, 2, 8, 50), block(4, 1, 24, 64)])),
    ("a head of its own, no biases", spec(hidden: 31, tied: false, biases: [], blocks: [block(3, 3, 8, 20)])),
    ("some biases", spec(hidden: 31, tied: false, biases: [.norm, .up], blocks: [block(3, 1, 8, 20)])),
    ("hidden size of one", spec(vocabulary: 2, hidden: 1, context: 5, blocks: [block(1, 1, 8, 3)])),
    ("one token, one position", spec(vocabulary: 1, hidden: 3, context: 1, blocks: [block(1, 1, 8, 3)])),
    (
      "sliding windows, heads of any even size",
      spec(
        hidden: 40, context: 170,
        blocks: [block(4, 2, 10, 30, window: 9), block(2, 1, 18, 30), block(5, 5, 2, 9, window: 1)])
    ),
    ("many blocks", spec(hidden: 8, blocks: Array(repeating: block(1, 1, 8, 8), count: 64))),
    (
      "windows of one and of everything",
      spec(hidden: 16, blocks: [block(2, 1, 8, 16, window: 1), block(1, 1, 16, 9, window: 1 << 30)])
    ),
    (
      "one pair of a wide head turned",
      spec(hidden: 9, positions: .rotary(.init(theta: 1e12, dimensions: 2)), blocks: [block(1, 1, 80, 5)])
    ),
    (
      "every frequency is one",
      spec(hidden: 9, positions: .rotary(.init(theta: 1, dimensions: 8)), blocks: [block(1, 1, 8, 5, window: 12)])
    ),
    (
      "angles of thousands of radians",
      spec(
        hidden: 9, positions: .rotary(.init(theta: 2, dimensions: 8, scaling: .linear(factor: 1e-3))),
        blocks: [block(2, 2, 8, 5)])
    ),
  ]

  @Test(arguments: unusual.indices)
  func unusualShapesEqualPlainLoops(_ index: Int) throws {
    let spec = Self.unusual[index].spec
    let naive = try NaiveModel(spec, seed: UInt64(index) + 1)
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/a.furl"
      try naive.write(to: path)
      for threads in [1, 2] {
        let context = try Fixtures.context(threads: threads)
        let model = try ModelFile(path: path).load(pool: context.pool)
        let ids = Fixtures.ids(spec.contextLength, below: spec.vocabularySize, seed: 6)
        let actual = try Fixtures.logits(Session(model, context: context, format: .float32), ids, pieces: [3, 1])
        let expected = naive.logits(ids)
        #expect(actual.count == expected.count)
        let difference = zip(actual, expected).flatMap { zip($0, $1).map { abs(Double($0) - $1) } }.max() ?? .infinity
        #expect(difference < 1e-4, "\(Self.unusual[index].name)")
      }
    }
  }

  /// One lie: a key of the spec (or of its first block), another value, what is said about it.
  static let lies: [(key: String, value: JSON, words: String)] = [
    ("vocabulary_size", 511, "embedding"), ("vocabulary_size", 0, "vocabulary_size"),
    ("vocabulary_size", -1, "out of range"),
    ("vocabulary_size", .integer(.max), "vocabulary_size"), ("hidden_size", 96, "embedding"),
    ("hidden_size", .integer(1 << 60), "hidden_size"), ("hidden_size", 47.5, "an integer is expected"),
    ("context_length", 65, "positions"), ("context_length", .integer(1 << 24), "positions"),
    ("context_length", .integer(1 << 62), "context_length"), ("norm", "batch_norm", "not known to this version"),
    ("norm_epsilon", -1, "norm_epsilon"), ("norm_epsilon", nil, "is missing"), ("residual", "none", "not known"),
    ("residual", "parallel", "does not know"), ("positions", "alibi", "positions"), ("positions", "rotary", "rotary"),
    ("rotary", ["theta": 10_000, "dimensions": 8], "unknown key"), ("mlp", "gated", "mlp.gate"),
    ("mlp", "experts", "not known"), ("activation", "swiglu", "not known"),
    ("tied_embeddings", false, "head"), ("tied_embeddings", 1, "true or false"), ("biases", [], "does not know"),
    ("biases", ["norm", "rope"], "not a role"), ("biases", ["embedding"], "a bias of embedding"),
    ("biases", ["head"], "a bias of head"),
    ("blocks", [], "does not know"),
    ("blocks", [[:]], "is missing"), ("blocks", 3, "a list is expected"), ("extra", 1, "unknown key"),
    ("blocks[0].heads", 0, "heads"), ("blocks[0].heads", 6, "attention.query"), ("blocks[0].kv_heads", 2, "evenly"),
    ("blocks[0].kv_heads", 1, "attention.key"), ("blocks[0].kv_heads", 4, "kv_heads"),
    ("blocks[0].head_size", 13, "odd"), ("blocks[0].head_size", .integer(1 << 40), "head_size"),
    ("blocks[0].mlp_size", 191, "mlp.up"), ("blocks[0].mlp_size", .integer(.max), "mlp_size"),
    ("patches", [1], "patch"), ("patches", [9], "patches"), ("patches", "all", "patches"),
    ("blocks[0].extra", 1, "unknown key"), ("blocks[0].window", 0, "window"), ("blocks[0].window", -4, "window"),
    ("blocks[0].window", .integer(1 << 40), "window"), ("blocks[0].window", "all", "window"),
  ]

  @Test(arguments: lies.indices)
  func aSpecThatDoesNotFitIsRefused(_ index: Int) throws {
    let lie = Self.lies[index]
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/a.furl"
      let spec = try ModelFile(path: Fixtures.gpt2).spec.json
      try Fixtures.writeArtifact(Fixtures.gpt2, to: path, .init(spec: Self.lying(spec, lie.key, lie.value)))
      expectError(.input, path, lie.words) { _ = try ModelFile(path: path) }
    }
  }

  /// Lies about how heads of 16 are turned.
  static let rotaryLies: [(rotary: JSON, words: String)] = [
    (["theta": 10_000], "dimensions"), (["dimensions": 16], "theta"), (4, "rotary"), ([:], "is missing"),
    (["theta": 10_000, "dimensions": 0], "dimensions"), (["theta": 10_000, "dimensions": 7], "dimensions"),
    (["theta": 10_000, "dimensions": 18], "head size 16"), (["theta": 10_000, "dimensions": -2], "dimensions"),
    (["theta": 10_000, "dimensions": .integer(.max)], "dimensions"), (["theta": 0, "dimensions": 16], "theta"),
    (["theta": -10_000, "dimensions": 16], "theta"), (["theta": 1e300, "dimensions": 16], "theta"),
    (["theta": 10_000, "dimensions": 16, "extra": 1], "unknown key"),
    (["theta": 10_000, "dimensions": 16, "scaling": ["kind": "ntk"]], "not known"),
    (["theta": 10_000, "dimensions": 16, "scaling": ["kind": "yarn"]], "factor"),
    (["theta": 10_000, "dimensions": 16, "scaling": ["kind": "linear"]], "factor"),
    (["theta": 10_000, "dimensions": 16, "scaling": ["kind": "linear", "factor": 0]], "factor"),
    (["theta": 10_000, "dimensions": 16, "scaling": ["kind": "linear", "factor": -1e9]], "factor"),
    (["theta": 10_000, "dimensions": 16, "scaling": ["kind": "linear", "factor": 2, "low": 1]], "unknown key"),
    (llama3(low: 4, high: 4, context: 8192), "low frequency factor"),
    (llama3(low: 1, high: 4, context: 0), "original_context"), (llama3(low: 0, high: 4, context: 8), "low_frequency"),
    (llama3(low: 1, high: 1e300, context: 8), "high_frequency"),
    (llama3(low: 1, high: 4, context: .max), "original_context"),
  ]

  private static func llama3(low: Double, high: Double, context: Int) -> JSON {
    [
      "theta": 10_000, "dimensions": 16,
      "scaling": [
        "kind": "llama3", "factor": 8, "low_frequency_factor": .number(low), "high_frequency_factor": .number(high),
        "original_context": .integer(context),
      ],
    ]
  }

  @Test(arguments: rotaryLies.indices)
  func rotaryPositionsThatDoNotFitAreRefused(_ index: Int) throws {
    let lie = Self.rotaryLies[index]
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/a.furl"
      let naive = try NaiveModel(ArchitectureTests.families[0].spec, seed: 1)
      try naive.write(to: path, spec: Self.lying(naive.spec.json, "rotary", lie.rotary))
      expectError(.input, path, lie.words) { _ = try ModelFile(path: path) }
    }
  }

  /// Without a block there is no head that bounds what is turned.
  @Test func rotaryPositionsOfNoBlockAreBounded() throws {
    var spec = ArchitectureTests.families[0].spec
    spec.blocks = []
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/a.furl"
      let naive = try NaiveModel(spec, seed: 1)
      let rotary: JSON = ["theta": 10_000, "dimensions": .integer(1 << 60)]
      try naive.write(to: path, spec: Self.lying(spec.json, "rotary", rotary))
      expectError(.input, path, "dimensions") { _ = try ModelFile(path: path) }
    }
  }

  private static func lying(_ spec: JSON, _ key: String, _ value: JSON) -> JSON {
    func setting(_ members: [JSON.Member], _ key: String, _ value: JSON) -> JSON {
      .object(members.filter { $0.key != key } + [.init(key, value)])
    }
    guard key.hasPrefix("blocks[0]."), let blocks = spec["blocks"]?.array, let first = blocks.first else {
      return setting(spec.members ?? [], key, value)
    }
    let changed = setting(first.members ?? [], String(key.dropFirst("blocks[0].".count)), value)
    return setting(spec.members ?? [], "blocks", .array([changed] + blocks.dropFirst()))
  }

  @Test func anotherArchitectureIsNoCrash() throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/a.furl"
      try Fixtures.writeArtifact(Fixtures.gpt2, to: path, .init(spec: 4))
      expectError(.input, path) { _ = try ModelFile(path: path) }
      try TestData.write(Array("no artifact".utf8), to: folder + "/b.furl")
      expectError(.input, "b.furl") { _ = try ModelFile(path: folder + "/b.furl") }
      expectError(.input, "nowhere") { _ = try ModelFile(path: folder + "/nowhere") }
    }
  }

  /// A tokenizer may have more tokens than the model has rows: only a text that needs one is refused.
  @Test func tokensWithoutARowAreRefusedWhereTheyAreNeeded() throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/a.furl"
      let tokenizer = try Tokenizer(checkpoint: TestData.minipy).serialized()
      try NaiveModel(Self.unusual[0].spec, seed: 1).write(to: path, tokenizer: tokenizer)
      let model = try LoadedModel(path: path, context: Fixtures.context())
      #expect(model.tokenizer.vocabularySize == 8192)
      let ids = model.tokenizer.encode("def")
      expectError(.input, path, "\(ids[0])") { try model.tokenizer.check(ids, rows: 19, file: path) }
    }
  }
}
