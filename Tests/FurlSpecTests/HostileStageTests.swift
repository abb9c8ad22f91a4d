import FurlBase
import FurlSpec
import FurlTestSupport
import Testing

/// The second form of a model with something wrong in it: one error that names the key. Sizes that nobody could allocate are
/// refused before anything is.
@Suite struct HostileStageTests {
  /// A value with another one at a place in it; nil takes the key away.
  private static func setting(_ json: JSON, _ path: ArraySlice<String>, _ value: JSON?) -> JSON {
    guard let key = path.first else { return value ?? .null }
    if case .array(var elements) = json, let index = Int(key) {
      elements[index] = setting(elements[index], path.dropFirst(), value)
      return .array(elements)
    }
    var members = json.members ?? []
    let old = members.first { $0.key == key }?.value ?? .object([])
    members.removeAll { $0.key == key }
    if path.count > 1 || value != nil { members.append(.init(key, setting(old, path.dropFirst(), value))) }
    return .object(members)
  }

  /// The model of ``StageSpecTests/text`` with something else at a place: `A` is its attention, `E` its experts.
  private static func changed(_ path: String, _ value: JSON?) throws -> JSON {
    let full = path.replacing("A.", with: "blocks.0.stages.0.parts.0.attention.")
      .replacing("E.", with: "blocks.0.stages.1.parts.0.experts.")
    return setting(
      try StageSpecTests.parsed(StageSpecTests.text), ArraySlice(full.split(separator: ".").map(String.init)), value)
  }

  private static func check(_ path: String, _ value: JSON?, _ word: String) throws {
    let error = #expect(throws: FurlError.self, "\(path)") { try StageSpecTests.read(changed(path, value)) }
    #expect(error?.kind == .input && error?.file == "a.furl", "\(path)")
    #expect(error?.place?.contains(word) == true, "\(path): \(String(describing: error))")
    #expect(error?.description.contains("\n") == false)
  }

  private static let plainMLP: JSON = ["size": 4, "gated": false, "activation": "relu"]
  private static let plainAttention: JSON = ["heads": 1, "kv_heads": 1, "head_size": 8]

  static let blocks: [(path: String, value: JSON?, word: String)] = [
    ("blocks", 3, "blocks"), ("blocks", nil, "blocks"), ("blocks.0", 1, "blocks"),
    ("blocks.0.stages", [], "stages"), ("blocks.0.stages", nil, "stages"), ("blocks.0.stages", "all", "stages"),
    ("blocks.0.stages.0.parts", [], "stages"), ("blocks.0.stages.0.parts", nil, "parts"),
    ("blocks.0.stages.0.beside", true, "stages"), ("blocks.0.stages.0.beside", 1, "beside"),
    ("blocks.0.stages.0.extra", 1, "extra"), ("blocks.0.extra", 1, "extra"),
    ("blocks.0.stages.0.parts.0", [:], "parts"), ("blocks.0.stages.0.parts.0.mlp", plainMLP, "parts"),
    ("blocks.0.stages.0.parts.0.mixer", [:], "mixer"), ("blocks.0.stages.0.parts.0.factor", 1e9, "factor"),
    ("blocks.0.stages.0.parts.0.factor", "x", "factor"),
    ("blocks.0.stages.0.parts.0.output_norm", ["kind": "rms_norm"], "epsilon"),
    ("blocks.0.stages.0.parts.0.output_norm", "rms_norm", "output_norm"),
    ("blocks.0.stages.0.norm", ["kind": "rms_norm", "epsilon": -1], "epsilon"),
    ("blocks.0.stages.0.norm", ["kind": "rms_norm", "epsilon": 2], "epsilon"),
    ("blocks.0.stages.0.norm", ["kind": "rms_norm", "epsilon": nil], "epsilon"),
    ("blocks.0.stages.0.norm", ["kind": "batch_norm", "epsilon": 0], "kind"),
    // Two attentions, two MLPs, and what no version computes yet.
    ("blocks.0.stages.1.parts", [["attention": plainAttention]], "stages"),
    ("blocks.0.stages.0.parts", [["mlp": plainMLP]], "stages"),
    (
      "blocks.0.stages.1.parts",
      [["recurrent": ["key_heads": 1, "key_size": 1, "value_heads": 1, "value_size": 1, "convolution": 1]]], "recurrent"
    ),
    ("blocks.0.scaled", 1, "scaled"), ("blocks.0.stages.1.parts", [["token_input": ["size": 4]]], "activation"),
    ("blocks.0.count", 0, "count"), ("blocks.0.count", 1.5, "count"), ("blocks.0.count", 1_000_000_000, "count"),
    ("blocks.0.count", .integer(.max), "count"), ("blocks.0.count", 4096, "count"),
    ("norm", ["kind": "rms_norm"], "epsilon"), ("norm", ["epsilon": 0], "kind"), ("norm", [1], "norm"),
    ("norm", ["kind": "rms_norm", "epsilon": 0, "weight": 1], "weight"), ("logit_soft_cap", 0, "logit_soft_cap"),
    ("logit_soft_cap", -1, "logit_soft_cap"), ("learned_positions", 1, "learned_positions"),
    ("head_bias", "yes", "head_bias"), ("tied_embeddings", true, "biases"), ("norm_epsilon", 1e-5, "norm_epsilon"),
    ("residual", "sequential", "residual"), ("patches", [4], "patches"),
  ]

  static let attention: [(path: String, value: JSON?, word: String)] = [
    ("A.heads", nil, "heads"), ("A.heads", 0, "heads"), ("A.heads", .integer(1 << 60), "heads"),
    ("A.heads", 3, "heads"),
    ("A.kv_heads", 3, "kv_heads"), ("A.kv_heads", 0, "kv_heads"), ("A.kv_heads", 8, "kv_heads"),
    ("A.head_size", 7, "head_size"), ("A.head_size", .integer(1 << 60), "head_size"), ("A.window", 0, "window"),
    ("A.window", -1, "window"), ("A.window", .integer(.max), "window"), ("A.scale", 0, "scale"),
    ("A.scale", -0.5, "scale"), ("A.scale", 1e9, "scale"), ("A.soft_cap", 0, "soft_cap"),
    ("A.soft_cap", -50, "soft_cap"), ("A.sinks", 4, "sinks"), ("A.head_norms", "all", "head_norms"),
    ("A.key_source", "none", "key_source"), ("A.key_source", "earlier", "key_source"),
    ("A.value_norm", 2, "value_norm"),
    ("A.query_norm.epsilon", -1e-6, "epsilon"), ("A.key_norm.kind", "norm", "kind"), ("A.biases", ["mlp.up"], "biases"),
    ("A.biases", ["attention"], "biases"), ("A.biases", "all", "biases"), ("A.more", 1, "more"),
    ("A.rotary", 4, "rotary"), ("A.rotary.theta", -10_000, "theta"), ("A.rotary.theta", 0, "theta"),
    ("A.rotary.dimensions", 3, "dimensions"), ("A.rotary.dimensions", 10, "dimensions"),
    ("A.rotary.dimensions", .integer(1 << 60), "dimensions"), ("A.rotary.attention_factor", -1, "attention_factor"),
    ("A.rotary.attention_factor", 0, "attention_factor"), ("A.rotary.attention_factor", 1e9, "attention_factor"),
    ("A.rotary.scaling.short", [1], "short"), ("A.rotary.scaling.short", [], "short"),
    ("A.rotary.scaling.long", [1, 2, 3], "long"), ("A.rotary.scaling.long", [1, -2], "long"),
    ("A.rotary.scaling.long", [1, 0], "long"), ("A.rotary.scaling.long", [1, "2"], "long"),
    ("A.rotary.scaling.long", 2, "long"), ("A.rotary.scaling.original_context", 0, "original_context"),
    ("A.rotary.scaling.original_context", .integer(.max), "original_context"),
    ("A.rotary.scaling.factor", 2, "factor"), ("A.rotary.scaling.kind", "ntk", "kind"),
    ("A.rotary.scaling", yarn(), "factor"), ("A.rotary.scaling", yarn(["factor": -4]), "factor"),
    ("A.rotary.scaling", yarn(["factor": 0]), "factor"), ("A.rotary.scaling", yarn(["slow_turns": -1]), "slow_turns"),
    ("A.rotary.scaling", yarn(["fast_turns": 0]), "fast_turns"),
    ("A.rotary.scaling", yarn(["original_context": 0]), "original_context"),
    ("A.rotary.scaling", yarn(["truncates": 1]), "truncates"),
    ("A.rotary", ["theta": 1, "dimensions": 4, "scaling": yarn(["factor": 4])], "theta"),
    ("A.rotary.scaling", ["kind": "dynamic", "factor": -4, "original_context": 8], "factor"),
    ("A.rotary.scaling", ["kind": "dynamic", "factor": 0.5, "original_context": 8], "factor"),
    ("A.rotary.scaling", ["kind": "dynamic", "factor": 4, "original_context": 0], "original_context"),
    ("A.rotary.scaling", ["kind": "linear", "factor": -1], "factor"),
  ]

  private static func yarn(_ changes: JSON? = nil) -> JSON {
    let names = (changes?.members ?? []).map(\.key)
    let whole: JSON = ["kind": "yarn", "slow_turns": 1, "fast_turns": 32, "original_context": 8, "truncates": true]
    let factor: [JSON.Member] = changes == nil || names.contains("factor") ? [] : [.init("factor", 4)]
    return .object((whole.members ?? []).filter { !names.contains($0.key) } + factor + (changes?.members ?? []))
  }

  static let experts: [(path: String, value: JSON?, word: String)] = [
    ("E.count", nil, "count"), ("E.count", 0, "count"), ("E.count", 1_000_000, "count"),
    ("E.count", .integer(1 << 60), "count"), ("E.count", 6, "groups"), ("E.active", 0, "active"),
    ("E.active", 9, "active"), ("E.active", 5, "active"), ("E.active", .integer(.max), "active"),
    ("E.expert", nil, "expert"), ("E.expert.size", 0, "mlp_size"), ("E.expert.size", .integer(1 << 60), "mlp_size"),
    ("E.expert.activation", "swish", "activation"), ("E.expert.gated", nil, "gated"), ("E.expert.limit", 0, "limit"),
    ("E.expert.limit", -7, "limit"), ("E.expert.biases", ["attention.query"], "biases"),
    ("E.shared.limit", 7, "limit"), ("E.shared.biases", ["mlp.gate"], "biases"), ("E.shared", nil, "gates_shared"),
    ("E.shared.size", .integer(1 << 60), "mlp_size"), ("E.scoring", "hash", "scoring"), ("E.scoring", nil, "scoring"),
    ("E.scoring", "sparse_mixer", "scoring"), ("E.normalizes", nil, "normalizes"), ("E.factor", 1e9, "factor"),
    ("E.jitter", -1, "jitter"), ("E.jitter", 1e9, "jitter"), ("E.router_bias", 1, "router_bias"),
    ("E.groups", 4, "groups"), ("E.groups.count", 3, "groups"), ("E.groups.count", 0, "groups"),
    ("E.groups.count", .integer(.max), "groups"), ("E.groups.active", 0, "groups"), ("E.groups.active", 5, "groups"),
    ("E.groups.best", 0, "groups"), ("E.groups.best", 3, "groups"), ("E.groups.best", .integer(.max), "groups"),
    ("E.groups.first", 1, "first"), ("E.top_k", 2, "top_k"),
  ]

  @Test(arguments: blocks.indices)
  func blocksThatAreWrongAreRefused(_ index: Int) throws {
    let lie = Self.blocks[index]
    try Self.check(lie.path, lie.value, lie.word)
  }

  @Test(arguments: attention.indices)
  func attentionThatIsWrongIsRefused(_ index: Int) throws {
    let lie = Self.attention[index]
    try Self.check(lie.path, lie.value, lie.word)
  }

  @Test(arguments: experts.indices)
  func expertsThatAreWrongAreRefused(_ index: Int) throws {
    let lie = Self.experts[index]
    try Self.check(lie.path, lie.value, lie.word)
  }

  /// Runs of blocks, each of which is allowed, are not allowed together; nor are so many experts in all.
  @Test func sumsAreBounded() throws {
    let mlp = try #require(StageSpecTests.parsed(StageSpecTests.text)["blocks"]?[1])
    let run = Self.setting(mlp, ["count"], 4096)
    for blocks: [JSON] in [[run, mlp], Array(repeating: run, count: 1000), Array(repeating: mlp, count: 4097)] {
      try Self.check("blocks", .array(blocks), "blocks")
    }
    let experts: JSON = [
      "count": 4096, "active": 1, "expert": Self.plainMLP, "scoring": "softmax", "normalizes": true,
    ]
    let block: JSON = ["count": 4096, "stages": [["parts": [["experts": experts]]]]]
    let error = #expect(throws: FurlError.self) { try StageSpecTests.read(Self.changed("blocks", [block])) }
    #expect(error?.place?.contains("experts") == true && error?.problem.contains("in all blocks") == true)
  }

  /// What no file can say, but a program.
  @Test func whatIsNoNumberIsRefused() throws {
    let changes: [(word: String, change: (inout ModelSpec) -> Void)] = [
      ("norm_epsilon", { $0.norm.epsilon = .nan }), ("norm_epsilon", { $0.norm.epsilon = .infinity }),
      ("norm_epsilon", { $0.blocks[0].stages[0].norm?.epsilon = .nan }),
      ("output_norm_epsilon", { $0.blocks[0].stages[0].parts[0].outputNorm?.epsilon = .nan }),
      ("query_norm_epsilon", { $0.blocks[0].attention?.queryNorm?.epsilon = .nan }),
      ("factor", { $0.blocks[0].stages[0].parts[0].factor = .nan }),
      ("scale", { $0.blocks[0].attention?.scale = .nan }),
      ("soft_cap", { $0.blocks[0].attention?.softCap = .nan }), ("logit_soft_cap", { $0.logitSoftCap = .infinity }),
      ("theta", { $0.blocks[0].attention?.rotary?.theta = .nan }),
      ("attention_factor", { $0.blocks[0].attention?.rotary?.attentionFactor = .nan }),
      ("factor", { $0.blocks[0].attention?.rotary?.scaling = .linear(factor: .nan) }),
      (
        "long",
        { $0.blocks[0].attention?.rotary?.scaling = .longRoPE(short: [1, 1], long: [1, .nan], originalContext: 1) }
      ),
      ("experts.factor", { $0.blocks[0].experts?.weightFactor = .nan }),
      ("experts.jitter", { $0.blocks[0].experts?.jitter = .nan }),
      ("limit", { $0.blocks[0].experts?.expert.limit = .nan }),
    ]
    for (word, change) in changes {
      var spec = StageSpecTests.spec
      change(&spec)
      let error = #expect(throws: FurlError.self) { try spec.validate(file: "a.furl") }
      #expect(error?.place?.hasSuffix(word) == true, "\(word): \(String(describing: error))")
    }
    try StageSpecTests.spec.validate(file: nil)
  }
}
