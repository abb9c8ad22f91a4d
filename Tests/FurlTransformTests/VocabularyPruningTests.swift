import FurlTokenizer
import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlEvaluate
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Foundation
import Testing

/// Rows of the vocabulary that are removed for good, from recipe to artifact and export.
@Suite struct VocabularyPruningTests {
  // MARK: Small models of every family

  private static let families = [
    "gpt2-relu", "llama-linear", "llama-scaled", "mistral-window", "phi-quarter", "qwen2-some-windows",
    "starcoder2-plain",
  ]

  private static let letters = "abcdefgh".map(String.init)
  private static let merges = [
    "a b", "c d", "e f", "g h", "ab cd", "ef gh", "abcd efgh", "b a", "d c", "f e", "h g", "a a", "b b", "aa a", "c a",
    "ca b", "d e", "e d", "f a",
  ]
  private static let text = String(
    repeating: "abcd abcd efgh\nabcdefgh aaab ba fefe aaa cab\nabcdefgh abcd hgdc\n", count: 12)

  /// A family's model of 32 rows with a tokenizer of 29: letters, what is merged of them, and two special tokens.
  private static func checkpoint(_ family: String, in folder: String) throws -> Checkpoint {
    let pieces = letters + merges.map { $0.replacingOccurrences(of: " ", with: "") } + ["<e>", "<b>"]
    let byteLevel: JSON = ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true]
    let special = [27, 28].map { id -> JSON in ["id": .integer(id), "content": .string(pieces[id]), "special": true] }
    let tokenizer: JSON = [
      "added_tokens": .array(special), "pre_tokenizer": byteLevel, "decoder": byteLevel,
      "model": [
        "type": "BPE", "vocab": .object(pieces.enumerated().map { JSON.Member($1, .integer($0)) }),
        "merges": .array(merges.map(JSON.string)),
      ],
    ]
    let config: JSON = [
      "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<b>", "eos_token": "<e>", "add_bos_token": true,
    ]
    var sample = try SampleCheckpoint(folder: TestData.root + "/Tests/Fixtures/families/" + family)
    sample.configure("bos_token_id", 28)
    sample.configure("eos_token_id", [27, 28])
    try sample.write(
      to: folder + "/source",
      files: [
        "tokenizer.json": tokenizer.compactText, "tokenizer_config.json": config.compactText, "text.txt": text,
      ])
    return try Checkpoint(folder: folder + "/source")
  }

  private static let calibration = "calibration: {text: \"checkpoint:text.txt\", samples: 4, length: 8}\n"

  private static func logits(_ model: LanguageModel, _ ids: [Int]) throws -> [[Float]] {
    let context = ComputeContext(pool: WorkerPool(threads: 2), kernels: try Kernels())
    let session = try Session(model, context: context, format: .float32)
    return try session.forward([.init(slot: 0, ids: ids, logits: .all)])[0].map { session.logits[$0] }
  }

  /// Embedding, head and its bias lose the same rows: what is left has the logits that it had, and every id follows.
  @Test(arguments: families) func rowsGoAndTheRestStays(_ family: String) throws {
    try TestData.withTemporaryFolder { folder in
      let pool = WorkerPool(threads: 2)
      let source = try Self.checkpoint(family, in: folder)
      try #require(source.spec.vocabularySize == 32)
      let recipe = try Fixtures.recipe(
        "  - prune: {groups: [vocabulary], of: groups, sparsity: 0.4, multiple: 4}\n", more: Self.calibration)
      #expect(try Recipe(YAML.read(Array(recipe.json.prettyText.utf8), file: nil)).json == recipe.json)
      let compressor = try Compressor(source, recipe: recipe)
      let result = try compressor.write(to: folder + "/m.furl", pool: pool)
      #expect(try compressor.fileUpperBound() >= result.diskBytes)
      let file = try ModelFile(path: folder + "/m.furl")
      // 13 of 32 would do; 16 keep the multiple.
      #expect(file.spec.vocabularySize == 16)
      #expect(compressor.plan.spec.parameterCount == file.spec.parameterCount)
      let (own, before) = (try file.tokenizer(), try ModelFile.checkpoint(source).tokenizer())
      #expect(own.vocabularySize == 16)
      let old = try (0..<16).map { try #require(before.id(of: own.piece($0))) }
      #expect(old == old.sorted() && Set(0..<8).isSubset(of: old))
      #expect(Set(old).isSuperset(of: [8, 9, 12, 27, 28]), "what the text uses most: \(old)")
      #expect(own.bosID == 15 && own.eosID == 14 && own.addsBOS)

      let ids = own.encode("<b>abcdefgh aaab<e>ba")
      #expect(own.decode(ids) == before.decode(before.encode("<b>abcdefgh aaab<e>ba")))
      let left = try Self.logits(file.load(pool: pool), ids)
      let whole = try Self.logits(LanguageModel(source, pool: pool), ids.map { old[$0] })
      for (row, other) in zip(left, whole) {
        for (id, value) in row.enumerated() { #expect(abs(value - other[old[id]]) < 1e-5) }
      }
      guard case .artifact(let weights) = file else { throw FurlError(.defect, "not an artifact") }
      let config = weights.artifact.description.config
      #expect(config["bos_token_id"] == 15 && config["eos_token_id"] == [14, 15] && config["vocab_size"] == 16)
      let change = try #require(result.changes.first)
      let rowWeights = (source.spec.parameterCount - file.spec.parameterCount) / 16
      #expect(change["removed_weights"]?.integer == 16 * rowWeights)
      #expect(change["sparsity"]?["blocks"]?.number == 0)
      let share = 1 - Double(file.spec.parameterCount) / Double(source.spec.parameterCount)
      #expect(abs(try #require(change["sparsity"]?["model"]?.number) - share) < 1e-12)
      let said = try #require(change["vocabulary"])
      #expect(said["rows_before"] == 32 && said["rows"] == 16)
      #expect(said["text_tokens_before"]?.integer == before.encode(Self.text).count)
      #expect(said["text_tokens"]?.integer == own.encode(Self.text).count)

      // The export is a checkpoint of its own with the same ids.
      _ = try SafetensorsExport(numbers: .f32, shardBytes: .max)
        .write(ExportedModel(file), to: folder + "/x", pool: pool)
      let copy = try Checkpoint(folder: folder + "/x")
      #expect(copy.spec == file.spec && copy.config["eos_token_id"] == [14, 15])
      #expect(try ModelFile.checkpoint(copy).tokenizer().encode(Self.text) == own.encode(Self.text))
      #expect(try Self.logits(LanguageModel(copy, pool: pool), ids) == left)
    }
  }

  @Test func padsGoFirstAndAreEnough() throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Self.checkpoint("llama-scaled", in: folder)
      let recipe = try Fixtures.recipe(
        "  - prune: {groups: [vocabulary], of: groups, sparsity: 0.09, multiple: 1}\n", more: Self.calibration)
      _ = try Compressor(source, recipe: recipe).write(to: folder + "/m.furl", pool: WorkerPool(threads: 1))
      let file = try ModelFile(path: folder + "/m.furl")
      #expect(file.spec.vocabularySize == 29)
      #expect(try file.tokenizer().serialized() == ModelFile.checkpoint(source).tokenizer().serialized())
    }
  }

  @Test func whatHasToStayIsALimit() throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Self.checkpoint("gpt2-relu", in: folder)
      let recipe = try Fixtures.recipe(
        "  - prune: {groups: [vocabulary], of: groups, sparsity: 0.8, multiple: 4}\n", more: Self.calibration)
      // 10 of 32 stay, and make it 12.
      expectError(.input, "line 4", "0.8 cannot be reached", "10 of 32", "0.625") {
        _ = try Compressor(source, recipe: recipe).write(to: folder + "/m.furl", pool: WorkerPool(threads: 1))
      }
      try FileManager.default.removeItem(atPath: folder + "/source/tokenizer.json")
      expectError(.input, "tokenizer") {
        _ = try Compressor(source, recipe: recipe).write(to: folder + "/m.furl", pool: WorkerPool(threads: 1))
      }
      #expect(!FileManager.default.fileExists(atPath: folder + "/m.furl"))
    }
  }

  /// Behind the step texts alone can be learnt from, in the tokens that are left.
  @Test func trainingGoesOnWithTheNewTokens() throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Self.checkpoint("starcoder2-plain", in: folder)
      let train = "train: {text: \"checkpoint:text.txt\", steps: 2, batch: 2, length: 8, rate: 1.0e-4}"
      let recipe = try Fixtures.recipe(
        """
          - prune: {groups: [vocabulary], of: groups, sparsity: 0.5, multiple: 1}
          - heal: {labels: 1, \(train)}
        """, more: Self.calibration)
      let result = try Compressor(source, recipe: recipe).write(to: folder + "/m.furl", pool: WorkerPool(threads: 2))
      let file = try ModelFile(path: folder + "/m.furl")
      #expect(file.spec.vocabularySize == 16)
      let tokens = try file.tokenizer().encode(Self.text).count
      #expect(result.changes[1]["texts"]?[0]?["tokens"]?.integer == tokens)
    }
  }

  // MARK: The bundled model

  private static func minipy(blocks: Int, in folder: String) throws -> Checkpoint {
    var sample = try SampleCheckpoint(folder: TestData.minipy)
    sample.keepBlocks(blocks)
    try sample.write(to: folder + "/source")
    return try Checkpoint(folder: folder + "/source")
  }

  private static let minipyCalibration =
    "calibration: {text: \"checkpoint:calibration.txt\", samples: 6, length: 96}\n"

  /// All groups together lose the share that was asked for, the vocabulary as much of itself as they do; what comes after
  /// is calibrated in the new tokens; threads change no byte; exports have the same ids.
  @Test func withOtherGroupsAndQuantized() throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Self.minipy(blocks: 2, in: folder)
      let recipe = try Fixtures.recipe(
        """
          - prune: {groups: [heads, neurons, vocabulary], of: model, sparsity: 0.3}
          - quantize: {weights: int4, method: gptq, embeddings: int8}
        """, more: Self.minipyCalibration)
      var bytes: [[UInt8]] = []
      for threads in [1, 2] {
        let path = folder + "/\(threads).furl"
        _ = try Compressor(source, recipe: recipe).write(to: path, pool: WorkerPool(threads: threads))
        bytes.append(try TestData.bytes(path))
      }
      #expect(bytes[0] == bytes[1])
      let file = try ModelFile(path: folder + "/1.furl")
      let share = 1 - Double(file.spec.parameterCount) / Double(source.spec.parameterCount)
      #expect(share >= 0.295 && share < 0.31, "\(share)")
      let rows = 1 - Double(file.spec.vocabularySize) / Double(source.spec.vocabularySize)
      let groups = 1 - Double(file.spec.blockLinearCount) / Double(source.spec.blockLinearCount)
      #expect(abs(rows - groups) < 0.02 && file.spec.vocabularySize % 16 == 0, "\(rows) \(groups)")

      let text = String(decoding: try TestData.bytes(TestData.minipy + "/validation.txt").prefix(4000), as: UTF8.self)
      let own = try file.tokenizer()
      #expect(own.decode(own.encode(text)) == text)
      let pool = WorkerPool(threads: 2)
      _ = try GGUFExport(numbers: .q8_0).write(ExportedModel(file), to: folder + "/x.gguf", pool: pool)
      let copy = try Checkpoint(path: folder + "/x.gguf")
      #expect(copy.spec.vocabularySize == file.spec.vocabularySize)
      #expect(try ModelFile.checkpoint(copy).tokenizer().encode(text) == own.encode(text))
    }
  }

  /// No divergence between models whose tokens are others, even where as many are left of both.
  @Test func nothingIsComparedTokenByToken() async throws {
    try await TestData.withTemporaryFolder { folder in
      let source = try Self.minipy(blocks: 1, in: folder)
      let context = ComputeContext(pool: WorkerPool(threads: 2), kernels: try Kernels())
      try TestData.write(
        Array(try TestData.bytes(TestData.minipy + "/validation.txt").prefix(6000)), to: folder + "/text.txt")
      var suite = try Suite(path: folder + "/text.txt")
      suite.protocol.context = 128
      for (name, text) in [("a", "checkpoint:calibration.txt"), ("b", "bundled")] {
        let recipe = try Fixtures.recipe(
          "  - prune: {groups: [vocabulary], of: groups, sparsity: 0.5}\n",
          more: "calibration: {text: \"\(text)\", samples: 1, length: 16}\n")
        _ = try Compressor(source, recipe: recipe).write(to: folder + "/\(name).furl", pool: context.pool)
      }
      let models = try ["a.furl", "b.furl", "source"].map {
        try LoadedModel(path: folder + "/" + $0, context: context)
      }
      #expect(models[0].model.spec.vocabularySize == models[1].model.spec.vocabularySize)
      for other in models[1...] {
        let error = await #expect(throws: FurlError.self) {
          try await Evaluator().run(suite, on: models[0], baseline: other)
        }
        #expect(error?.kind == .usage && error?.description.contains("bits per byte") ?? false)
      }
      let figures = try await Evaluator().run(suite, on: models[0]).report.results
      guard let text = figures.text else { throw FurlError(.defect, "not a text") }
      #expect(text.bitsPerByte ?? 0 > 0)
    }
  }

  // MARK: Recipes

  @Test func errors() throws {
    func refused(_ steps: String, _ words: String..., more: String = VocabularyPruningTests.calibration) {
      let error = #expect(throws: FurlError.self) { _ = try Fixtures.recipe(steps, more: more) }
      #expect(error?.kind == .input && !(error?.description.contains("\n") ?? true))
      for word in words { #expect(error?.description.contains(word) ?? false, "\(error?.description ?? "")") }
    }
    let alone = "groups: [vocabulary], sparsity: 0.25"
    refused("  - prune: {\(alone)}\n", "line 4", "prune.of", "of: groups or of: model")
    refused("  - prune: {\(alone), of: blocks}\n", "no weights of the blocks")
    refused("  - prune: {\(alone), of: groups}\n", "needs a calibration", more: "")
    for key in ["choose: random", "refit: none", "allocation: uniform", "limit: 0.5", "seed: 1"] {
      refused("  - prune: {\(alone), of: groups, \(key)}\n", "line 4", "no meaning for rows of the vocabulary")
    }
    let train = "train: {text: t.txt, steps: 2, rate: 1.0e-4}"
    refused("  - prune: {\(alone), of: groups, fit: finetune, \(train)}\n", "fit", "in a step of its own before")
    refused("  - prune: {groups: [channels, vocabulary], of: groups, sparsity: 0.2}\n", "channels")
    refused("  - prune: {groups: [vocabulary, vocabulary], of: groups, sparsity: 0.2}\n", "different")
    let cut = "  - prune: {\(alone), of: groups}\n"
    refused(cut + "  - heal: {\(train)}\n", "line 5", "fewer tokens", "labels: 1")
    refused(cut + "  - heal: {labels: 1, hidden: 1, \(train)}\n", "line 5", "fewer tokens")
    refused(cut + "  - prune: {sparsity: 0.3, fit: finetune, labels: 0.5, \(train)}\n", "line 5", "labels")
    for steps in [cut + "  - heal: {labels: 1, \(train)}\n", "  - heal: {\(train)}\n" + cut] {
      #expect(throws: Never.self) { try Fixtures.recipe(steps, more: Self.calibration) }
    }
  }

  @Test func rowsKeepMultiples() throws {
    var spec = try Checkpoint(folder: TestData.minipy).spec
    spec.vocabularySize = 50257
    let rows = VocabularyRows(of: spec)
    #expect(rows.weights == spec.hiddenSize && rows.all == 50257 * spec.hiddenSize)
    // The first that go are those beyond a multiple.
    #expect(rows.left(removing: rows.weights, multiple: 16) == 50256)
    #expect(rows.left(removing: 2 * rows.weights, multiple: 16) == 50240)
    #expect(rows.left(removing: rows.weights + 1, multiple: 16) == 50240)
    #expect(rows.left(removing: rows.all, multiple: 16) == 16)
    #expect(rows.left(removing: rows.all, multiple: 16, least: 300) == 304)
    #expect(rows.left(removing: 0, multiple: 1) == 50257)
    #expect(rows.left(removing: 1, multiple: 16, least: 50250) == 50256)
    #expect(rows.left(removing: 1, multiple: 16, least: 50257) == 50257)
  }
}
