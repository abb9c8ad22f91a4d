import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// GGUF files of families that llama.cpp has its own architectures for: what they say, and what is computed from them again.
@Suite struct GGUFFamilyTests {
  static let families = [
    "qwen3_moe", "gemma2", "gemma3_text", "gpt_oss", "phi3-longrope", "granitemoe", "olmo2", "gpt_neox",
    "deepseek-v2-plain-queries", "deepseek-v3", "glm4-moe-lite", "laguna", "gemma4-shared", "gemma4-keys-alone",
    "gemma4-experts",
  ]

  static func path(_ name: String) -> String { TestData.root + "/Tests/Fixtures/families/" + name }

  /// The first and the last logits after some ids, as transformers computed them.
  static func expected(_ name: String) throws -> (ids: [Int], first: [Double], last: [Double]) {
    let json = try JSON.parse(TestData.bytes(path(name) + "/expected.json"), file: nil)
    func numbers(_ key: String) throws -> [Double] { try #require(json[key]?.array).compactMap(\.number) }
    let ids = try #require(json["input_ids"]?.array).compactMap(\.integer)
    guard json["logits"] != nil else { return (ids, try numbers("first_logits"), try numbers("last_logits")) }
    let all = try numbers("logits")
    return (ids, Array(all.prefix(all.count / ids.count)), Array(all.suffix(all.count / ids.count)))
  }

  /// The largest difference of what a model computes from what transformers computed.
  static func difference(_ path: String, from name: String) throws -> Double {
    let expected = try Self.expected(name)
    let context = try Fixtures.context()
    let session = try Session(ModelFile(path: path).load(pool: context.pool), context: context, format: .float32)
    let rows = try Fixtures.logits(session, expected.ids)
    let pairs = [(rows[0], expected.first), (rows[rows.count - 1], expected.last)]
    #expect(pairs.allSatisfy { $0.count == $1.count })
    return pairs.flatMap { zip($0, $1).map { abs(Double($0) - $1) } }.max() ?? .infinity
  }

  /// The bound of the checkpoints themselves.
  @Test(arguments: families)
  func aFileComputesWhatTransformersDoes(_ name: String) throws {
    #expect(try Self.difference(Self.path(name), from: name) <= 1e-4)
    try TestData.withTemporaryFolder { folder in
      let source = try SampleSource(Self.path(name))
      _ = try ExportFixtures.gguf(source, .f32, in: folder)
      #expect(try Self.difference(folder + "/x.gguf", from: name) <= 1e-4)
      // And the file of the file is the same file.
      let again = try SampleSource(folder + "/x.gguf")
      try TestData.withTemporaryFolder { other in
        _ = try ExportFixtures.gguf(again, .f32, in: other)
        let (one, two) = (try ParsedGGUF(path: folder + "/x.gguf"), try ParsedGGUF(path: other + "/x.gguf"))
        #expect(one.tensors.keys.sorted() == two.tensors.keys.sorted())
        for (name, tensor) in one.tensors {
          let other = try #require(two.tensors[name])
          #expect(
            zip(tensor.weights, other.weights).allSatisfy { abs($0 - $1) <= 1.2e-7 * max(1, abs($1)) }, "\(name)")
        }
        for (key, value) in one.metadata { #expect(two.metadata[key] == value, "\(key)") }
      }
    }
  }

  /// By llama.cpp's `src/llama-arch.cpp` and `conversion`.
  static let keys: [String: [String: ParsedGGUF.Value]] = [
    "qwen3_moe": [
      "general.architecture": .text("qwen3moe"), "qwen3moe.expert_count": .integer(6),
      "qwen3moe.expert_used_count": .integer(2),
    ],
    "gemma2": [
      "general.architecture": .text("gemma2"), "gemma2.attn_logit_softcapping": .real(5),
      "gemma2.final_logit_softcapping": .real(3), "gemma2.attention.sliding_window": .integer(8),
      "gemma2.attention.key_length": .integer(16),
    ],
    "gemma3_text": [
      "general.architecture": .text("gemma3"), "gemma3.rope.freq_base": .real(1e6),
      "gemma3.rope.freq_base_swa": .real(1e4), "gemma3.rope.scaling.type": .text("linear"),
      "gemma3.rope.scaling.factor": .real(8),
      "gemma3.attention.sliding_window_pattern": .list([.bool(true), .bool(true), .bool(false), .bool(true)]),
    ],
    "gpt_oss": [
      "general.architecture": .text("gpt-oss"), "gpt-oss.expert_feed_forward_length": .integer(24),
      "gpt-oss.rope.scaling.type": .text("yarn"), "gpt-oss.rope.scaling.factor": .real(8),
      "gpt-oss.rope.scaling.original_context_length": .integer(32), "gpt-oss.attention.sliding_window": .integer(8),
    ],
    "phi3-longrope": [
      "general.architecture": .text("phi3"), "phi3.attention.sliding_window": .integer(0),
      // sqrt(1 + ln 4 / ln 16)
      "phi3.rope.scaling.attn_factor": .real(1.2247449), "phi3.rope.scaling.original_context_length": .integer(16),
    ],
    "granitemoe": [
      "general.architecture": .text("granitemoe"), "granitemoe.embedding_scale": .real(6),
      "granitemoe.residual_scale": .real(0.5), "granitemoe.logit_scale": .real(3),
      "granitemoe.attention.scale": .real(0.2), "granitemoe.expert_count": .integer(6),
    ],
    "olmo2": ["general.architecture": .text("olmo2"), "olmo2.rope.freq_base": .real(500_000)],
    "gpt_neox": [
      "general.architecture": .text("gptneox"), "gptneox.use_parallel_residual": .bool(true),
      "gptneox.rope.dimension_count": .integer(6),
    ],
    "deepseek-v2-plain-queries": [
      "general.architecture": .text("deepseek2"), "deepseek2.attention.head_count": .integer(3),
      "deepseek2.attention.head_count_kv": .integer(1), "deepseek2.attention.key_length": .integer(14),
      "deepseek2.attention.value_length": .integer(10), "deepseek2.attention.key_length_mla": .integer(10),
      "deepseek2.attention.value_length_mla": .integer(5), "deepseek2.attention.kv_lora_rank": .integer(10),
      "deepseek2.attention.q_lora_rank": .integer(0), "deepseek2.leading_dense_block_count": .integer(1),
      "deepseek2.feed_forward_length": .integer(20), "deepseek2.expert_feed_forward_length": .integer(8),
      "deepseek2.expert_shared_count": .integer(2), "deepseek2.expert_gating_func": .integer(1),
      "deepseek2.expert_weights_scale": .real(1.5), "deepseek2.rope.dimension_count": .integer(4),
    ],
    "deepseek-v3": [
      "general.architecture": .text("deepseek2"), "deepseek2.attention.q_lora_rank": .integer(9),
      "deepseek2.expert_group_count": .integer(3), "deepseek2.expert_group_used_count": .integer(2),
      "deepseek2.expert_weights_norm": .bool(true), "deepseek2.expert_gating_func": .integer(2),
      "deepseek2.rope.scaling.type": .text("yarn"), "deepseek2.rope.scaling.factor": .real(4),
      // A tenth of mscale_all_dim.
      "deepseek2.rope.scaling.yarn_log_multiplier": .real(0.1),
    ],
    "glm4-moe-lite": [
      "general.architecture": .text("deepseek2"), "deepseek2.leading_dense_block_count": .integer(1),
      "deepseek2.attention.layer_norm_rms_epsilon": .real(1e-3), "deepseek2.expert_weights_scale": .real(1.8),
    ],
    "laguna": [
      "general.architecture": .text("laguna"), "laguna.attention.head_count": .list([.integer(4), .integer(2)]),
      "laguna.attention.head_count_kv": .integer(2), "laguna.attention.key_length": .integer(8),
      "laguna.attention.sliding_window": .integer(6), "laguna.leading_dense_block_count": .integer(1),
      "laguna.rope.dimension_count": .integer(4), "laguna.rope.dimension_count_swa": .integer(8),
      "laguna.rope.freq_base": .real(500_000), "laguna.rope.freq_base_swa": .real(10_000),
      "laguna.expert_shared_feed_forward_length": .integer(5), "laguna.expert_weights_scale": .real(1.7),
      "laguna.expert_gating_func": .integer(2), "laguna.expert_weights_norm": .bool(true),
    ],
    "gemma4-shared": [
      "general.architecture": .text("gemma4"), "gemma4.attention.key_length": .integer(16),
      "gemma4.attention.value_length": .integer(16), "gemma4.attention.key_length_swa": .integer(8),
      "gemma4.attention.value_length_swa": .integer(8), "gemma4.attention.shared_kv_layers": .integer(2),
      "gemma4.attention.head_count_kv": .integer(2), "gemma4.embedding_length_per_layer_input": .integer(6),
      "gemma4.feed_forward_length": .list([32, 32, 32, 32, 64, 64].map { .integer($0) }),
      "gemma4.rope.dimension_count": .integer(16), "gemma4.rope.dimension_count_swa": .integer(8),
      "gemma4.rope.freq_base": .real(1e6), "gemma4.rope.freq_base_swa": .real(1e4),
      "gemma4.final_logit_softcapping": .real(8), "gemma4.attention.sliding_window": .integer(6),
      "gemma4.attention.sliding_window_pattern": .list([true, false, true, false, true, false].map { .bool($0) }),
    ],
    "gemma4-keys-alone": [
      "gemma4.attention.head_count_kv": .list([4, 1, 4, 1].map { .integer($0) }),
      "gemma4.embedding_length_per_layer_input": .integer(0), "gemma4.attention.shared_kv_layers": .integer(0),
      "gemma4.feed_forward_length": .integer(40), "gemma4.final_logit_softcapping": .real(0),
    ],
    "gemma4-experts": [
      "gemma4.expert_count": .integer(6), "gemma4.expert_used_count": .integer(2),
      "gemma4.expert_feed_forward_length": .integer(20), "gemma4.feed_forward_length": .integer(32),
    ],
  ]

  @Test(arguments: families)
  func saysWhatLlamaReads(_ name: String) throws {
    try TestData.withTemporaryFolder { folder in
      let (file, _) = try ExportFixtures.gguf(SampleSource(Self.path(name)), .f32, in: folder)
      for (key, value) in try #require(Self.keys[name]) {
        #expect(file.metadata[key] == value, "\(key): \(String(describing: file.metadata[key]))")
      }
    }
  }

  /// Columns first, by llama.cpp's `src/models`.
  @Test func tensorsHaveTheShapesThatLlamaReads() throws {
    let shapes: [String: [String: [Int]]] = [
      "gpt_oss": [
        "attn_sinks.weight": [4], "post_attention_norm.weight": [32], "ffn_gate_inp.weight": [32, 4],
        "ffn_gate_inp.bias": [4], "ffn_gate_exps.weight": [32, 24, 4], "ffn_gate_exps.bias": [24, 4],
        "ffn_up_exps.weight": [32, 24, 4], "ffn_down_exps.weight": [24, 32, 4], "ffn_down_exps.bias": [32, 4],
      ],
      "phi3-longrope": ["attn_qkv.weight": [48, 144], "ffn_up.weight": [48, 160]],
      "gpt_neox": ["attn_qkv.weight": [48, 144], "attn_qkv.bias": [144]],
      "deepseek-v2-plain-queries": [
        "attn_q.weight": [24, 30], "attn_kv_a_mqa.weight": [24, 14], "attn_kv_a_norm.weight": [10],
        "ffn_gate_shexp.weight": [24, 16],
      ],
      "deepseek-v3": [
        "attn_q_a.weight": [24, 9], "attn_q_a_norm.weight": [9], "attn_q_b.weight": [9, 30], "exp_probs_b.bias": [6],
        "ffn_gate_exps.weight": [24, 8, 6],
      ],
      "laguna": ["attn_gate.weight": [24, 2], "attn_q.weight": [24, 16], "exp_probs_b.bias": [4]],
      "olmo2": ["attn_q_norm.weight": [48], "attn_k_norm.weight": [24], "post_ffw_norm.weight": [48]],
      "gemma4-shared": [
        "inp_gate.weight": [24, 6], "proj.weight": [6, 24], "post_norm.weight": [24], "layer_output_scale.weight": [1],
        "attn_q_norm.weight": [16], "attn_k_norm.weight": [16], "attn_k.weight": [24, 32], "post_ffw_norm.weight": [24],
      ],
      "gemma4-experts": [
        "ffn_gate_inp.weight": [24, 6], "ffn_gate_inp.scale": [24], "ffn_down_exps.scale": [6],
        "pre_ffw_norm_2.weight": [24], "post_ffw_norm_1.weight": [24], "post_ffw_norm_2.weight": [24],
        "ffn_gate_exps.weight": [24, 20, 6], "ffn_down_exps.weight": [20, 24, 6], "ffn_gate.weight": [24, 32],
      ],
      "gemma3_text": ["attn_q_norm.weight": [16], "post_attention_norm.weight": [48], "ffn_norm.weight": [48]],
    ]
    try TestData.withTemporaryFolder { folder in
      for (name, tensors) in shapes {
        let (file, _) = try ExportFixtures.gguf(SampleSource(Self.path(name)), .f32, in: folder)
        for (tensor, extents) in tensors {
          #expect(file.tensors["blk.1." + tensor]?.extents == extents, "\(name) \(tensor)")
        }
      }
      let (gemma, _) = try ExportFixtures.gguf(SampleSource(Self.path("gemma4-shared")), .f32, in: folder)
      for (tensor, extents) in [
        "per_layer_token_embd.weight": [36, 32], "per_layer_model_proj.weight": [24, 36],
        "per_layer_proj_norm.weight": [6], "rope_freqs.weight": [8],
      ] {
        #expect(gemma.tensors[tensor]?.extents == extents, "\(tensor)")
      }
      #expect(gemma.tensors["blk.4.attn_k.weight"] == nil && gemma.tensors["blk.4.attn_k_norm.weight"] == nil)
      let (phi, _) = try ExportFixtures.gguf(SampleSource(Self.path("phi3-longrope")), .f32, in: folder)
      #expect(
        try #require(phi.tensors["rope_factors_short.weight"]).weights == [1, 1.35, 1.7, 2.05, 2.4, 2.75, 3.1, 3.45])
    }
  }

  /// Files hold the numbers of checkpoints, and not those that Furl computes with; Gemma's norms have one more.
  @Test func numbersAreThoseOfTheCheckpoint() throws {
    for (name, addend) in [("granitemoe", Float(0)), ("gemma2", 1)] {
      try TestData.withTemporaryFolder { folder in
        let stored = try StoredTensors(folder: Self.path(name))
        func values(_ tensor: String) throws -> [Float] {
          let found = try #require(stored.tensors[tensor])
          return found.file.floats(.float32, at: found.offset, count: found.shape.reduce(1, *))
        }
        let (file, _) = try ExportFixtures.gguf(SampleSource(Self.path(name)), .f32, in: folder)
        for (own, theirs, more) in [
          ("token_embd.weight", "model.embed_tokens.weight", Float(0)),
          ("output_norm.weight", "model.norm.weight", addend),
          ("blk.1.attn_norm.weight", "model.layers.1.input_layernorm.weight", addend),
        ] {
          let pairs = zip(try #require(file.tensors[own]).weights, try values(theirs).map { $0 + more })
          #expect(pairs.allSatisfy { abs($0 - $1) <= 1.2e-7 * max(1, abs($1)) }, "\(name) \(own)")
        }
      }
    }
  }

  @Test func whatLlamaComputesOtherwiseIsSaid() throws {
    try TestData.withTemporaryFolder { folder in
      func notes(_ name: String) throws -> String {
        try ExportFixtures.gguf(SampleSource(Self.path(name)), .f32, in: folder).result.notes.joined(separator: "; ")
      }
      for (name, words) in [
        ("gemma2", "multiplied into the queries"), ("gpt_oss", "YaRN"), ("gpt_neox", "tanh"),
        ("phi3-longrope", "16 positions"),
      ] {
        let said = try notes(name)
        #expect(said.contains(words), "\(name): \(said)")
      }
      let said = try notes("olmo2")
      #expect(said.isEmpty)
    }
  }

  @Test func whatLlamaDoesNotRunIsRefused() throws {
    func refused(_ name: String, _ words: String, _ change: (inout SampleSource) -> Void) throws {
      var source = try SampleSource(Self.path(name))
      change(&source)
      try TestData.withTemporaryFolder { folder in
        let error = #expect(throws: FurlError.self) { try ExportFixtures.gguf(source, .f32, in: folder) }
        #expect(error?.description.contains(words) == true, "\(String(describing: error))")
        let content = try ExportFixtures.content(folder)
        #expect(content.isEmpty)
      }
    }
    try refused("qwen3_moe", "normalizes") { source in
      for block in source.spec.blocks.indices { source.spec.blocks[block].experts?.normalizesWeights = false }
    }
    try refused("olmo2", "no dynamic scaling") { source in
      for block in source.spec.blocks.indices {
        source.spec.blocks[block].attention?.rotary?.scaling = .dynamic(factor: 2, originalContext: 16)
      }
    }
    try refused("gemma2", "takes the embedding for the head") { $0.spec.tiedEmbeddings = false }
    try refused("gpt_oss", "gpt-oss files have no key") { source in
      for block in source.spec.blocks.indices { source.spec.blocks[block].experts?.expert.limit = 5 }
    }
    try refused("gpt_oss", "different widths") { $0.spec.blocks[1].experts?.count = 3 }
    try refused("laguna-elements", "no bias of") { _ in }
    try refused("laguna", "router_soft_cap") { $0.spec.blocks[1].experts?.routerSoftCap = 2 }
    try refused("laguna", "a first block with a window") { source in
      source.spec.blocks[0].attention?.window = 6
      source.spec.blocks[1].attention?.window = nil
    }
    // No blocks hold a multiple of their numbers.
    var packed = try SampleSource(Self.path("granitemoe"))
    packed.stored = { $0.shape.count == 2 ? .packed(.int8(.columns(32))) : .plain(.float32) }
    try TestData.withTemporaryFolder { folder in
      let error = #expect(throws: FurlError.self) { try ExportFixtures.gguf(packed, in: folder) }
      #expect(error?.place == "embedding" && error?.remedy?.contains("--dtype") == true)
    }
  }
}
