import FurlTokenizer
import FurlBase
@testable import FurlModel
import FurlTensor
import FurlTestSupport
import Testing

/// Where generation ends, whoever names the tokens.
@Suite struct EndTokenTests {
  private static let (end, turn) = (ChainCheckpoint.end, ChainCheckpoint.turn)

  private static func context() throws -> ComputeContext {
    ComputeContext(pool: WorkerPool(threads: 2), kernels: try Kernels())
  }

  private static func loaded(_ chain: ChainCheckpoint, in folder: String) throws -> LoadedModel {
    try chain.write(to: folder + "/m")
    return try LoadedModel(path: folder + "/m", context: context())
  }

  private static func generate(
    _ loaded: LoadedModel, _ prompts: [String] = ["a"], guesses: Int = 0, draft: [Int] = [], slots: Int = 1
  ) throws -> [Generation] {
    let requests = try prompts.map { prompt in
      var request = GenerationRequest(ids: try loaded.encode(prompt, bos: .auto), maxTokens: 14)
      request.draft = draft
      return request
    }
    var results = [Generation?](repeating: nil, count: prompts.count)
    let generator = Generator(session: try loaded.session(slots: slots), tokenizer: loaded.tokenizer, guesses: guesses)
    try generator.run(requests) { results[$0] = $1 }
    return try results.map { try #require($0) }
  }

  struct Sources: Sendable {
    var generation: JSON?
    var config: JSON?
    var tokenizer: String?
    var ends: [Int]
    var text: String
  }

  static let named: [Sources] = [
    Sources(generation: [11, 13], config: nil, tokenizer: "</s>", ends: [11, 13], text: "bc"),
    Sources(generation: 13, config: 11, tokenizer: "</s>", ends: [11, 13], text: "bc"),
    Sources(generation: nil, config: [11, 13], tokenizer: "</s>", ends: [11, 13], text: "bc"),
    // What generation_config.json says goes before what config.json says; the tokenizer's end counts in any case.
    Sources(generation: 11, config: 13, tokenizer: "</s>", ends: [11], text: "bc<|im_end|>de"),
    Sources(generation: 7, config: 13, tokenizer: "</s>", ends: [7, 11], text: "bc<|im_end|>de"),
    Sources(generation: nil, config: 13, tokenizer: nil, ends: [13], text: "bc"),
    Sources(generation: nil, config: nil, tokenizer: "<|im_end|>", ends: [13], text: "bc"),
    // What is no token's id, as transformers writes the usual ones of a family into small models, names none.
    Sources(generation: 50256, config: 13, tokenizer: "</s>", ends: [11, 13], text: "bc"),
    Sources(generation: [16, 13], config: nil, tokenizer: nil, ends: [13], text: "bc"),
    Sources(generation: nil, config: 50256, tokenizer: "</s>", ends: [11], text: "bc<|im_end|>de"),
    // None is said in several ways.
    Sources(generation: .null, config: 13, tokenizer: "</s>", ends: [11, 13], text: "bc"),
    Sources(generation: -1, config: 13, tokenizer: "</s>", ends: [11, 13], text: "bc"),
    Sources(generation: [], config: [-1, 13], tokenizer: "</s>", ends: [11, 13], text: "bc"),
    Sources(generation: nil, config: -1, tokenizer: "</s>", ends: [11], text: "bc<|im_end|>de"),
    Sources(generation: [13, 13, 2], config: nil, tokenizer: nil, ends: [2, 13], text: "b"),
  ]

  @Test(arguments: named) func allSourcesCount(_ sources: Sources) throws {
    var chain = ChainCheckpoint()
    if let config = sources.config { chain.config = [.init("eos_token_id", config)] }
    if let value = sources.generation {
      chain.files["generation_config.json"] = .object([.init("eos_token_id", value)])
    }
    chain.files["tokenizer_config.json"] = .object([.init("eos_token", .optional(sources.tokenizer))])
    try TestData.withTemporaryFolder { folder in
      let loaded = try Self.loaded(chain, in: folder)
      #expect(loaded.tokenizer.endIDs == sources.ends)
      let result = try Self.generate(loaded)[0]
      #expect(result.text == sources.text && result.stopReason == .endOfText)
      #expect(result.endID.map(sources.ends.contains) == true)
    }
  }

  @Test func guessesDraftsAndBatchesStopThere() throws {
    var chain = ChainCheckpoint()
    chain.files["generation_config.json"] = ["eos_token_id": [11, 13]]
    try TestData.withTemporaryFolder { folder in
      let loaded = try Self.loaded(chain, in: folder)
      // A prompt that holds what comes, so that guesses come true beyond the end.
      let guessed = try Self.generate(loaded, ["abc<|im_end|>dea"], guesses: 7)[0]
      #expect(guessed.text == "bc" && guessed.endID == 13 && guessed.tokenCount == 3)
      for draft in [[1, 2, 13, 3, 4, 11], [1, 2, 13], [1, 2, 11], [13]] {
        #expect(try Self.generate(loaded, draft: draft)[0].text == "bc")
      }
      for slots in [1, 2, 3] {
        let results = try Self.generate(loaded, ["a", "d", "b", "<|im_end|>", "f"], slots: slots)
        #expect(results.map(\.text) == ["bc", "e", "c", "de", "ghiabc"])
        #expect(results.map(\.endID) == [13, 11, 13, 11, 13])
      }
    }
  }

  static let wrong: [(String, JSON, String)] = [
    ("generation_config.json", "</s>", "an id of a token"), ("generation_config.json", [11, "</s>"], "a text"),
    ("generation_config.json", 11.5, "a number"), ("generation_config.json", true, "a boolean"),
    ("config.json", ["a": 1], "an id of a token"),
  ]

  @Test(arguments: wrong) func whatIsNoIDIsRefusedByName(_ file: String, _ value: JSON, _ problem: String) throws {
    var chain = ChainCheckpoint()
    if file == "config.json" {
      chain.config = [.init("eos_token_id", value)]
    } else {
      chain.files[file] = .object([.init("eos_token_id", value)])
    }
    try TestData.withTemporaryFolder { folder in
      let error = #expect(throws: FurlError.self) { try Self.loaded(chain, in: folder) }
      #expect(error?.kind == .input && error?.place == "eos_token_id" && error?.file?.hasSuffix(file) == true)
      #expect(error.map { "\($0)".contains(problem) } == true)
    }
  }

  // MARK: Tokens without a row

  @Test func tokensWithoutARowAreNotNeeded() throws {
    var chain = ChainCheckpoint()
    chain.rows = 12
    try TestData.withTemporaryFolder { folder in
      let loaded = try Self.loaded(chain, in: folder)
      #expect(loaded.tokenizer.vocabularySize == 14)
      #expect(try Self.generate(loaded, ["d"])[0].text == "e")
      let error = #expect(throws: FurlError.self) { try loaded.encode("a<|im_end|>", bos: .auto) }
      #expect(error?.kind == .input && error.map { "\($0)".contains("13, \"<|im_end|>\"") } == true)
      // Nothing that has no row comes up, however it is drawn.
      var request = GenerationRequest(ids: [0], maxTokens: 40, sampling: .init(temperature: 50, seed: 3))
      request.endsAtEndOfText = false
      try Generator(session: loaded.session(), tokenizer: loaded.tokenizer).run([request]) { _, result in
        #expect(result.tokenCount == 40 && !result.text.contains("<|im"))
      }
    }
  }

  @Test func aBeginningWithoutARowIsNamed() throws {
    var chain = ChainCheckpoint()
    chain.rows = 10
    chain.files["tokenizer_config.json"] = ["bos_token": "<s>", "add_bos_token": true]
    try TestData.withTemporaryFolder { folder in
      let loaded = try Self.loaded(chain, in: folder)
      let error = #expect(throws: FurlError.self) { try loaded.encode("a", bos: .auto) }
      #expect(error.map { "\($0)".contains("10, \"<s>\"") } == true)
      #expect(try loaded.encode("a", bos: .never) == [0])
    }
  }
}
