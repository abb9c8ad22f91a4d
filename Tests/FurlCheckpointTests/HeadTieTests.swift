import FurlSpec
import FurlTensor
import FurlBase
import FurlCheckpoint
import FurlTestSupport
import Testing

/// Embedding and head where the configuration says that they are one matrix; `Fixtures/variants` has the logits.
@Suite struct HeadTieTests {
  static let values = (0..<160).map { Float($0) }
  /// Two families that say it by their defaults, and one that says it.
  static let tied: [(family: String, keys: [String: String])] = [
    ("starcoder2", [:]), ("qwen2", [:]), ("llama", ["tie_word_embeddings": "true"]),
  ]

  static func small(_ index: Int, head: [Float]?) -> SmallDecoder {
    var small = SmallDecoder(tied[index].family)
    for (key, value) in tied[index].keys { small.config[key] = value }
    small.weights.tensors.removeAll { $0.name == "lm_head.weight" }
    if let head { small.weights.tensors.append(.init("lm_head.weight", [10, 16], head)) }
    return small
  }

  static func embedding(_ small: SmallDecoder) throws -> SafetensorsText.Tensor {
    try #require(small.weights.tensors.first { $0.name == "model.embed_tokens.weight" })
  }

  @Test(arguments: tied.indices) func equalMatricesAreOne(_ index: Int) throws {
    var small = Self.small(index, head: nil)
    let embedding = try Self.embedding(small)
    small.weights.tensors.append(.init("lm_head.weight", embedding.type, embedding.shape, embedding.bytes))
    let checkpoint = try small.open()
    #expect(checkpoint.spec.tiedEmbeddings && checkpoint.notes.isEmpty)
    // The same numbers in another type.
    let halves = (0..<160).map { Float($0 % 7) }
    small.weights.tensors.removeAll { ["lm_head.weight", "model.embed_tokens.weight"].contains($0.name) }
    small.weights.tensors += [
      .init("lm_head.weight", [10, 16], halves),
      .init(
        "model.embed_tokens.weight", "F16", [10, 16], TestData.littleEndian(halves.map { Float16($0).bitPattern })),
    ]
    #expect(try small.open().spec.tiedEmbeddings)
  }

  @Test(arguments: tied.indices) func aHeadOfItsOwnCounts(_ index: Int) throws {
    let checkpoint = try Self.small(index, head: Self.values).open()
    #expect(!checkpoint.spec.tiedEmbeddings && checkpoint.config["tie_word_embeddings"] == false)
    #expect(try checkpoint.source("head").readAll() == Self.values)
    #expect(checkpoint.notes.count == 1 && checkpoint.notes[0].contains("lm_head.weight"))
    // One number of the last row is enough.
    var small = Self.small(index, head: nil)
    let embedding = try Self.embedding(small)
    var bytes = embedding.bytes
    bytes[bytes.count - 2] ^= 1
    small.weights.tensors.append(.init("lm_head.weight", embedding.type, embedding.shape, bytes))
    #expect(try small.open().spec.tiedEmbeddings == false)
  }

  @Test(arguments: tied.indices) func theHeadAloneIsTheEmbedding(_ index: Int) throws {
    var small = Self.small(index, head: Self.values)
    small.weights.tensors.removeAll { $0.name == "model.embed_tokens.weight" }
    let checkpoint = try small.open()
    #expect(checkpoint.spec.tiedEmbeddings && checkpoint.notes[0].contains("lm_head.weight alone"))
    #expect(try checkpoint.source("embedding").readAll() == Self.values)
  }

  @Test func gpt2HeadsAreCompared() throws {
    var small = SmallGPT2()
    let embedding = try #require(small.weights.tensors.first { $0.name.hasSuffix("wte.weight") })
    small.weights.tensors.append(.init("lm_head.weight", embedding.type, embedding.shape, embedding.bytes))
    #expect(try small.open().spec.tiedEmbeddings)
    small.weights.tensors.removeAll { $0.name.hasSuffix("wte.weight") }
    #expect(try small.open().spec.tiedEmbeddings)
    let zeros = [UInt8](repeating: 0, count: embedding.bytes.count)
    small.weights.tensors.append(.init(embedding.name, embedding.type, embedding.shape, zeros))
    #expect(try !small.open().spec.tiedEmbeddings)
  }

  @Test func aHeadThatCannotBeTheEmbeddingIsRefusedByItsShape() throws {
    var small = Self.small(0, head: nil)
    small.weights.tensors.append(.init("lm_head.weight", [12, 16], [Float](repeating: 0, count: 192)))
    #expect(try small.error([:]).place == "lm_head.weight")
  }

  @Test func aModelWithoutItsHeadNamesTheKey() throws {
    let error = try Self.small(2, head: nil).error(["tie_word_embeddings": "false"])
    #expect(error.place == "lm_head.weight" && error.description.contains("tie_word_embeddings"))
    #expect(
      try Self.small(2, head: nil).error(["tie_word_embeddings": nil]).description.contains("tie_word_embeddings"))
    #expect(
      try Self.small(1, head: nil).error(["tie_word_embeddings": nil]).description.contains("tie_word_embeddings"))
  }
}
