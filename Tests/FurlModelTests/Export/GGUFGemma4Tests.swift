import FurlBase
@testable import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// What files of llama.cpp's `gemma4` may say, and how much of it is believed.
@Suite struct GGUFGemma4Tests {
  private static func numbers(_ numbers: [Int]) -> GGUFText.Value {
    .list(type: 5, count: UInt64(numbers.count), numbers.flatMap { GGUFText.bytes(Int32($0)) })
  }

  private static func flags(_ flags: [Int]) -> GGUFText.Value {
    .list(type: 7, count: UInt64(flags.count), flags.map(UInt8.init))
  }

  // MARK: Files

  /// The file says the model that the checkpoint is, block by block.
  @Test(arguments: SharedKeysTests.models)
  func filesSayTheModel(_ name: String) throws {
    let file = try ExportFixtures.open(ExportFixtures.text(name))
    let own = try Checkpoint(folder: GGUFFamilyTests.path(name))
    #expect(file.spec == own.spec && file.leftOut == ["rope_freqs.weight"])
    // It is the checkpoint's again.
    let turned = try ExportFixtures.text(name).tensors.first { $0.name == Array("rope_freqs.weight".utf8) }
    let half = (own.spec.blocks[1].attention?.headSize ?? 0) / 2
    #expect(
      turned?.bytes == TestData.littleEndian((0..<half).map { $0 < half / 4 ? 1 : 1e30 } as [Float]))
  }

  /// Published files have keys and values of blocks that take those of others, and gate and up of experts in one tensor.
  @Test func filesOfTheConverterAreRead() throws {
    var shared = try ExportFixtures.text("gemma4-shared")
    for (name, extents) in [("attn_k", [24, 32]), ("attn_v", [24, 32]), ("attn_k_norm", [16])] as [(String, [UInt64])] {
      let count = Int(extents.reduce(1, *))
      shared.tensors.append(
        .init("blk.5.\(name).weight", extents, TestData.littleEndian([Float](repeating: 3, count: count))))
    }
    let opened = try ExportFixtures.open(shared)
    #expect(
      opened.leftOut == [
        "blk.5.attn_k.weight", "blk.5.attn_k_norm.weight", "blk.5.attn_v.weight", "rope_freqs.weight",
      ])
    try TestData.withTemporaryFolder { folder in
      try TestData.write(shared.bytes, to: folder + "/x.gguf")
      #expect(try GGUFFamilyTests.difference(folder + "/x.gguf", from: "gemma4-shared") <= 2e-4)
    }
    // Anything else is no part of the model.
    shared.tensors.append(
      .init("blk.4.attn_q.bias", [4], TestData.littleEndian([Float](repeating: 3, count: 4))))
    #expect(throws: FurlError.self) { try ExportFixtures.open(shared) }

    var experts = try ExportFixtures.text("gemma4-experts")
    for block in 0..<4 {
      let names = ["gate", "up"].map { Array("blk.\(block).ffn_\($0)_exps.weight".utf8) }
      let parts = try names.map { name in try #require(experts.tensors.first { $0.name == name }).bytes }
      experts.tensors.removeAll { names.contains($0.name) }
      // Six experts of 20 neurons for each, of 24 numbers.
      let size = 20 * 24 * 4
      let joined = (0..<6).flatMap { index in parts.flatMap { $0[index * size..<(index + 1) * size] } }
      experts.tensors.append(.init("blk.\(block).ffn_gate_up_exps.weight", [24, 40, 6], joined))
    }
    try TestData.withTemporaryFolder { folder in
      try TestData.write(experts.bytes, to: folder + "/x.gguf")
      #expect(try GGUFFamilyTests.difference(folder + "/x.gguf", from: "gemma4-experts") <= 2e-4)
    }
  }

  /// llama.cpp caps logits at 30 unless a file says that it is at none.
  @Test func capsAreSaid() throws {
    var text = try ExportFixtures.text("gemma4-keys-alone")
    #expect(try ExportFixtures.open(text).spec.logitSoftCap == nil)
    text.set("gemma4.final_logit_softcapping", nil)
    #expect(try ExportFixtures.open(text).spec.logitSoftCap == 30)
    text.set("gemma4.final_logit_softcapping", .float32(.infinity))
    #expect(throws: FurlError.self) { try ExportFixtures.open(text) }
  }

  /// Frequencies that are all divided by one number, and those that are not at all.
  @Test(arguments: [(Float(1), 6), (4, 3), (4, 6), (1, 0)])
  func turnsAreRead(_ divisor: Float, _ turning: Int) throws {
    var text = try ExportFixtures.text("gemma4-keys-alone")
    text.remove("rope_freqs.weight")
    text.tensors.append(
      .init(
        "rope_freqs.weight", [6], TestData.littleEndian((0..<6).map { $0 < turning ? divisor : 1e30 } as [Float])))
    let rotary = try #require(ExportFixtures.open(text).spec.blocks[1].attention?.rotary)
    let plain = ModelSpec.Rotary(theta: 1e6, dimensions: 12).frequencies
    #expect(rotary.frequencies == plain.indices.map { $0 < turning ? plain[$0] / Double(divisor) : 0 })
    #expect(try ExportFixtures.open(text).spec.blocks[0].attention?.rotary?.scaling == ModelSpec.Rotary.Scaling.none)
  }

  /// A Gemma 4 whose rows are whole blocks of GGUF's, with seeded numbers.
  private static func wide(in folder: String) throws -> String {
    var sample = try SampleCheckpoint(folder: GGUFFamilyTests.path("gemma4-shared"))
    for (key, value) in [
      ("hidden_size", 64), ("intermediate_size", 32), ("head_dim", 16), ("hidden_size_per_layer_input", 32),
      ("moe_intermediate_size", 32), ("num_experts", 3), ("top_k_experts", 2), ("enable_moe_block", true),
      ("use_double_wide_mlp", false),
    ] as [(String, JSON)] {
      sample.configure(key, value)
    }
    let spec = try Gemma4.spec(DocumentReader(.object(sample.config), file: nil))
    sample.tensors = [:]
    var draws = SplitMix64(seed: 3)
    for layout in try StoredLayout.layouts(of: spec, family: Gemma4.self, path: "test") {
      sample.tensors[layout.name] = .init(shape: layout.shape, values: draws.floats(layout.elementCount, scale: 0.3))
    }
    try sample.write(to: folder + "/wide")
    return folder + "/wide"
  }

  /// Of what blocks take from tokens, too, whose rows are those of all blocks beside each other.
  @Test(arguments: [ExportNumbers.q8_0, .q4_0])
  func codesAreKept(_ numbers: ExportNumbers) throws {
    try TestData.withTemporaryFolder { folder in
      let (file, _) = try ExportFixtures.gguf(SampleSource(Self.wide(in: folder)), numbers, in: folder)
      let table = try #require(file.tensors["per_layer_token_embd.weight"])
      #expect(table.type == (numbers == .q8_0 ? 8 : 2) && table.extents == [6 * 32, 32])
      let (weights, checkpoint) = (table.weights, try Checkpoint(path: folder + "/x.gguf"))
      for block in 0..<6 {
        // Times the root of half the width.
        let own = try checkpoint.source("blocks.\(block).input.table").readAll()
        let stored = own.indices.map { weights[$0 / 32 * 192 + block * 32 + $0 % 32] }
        #expect(own == stored.map { 4 * $0 })
      }
      try TestData.withTemporaryFolder { other in
        let (again, result) = try ExportFixtures.gguf(SampleSource(folder + "/x.gguf"), in: other)
        #expect(again.tensors.keys.sorted() == file.tensors.keys.sorted() && result.encodedAnew.isEmpty)
        for (name, tensor) in file.tensors where tensor.type != 0 {
          #expect(again.tensors[name]?.type == tensor.type && again.tensors[name]?.bytes == tensor.bytes, "\(name)")
        }
      }
    }
  }

  // MARK: What is refused

  @Test(
    arguments: [
      ("attention.head_count_kv", numbers([2, 2, 2, 2, 2]), "a number of key/value heads for each of 6 blocks"),
      ("attention.head_count_kv", numbers([2, 1, 2, 2, 2, 2]), "differs between blocks without a window"),
      ("attention.head_count_kv", numbers([1, 2, 2, 2, 2, 2]), "differs between blocks with a window"),
      ("attention.head_count_kv", numbers([3, 2, 3, 2, 3, 2]), "4 heads cannot share 3 key/value heads"),
      ("attention.head_count_kv", numbers([2, 0, 2, 0, 2, 0]), "0 is out of range"),
      ("attention.head_count_kv", .uint32(1 << 31), "is out of range"),
      ("attention.head_count_kv", numbers([1, 2, 1, 2, 1, 2]), "has shape"),
      ("feed_forward_length", numbers([32, 32, 32, 32, 64, 64, 64]), "a number of neurons for each of 6 blocks"),
      ("feed_forward_length", numbers([32, 32, 32, 32, 64, 32]), "differs otherwise than by twice"),
      ("feed_forward_length", numbers([32, 32, 32, 64, 64, 64]), "differs otherwise than by twice"),
      ("feed_forward_length", numbers([0, 0, 0, 0, 0, 0]), "is out of range"),
      ("feed_forward_length", .uint32(32), "has shape"),
      ("attention.sliding_window_pattern", flags([1, 0, 1, 0, 1]), "has 5 entries for 6 blocks"),
      ("attention.sliding_window_pattern", flags([1, 0, 1, 0, 1, 0, 0]), "has 7 entries for 6 blocks"),
      ("attention.sliding_window_pattern", flags([1, 0, 1, 0, 0, 1]), "gives the last block a window"),
      ("attention.sliding_window_pattern", .uint32(2), "no list"),
      ("attention.sliding_window_pattern", nil, "is missing"),
      ("attention.sliding_window", .uint32(0), "out of range"), ("attention.sliding_window", nil, "is missing"),
      ("attention.shared_kv_layers", .uint32(7), "7 of 6 blocks is out of range"),
      ("attention.shared_kv_layers", .int32(-1), "is out of range"),
      ("attention.shared_kv_layers", .uint32(6), "the last two blocks that make keys"),
      ("attention.shared_kv_layers", .uint32(3), "the last two blocks that make keys"),
      ("attention.key_length", .uint32(0), "is not as attention.key_length"),
      ("attention.key_length", nil, "attention.key_length"),
      ("attention.key_length_swa", .uint32(4), "is not as attention.key_length_swa"),
      ("attention.key_length_swa", nil, "attention.key_length_swa"),
      ("embedding_length_per_layer_input", .uint32(7), "has shape"),
      ("embedding_length_per_layer_input", .uint32(0), "is not part of"),
      ("embedding_length_per_layer_input", .int64(.min), "is out of range"),
      ("embedding_length_per_layer_input", .uint32(1 << 30), "is out of range"),
      ("rope.dimension_count", .uint32(8), "has 8 numbers; 4 are expected"),
      ("rope.dimension_count_swa", .uint32(4), "4 is not supported"),
      ("rope.dimension_count_swa", nil, "16 is not supported"),
      ("rope.scaling.factor", .float32(2), "beside rope_freqs.weight"),
      ("rope.scaling.attn_factor", .float32(2), "2.0 is not supported yet"),
      ("rope.freq_base_swa", .float32(0), "out of range"), ("block_count", .uint32(7), "each of 7 blocks"),
      ("attention.head_count", .uint32(3), ""),
    ] as [(String, GGUFText.Value?, String)])
  func wrongNumbersAreNamed(_ key: String, _ value: GGUFText.Value?, _ problem: String) throws {
    var text = try ExportFixtures.text("gemma4-shared")
    text.set("gemma4." + key, value)
    let error = try #require(throws: FurlError.self) { try ExportFixtures.open(text) }
    #expect(error.kind == .input && error.description.contains(problem), "\(error)")
    #expect(!error.description.contains("\n"))
  }

  /// Heads of no numbers, of an odd count, and of more than there may be.
  @Test(arguments: [0, 7, 8192, UInt32.max])
  func headsOfOtherSizesAreRefused(_ size: UInt32) throws {
    for suffix in ["", "_swa"] {
      var text = try ExportFixtures.text("gemma4-shared")
      for key in ["key_length", "value_length"] { text.set("gemma4.attention.\(key)\(suffix)", .uint32(size)) }
      let error = try #require(throws: FurlError.self) { try ExportFixtures.open(text) }
      #expect(
        error.place == "gemma4.attention.key_length" + suffix && error.problem.contains("out of range"), "\(error)")
    }
  }

  @Test(
    arguments: [
      (nil, "is missing"), ([1, 1, 1e30], "has 3 numbers; 8 are expected"),
      ([1, 1, 1, 1, 1, 1, 1, .nan], "divides the frequencies otherwise"),
      ([0, 0] + [Float](repeating: 1e30, count: 6), "otherwise"),
      ([1, 2, 1e30, 1e30, 1e30, 1e30, 1e30, 1e30], "otherwise"),
      ([1, 1e30, 1, 1e30, 1e30, 1e30, 1e30, 1e30], "otherwise"),
      ([-1] + [Float](repeating: 1e30, count: 7), "otherwise"),
    ] as [([Float]?, String)])
  func otherTurnsAreRefused(_ divisors: [Float]?, _ problem: String) throws {
    var text = try ExportFixtures.text("gemma4-shared")
    text.remove("rope_freqs.weight")
    if let divisors {
      text.tensors.append(.init("rope_freqs.weight", [UInt64(divisors.count)], TestData.littleEndian(divisors)))
    }
    let error = try #require(throws: FurlError.self) { try ExportFixtures.open(text) }
    #expect(error.place?.contains("rope_freqs") == true && error.problem.contains(problem), "\(error)")
  }

  @Test(
    arguments: [
      ("expert_count", .uint32(7), "has shape"), ("expert_count", nil, "num_experts"),
      ("expert_used_count", .uint32(7), "7 experts of 6 cannot be chosen"), ("expert_used_count", nil, "top_k_experts"),
      ("expert_feed_forward_length", .uint32(0), "out of range"),
      ("expert_feed_forward_length", .uint32(24), "has shape"),
      ("expert_weights_scale", .float32(2), "is not supported yet"),
      ("expert_shared_count", .uint32(1), "not supported"),
    ] as [(String, GGUFText.Value?, String)])
  func wrongExpertsAreNamed(_ key: String, _ value: GGUFText.Value?, _ problem: String) throws {
    var text = try ExportFixtures.text("gemma4-experts")
    text.set("gemma4." + key, value)
    let error = try #require(throws: FurlError.self) { try ExportFixtures.open(text) }
    #expect(error.kind == .input && error.description.contains(problem), "\(error)")
  }

  /// What llama.cpp has in one way alone.
  @Test func whatLlamaDoesNotRunIsRefused() throws {
    func problem(_ name: String, _ change: (inout ModelSpec) -> Void) throws -> String {
      var source = try SampleSource(GGUFFamilyTests.path(name))
      change(&source.spec)
      return try TestData.withTemporaryFolder { folder in
        try #require(throws: FurlError.self) { try ExportFixtures.gguf(source, .f32, in: folder) }.description
      }
    }
    func each(_ change: @escaping (inout AttentionSpec) -> Void) -> (inout ModelSpec) -> Void {
      { spec in
        for block in spec.blocks.indices {
          if spec.blocks[block].attention != nil { change(&spec.blocks[block].attention!) }
        }
      }
    }
    let cases: [(String, (inout ModelSpec) -> Void, String)] = [
      ("gemma4-shared", each { $0.biases = [.query, .attentionOutput] }, "has no bias of"),
      ("gemma4-shared", each { $0.softCap = 5 }, "soft_cap"),
      ("gemma4-shared", each { $0.window = nil }, "needs a block with a window"),
      ("gemma4-shared", { $0.blocks.removeLast() }, "gives the last block a window"),
      ("gemma4-shared", { $0.blocks.remove(at: 3) }, "the last two blocks that make keys"),
      ("gemma4-keys-alone", { $0.blocks.removeSubrange(1..<4) }, "needs two blocks"),
      ("gemma4-keys-alone", { $0.blocks[0].attention?.kvHeads = 2 }, "differs between blocks with a window"),
      ("gemma4-keys-alone", { $0.blocks[1].attention?.keySource = .own }, "key_source"),
      ("gemma4-keys-alone", { $0.blocks[0].attention?.rotary?.scaling = .linear(factor: 2) }, "no key that would say"),
      ("gemma4-keys-alone", { $0.blocks[0].feedForward?.activation = .silu }, "gelu_tanh and no silu"),
      ("gemma4-keys-alone", { $0.blocks[2].feedForward?.size = 80 }, "differs otherwise"),
      ("gemma4-keys-alone", { $0.blocks[0].isScaled = false }, "no key that would say"),
      ("gemma4-experts", { $0.blocks[3].experts?.normalizesWeights = false }, "no key that would say"),
      ("gemma4-experts", { $0.blocks[3].experts?.hasExpertFactors = false }, "no key that would say"),
    ]
    for (name, change, words) in cases {
      let said = try problem(name, change)
      #expect(said.contains("llama.cpp cannot run it") && said.contains(words), "\(said)")
    }
    for scaling in [
      ModelSpec.Rotary.Scaling.yarn(factor: 4, slowTurns: 1, fastTurns: 32, originalContext: 16, truncates: true),
      .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 16),
      .dynamic(factor: 2, originalContext: 16),
    ] {
      let said = try problem("gemma4-keys-alone", each { if $0.window == nil { $0.rotary?.scaling = scaling } })
      #expect(said.contains("scaling of frequencies"), "\(said)")
    }
  }
}
