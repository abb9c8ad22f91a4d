import FurlSpec

/// What a family whose tensors are stored as the specification has them calls them.
struct TensorNames {
  /// Furl's names outside of the blocks, and the source's.
  let model: [String: String]
  /// Furl's names within a block, and the source's behind `layers.N.`.
  let block: [String: String]

  /// Llama's names, with others in the place of some.
  init(model: [String: String] = [:], block: [String: String] = [:]) {
    self.model = ["embedding": "embed_tokens", "norm": "norm", "head": "lm_head"].merging(model) { $1 }
    self.block = [
      "attention.norm": "input_layernorm", "attention.query": "self_attn.q_proj", "attention.key": "self_attn.k_proj",
      "attention.value": "self_attn.v_proj", "attention.output": "self_attn.o_proj",
      "mlp.norm": "post_attention_layernorm", "mlp.gate": "mlp.gate_proj", "mlp.up": "mlp.up_proj",
      "mlp.down": "mlp.down_proj",
    ].merging(block) { $1 }
  }

  func location(of tensor: TensorSpec) -> TensorLocation {
    let isBias = tensor.role == .bias
    let base = isBias ? String(tensor.name.dropLast(".bias".count)) : tensor.name
    let suffix = isBias ? ".bias" : ".weight"
    guard let index = tensor.block else { return TensorLocation(name: (model[base] ?? base) + suffix) }
    let name = String(base.dropFirst("blocks.\(index).".count))
    return TensorLocation(name: "layers.\(index)." + (block[name] ?? name) + suffix)
  }
}
