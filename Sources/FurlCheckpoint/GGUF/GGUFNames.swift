import FurlSpec
import FurlTensor

/// What the tensors of a model are called in GGUF files; one naming serves every family.
///
/// Names: `gguf-py/gguf/constants.py` of https://github.com/ggml-org/llama.cpp. Linear layers are stored output x
/// input, those of GPT-2, too. Query, key and value are one tensor or three.
struct GGUFNames {
  static let model = [
    "embedding": "token_embd", "positions": "position_embd", "norm": "output_norm", "head": "output",
  ]
  static let block = [
    "attention.norm": "attn_norm", "attention.query": "attn_q", "attention.key": "attn_k", "attention.value": "attn_v",
    "attention.output": "attn_output", "mlp.norm": "ffn_norm", "mlp.gate": "ffn_gate", "mlp.up": "ffn_up",
    "mlp.down": "ffn_down",
  ]

  let spec: ModelSpec
  /// The architecture by the format's name for it.
  let architecture: String
  /// The names of all tensors in the file.
  let stored: Set<String>

  func location(of tensor: TensorSpec) -> TensorLocation {
    let isBias = tensor.role == .bias
    let suffix = isBias ? ".bias" : ".weight"
    let base = isBias ? String(tensor.name.dropLast(".bias".count)) : tensor.name
    guard let index = tensor.block else { return TensorLocation(name: (GGUFNames.model[base] ?? base) + suffix) }
    let name = String(base.dropFirst("blocks.\(index).".count))
    let prefix = "blk.\(index)."
    var location = TensorLocation(name: prefix + (GGUFNames.block[name] ?? name) + suffix)
    let part = spec.blocks[index].widths
    let (queries, keys) = (part.heads * part.headSize, part.kvHeads * part.headSize)
    let starts = ["attention.query": 0, "attention.key": queries, "attention.value": queries + keys]
    if let start = starts[name], !stored.contains(location.name), stored.contains(prefix + "attn_qkv" + suffix) {
      location = TensorLocation(name: prefix + "attn_qkv" + suffix, part: (start, queries + 2 * keys))
    }
    // llama.cpp turns neighbours in the heads of these models, so its converter lets the rows of both halves take turns.
    if architecture == "llama", name == "attention.query" || name == "attention.key" {
      location.rowOrder = .interleavedHalves(headSize: part.headSize)
    }
    return location
  }

  /// Whether a stored tensor says again what the specification says: how heads are turned.
  func isSuperfluous(_ name: String) -> Bool {
    architecture == "llama" && (name == GGUFNames.rotaryFactors || name.hasSuffix(".attn_rot_embd.weight"))
  }

  static let rotaryFactors = "rope_freqs.weight"
}
