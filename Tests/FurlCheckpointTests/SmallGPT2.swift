import FurlBase
import FurlCheckpoint
import FurlTensor
import FurlTestSupport

/// A tiny GPT-2 checkpoint to change and write: two blocks, hidden size 16, two heads.
struct SmallGPT2 {
  /// The values of `config.json` by key, as JSON text.
  var config = [
    "model_type": "\"gpt2\"", "vocab_size": "10", "n_positions": "6", "n_embd": "16", "n_layer": "2", "n_head": "2",
    "activation_function": "\"gelu_new\"", "layer_norm_epsilon": "1e-05", "tie_word_embeddings": "true",
  ]
  var weights: SafetensorsText
  var mlpSize = 64

  /// - Parameters:
  ///   - prefix: what stands before all names but the head's.
  ///   - type: how the weights are stored.
  init(prefix: String = "transformer.", mlpSize: Int = 64, type: String = "F32") {
    self.mlpSize = mlpSize
    var draws = SplitMix64(seed: 99)
    func tensor(_ name: String, _ shape: [Int]) -> SafetensorsText.Tensor {
      let values = draws.floats(shape.reduce(1, *))
      return type == "F32"
        ? .init(name, shape, values)
        : .init(name, type, shape, TestData.littleEndian(values.map { Float16($0).bitPattern }))
    }
    var tensors = [tensor("wte.weight", [10, 16]), tensor("wpe.weight", [6, 16])]
    for block in 0..<2 {
      for (name, shape) in [
        ("ln_1.weight", [16]), ("ln_1.bias", [16]), ("attn.c_attn.weight", [16, 48]), ("attn.c_attn.bias", [48]),
        ("attn.c_proj.weight", [16, 16]), ("attn.c_proj.bias", [16]), ("ln_2.weight", [16]), ("ln_2.bias", [16]),
        ("mlp.c_fc.weight", [16, mlpSize]), ("mlp.c_fc.bias", [mlpSize]), ("mlp.c_proj.weight", [mlpSize, 16]),
        ("mlp.c_proj.bias", [16]),
      ] {
        tensors.append(tensor("h.\(block).\(name)", shape))
      }
    }
    tensors += [tensor("ln_f.weight", [16]), tensor("ln_f.bias", [16])]
    weights = SafetensorsText(tensors)
    for index in tensors.indices { weights.tensors[index].name = prefix + tensors[index].name }
  }

  var configText: String {
    "{" + config.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
  }

  /// Calls `body` with a folder that holds the checkpoint.
  func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(configText.utf8), to: folder + "/config.json")
      try TestData.write(weights.bytes, to: folder + "/model.safetensors")
      return try body(folder)
    }
  }

  /// The files stay mapped when their folder is gone.
  func open() throws -> Checkpoint { try withFolder { try Checkpoint(folder: $0) } }

  /// The numbers of a stored tensor, as this file wrote them.
  func values(_ name: String) -> [Float] {
    guard let tensor = weights.tensors.first(where: { $0.name == name }) else { return [] }
    let bytes = tensor.bytes
    if tensor.type == "F32" {
      return stride(from: 0, to: bytes.count, by: 4).map { at in
        Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << (8 * UInt32($1)) })
      }
    }
    return stride(from: 0, to: bytes.count, by: 2).map {
      Float(Float16(bitPattern: UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8))
    }
  }
}
