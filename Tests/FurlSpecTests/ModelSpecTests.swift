import FurlBase
import FurlSpec
import FurlTestSupport
import Testing

/// Architectures as data.
@Suite struct ModelSpecTests {
  static let gpt2 = ModelSpec(
    architecture: "gpt2", vocabularySize: 100, hiddenSize: 48, contextLength: 20, norm: .layerNorm, normEpsilon: 1e-5,
    residual: .sequential, positions: .learned, mlp: .plain, activation: .geluTanh,
    biases: [.norm, .query, .key, .value, .attentionOutput, .up, .down], tiedEmbeddings: true,
    blocks: [
      .init(heads: 6, kvHeads: 2, headSize: 8, mlpSize: 192), .init(heads: 3, kvHeads: 3, headSize: 16, mlpSize: 100),
    ])

  @Test func namesAndShapesAreThese() {
    let block0 = [
      "attention.norm [48]", "attention.norm.bias [48]", "attention.query [48, 48]", "attention.query.bias [48]",
      "attention.key [16, 48]", "attention.key.bias [16]", "attention.value [16, 48]", "attention.value.bias [16]",
      "attention.output [48, 48]", "attention.output.bias [48]", "mlp.norm [48]", "mlp.norm.bias [48]",
      "mlp.up [192, 48]", "mlp.up.bias [192]", "mlp.down [48, 192]", "mlp.down.bias [48]",
    ]
    let block1 = block0.map {
      $0.replacing("[16, 48]", with: "[48, 48]").replacing("[16]", with: "[48]").replacing("192", with: "100")
    }
    let expected =
      ["embedding [100, 48]", "positions [20, 48]"] + block0.map { "blocks.0." + $0 } + block1.map { "blocks.1." + $0 }
      + ["norm [48]", "norm.bias [48]"]
    #expect(Self.gpt2.tensors.map { "\($0.name) \($0.shape)" } == expected)
    var untied = Self.gpt2
    untied.tiedEmbeddings = false
    #expect(untied.tensors.last.map { "\($0.name) \($0.shape) \($0.role)" } == "head [100, 48] head")
    #expect(Self.gpt2.tensors.filter { $0.shape.count == 1 }.allSatisfy { $0.role.isVector })
    #expect(Self.gpt2.tensors.filter { $0.role.isBlockLinear }.count == 12)
    #expect(Self.gpt2.tensors.allSatisfy { ($0.block != nil) == $0.name.hasPrefix("blocks.") })
  }

  /// The places where layers read, in the order in which they are computed, and who reads there.
  @Test func placesAreThoseOfTheStages() {
    func places(_ spec: ModelSpec) -> [[String]] {
      spec.sites(of: 0).map { spec.readers(of: $0, in: 0).map(\.name) }
    }
    let attention = ["attention.query", "attention.key", "attention.value"]
    #expect(places(Self.gpt2) == [attention, ["attention.output"], ["mlp.up"], ["mlp.down"]])
    #expect(Self.gpt2.normNames(of: 1) == ["blocks.1.attention.norm", "blocks.1.mlp.norm"])
    var parallel = Self.gpt2
    parallel.uniform?.residual = .parallel
    parallel.uniform?.mlp = .gated
    #expect(
      places(parallel) == [attention + ["mlp.gate", "mlp.up"], ["attention.output"], ["mlp.down"]])
    #expect(parallel.normNames(of: 0) == ["blocks.0.attention.norm"])
  }

  /// Tensors of all that stages can say have names, roles and shapes.
  @Test func partsHaveTheseTensors() {
    var attention = AttentionSpec(heads: 4, kvHeads: 2, headSize: 8, biases: [.query])
    attention.queryNorm = NormSpec(.rmsNorm, epsilon: 1e-6)
    attention.keyNorm = attention.queryNorm
    attention.hasSinks = true
    let part = PartSpec(.attention(attention), outputNorm: NormSpec(.rmsNorm, epsilon: 1e-6))
    #expect(
      part.inputs(hidden: 24).map { "\($0.name) \($0.rows) \($0.columns) \($0.hasBias)" } == [
        "attention.query 32 24 true", "attention.key 16 24 false", "attention.value 16 24 false",
      ])
    #expect(
      part.vectors.map { "\($0.name) \($0.role.rawValue) \($0.count)" } == [
        "attention.query_norm norm 8", "attention.key_norm norm 8", "attention.sinks attention.sinks 4",
      ])
    let expert = FeedForwardSpec(size: 10, isGated: true, activation: .silu)
    let experts = PartSpec(
      .experts(ExpertsSpec(count: 2, active: 1, expert: expert, shared: expert, gatesShared: true)))
    #expect(
      experts.inputs(hidden: 24).map { "\($0.name) \($0.role.rawValue) \($0.rows)" } == [
        "mlp.router mlp.router 2", "mlp.experts.0.gate mlp.gate 10", "mlp.experts.0.up mlp.up 10",
        "mlp.experts.1.gate mlp.gate 10", "mlp.experts.1.up mlp.up 10", "mlp.shared.router mlp.router 1",
        "mlp.shared.gate mlp.gate 10", "mlp.shared.up mlp.up 10",
      ])
    #expect(
      experts.outputs(hidden: 24).map { "\($0.name) \($0.rows) \($0.columns)" } == [
        "mlp.experts.0.down 24 10", "mlp.experts.1.down 24 10", "mlp.shared.down 24 10",
      ])
    let mixer = PartSpec(
      .recurrent(RecurrentSpec(keyHeads: 2, keySize: 4, valueHeads: 3, valueSize: 5, convolution: 4)))
    #expect(mixer.name == "mixer" && mixer.inputs(hidden: 24).map(\.rows) == [8, 8, 15, 15, 3, 3])
    #expect(mixer.outputs(hidden: 24).map(\.columns) == [15])
  }

  /// Latent attention has layers that read what others have made, in the order in which they are computed.
  @Test func latentAttentionHasPlacesOfItsOwn() throws {
    let norm = NormSpec(.rmsNorm, epsilon: 1e-6)
    var latent = LatentAttentionSpec(
      heads: 3, turnedSize: 4, plainSize: 6, valueSize: 13, queryRank: 7, rank: 9,
      rotary: .init(theta: 100, dimensions: 4), norm: norm)
    latent.scale = 0.25
    latent.biases = [.latent, .attentionOutput]
    var spec = ModelSpec(
      architecture: "deepseek_v2", vocabularySize: 50, hiddenSize: 24, contextLength: 20, norm: norm,
      tiedEmbeddings: true, blocks: [BlockSpec([StageSpec(norm: norm, parts: [PartSpec(.latentAttention(latent))])])])
    #expect(
      spec.tensors.dropFirst().dropLast().map { "\($0.name.dropFirst("blocks.0.attention.".count)) \($0.shape)" } == [
        "norm [24]", "query_latent [7, 24]", "latent [9, 24]", "latent.bias [9]", "shared_key [4, 24]", "query [30, 7]",
        "key [18, 9]", "value [39, 9]", "query_latent_norm [7]", "latent_norm [9]", "output [24, 39]",
        "output.bias [24]",
      ])
    func places() -> [[String]] { spec.sites(of: 0).map { spec.readers(of: $0, in: 0).map(\.role.rawValue) } }
    let (own, ends) = (["attention.key", "attention.value"], ["attention.output"])
    #expect(
      places() == [
        ["attention.query_latent", "attention.latent", "attention.shared_key"], ["attention.query"], own, ends,
      ])
    #expect(latent.expanded.headSize == 14 && latent.expanded.scale == 0.25)
    let text = Array(spec.json.prettyText.utf8)
    #expect(try ModelSpec(JSON.parse(text, file: nil), architecture: "deepseek_v2", file: nil) == spec)
    latent.queryRank = nil
    spec.blocks[0].stages[0].parts[0].mixer = .latentAttention(latent)
    #expect(places() == [["attention.query", "attention.latent", "attention.shared_key"], own, ends])
    let hostile: [(inout LatentAttentionSpec) -> Void] = [
      { $0.heads = 0 }, { $0.heads = 4097 }, { $0.turnedSize = 0 }, { $0.turnedSize = .max }, { $0.plainSize = 4093 },
      { $0.plainSize = 0 }, { $0.valueSize = .max }, { $0.rank = 0 }, { $0.rank = .max }, { $0.queryRank = 0 },
      { $0.scale = .nan }, { $0.scale = 0 }, { $0.norm.epsilon = -1 }, { $0.rotary.dimensions = 6 },
    ]
    for change in hostile {
      var changed = latent
      change(&changed)
      spec.blocks[0].stages[0].parts[0].mixer = .latentAttention(changed)
      let error = #expect(throws: FurlError.self) { try spec.validate(file: "a.furl") }
      let isNamed = ["blocks[0].", "rotary."].contains { error?.place?.hasPrefix($0) == true }
      #expect(error?.kind == .input && isNamed)
    }
  }

  /// A linear map stands before the block of its number, or behind all.
  @Test func mapsInPlaceOfBlocks() {
    var spec = Self.gpt2
    spec.patches = [1, 2]
    let added = Set(spec.tensors).subtracting(Self.gpt2.tensors)
    #expect(
      Set(added.map { "\($0.name) \($0.shape) \($0.block ?? -1)" }) == [
        "blocks.1.patch [48, 48] 1", "blocks.1.patch.bias [48] 1", "patch [48, 48] -1", "patch.bias [48] -1",
      ])
    #expect(spec.blockLinearCount == Self.gpt2.blockLinearCount)
    #expect(spec.parameterCount == Self.gpt2.parameterCount + 2 * (48 * 48 + 48))
  }

  /// The parameters that are counted are the numbers that the file holds.
  @Test func minipyHasTheParametersOfItsFile() throws {
    let path = TestData.minipy + "/model.safetensors"
    let file = try MappedFile(path: path)
    let length = Int(file.integer(at: 0, as: UInt64.self))
    let header = try JSON.parse(file.read(8..<8 + length), file: path)
    let stored = try #require(header.members).filter { $0.key != "__metadata__" }.reduce(0) {
      $0 + ($1.value["shape"]?.array ?? []).compactMap(\.integer).reduce(1, *)
    }
    let config = try JSON.parse(TestData.bytes(TestData.minipy + "/config.json"), file: nil)
    let sizes = try ["vocab_size", "n_embd", "n_positions", "n_layer", "n_head"].map {
      try #require(config[$0]?.integer)
    }
    var spec = Self.gpt2
    (spec.vocabularySize, spec.hiddenSize, spec.contextLength) = (sizes[0], sizes[1], sizes[2])
    spec.uniform?.blocks = Array(
      repeating: .init(heads: sizes[4], kvHeads: sizes[4], headSize: sizes[1] / sizes[4], mlpSize: 4 * sizes[1]),
      count: sizes[3])
    #expect(spec.parameterCount == stored)
    #expect(spec.embeddingParameterCount == (sizes[0] + sizes[2]) * sizes[1])
  }

  @Test func jsonIsReadBack() throws {
    var specs = [Self.gpt2]
    specs.append(Self.gpt2)
    specs[1].tiedEmbeddings = false
    specs[1].uniform?.biases = []
    specs[1].uniform?.blocks = []
    specs[1].norm.epsilon = 0
    specs.append(Self.gpt2)
    specs[2].patches = [0, 2]
    for spec in specs {
      let text = spec.json.prettyText
      #expect(try ModelSpec(JSON.parse(Array(text.utf8), file: nil), architecture: "gpt2", file: "a.furl") == spec)
    }
  }

  /// The JSON of the sample with one member changed or removed.
  static func changed(_ key: String, _ value: JSON?) -> JSON {
    var members = gpt2.json.members ?? []
    members.removeAll { $0.key == key }
    if let value { members.append(.init(key, value)) }
    return .object(members)
  }

  @Test func whatIsMissingIsNamed() throws {
    for member in try #require(Self.gpt2.json.members) {
      let error = try #require(throws: FurlError.self) {
        try ModelSpec(Self.changed(member.key, nil), architecture: "gpt2", file: "a.furl")
      }
      #expect(error.file == "a.furl" && error.place?.hasSuffix(member.key) == true)
    }
  }

  static let block: JSON = ["heads": 6, "kv_heads": 2, "head_size": 8, "mlp_size": 192]

  @Test(
    arguments: [
      ("norm", "rms"), ("activation", "relu6"), ("residual", 1), ("positions", "sinusoidal"), ("mlp", "experts"),
      ("mlp", [""]),
      ("biases", ["nothing"]), ("biases", "norm"), ("biases", [1]), ("extra", 1), ("vocabulary_size", 0),
      ("vocabulary_size", -1), ("vocabulary_size", 33_554_432), ("vocabulary_size", 1.5), ("vocabulary_size", "100"),
      ("hidden_size", 0), ("hidden_size", .integer(.max)), ("hidden_size", .integer(.min)), ("context_length", 0),
      ("context_length", 33_554_432), ("norm_epsilon", -1), ("norm_epsilon", 2), ("norm_epsilon", "x"),
      ("tied_embeddings", 1), ("blocks", 3), ("blocks", [1]), ("blocks", [["heads": 1]]),
      ("patches", 1), ("patches", ["0"]), ("patches", [1, 1]), ("patches", [3]), ("patches", [-1]),
    ] as [(String, JSON)])
  func whatIsUnknownOrOutOfRangeIsRefused(_ key: String, _ value: JSON) throws {
    let error = try #require(throws: FurlError.self) {
      try ModelSpec(Self.changed(key, value), architecture: "gpt2", file: "a.furl")
    }
    #expect(error.kind == .input && error.file == "a.furl")
    #expect(error.place?.contains(key) == true, "\(error)")
  }

  @Test func tooManyBlocksAreRefused() throws {
    let blocks = JSON.array(Array(repeating: Self.block, count: 4097))
    let error = try #require(throws: FurlError.self) {
      try ModelSpec(Self.changed("blocks", blocks), architecture: "gpt2", file: "a.furl")
    }
    #expect(error.place == "blocks")
  }

  @Test(
    arguments: [
      ("heads", 0), ("heads", 4097), ("heads", 7), ("kv_heads", 0), ("kv_heads", 7), ("kv_heads", 4), ("head_size", 0),
      ("head_size", 11), ("head_size", 4104), ("mlp_size", 0), ("mlp_size", 2_097_152), ("mlp_size", .integer(.max)),
      ("more", 1),
    ] as [(String, JSON)])
  func badBlocksAreRefused(_ key: String, _ value: JSON) throws {
    var members = Self.block.members ?? []
    members.removeAll { $0.key == key }
    members.append(.init(key, value))
    let json = Self.changed("blocks", [Self.block, .object(members)])
    let error = try #require(throws: FurlError.self) { try ModelSpec(json, architecture: "gpt2", file: "a.furl") }
    #expect(error.place?.contains("blocks[1]") == true, "\(error)")
  }

  /// The largest sizes that are allowed have a count of parameters.
  @Test func noAllowedSizeOverflows() throws {
    var spec = Self.gpt2
    (spec.vocabularySize, spec.hiddenSize, spec.contextLength) = (1 << 24, 1 << 17, 1 << 24)
    spec.uniform?.blocks = Array(
      repeating: .init(heads: 4096, kvHeads: 4096, headSize: 4096, mlpSize: 1 << 20), count: 4096)
    try spec.validate(file: nil)
    #expect(spec.parameterCount > 1 << 50)
  }
}
