import FurlBase
@testable import FurlCheckpoint
import FurlSpec
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// Models of every family as llama.cpp's converter writes them (`Fixtures/gguf/make_models.py`).
@Suite struct GGUFModelTests {
  static let folder = TestData.root + "/Tests/Fixtures/gguf/"

  static func path(_ model: String) -> String {
    folder + model + (model == "starcoder2" ? "-00001-of-00003.gguf" : ".gguf")
  }

  /// `config.json` as transformers wrote it for the same model.
  static func config(_ model: String) throws -> DocumentReader {
    let json = try JSON.parse(TestData.bytes(folder + "expected.json"), file: nil)
    return try DocumentReader(try #require(json["models"]?[model]?["config"]), file: nil)
  }

  static let families: KeyValuePairs<String, any Architecture.Type> = [
    "llama": Llama.self, "llama3": Llama.self, "qwen2": Qwen2.self, "starcoder2": StarCoder2.self, "phi": Phi.self,
    "gpt2": GPT2.self,
  ]

  @Test(arguments: families.map { $0.key })
  func theMetadataSayWhatTheConfigurationSaid(_ model: String) throws {
    let family = try #require(Self.families.first { $0.key == model }).value
    let checkpoint = try Checkpoint(path: Self.path(model))
    #expect(try checkpoint.spec == family.spec(Self.config(model)))
    #expect(checkpoint.path == Self.path(model) && checkpoint.folder + "/" == Self.folder)
    #expect(checkpoint.gguf?.path == Self.path(model))
    #expect(checkpoint.config["architectures"] == (try Self.config(model).optional("architectures")))
    // Everything that belongs to the model, and nothing else of the folder.
    let files = try checkpoint.sourceFiles()
    #expect(files.count == (model == "starcoder2" ? 3 : 1))
    #expect(files.allSatisfy { $0.name.hasPrefix(model + (model == "starcoder2" ? "-0000" : ".gguf")) })
    #expect(checkpoint.diskBytes == files.reduce(0) { $0 + $1.bytes })
    for tensor in checkpoint.spec.tensors {
      let values = try checkpoint.source(tensor.name).readAll()
      #expect(values.count == tensor.elementCount && values.allSatisfy(\.isFinite))
    }
  }

  // MARK: Changed files

  /// A llama of one block: 16 wide, two heads, vocabulary of 10.
  static func llama(
    _ changes: [String: GGUFText.Value?] = [:], without: Set<String> = [], width: Int = 16
  ) -> GGUFText {
    var metadata: [(key: String, value: GGUFText.Value)] = [
      ("general.architecture", .string("llama")), ("llama.block_count", .uint32(1)),
      ("llama.context_length", .uint32(64)), ("llama.embedding_length", .uint32(UInt32(width))),
      ("llama.feed_forward_length", .uint32(24)), ("llama.attention.head_count", .uint32(2)),
      ("llama.attention.head_count_kv", .uint32(1)), ("llama.attention.layer_norm_rms_epsilon", .float32(1e-5)),
      ("llama.rope.freq_base", .float32(500_000)), ("tokenizer.ggml.bos_token_id", .uint32(1)),
    ]
    for (key, value) in changes {
      metadata.removeAll { $0.key == key }
      if let value { metadata.append((key, value)) }
    }
    var draws = SplitMix64(seed: 5)
    var tensors: [GGUFText.Tensor] = []
    for (name, dimensions) in [
      ("token_embd", [width, 10]), ("output_norm", [width]), ("output", [width, 10]), ("blk.0.attn_norm", [width]),
      ("blk.0.attn_q", [width, width]), ("blk.0.attn_k", [width, width / 2]), ("blk.0.attn_v", [width, width / 2]),
      ("blk.0.attn_output", [width, width]), ("blk.0.ffn_norm", [width]), ("blk.0.ffn_gate", [width, 24]),
      ("blk.0.ffn_up", [width, 24]), ("blk.0.ffn_down", [24, width]),
    ] where !without.contains(name) {
      tensors.append(
        .init(
          name + ".weight", dimensions.map(UInt64.init), TestData.littleEndian(draws.floats(dimensions.reduce(1, *)))))
    }
    return GGUFText(metadata, tensors)
  }

  static func open(_ text: GGUFText) throws -> Checkpoint {
    try TestData.withTemporaryFolder { folder in
      try TestData.write(text.bytes, to: folder + "/model.gguf")
      return try Checkpoint(path: folder + "/model.gguf")
    }
  }

  static func error(_ text: GGUFText) throws -> FurlError {
    let error = try #require(throws: FurlError.self) { try open(text) }
    #expect(error.kind == .input)
    return error
  }

  @Test func rowsOfHeadsAreInTheirOrderAgain() throws {
    let text = Self.llama()
    let checkpoint = try Self.open(text)
    let stored = try #require(text.tensors.first { $0.name == Array("blk.0.attn_k.weight".utf8) })
    let source = try checkpoint.source("blocks.0.attention.key")
    let values = source.file.floats(.float32, at: source.offset, count: 128)
    #expect(TestData.littleEndian(values) == stored.bytes)
    // Row 2 i + half is the one that transformers has at 4 half + i.
    var expected: [Float] = []
    for row in [0, 2, 4, 6, 1, 3, 5, 7] { expected += values[row * 16..<(row + 1) * 16] }
    #expect(source.readAll() == expected)
    let value = try checkpoint.source("blocks.0.attention.value")
    #expect(value.readAll() == value.file.floats(.float32, at: value.offset, count: 128))
    #expect(checkpoint.config["bos_token_id"] == 1 && checkpoint.config["eos_token_id"] == nil)
    #expect(!checkpoint.spec.tiedEmbeddings)
    #expect(try Self.open(Self.llama(without: ["output"])).spec.tiedEmbeddings)
  }

  @Test func whatIsNotSupportedIsNamed() throws {
    let refused: [(String, GGUFText.Value?, String)] = [
      ("general.architecture", .string("mamba"), "\"mamba\" is not supported yet"),
      ("general.architecture", nil, "is missing"), ("general.architecture", .uint8(1), "a text is expected"),
      ("llama.block_count", nil, "is missing"), ("llama.context_length", .string("x"), "an integer is expected"),
      ("llama.attention.head_count", .uint32(3), "do not divide"), ("llama.attention.head_count", .uint32(0), "divide"),
      ("llama.attention.key_length", .uint32(4), ""),
      ("llama.attention.value_length", .uint32(4), "attention.key_length"),
      ("llama.rope.dimension_count", .uint32(4), "4 of 8 numbers"),
      ("llama.expert_count", .uint32(8), "blk.0.ffn_gate_inp.weight"),
      ("llama.expert_group_count", .uint32(4), "not supported"),
      ("llama.expert_gating_func", .uint32(2), "not supported"),
      ("llama.rope.scaling.type", .string("dynamic"), "\"dynamic\" is not supported yet"),
      ("llama.rope.scaling.attn_factor", .float32(1.5), "not supported yet without YaRN"),
      ("llama.rope.freq_base_swa", .float32(7), "not supported for llama"),
      ("llama.attention.sliding_window", .uint32(7), "not supported yet for llama"),
      ("llama.attention.causal", .bool(0), "not supported"), ("llama.attention.scale", .float32(0.5), "not supported"),
      ("llama.rope.freq_base", .float32(.nan), "out of range"), ("llama.rope.freq_base", .float32(0), "out of range"),
      ("llama.attention.layer_norm_rms_epsilon", .float32(.nan), ""),
      ("llama.attention.layer_norm_rms_epsilon", nil, "is missing"),
      (
        "llama.feed_forward_length", .list(type: 4, count: 2, GGUFText.bytes(UInt32(24)) + GGUFText.bytes(UInt32(8))),
        "differs from block to block"
      ),
      ("llama.embedding_length", .uint64(.max), "too large"), ("llama.embedding_length", .int64(-16), ""),
      ("llama.embedding_length", .int64(.min), ""), ("llama.attention.head_count", .int64(.min), ""),
      ("llama.block_count", .int64(.max), ""), ("llama.block_count", .uint32(2), "is missing"),
      ("llama.block_count", .uint32(0), "is not part of"), ("llama.context_length", .uint64(1 << 62), ""),
      ("llama.attention.key_length", .int64(.max), ""), ("llama.embedding_length", .uint32(32), "has shape"),
    ]
    for (key, value, problem) in refused {
      var changes: [String: GGUFText.Value?] = [:]
      changes.updateValue(value, forKey: key)
      let text = try Self.error(Self.llama(changes)).description
      #expect(problem.isEmpty || text.contains(problem), "\(key) \(String(describing: value)): \(text)")
    }
    #expect(try Self.error(Self.llama(without: ["token_embd"])).place == "token_embd.weight")
    #expect(try Self.error(Self.llama(without: ["blk.0.ffn_gate"])).place == "blk.0.ffn_gate.weight")
    var more = Self.llama()
    more.tensors.append(.init("blk.0.ffn_gate.bias", [24], TestData.littleEndian([Float](repeating: 0, count: 24))))
    #expect(try Self.error(more).problem.contains("is not part of a llama model"))
  }

  @Test(arguments: [(15, "Q8_K"), (41, "Q1_0"), (40, "NVFP4"), (26, "I32"), (4, "Q4_2")] as [(UInt32, String)])
  func typesThatAreNotReadAreNamed(_ type: UInt32, _ name: String) throws {
    var text = Self.llama()
    text.tensors[6].type = type
    let error = try Self.error(text)
    #expect(error.place == "blk.0.attn_v.weight" && error.problem.contains("dtype \(name)"))
    #expect(error.remedy?.contains("Q4_K") == true)
  }

  @Test func aVectorOfBlocksIsRefused() throws {
    var text = Self.llama(width: 32)
    _ = try Self.open(text)
    text.tensors[1] = .init("output_norm.weight", [32], type: 8, [UInt8](repeating: 0, count: 34))
    let error = try Self.error(text)
    #expect(error.place == "output_norm.weight" && error.problem.contains("is a vector of Q8_0"))
    // Rows of blocks are fine.
    text.tensors[1] = .init("output_norm.weight", [32], [UInt8](repeating: 0, count: 128))
    text.tensors[4] = .init("blk.0.attn_q.weight", [32, 32], type: 8, [UInt8](repeating: 1, count: 32 * 34))
    #expect(try Self.open(text).source("blocks.0.attention.query").type == .q80)
  }

  /// A file with scaled frequencies, by the factors that they are divided by.
  static func scaled(_ factors: [Float], _ changes: [String: GGUFText.Value?] = [:]) -> GGUFText {
    var text = llama(changes)
    text.tensors.append(.init("rope_freqs.weight", [UInt64(factors.count)], TestData.littleEndian(factors)))
    return text
  }

  @Test func scaledFrequenciesAreRecognized() throws {
    func scaling(_ text: GGUFText) throws -> ModelSpec.Rotary.Scaling? {
      try Self.open(text).spec.blocks.first?.attention?.rotary?.scaling
    }
    // By the published rule, with numpy: theta 500,000, heads of 8.
    let blend: Float = 2.6945297
    for factor: Float in [8, 32] {
      let middle = factor == 8 ? blend : 3.292262
      #expect(
        try scaling(Self.scaled([1, 1, middle, factor]))
          == .llama3(factor: Double(factor), lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192))
    }
    #expect(try scaling(Self.scaled([1, 1, 1, 1])) == ModelSpec.Rotary.Scaling.none)
    #expect(try scaling(Self.llama(["llama.rope.scaling.factor": .float32(4)])) == .linear(factor: 4))
    #expect(try scaling(Self.llama(["llama.rope.scale_linear": .float32(2)])) == .linear(factor: 2))
    #expect(
      try scaling(
        Self.llama(["llama.rope.scaling.factor": .float32(4), "llama.rope.scaling.type": .string("none")]))
        == ModelSpec.Rotary.Scaling.none)
    // YaRN: what llama.cpp multiplies the usual factor of 0.1 ln 4 + 1 with.
    let yarn = try Self.open(
      Self.llama([
        "llama.rope.scaling.factor": .float32(4), "llama.rope.scaling.type": .string("yarn"),
        "llama.rope.scaling.original_context_length": .uint32(16), "llama.rope.scaling.attn_factor": .float32(2),
      ])
    ).spec.blocks[0].attention?.rotary
    #expect(
      yarn?.scaling == .yarn(factor: 4, slowTurns: 1, fastTurns: 32, originalContext: 16, truncates: true))
    #expect(abs((yarn?.attentionFactor ?? 0) - 2 * 1.1386294361) < 1e-9)
    for factors: [Float] in [[1, 1, 2, 8], [1, 1, 1], [.nan, 1, 1, 1], [1, 1, blend, .infinity], [0, 0, 0, 0]] {
      #expect(try Self.error(Self.scaled(factors)).place == "rope_freqs.weight")
    }
    let both = Self.scaled([1, 1, blend, 8], ["llama.rope.scaling.factor": .float32(4)])
    #expect(try Self.error(both).place == "llama.rope.scaling.factor")
  }

  @Test func blocksOfFP4AreRead() throws {
    var text = Self.llama(width: 32)
    // 2^(128 - 127) times 1.5 and -6.
    text.tensors[4] = .init(
      "blk.0.attn_q.weight", [32, 32], type: 39,
      (0..<32).flatMap { _ in [128] + [UInt8](repeating: 0xF3, count: 16) })
    let row = [Float](repeating: 3, count: 16) + [Float](repeating: -12, count: 16)
    let source = try Self.open(text).source("blocks.0.attention.query")
    #expect(source.type == .mxfp4 && source.readAll() == (0..<32).flatMap { _ in row })
  }

  // MARK: Files and folders

  @Test func aFolderWithOneModelIsOpened() throws {
    try TestData.withTemporaryFolder { folder in
      let bytes = Self.llama().bytes
      try TestData.write(bytes, to: folder + "/a.gguf")
      #expect(try Checkpoint(path: folder).path == folder + "/a.gguf")
      // Whatever it is called.
      try TestData.write(bytes, to: folder + "/blob")
      #expect(try Checkpoint(path: folder + "/blob").gguf != nil)
      try TestData.write(bytes, to: folder + "/b.gguf")
      let error = try #require(throws: FurlError.self) { try Checkpoint(path: folder) }
      #expect(error.remedy == "name one of them: a.gguf, b.gguf")
      try TestData.write([1, 2, 3], to: folder + "/c.gguf")
      #expect(throws: FurlError.self) { try Checkpoint(path: folder + "/c.gguf") }
      try TestData.write([1, 2, 3], to: folder + "/other")
      let other = try #require(throws: FurlError.self) { try Checkpoint(path: folder + "/other") }
      #expect(other.problem.contains("nor a GGUF file"))
    }
  }

  @Test func partsBelongTogether() throws {
    try TestData.withTemporaryFolder { folder in
      let names = (1...3).map { "starcoder2-0000\($0)-of-00003.gguf" }
      for name in names { try TestData.write(TestData.bytes(Self.folder + name), to: folder + "/" + name) }
      #expect(try Checkpoint(path: folder).weightFiles.count == 3)
      let second = try #require(throws: FurlError.self) { try Checkpoint(path: folder + "/" + names[1]) }
      #expect(second.remedy?.contains("-00001-of-00003.gguf") == true)
      try TestData.write(TestData.bytes(Self.folder + names[1]), to: folder + "/" + names[2])
      let twice = try #require(throws: FurlError.self) { try Checkpoint(path: folder) }
      #expect(twice.problem.contains("is not part 3 of 3"))
      try FileManager.default.removeItem(atPath: folder + "/" + names[2])
      let missing = try #require(throws: FurlError.self) { try Checkpoint(path: folder) }
      #expect(missing.file == folder + "/" + names[2] && missing.problem == "does not exist")
      try FileManager.default.moveItem(atPath: folder + "/" + names[0], toPath: folder + "/model.gguf")
      let renamed = try #require(throws: FurlError.self) { try Checkpoint(path: folder + "/model.gguf") }
      #expect(renamed.problem.contains("is one of 3 parts"))
    }
  }

  /// A damaged model is an error or a model whose tensors can be read, never the end of the process.
  @Test func damagedModelsAreErrorsOrModels() throws {
    let bytes = try TestData.bytes(Self.path("llama3"))
    let head = 5_600
    var draws = SplitMix64(seed: 17)
    var opened = 0
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/model.gguf"
      func attempt(_ bytes: [UInt8]) throws {
        try TestData.write(bytes, to: path)
        do {
          let checkpoint = try Checkpoint(path: path)
          opened += 1
          for tensor in checkpoint.spec.tensors { _ = try checkpoint.source(tensor.name).readAll() }
        } catch let error as FurlError {
          #expect(error.kind == .input)
        }
      }
      for count in stride(from: 0, to: bytes.count, by: 97) { try attempt(Array(bytes[..<count])) }
      #expect(opened == 0)
      for _ in 0..<1500 {
        var changed = bytes
        for _ in 0...Int(draws.next() % 2) {
          changed[Int(draws.next() % UInt64(head))] = UInt8(truncatingIfNeeded: draws.next())
        }
        try attempt(changed)
      }
    }
    #expect(opened > 50)
  }
}
