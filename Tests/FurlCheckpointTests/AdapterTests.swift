import Foundation
import FurlBase
import FurlCheckpoint
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// Adapters merged while their base is read, against what peft's merge gives (`Fixtures/adapters/make_adapters.py`).
@Suite struct AdapterTests {
  static let root = TestData.root + "/Tests/Fixtures/adapters"

  static let adapters = [
    "llama-lora", "llama-rslora", "llama-dora", "llama-saved", "llama-resized", "llama-embedding", "tied-head",
    "tied-embedding", "tied-saved", "tied-resized", "gpt2-lora", "gpt2-dora",
  ]

  private static func base(_ adapter: String) -> String { root + "/" + adapter.prefix { $0 != "-" } }

  /// What a safetensors file holds.
  static func tensors(_ path: String) throws -> [SafetensorsText.Tensor] {
    let file = try SafetensorsFile(path: path)
    return file.entries.map { .init($0.name, $0.typeName, $0.shape, file.file.read($0.range)) }
  }

  /// The model that peft's merge gives, as a checkpoint of its own.
  private static func merged(_ adapter: String) throws -> Checkpoint {
    let base = try tensors(base(adapter) + "/model.safetensors")
    let merged = try tensors(root + "/\(adapter)/merged.safetensors")
    var all = base.filter { tensor in !merged.contains { $0.name == tensor.name } } + merged
    let embedding = "model.embed_tokens.weight"
    if adapter.hasPrefix("tied"), !all.contains(where: { $0.name == "lm_head.weight" }),
      let own = base.first(where: { $0.name == embedding })
    {
      all.append(.init("lm_head.weight", own.type, own.shape, own.bytes))
    }
    var config = String(decoding: try TestData.bytes(Self.base(adapter) + "/config.json"), as: UTF8.self)
    if let rows = merged.first(where: { $0.name == embedding })?.shape[0] {
      config = config.replacing("\"vocab_size\": 20", with: "\"vocab_size\": \(rows)")
    }
    return try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(config.utf8), to: folder + "/config.json")
      try TestData.write(SafetensorsText(all).bytes, to: folder + "/model.safetensors")
      return try Checkpoint(path: folder)
    }
  }

  @Test(arguments: adapters)
  func mergesAsPEFTDoes(_ adapter: String) throws {
    let found = try Checkpoint(path: Self.base(adapter), adapter: Self.root + "/" + adapter)
    let expected = try Self.merged(adapter)
    let plain = try Checkpoint(path: Self.base(adapter))
    #expect(found.spec == expected.spec)
    var changed = 0
    for tensor in expected.spec.tensors {
      let (own, other) = (try found.source(tensor.name), try expected.source(tensor.name))
      #expect(own.rows == other.rows && own.columns == other.columns)
      let (values, reference) = (own.readAll(), other.readAll())
      let worst = zip(values, reference).map { abs($0 - $1) / max(1, abs($1)) }.max() ?? 0
      #expect(worst <= 1e-5, "\(tensor.name): \(worst)")
      if let before = try? plain.source(tensor.name), before.readAll() != reference { changed += 1 }
      // As encoders load them, and row by row.
      if own.rows > 3 {
        #expect(try own.loadFloats(rows: 1..<3, with: ReadBuffer()) == own.read(rows: 1..<2) + own.read(rows: 2..<3))
      }
    }
    #expect(changed >= 2)
    // Both are said to be where it comes from.
    let names = try found.sourceFiles().map(\.name)
    #expect(Set(names).isSuperset(of: ["model.safetensors", "adapter_config.json", "adapter_model.safetensors"]))
  }

  /// An adapter whose files are changed first.
  private static func error(
    _ adapter: String, base: String? = nil, config: (String) -> String = { $0 },
    weights: ([SafetensorsText.Tensor]) -> [SafetensorsText.Tensor] = { $0 }
  ) throws -> FurlError {
    try TestData.withTemporaryFolder { folder in
      let text = String(decoding: try TestData.bytes(root + "/\(adapter)/adapter_config.json"), as: UTF8.self)
      try TestData.write(Array(config(text).utf8), to: folder + "/adapter_config.json")
      let tensors = weights(try tensors(root + "/\(adapter)/adapter_model.safetensors"))
      try TestData.write(SafetensorsText(tensors).bytes, to: folder + "/adapter_model.safetensors")
      return try #require(throws: FurlError.self) {
        try Checkpoint(path: base ?? Self.base(adapter), adapter: folder)
      }
    }
  }

  @Test(arguments: [
    ("\"peft_type\": \"LORA\"", "\"peft_type\": \"IA3\"", "peft_type"),
    ("\"use_qalora\": false", "\"use_qalora\": true", "use_qalora"),
    ("\"lora_bias\": false", "\"lora_bias\": true", "lora_bias"),
    ("\"target_parameters\": null", "\"target_parameters\": [\"a\"]", "target_parameters"),
    ("\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa\"", "init_lora_weights"),
    ("\"rank_pattern\": {}", "\"rank_pattern\": {\".*q_proj\": 4}", "rank_pattern..*q_proj"),
    ("\"lora_alpha\": 6", "\"lora_alpha\": \"six\"", "lora_alpha"), ("\"r\": 4", "\"r\": 0", "r"),
  ])
  func otherKindsAreRefusedByName(_ change: (from: String, to: String, key: String)) throws {
    let error = try Self.error("llama-lora", config: { $0.replacing(change.from, with: change.to) })
    #expect(error.kind == .input && error.place == change.key, "\(error)")
    #expect(error.file?.hasSuffix("adapter_config.json") == true)
  }

  @Test func anAdapterForAnotherBaseIsRefused() throws {
    for (adapter, base) in [("llama-lora", "gpt2"), ("gpt2-lora", "llama")] {
      let error = try Self.error(adapter, base: Self.root + "/" + base)
      #expect(
        error.problem.contains("the base does not have") && error.remedy?.contains("was made for") == true, "\(error)")
    }
    // A module of another size.
    let error = try Self.error(
      "llama-lora",
      weights: { tensors in
        tensors.map { tensor in
          guard tensor.name.contains("layers.1.self_attn.q_proj.lora_B") else { return tensor }
          return .init(tensor.name, tensor.type, [8, 4], Array(tensor.bytes.prefix(128)))
        }
      })
    #expect(error.problem.contains("[8, 16]") && error.problem.contains("[16, 16]"), "\(error)")
  }

  @Test func partsThatDoNotFitAreRefused() throws {
    let config = ["\"r\": 4": "\"r\": 3", "\"use_dora\": false": "\"use_dora\": true"]
    for (from, to) in config {
      #expect(try Self.error("llama-lora", config: { $0.replacing(from, with: to) }).kind == .input)
    }
    #expect(
      try Self.error("llama-lora", weights: { $0.filter { !$0.name.hasSuffix("lora_A.weight") } }).problem.contains(
        "without"))
    let stray = SafetensorsText.Tensor("base_model.model.model.layers.0.self_attn.q_proj.lora_C.weight", [1], [1])
    #expect(try Self.error("llama-lora", weights: { $0 + [stray] }).problem.contains("no part of a LoRA"))
    let other = SafetensorsText.Tensor("base_model.model.model.layers.0.self_attn.q_proj.hada_w1_a", [1], [1])
    #expect(try Self.error("llama-lora", weights: { $0 + [other] }).problem.contains("not merged"))
    let whole = SafetensorsText.Tensor("base_model.model.model.layers.7.mlp.gate.weight", [1], [1])
    #expect(try Self.error("llama-lora", weights: { $0 + [whole] }).problem.contains("does not have"))
    #expect(throws: FurlError.self) { try Checkpoint(path: Self.root + "/llama", adapter: Self.root + "/llama") }
    #expect(throws: FurlError.self) {
      try Checkpoint(path: TestData.root + "/Tests/Fixtures/gguf/llama.gguf", adapter: Self.root + "/llama-lora")
    }
  }
}
