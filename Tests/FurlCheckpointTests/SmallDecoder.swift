import FurlBase
import FurlCheckpoint
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// A tiny checkpoint of a family newer than GPT-2 to change and write: two blocks, hidden size 16, two heads, one
/// key/value head, MLP of 24, names and shapes as transformers saves them.
struct SmallDecoder: CustomTestStringConvertible {
  static let families = ["starcoder2", "phi", "llama", "mistral", "qwen2"]

  let family: String
  /// The values of `config.json` by key, as JSON text.
  var config: [String: String]
  var weights: SafetensorsText
  var testDescription: String { family }

  private static let norms = ["input_layernorm", "post_attention_layernorm"]
  private static let projections = ["q_proj", "k_proj", "v_proj"].map { "self_attn." + $0 }
  private static let gatedMLP = ["gate_proj", "up_proj", "down_proj"].map { "mlp." + $0 }

  /// The names of one block without `.weight` and `.bias`, and which have a bias.
  private static func names(_ family: String) -> (names: [String], biased: [String], norm: String, heads: [String]) {
    switch family {
    case "starcoder2":
      let names = norms + projections + ["self_attn.o_proj", "mlp.c_fc", "mlp.c_proj"]
      return (names, names, "norm", [])
    case "phi":
      let names = ["input_layernorm"] + projections + ["self_attn.dense", "mlp.fc1", "mlp.fc2"]
      return (names, names, "final_layernorm", ["lm_head.weight", "lm_head.bias"])
    case "qwen2": return (norms + projections + ["self_attn.o_proj"] + gatedMLP, projections, "norm", [])
    default: return (norms + projections + ["self_attn.o_proj"] + gatedMLP, [], "norm", ["lm_head.weight"])
    }
  }

  /// - Parameter prefix: what stands before all names but the head's.
  init(_ family: String, prefix: String = "model.") {
    self.family = family
    config = [
      "model_type": "\"\(family)\"", "vocab_size": "10", "hidden_size": "16", "num_hidden_layers": "2",
      "num_attention_heads": "2", "num_key_value_heads": "1", "intermediate_size": "24",
      "max_position_embeddings": "12",
    ]
    if family == "qwen2" { config["tie_word_embeddings"] = "true" }
    if family == "phi" { config["num_key_value_heads"] = "null" }
    var draws = SplitMix64(seed: 11)
    let keys = family == "phi" ? 16 : 8
    func shape(_ name: String) -> [Int] {
      let last = name.split(separator: ".").last.map(String.init) ?? ""
      switch last {
      case "k_proj", "v_proj": return [keys, 16]
      case "c_fc", "fc1", "gate_proj", "up_proj": return [24, 16]
      case "c_proj", "fc2", "down_proj": return [16, 24]
      default: return last.hasSuffix("norm") ? [16] : [16, 16]
      }
    }
    let parts = SmallDecoder.names(family)
    var tensors = [SafetensorsText.Tensor(prefix + "embed_tokens.weight", [10, 16], draws.floats(160))]
    func add(_ name: String, _ full: String, biased: Bool) {
      let shape = shape(name)
      tensors.append(.init(full + ".weight", shape, draws.floats(shape.reduce(1, *))))
      if biased { tensors.append(.init(full + ".bias", [shape[0]], draws.floats(shape[0]))) }
    }
    for block in 0..<2 {
      for name in parts.names { add(name, prefix + "layers.\(block)." + name, biased: parts.biased.contains(name)) }
    }
    add(parts.norm, prefix + parts.norm, biased: ["starcoder2", "phi"].contains(family))
    for head in parts.heads {
      let shape = head.hasSuffix(".bias") ? [10] : [10, 16]
      tensors.append(.init(head, shape, draws.floats(shape.reduce(1, *))))
    }
    weights = SafetensorsText(tensors)
  }

  var configText: String {
    "{" + config.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
  }

  /// The files stay mapped when their folder is gone.
  func open() throws -> Checkpoint {
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(configText.utf8), to: folder + "/config.json")
      try TestData.write(weights.bytes, to: folder + "/model.safetensors")
      return try Checkpoint(folder: folder)
    }
  }

  /// What a changed configuration gives.
  func spec(_ changes: [String: String?]) throws -> ModelSpec {
    var changed = self
    for (key, value) in changes { changed.config[key] = value }
    return try changed.open().spec
  }

  func rotary(_ changes: [String: String?]) throws -> ModelSpec.Rotary? {
    guard case .rotary(let rotary) = try spec(changes).uniform?.positions else { return nil }
    return rotary
  }

  func error(_ changes: [String: String?]) throws -> FurlError {
    try #require(throws: FurlError.self) { try spec(changes) }
  }
}
