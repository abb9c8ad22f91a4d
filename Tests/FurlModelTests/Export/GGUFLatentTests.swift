import FurlBase
@testable import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// What files of llama.cpp's `deepseek2` may say, and how much of it is believed.
@Suite struct GGUFLatentTests {
  // MARK: Files of llama.cpp's

  /// The same model as converters of before 2025 wrote it: keys and values of each head in one tensor, the sizes of heads
  /// under the usual keys.
  @Test(arguments: ["deepseek-v2-plain-queries", "deepseek-v3"])
  func olderFilesAreRead(_ name: String) throws {
    try TestData.withTemporaryFolder { folder in
      let (file, _) = try ExportFixtures.gguf(SampleSource(GGUFFamilyTests.path(name)), .f32, in: folder)
      var text = file.text
      let latent = try #require(Checkpoint(folder: GGUFFamilyTests.path(name)).spec.blocks[0].latentAttention)
      let (rank, plain, size) = (latent.rank, latent.plainSize, latent.valueSize)
      for block in 0..<2 {
        let key = try #require(file.tensors["blk.\(block).attn_k_b.weight"]).weights
        let value = try #require(file.tensors["blk.\(block).attn_v_b.weight"]).weights
        text.remove("blk.\(block).attn_k_b.weight")
        text.remove("blk.\(block).attn_v_b.weight")
        var joined: [Float] = []
        for head in 0..<latent.heads {
          for row in 0..<plain {
            for column in 0..<rank { joined.append(key[(head * rank + column) * plain + row]) }
          }
          joined += value[head * size * rank..<(head + 1) * size * rank]
        }
        text.tensors.append(
          .init(
            "blk.\(block).attn_kv_b.weight", [UInt64(rank), UInt64(latent.heads * (plain + size))],
            TestData.littleEndian(joined)))
      }
      text.set("deepseek2.attention.key_length_mla", nil)
      text.set("deepseek2.attention.value_length_mla", nil)
      text.set("deepseek2.attention.key_length", .uint32(UInt32(latent.querySize)))
      text.set("deepseek2.attention.value_length", .uint32(UInt32(size)))
      text.set("deepseek2.attention.head_count_kv", .uint32(UInt32(latent.heads)))
      try TestData.write(text.bytes, to: folder + "/old.gguf")
      #expect(try GGUFFamilyTests.difference(folder + "/old.gguf", from: name) <= 1e-4)
    }
  }

  /// What chooses experts tells families that share the architecture from each other.
  @Test func scoresTellFamiliesApart() throws {
    let family = { (text: GGUFText) in try ExportFixtures.open(text).config["model_type"]?.string }
    var plain = try ExportFixtures.text("deepseek-v2-plain-queries")
    #expect(try family(plain) == "deepseek_v2")
    plain.set("deepseek2.expert_gating_func", nil)
    #expect(try family(plain) == "deepseek_v2")
    #expect(try family(ExportFixtures.text("deepseek-v3")) == "deepseek_v3")
    #expect(try family(ExportFixtures.text("glm4-moe-lite")) == "deepseek_v3")
  }

  /// What predicts further tokens is counted with the blocks, and left out.
  @Test func blocksBehindTheLastAreLeftOut() throws {
    var text = try ExportFixtures.text("glm4-moe-lite")
    text.set("deepseek2.block_count", .uint32(3))
    text.tensors.append(.init("blk.2.nextn.eh_proj.weight", [1, 2], TestData.littleEndian([1, 2] as [Float])))
    #expect(throws: FurlError.self) { try ExportFixtures.open(text) }
    text.set("deepseek2.nextn_predict_layers", .uint32(1))
    let checkpoint = try ExportFixtures.open(text)
    #expect(checkpoint.spec.blocks.count == 2 && checkpoint.leftOut == ["blk.2.nextn.eh_proj.weight"])
    #expect(checkpoint.notes.contains { $0.hasPrefix("1 tensors of layers that predict further tokens") })
  }

  // MARK: Numbers

  /// Each head's keys input x output, values output x input.
  @Test func keysAreTurnedRound() throws {
    let name = "deepseek-v3"
    let stored = try SampleCheckpoint(folder: GGUFFamilyTests.path(name)).tensors
    try TestData.withTemporaryFolder { folder in
      let (file, _) = try ExportFixtures.gguf(SampleSource(GGUFFamilyTests.path(name)), .f32, in: folder)
      let both = try #require(stored["model.layers.1.self_attn.kv_b_proj.weight"]).values
      let key = try #require(file.tensors["blk.1.attn_k_b.weight"])
      let value = try #require(file.tensors["blk.1.attn_v_b.weight"])
      // Three heads of six and ten numbers, from latents of ten.
      #expect(key.extents == [6, 10, 3] && value.extents == [10, 10, 3])
      for head in 0..<3 {
        for column in 0..<10 {
          for row in 0..<6 {
            #expect(key.weights[(head * 10 + column) * 6 + row] == both[(head * 16 + row) * 10 + column])
          }
          for row in 0..<10 {
            #expect(value.weights[(head * 10 + row) * 10 + column] == both[(head * 16 + 6 + row) * 10 + column])
          }
        }
      }
    }
  }

  /// A DeepSeek-V2 whose rows are whole blocks of GGUF's, with seeded numbers.
  private static func wide(in folder: String) throws -> String {
    let config: JSON = [
      "model_type": "deepseek_v2", "vocab_size": 32, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
      "num_attention_heads": 2, "num_key_value_heads": 2, "qk_nope_head_dim": 32, "qk_rope_head_dim": 8,
      "v_head_dim": 32, "kv_lora_rank": 64, "q_lora_rank": .null, "n_routed_experts": 3, "num_experts_per_tok": 2,
      "moe_intermediate_size": 32, "n_shared_experts": 1, "first_k_dense_replace": 1, "max_position_embeddings": 64,
      "tie_word_embeddings": false,
    ]
    let spec = try DeepSeekV2.spec(DocumentReader(config, file: nil))
    var sample = try SampleCheckpoint(folder: GGUFFamilyTests.path("deepseek-v2-plain-queries"))
    sample.config = config.members ?? []
    sample.tensors = [:]
    var draws = SplitMix64(seed: 3)
    for layout in try StoredLayout.layouts(of: spec, family: DeepSeekV2.self, path: "test") {
      sample.tensors[layout.name] = .init(shape: layout.shape, values: draws.floats(layout.elementCount, scale: 0.3))
    }
    try sample.write(to: folder + "/wide")
    return folder + "/wide"
  }

  /// Blocks of keys lie along the numbers of a head and not along those of a latent. What is read of them is what they hold,
  /// and written as FP32, since no blocks hold it the other way round.
  @Test func blocksOfKeysAreRead() throws {
    try TestData.withTemporaryFolder { folder in
      let (file, _) = try ExportFixtures.gguf(SampleSource(Self.wide(in: folder)), .q8_0, in: folder)
      let stored = try #require(file.tensors["blk.1.attn_k_b.weight"])
      let weights = stored.weights
      #expect(stored.type == 8 && stored.extents == [32, 64, 2])
      let source = try Checkpoint(path: folder + "/x.gguf").source("blocks.1.attention.key")
      var expected: [Float] = []
      for row in 0..<64 {
        for column in 0..<64 { expected.append(weights[(row / 32 * 64 + column) * 32 + row % 32]) }
      }
      #expect(source.readAll() == expected)
      // From the middle of one head to the middle of the next, from the middle of a block on.
      #expect(source.read(rows: 7..<41) == Array(expected[7 * 64..<41 * 64]))
      #expect(try source.loadFloats(rows: 7..<41, with: ReadBuffer()) == Array(expected[7 * 64..<41 * 64]))
      try TestData.withTemporaryFolder { other in
        let (again, result) = try ExportFixtures.gguf(SampleSource(folder + "/x.gguf"), in: other)
        let key = try #require(again.tensors["blk.1.attn_k_b.weight"])
        #expect(key.type == 0 && key.weights == weights && result.encodedAnew.isEmpty)
        #expect(again.tensors["blk.1.attn_v_b.weight"]?.type == 8)
        #expect(again.tensors["blk.1.attn_v_b.weight"]?.bytes == file.tensors["blk.1.attn_v_b.weight"]?.bytes)
      }
    }
  }

  // MARK: What is refused

  @Test(
    arguments: [
      ("attention.key_length_mla", .uint32(4), "4 numbers of a head cannot be more than the 4 that are turned"),
      ("attention.key_length_mla", .int64(.min), "out of range"),
      ("attention.key_length_mla", .uint32(5), "has shape"), ("attention.key_length_mla", .uint32(8196), ""),
      ("attention.value_length_mla", .uint32(0), "out of range"),
      ("attention.value_length_mla", .uint32(1 << 18), ""), ("attention.value_length_mla", nil, "is missing"),
      ("attention.kv_lora_rank", .uint64(.max), ""), ("attention.kv_lora_rank", .uint32(1 << 18), "out of range"),
      ("attention.kv_lora_rank", .uint32(1 << 17), "has shape"), ("attention.kv_lora_rank", nil, "is missing"),
      ("attention.q_lora_rank", .uint32(0), "out of range"), ("attention.q_lora_rank", .uint32(8), "has shape"),
      ("rope.dimension_count", .uint32(0), "out of range"), ("rope.dimension_count", .uint32(3), ""),
      ("rope.dimension_count", nil, "is missing"),
      ("attention.head_count", .uint32(1 << 17), ""), ("attention.head_count", .uint32(6), "has shape"),
      ("leading_dense_block_count", .uint32(3), "3 of 2 blocks is out of range"),
      ("leading_dense_block_count", .int32(-1), "out of range"),
      ("nextn_predict_layers", .uint32(3), "out of range"), ("nextn_predict_layers", .uint32(2), ""),
      ("expert_count", .uint32(4097), ""), ("expert_count", .uint32(9), "has shape"),
      ("expert_used_count", .uint32(7), "7 experts of 6 cannot be chosen"), ("expert_shared_count", .uint32(4096), ""),
      ("expert_feed_forward_length", .uint64(1 << 62), "out of range"),
      ("expert_group_count", .uint32(4), "6 experts are not 4 equal groups"),
      ("expert_group_used_count", .uint32(4), "4 groups of 3 cannot be chosen"),
      ("expert_gating_func", .uint32(3), "is not supported yet"),
      ("expert_gating_func", .uint32(1), ""),
      ("rope.scaling.factor", .float32(0.5), "0.5 is not supported"),
      ("rope.scaling.type", .string("linear"), "without YaRN is not supported"),
      ("rope.scaling.yarn_log_multiplier", .float32(.nan), "out of range"),
      ("rope.scaling.attn_factor", .float32(.infinity), "out of range"),
    ] as [(String, GGUFText.Value?, String)])
  func wrongNumbersAreNamed(_ key: String, _ value: GGUFText.Value?, _ problem: String) throws {
    var text = try ExportFixtures.text("deepseek-v3")
    text.set("deepseek2." + key, value)
    let error = try #require(throws: FurlError.self) { try ExportFixtures.open(text) }
    #expect(error.kind == .input && error.description.contains(problem), "\(error)")
  }

  /// A softmax whose weights are made to add up, which the family does not have.
  @Test func otherWeightsAreRefused() throws {
    var text = try ExportFixtures.text("deepseek-v2-plain-queries")
    for (key, value) in [("expert_weights_norm", GGUFText.Value.bool(1)), ("expert_group_count", .uint32(2))] {
      var changed = text
      changed.set("deepseek2." + key, value)
      let error = #expect(throws: FurlError.self) { try ExportFixtures.open(changed) }
      #expect(error?.place == "deepseek2." + key)
    }
    text.set("deepseek2.expert_weights_norm", .bool(0))
    #expect(throws: Never.self) { try ExportFixtures.open(text) }
  }

  @Test func whatLlamaComputesOtherwiseIsSaidOrRefused() throws {
    func problem(_ name: String, _ change: (inout SampleSource) -> Void = { _ in }) throws -> String {
      var source = try SampleSource(GGUFFamilyTests.path(name))
      change(&source)
      return try TestData.withTemporaryFolder { folder in
        try #require(throws: FurlError.self) { try ExportFixtures.gguf(source, .f32, in: folder) }.description
      }
    }
    try TestData.withTemporaryFolder { folder in
      let notes = try ExportFixtures.gguf(SampleSource(GGUFFamilyTests.path("glm4-moe-lite")), .f32, in: folder).result
        .notes
      #expect(notes.contains { $0.contains("one epsilon for all norms, 0.001") }, "\(notes)")
    }
    #expect(try problem("deepseek-v2-groups").contains("by the two best of it"))
    let deep = try problem("deepseek-v3") { source in
      source.spec.blocks += Array(repeating: source.spec.blocks[1], count: 25)
    }
    #expect(deep.contains("takes a model of 27 blocks"), "\(deep)")
    let linear = try problem("deepseek-v2-plain-queries") { source in
      for block in source.spec.blocks.indices {
        source.spec.blocks[block].latentAttention?.rotary.scaling = .linear(factor: 2)
      }
    }
    #expect(linear.contains("divided by one factor"), "\(linear)")
    let small = try problem("deepseek-v3") { $0.spec.blocks[1].experts?.groups = .init(count: 6, active: 2, best: 2) }
    #expect(small.contains("two experts in each group"), "\(small)")
    let odd = try problem("deepseek-v3") { $0.spec.blocks[1].experts?.shared?.size = 9 }
    #expect(odd.contains("shared"), "\(odd)")
  }
}

extension GGUFText {
  /// Sets a key, or takes it away.
  mutating func set(_ key: String, _ value: Value?) {
    metadata.removeAll { $0.key == key }
    if let value { metadata.append((key, value)) }
  }

  /// Takes a tensor away.
  mutating func remove(_ tensor: String) { tensors.removeAll { $0.name == Array(tensor.utf8) } }
}

extension ParsedGGUF {
  /// The same file, of FP32 numbers.
  var text: GGUFText {
    GGUFText(
      metadata.sorted { $0.key < $1.key }.map { ($0.key, $0.value.text) },
      tensors.sorted { $0.key < $1.key }.map { name, tensor in
        .init(name, tensor.extents.map(UInt64.init), TestData.littleEndian(tensor.weights))
      })
  }
}

extension ParsedGGUF.Value {
  var text: GGUFText.Value {
    switch self {
    case .integer(let number): .uint32(UInt32(number))
    case .real(let number): .float32(number)
    case .bool(let flag): .bool(flag ? 1 : 0)
    case .text(let text): .string(text)
    case .list(let list):
      switch list.first {
      case .integer: .list(type: 5, count: UInt64(list.count), list.flatMap(\.elementBytes))
      case .bool: .list(type: 7, count: UInt64(list.count), list.flatMap(\.elementBytes))
      default: .list(type: 8, count: UInt64(list.count), list.flatMap(\.elementBytes))
      }
    }
  }

  private var elementBytes: [UInt8] {
    switch self {
    case .integer(let number): GGUFText.bytes(Int32(number))
    case .bool(let flag): [flag ? 1 : 0]
    case .text(let text): GGUFText.text(Array(text.utf8))
    case .real, .list: []
    }
  }
}
