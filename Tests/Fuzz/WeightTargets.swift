import FurlSpec
import FurlBase
import FurlCheckpoint
import FurlTensor
import FurlTestSupport
import FurlTokenizer
import Foundation

/// Checkpoints: their configurations and the formats of their weights. Every tensor of what opens is read.
let weightTargets = [
  // A configuration, an index, and the shards beside it; the weights are those of one small model.
  FuzzTarget(name: "config") {
    let folder = TestData.root + "/Tests/Fixtures/families"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let configs = try names.sorted().map { folder + "/" + $0 + "/config.json" }.filter {
      FileManager.default.fileExists(atPath: $0)
    }.map(TestData.bytes)
    let generation = Array(#"{"eos_token_id":[0,1],"bos_token_id":1}"#.utf8)
    return configs.map { Workspace.join([$0, generation]) }
      + [Workspace.join([Array(SmallLlama.config.utf8), generation, Array(SmallLlama.index.utf8)])]
  } run: { input, workspace in
    try workspace.write(input, to: ["config.json", "generation_config.json", "model.safetensors.index.json"])
    try workspace.keep(SmallLlama.safetensors, as: "model.safetensors")
    try readAll(Checkpoint(path: workspace.folder))
  },
  FuzzTarget(name: "safetensors") {
    [SmallLlama.safetensors]
      + ["F16", "BF16", "F64", "I64", "BOOL"].map { type in
        let size = ["F16": 2, "BF16": 2, "BOOL": 1][type] ?? 8
        return SafetensorsText([
          .init("a", type, [2, 3], [UInt8](repeating: 1, count: 6 * size)), .init("b", type, [0], []),
        ]).bytes
      }
  } run: { input, workspace in
    try workspace.keep(SmallLlama.config.utf8, as: "config.json")
    let path = try workspace.write(input, to: "model.safetensors")
    FuzzRun.accept { try readAll(Checkpoint(path: workspace.folder)) }
    let file = try SafetensorsFile(path: path)
    for entry in file.entries {
      _ = file.file.read(entry.range)
      let tensor = StoredTensors.Tensor(
        file: file.file, offset: entry.range.lowerBound, typeName: entry.typeName, type: entry.type, shape: entry.shape)
      FuzzRun.accept { try read(tensor, entry.name) }
    }
  },
  FuzzTarget(name: "gguf") {
    [SmallLlama.gguf(type: 0), SmallLlama.gguf(type: 8), SmallLlama.gguf(type: 2), byteVocabulary]
  } run: { input, workspace in
    let path = try workspace.write(input, to: "input.gguf")
    FuzzRun.accept { try readAll(Checkpoint(path: path)) }
    let file = try GGUFFile(path: path)
    try use(Tokenizer(GGUFTokenizer(file.metadata), file: path), [])
  },
  // A quantized checkpoint: its configuration, and codes with scales and zeros.
  FuzzTarget(name: "packed") {
    let folders = try ["packed", "stacked"].flatMap { parent in
      let folder = TestData.root + "/Tests/Fixtures/" + parent
      return try FileManager.default.contentsOfDirectory(atPath: folder).sorted().map { folder + "/" + $0 }
    }
    // Of experts in one tensor the smaller ones: inputs grow with the largest.
    return try folders.filter { FileManager.default.fileExists(atPath: $0 + "/config.json") }
      .map { Workspace.join([try TestData.bytes($0 + "/config.json"), try TestData.bytes($0 + "/model.safetensors")]) }
      .filter { $0.count <= 45_000 }
  } run: { input, workspace in
    try workspace.write(input, to: ["config.json", "model.safetensors"])
    try readAll(Checkpoint(path: workspace.folder))
  },
  // An adapter and what it says of itself; its base is one of the tests'.
  FuzzTarget(name: "adapter") {
    let folder = TestData.root + "/Tests/Fixtures/adapters"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return try names.filter { $0.hasPrefix("llama-") }.sorted().map { folder + "/" + $0 }.map {
      Workspace.join([
        try TestData.bytes($0 + "/adapter_config.json"), try TestData.bytes($0 + "/adapter_model.safetensors"),
      ])
    }
  } run: { input, workspace in
    try workspace.write(input, to: ["adapter_config.json", "adapter_model.safetensors"])
    let base = TestData.root + "/Tests/Fixtures/adapters/llama"
    try readAll(Checkpoint(path: base, adapter: workspace.folder))
  },
]

/// Reads all weights and names all files.
func readAll(_ checkpoint: Checkpoint) throws {
  for tensor in checkpoint.spec.tensors { _ = try checkpoint.source(tensor.name).readAll() }
  _ = (checkpoint.diskBytes, try checkpoint.files(), checkpoint.config.canonicalBytes, checkpoint.spec.json)
}

/// A Llama of one block: hidden size 32, two heads, one key/value head, a vocabulary of twelve.
enum SmallLlama {
  static let config = #"""
    {"model_type":"llama","architectures":["LlamaForCausalLM"],"vocab_size":12,"hidden_size":8,"intermediate_size":8,
    "num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"max_position_embeddings":16,
    "rms_norm_eps":1e-05,"rope_theta":10000.0,"hidden_act":"silu","tie_word_embeddings":true,"eos_token_id":2}
    """#

  /// Names in Hugging Face's form and in GGUF's, and shapes for a hidden size.
  private static func tensors(_ hidden: Int) -> [(name: String, short: String, shape: [Int])] {
    let block = "model.layers.0."
    let matrices = [
      ("self_attn.q_proj", "attn_q", hidden), ("self_attn.k_proj", "attn_k", hidden / 2),
      ("self_attn.v_proj", "attn_v", hidden / 2), ("self_attn.o_proj", "attn_output", hidden),
      ("mlp.gate_proj", "ffn_gate", hidden), ("mlp.up_proj", "ffn_up", hidden), ("mlp.down_proj", "ffn_down", hidden),
    ]
    var tensors = [(name: "model.embed_tokens.weight", short: "token_embd.weight", shape: [12, hidden])]
    for (name, short, rows) in matrices {
      tensors.append((block + name + ".weight", "blk.0.\(short).weight", [rows, hidden]))
    }
    let norms = [
      (block + "input_layernorm", "blk.0.attn_norm"), (block + "post_attention_layernorm", "blk.0.ffn_norm"),
      ("model.norm", "output_norm"),
    ]
    for (name, short) in norms { tensors.append((name + ".weight", short + ".weight", [hidden])) }
    return tensors
  }

  static let safetensors = SafetensorsText(
    tensors(8).map { .init($0.name, $0.shape, [Float](repeating: 0.5, count: $0.shape.reduce(1, *))) }
  ).bytes

  static let index: String = {
    let names = tensors(8).map { "\"\($0.name)\":\"model.safetensors\"" }
    return #"{"metadata":{"total_size":0},"weight_map":{"# + names.joined(separator: ",") + "}}"
  }()

  /// - Parameter type: of the matrices, by its number in the format; vectors are FP32.
  static func gguf(type: UInt32) -> [UInt8] {
    let hidden = type == 0 ? 8 : 32
    let blockBytes = [2: 18, 8: 34][type] ?? 128
    let tensors = tensors(hidden).map { _, name, shape in
      let count = shape.reduce(1, *)
      let bytes = shape.count == 1 || type == 0 ? 4 * count : count / 32 * blockBytes
      return GGUFText.Tensor(
        name, shape.reversed().map(UInt64.init), type: shape.count == 1 ? 0 : type,
        [UInt8](repeating: 0x3C, count: bytes))
    }
    let sizes: [(key: String, value: GGUFText.Value)] = [
      ("general.architecture", .string("llama")), ("general.alignment", .uint32(32)),
      ("general.name", .string("small")),
      ("llama.context_length", .uint32(16)), ("llama.embedding_length", .uint32(UInt32(hidden))),
      ("llama.block_count", .uint32(1)), ("llama.feed_forward_length", .uint32(UInt32(hidden))),
      ("llama.attention.head_count", .uint32(2)), ("llama.attention.head_count_kv", .uint32(1)),
      ("llama.attention.layer_norm_rms_epsilon", .float32(1e-5)), ("llama.rope.freq_base", .float32(10000)),
      ("llama.rope.dimension_count", .uint32(UInt32(hidden / 2))),
    ]
    return GGUFText(sizes + vocabulary(scored), tensors).bytes
  }

  /// The keys of a vocabulary.
  static func vocabulary(_ tokenizer: GGUFTokenizer) -> [(key: String, value: GGUFText.Value)] {
    func list(_ texts: [[UInt8]]) -> GGUFText.Value {
      .list(type: 8, count: UInt64(texts.count), texts.flatMap(GGUFText.text))
    }
    let types = tokenizer.types.flatMap { GGUFText.bytes(Int32($0)) }
    var keys: [(key: String, value: GGUFText.Value)] = [
      ("model", .string(tokenizer.model)), ("tokens", list(tokenizer.tokens)),
      ("token_type", .list(type: 5, count: UInt64(tokenizer.types.count), types)), ("bos_token_id", .uint32(1)),
      ("eos_token_id", .uint32(2)), ("eot_token_id", .uint32(2)), ("add_bos_token", .bool(1)),
    ]
    if !tokenizer.scores.isEmpty {
      let scores = tokenizer.scores.flatMap { GGUFText.bytes($0.bitPattern) }
      keys.append(("scores", .list(type: 6, count: UInt64(tokenizer.scores.count), scores)))
    }
    if !tokenizer.merges.isEmpty { keys.append(("merges", list(tokenizer.merges))) }
    if let pre = tokenizer.pre { keys.append(("pre", .string(pre))) }
    return keys.map { ("tokenizer.ggml." + $0, $1) }
  }
}

/// A vocabulary by bytes and nothing else.
private let byteVocabulary = GGUFText(
  SmallLlama.vocabulary(
    GGUFTokenizer(
      model: "gpt2", pre: "qwen2", tokens: ["a", "b", "<|im_end|>", "ab", "Ġ"].map { Array($0.utf8) },
      types: [1, 1, 3, 1, 1], merges: [Array("a b".utf8)]))
).bytes
