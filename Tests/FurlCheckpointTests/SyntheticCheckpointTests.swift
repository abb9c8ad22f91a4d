import FurlSpec
import FurlBase
@testable import FurlCheckpoint
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// Checkpoints of published shapes with random weights.
@Suite struct SyntheticCheckpointTests {
  /// A published model made small: as few and narrow blocks as its configuration allows.
  static func small(_ name: String, shards: Int = 1, layers: Int = 3) throws -> PublishedModel {
    let model = try #require(PublishedModel(name: name))
    let sizes: [String: JSON] = [
      "hidden_size": 64, "n_embd": 64, "intermediate_size": 96, "num_attention_heads": 4, "n_head": 4,
      "num_key_value_heads": .integer(name == "phi-2" ? 4 : 2), "vocab_size": 600,
      "num_hidden_layers": .integer(layers),
      "n_layer": .integer(layers), "n_positions": 48, "n_ctx": 48, "max_position_embeddings": 48,
    ]
    let config = try JSON.parse(model.config, file: nil)
    let text = JSON.object((config.members ?? []).map { JSON.Member($0.key, sizes[$0.key] ?? $0.value) }).compactText
    return PublishedModel(
      model.name, model.repository, tokenizerCount: 500, special: model.special.filter { $0.key < 500 },
      begin: model.special[model.special.keys.min() ?? 0] ?? "", end: model.end, shards: shards,
      config: Array(text.utf8))
  }

  static func files(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }

  /// What was published: parameters, and the context that the model was made for.
  @Test(arguments: [
    ("starcoder2-3b", 3_030_371_328, 30, 16384), ("starcoder2-7b", 7_173_923_840, 32, 16384),
    ("phi-2", 2_779_683_840, 32, 2048), ("codegpt", 124_243_200, 12, 1024), ("smollm2", 134_515_008, 30, 8192),
  ])
  func shapesAreThePublishedOnes(_ shape: (name: String, parameters: Int, layers: Int, context: Int)) throws {
    let model = try #require(PublishedModel(name: shape.name))
    let checkpoint = try SyntheticCheckpoint(model)
    #expect(checkpoint.parameterCount == shape.parameters)
    #expect(checkpoint.spec.blocks.count == shape.layers && checkpoint.spec.contextLength == shape.context)
    #expect(checkpoint.weightBytes == 4 * shape.parameters)
    #expect(checkpoint.shards.count == model.shards)
    #expect(model.tokenizerCount <= checkpoint.spec.vocabularySize)
    let slice = try SyntheticCheckpoint(model, blocks: 2, type: .bfloat16)
    #expect(slice.spec.blocks.count == 2 && slice.weightBytes == 2 * slice.parameterCount)
    for blocks in [0, -1, shape.layers + 1, Int.max, Int.min] {
      #expect(try #require(throws: FurlError.self) { try SyntheticCheckpoint(model, blocks: blocks) }.kind == .usage)
    }
  }

  @Test(arguments: ["starcoder2-3b", "phi-2", "codegpt", "smollm2"], [SourceType.float32, .float16, .bfloat16])
  func opensAsACheckpoint(_ name: String, _ type: SourceType) throws {
    let made = try SyntheticCheckpoint(Self.small(name), seed: 7, type: type)
    try TestData.withTemporaryFolder { folder in
      var last = (0, 0)
      try made.write(to: folder + "/made", pool: WorkerPool(threads: 2)) { last = ($0, $1) }
      #expect(last == (made.weightBytes, made.weightBytes))
      #expect(try Self.files(folder) == ["made"])
      let checkpoint = try Checkpoint(folder: folder + "/made")
      #expect(checkpoint.spec == made.spec && checkpoint.spec.blocks.count == 3)
      let entries = try SafetensorsFile(path: folder + "/made/model.safetensors").entries
      #expect(entries.allSatisfy { $0.type == type })
      #expect(entries.reduce(0) { $0 + $1.shape.reduce(1, *) } == made.parameterCount)
      let range = try #require(checkpoint.config["initializer_range"]?.number)
      for tensor in checkpoint.spec.tensors {
        let values = try checkpoint.source(tensor.name).readAll().map(Double.init)
        let mean = values.reduce(0, +) / Double(values.count)
        let deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot()
        let isResidual = tensor.role == .attentionOutput || tensor.role == .down
        let expected = range * (isResidual ? (1 / 6.0).squareRoot() : 1)
        let slack = 5 / Double(values.count).squareRoot() + 0.005
        #expect(abs(deviation / expected - 1) < slack, "\(tensor.name)")
        #expect(abs(mean - (tensor.role == .norm ? 1 : 0)) < expected * slack + 0.004, "\(tensor.name)")
      }
    }
  }

  @Test func theSameSeedGivesTheSameBytesForAnyThreadCount() throws {
    let model = try Self.small("starcoder2-3b")
    try TestData.withTemporaryFolder { folder in
      func digest(_ name: String, threads: Int, seed: UInt64 = 1) throws -> Digest {
        try SyntheticCheckpoint(model, seed: seed).write(to: folder + "/" + name, pool: WorkerPool(threads: threads))
        return Digest(of: try MappedFile(path: folder + "/\(name)/model.safetensors"))
      }
      let first = try digest("a", threads: 1)
      #expect(try digest("b", threads: 2) == first && digest("c", threads: 5) == first)
      #expect(try digest("d", threads: 2, seed: 2) != first)
      // Written down, so that another version that gives other weights is seen.
      #expect(first.hex == "b54897e2cede10d427d18bf09efab0823307bfd27ce2294730c5974e299b4048")
    }
  }

  @Test func aSliceHasTheFirstBlocksOfTheWhole() throws {
    let model = try Self.small("codegpt", layers: 4)
    try TestData.withTemporaryFolder { folder in
      try SyntheticCheckpoint(model).write(to: folder + "/whole", pool: WorkerPool(threads: 2))
      try SyntheticCheckpoint(model, blocks: 2).write(to: folder + "/slice", pool: WorkerPool(threads: 2))
      let whole = try Checkpoint(folder: folder + "/whole")
      let slice = try Checkpoint(folder: folder + "/slice")
      #expect(slice.spec.blocks.count == 2 && slice.config["n_layer"]?.integer == 2)
      for tensor in slice.spec.tensors {
        #expect(try slice.source(tensor.name).readAll() == whole.source(tensor.name).readAll(), "\(tensor.name)")
      }
      let names = slice.spec.tensors.filter { $0.shape.count == 2 }.map(\.name)
      let starts = try Set(names.map { try slice.source($0).read(rows: 0..<1).prefix(4).map { $0 } })
      #expect(starts.count == names.count, "no two tensors are alike")
    }
  }

  @Test func shardsAreIndexed() throws {
    let model = try Self.small("phi-2", shards: 3)
    try TestData.withTemporaryFolder { folder in
      try SyntheticCheckpoint(model).write(to: folder + "/made", pool: WorkerPool(threads: 2))
      let names = (1...3).map { "model-0000\($0)-of-00003.safetensors" }
      #expect(
        try Self.files(folder + "/made") == [
          "config.json", names[0], names[1], names[2], "model.safetensors.index.json", "tokenizer.json",
          "tokenizer_config.json",
        ])
      let checkpoint = try Checkpoint(folder: folder + "/made")
      #expect(checkpoint.weightFiles.count == 3)
      let sizes = checkpoint.weightFiles.map(\.count)
      #expect(sizes.allSatisfy { $0 > sizes.reduce(0, +) / 6 })
      // One file or three: the same numbers.
      try SyntheticCheckpoint(Self.small("phi-2")).write(to: folder + "/single", pool: WorkerPool(threads: 1))
      let single = try Checkpoint(folder: folder + "/single")
      for tensor in single.spec.tensors {
        #expect(try single.source(tensor.name).readAll() == checkpoint.source(tensor.name).readAll())
      }
    }
  }

  @Test func placesThatAreTakenOrCannotBeWritten() throws {
    let made = try SyntheticCheckpoint(Self.small("smollm2"))
    try TestData.withTemporaryFolder { folder in
      func failure(_ path: String) throws -> FurlError {
        try #require(throws: FurlError.self) { try made.write(to: path, pool: WorkerPool(threads: 2)) }
      }
      try TestData.write([1], to: folder + "/file")
      try FileManager.default.createDirectory(atPath: folder + "/full", withIntermediateDirectories: false)
      try TestData.write([1], to: folder + "/full/x")
      for (path, words) in [
        ("/file", "is not a folder"), ("/full", "has files in it"), ("/full/", "has files in it"),
        ("/none/made", "created"),
        ("/file/made", "created"),
      ] {
        let error = try failure(folder + path)
        #expect(error.kind == .cannotCreate && error.problem.contains(words), "\(error)")
      }
      #expect(try failure("").kind == .cannotCreate)
      if FileManager.default.fileExists(atPath: "/proc/self") {
        #expect(try failure("/proc/made").kind == .cannotCreate)
      }
      #expect(try Self.files(folder) == ["file", "full"] && Self.files(folder + "/full") == ["x"])
      // An empty folder is filled.
      try FileManager.default.createDirectory(atPath: folder + "/empty", withIntermediateDirectories: false)
      try made.write(to: folder + "/empty/", pool: WorkerPool(threads: 2))
      #expect(try Checkpoint(folder: folder + "/empty").spec == made.spec)
      #expect(try Self.files(folder + "/empty").allSatisfy { !$0.hasPrefix(".") })
    }
  }

  /// Any bytes have ids, and every id is another text.
  @Test func tokenizersHaveEveryByteOnce() throws {
    for (count, special) in [(257, [0: "<s>"]), (5000, [0: "<s>", 4999: "<e>"]), (SyntheticTokenizer.largest, [:])] {
      let text = SyntheticTokenizer.files(
        count: count, special: special, begin: "<s>", end: "<s>", contextLength: 9
      ).tokenizer
      let json = try JSON.parse(Array(text.utf8), file: nil)
      let vocabulary = try #require(json["model"]?["vocab"]?.members)
      #expect(vocabulary.map { $0.value.integer } == (0..<count).map { $0 })
      #expect(Set(vocabulary.map { Array($0.key.utf8) }).count == count)
      let merges = try #require(json["model"]?["merges"]?.array)
      #expect(merges.count == count - 256 - special.count && Set(merges).count == merges.count)
    }
  }
}
