import FurlTokenizer
import FurlSpec
import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Testing

/// The tokens that end a text, on their way through artifacts and exports.
@Suite struct EndTokenArtifactTests {
  /// One for each use: tests run beside each other.
  private static var pool: WorkerPool { WorkerPool(threads: 2) }

  private static let calibration = "calibration: {text: \"checkpoint:text.txt\", samples: 4, length: 8}"

  /// - Parameter text: what `calibration` reads, for steps that want it.
  private static func compress(
    _ chain: ChainCheckpoint, _ steps: String? = nil, text: String? = nil, in folder: String
  ) throws -> Artifact {
    try chain.write(to: folder + "/m")
    if let text { try TestData.write(Array(text.utf8), to: folder + "/m/text.txt") }
    let recipe = try Fixtures.recipe(
      steps ?? "  - quantize: {weights: int8, block: 32}", more: text == nil ? "" : calibration)
    _ = try Compressor(Checkpoint(path: folder + "/m"), recipe: recipe).write(to: folder + "/a.furl", pool: pool)
    return try Artifact(path: folder + "/a.furl")
  }

  private static func text(_ path: String, _ prompt: String = "a") throws -> Generation {
    let loaded = try LoadedModel(path: path, context: ComputeContext(pool: pool, kernels: Kernels()))
    let request = GenerationRequest(ids: try loaded.encode(prompt, bos: .auto), maxTokens: 14)
    var found: Generation?
    try Generator(session: loaded.session(), tokenizer: loaded.tokenizer).run([request]) { found = $1 }
    return try #require(found)
  }

  private static func chain(_ generation: JSON?, config: JSON? = nil) -> ChainCheckpoint {
    var chain = ChainCheckpoint()
    if let generation { chain.files["generation_config.json"] = ["eos_token_id": generation] }
    if let config { chain.config = [.init("eos_token_id", config)] }
    return chain
  }

  static let said: [(JSON?, JSON?, [Int]?)] = [
    ([11, 13], nil, [11, 13]), (13, 11, [11, 13]), (11, 13, [11]),
    // Nothing new to say: the file is as it was before there was this key.
    (nil, [11, 13], nil), (11, 11, nil), (nil, 11, nil), (nil, nil, nil), (13, 13, nil),
  ]

  @Test(arguments: said) func theArtifactCarriesThem(_ generation: JSON?, _ config: JSON?, _ said: [Int]?) throws {
    try TestData.withTemporaryFolder { folder in
      let artifact = try Self.compress(Self.chain(generation, config: config), in: folder)
      #expect(artifact.description.endTokens == said)
      let (own, kept) = (
        try ModelFile(path: folder + "/m").tokenizer(), try ModelFile(path: folder + "/a.furl").tokenizer()
      )
      #expect(kept.endIDs == own.endIDs)
      #expect(try Self.text(folder + "/a.furl").text == Self.text(folder + "/m").text)
    }
  }

  @Test func theIDCoversThem() throws {
    try TestData.withTemporaryFolder { folder in
      let with = try Self.compress(Self.chain([11, 13]), in: folder + "/1")
      let others = try Self.compress(Self.chain([11, 5]), in: folder + "/2")
      let without = try Self.compress(Self.chain(nil), in: folder + "/3")
      #expect(Set([with.id, others.id, without.id]).count == 3)
    }
  }

  @Test func exportsWriteThem() throws {
    try TestData.withTemporaryFolder { folder in
      _ = try Self.compress(Self.chain([11, 13], config: 11), in: folder)
      let export = try SafetensorsExport(numbers: .f32, shardBytes: 1 << 30)
      for name in ["a.furl", "m"] {
        let output = folder + "/out-" + name.prefix(1)
        _ = try export.write(ExportedModel(ModelFile(path: folder + "/" + name)), to: output, pool: Self.pool)
        let written = try JSON.parse(TestData.bytes(output + "/generation_config.json"), file: nil)
        #expect(written["eos_token_id"] == [11, 13])
        #expect(try Self.text(output).text == "bc")
        _ = try GGUFExport(numbers: .f32).write(
          ExportedModel(ModelFile(path: folder + "/" + name)), to: output + ".gguf", pool: Self.pool)
        let metadata = try GGUFFile(path: output + ".gguf").metadata
        #expect(try metadata.integer("tokenizer.ggml.eos_token_id") == 11)
        #expect(try metadata.integer("tokenizer.ggml.eot_token_id") == 13)
        #expect(try ModelFile(path: output + ".gguf").tokenizer().endIDs == [11, 13])
      }
    }
  }

  /// The tokenizer's end, which only Furl asks for, is in the file that other runtimes ask.
  @Test func aCopiedFileNamesAllOfThem() throws {
    try TestData.withTemporaryFolder { folder in
      var chain = Self.chain(13, config: 11)
      chain.files["generation_config.json"] = ["temperature": 0.5, "eos_token_id": 13]
      try chain.write(to: folder + "/m")
      let export = try SafetensorsExport(numbers: .f32, shardBytes: 1 << 30)
      _ = try export.write(ExportedModel(ModelFile(path: folder + "/m")), to: folder + "/out", pool: Self.pool)
      let written = try JSON.parse(TestData.bytes(folder + "/out/generation_config.json"), file: nil)
      #expect(written["eos_token_id"] == [11, 13] && written["temperature"] == 0.5)
    }
  }

  @Test func prunedVocabulariesRenumberThem() throws {
    var chain = Self.chain([11, 13], config: 11)
    chain.rows = 20
    try TestData.withTemporaryFolder { folder in
      try chain.write(to: folder + "/m")
      try TestData.write(Array(String(repeating: "a b c d e f g h i ", count: 40).utf8), to: folder + "/m/text.txt")
      let recipe = try Fixtures.recipe(
        "  - prune: {groups: [vocabulary], of: groups, sparsity: 0.35, multiple: 1}\n  - quantize: {weights: int8, block: 32}",
        more: "calibration: {text: \"checkpoint:text.txt\", samples: 4, length: 8}")
      _ = try Compressor(Checkpoint(path: folder + "/m"), recipe: recipe).write(to: folder + "/a.furl", pool: Self.pool)
      let tokenizer = try ModelFile(path: folder + "/a.furl").tokenizer()
      #expect(tokenizer.endIDs.map(tokenizer.piece) == ["</s>", "<|im_end|>"])
      #expect(tokenizer.endIDs != [11, 13])
      #expect(try Self.text(folder + "/a.furl").text == "bc")
    }
  }

  // MARK: Tokens without a row

  @Test func tokensWithoutARowStay() throws {
    var chain = Self.chain([11, 13])
    chain.rows = 12
    try TestData.withTemporaryFolder { folder in
      let artifact = try Self.compress(chain, in: folder)
      #expect(artifact.description.endTokens == [11, 13])
      #expect(try Self.text(folder + "/a.furl", "d").text == "e")
      let error = #expect(throws: FurlError.self) { try Self.text(folder + "/a.furl", "d<|im_end|>") }
      #expect(error?.kind == .input && error.map { "\($0)".contains("13, \"<|im_end|>\"") } == true)
      let model = try ExportedModel(ModelFile(path: folder + "/a.furl"))
      let result = try GGUFExport(numbers: .f32).write(model, to: folder + "/m.gguf", pool: Self.pool)
      #expect(result.notes.contains { $0.contains("2 tokens without a row") })
      #expect(try GGUFFile(path: folder + "/m.gguf").metadata.count("tokenizer.ggml.tokens") == 12)
      #expect(try Self.text(folder + "/m.gguf", "d").text == "e")
      let export = try SafetensorsExport(numbers: .f32, shardBytes: 1 << 30)
      _ = try export.write(model, to: folder + "/out", pool: Self.pool)
      #expect(try ModelFile(path: folder + "/out").tokenizer().vocabularySize == 14)
    }
  }

  @Test func aCalibrationThatNeedsOneIsRefused() throws {
    var chain = ChainCheckpoint()
    chain.rows = 12
    try TestData.withTemporaryFolder { folder in
      let error = #expect(throws: FurlError.self) {
        try Self.compress(
          chain, "  - quantize: {weights: int4, block: 32, method: gptq}",
          text: String(repeating: "abcd<|im_end|>", count: 40), in: folder)
      }
      #expect(error?.kind == .input && error.map { "\($0)".contains("text.txt") && "\($0)".contains("13") } == true)
    }
  }

  @Test func prunedVocabulariesKeepTokensWithoutARow() throws {
    var chain = ChainCheckpoint()
    chain.rows = 12
    try TestData.withTemporaryFolder { folder in
      _ = try Self.compress(
        chain,
        "  - prune: {groups: [vocabulary], of: groups, sparsity: 0.083, multiple: 1}\n  - quantize: {weights: int8, block: 32}",
        text: String(repeating: "a b c d e f g h i ", count: 40), in: folder)
      let file = try ModelFile(path: folder + "/a.furl")
      let tokenizer = try file.tokenizer()
      #expect(file.spec.vocabularySize == 11 && tokenizer.vocabularySize == 13)
      #expect(tokenizer.encode("d<|im_end|>").last == 12 && tokenizer.piece(10) == "</s>")
      #expect(try Self.text(folder + "/a.furl", "d").text == "e")
    }
  }
}
