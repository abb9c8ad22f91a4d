/// Stored tensors that are no weights: what a model computes from its configuration, and what its trainer counted.
enum Buffers {
  /// Tables of rotary frequencies, whichever version of transformers saved them.
  private static let rotary: Set<Substring> = [
    "inv_freq", "original_inv_freq", "cos_cached", "sin_cached", "cos_cache", "sin_cache", "cos", "sin", "freqs",
    "freqs_cis",
  ]
  private static let masks: Set<Substring> = [
    "bias", "mask", "causal_mask", "attention_mask", "attn_mask", "tril", "masked_bias",
  ]
  private static let counters: Set<Substring> = ["num_batches_tracked", "n_averaged", "_extra_state", "position_ids"]

  /// Whether a tensor that no part of a model asks for carries nothing to compute with.
  static func contain(_ name: String, _ tensor: StoredTensors.Tensor) -> Bool {
    if tensor.shape.contains(0) { return true }
    let parts = name.split(separator: ".")
    guard let last = parts.last else { return false }
    if counters.contains(last) { return true }
    if isCacheScale(parts) { return true }
    if rotary.contains(last) {
      return ["inv_freq", "freqs_cis"].contains(last)
        || parts.dropLast().contains { $0.contains("rotary") || $0.contains("rope") }
        || last.hasSuffix("_cached")
    }
    if masks.contains(last) { return isMask(tensor, last) }
    // A whole number alone counts something.
    return tensor.isWholeNumbers && tensor.shape.allSatisfy { $0 == 1 }
  }

  /// Scales of a cache for keys and values in FP8, which models with plain weights may have, too.
  static func isCacheScale(_ parts: [Substring]) -> Bool {
    guard let last = parts.last else { return false }
    if ["k_scale", "v_scale", "q_scale", "prob_scale"].contains(last) { return true }
    return last == "output_scale" && ["k_proj", "v_proj"].contains(parts.dropLast().last)
  }

  /// A causal mask is square with nothing but ones before; what stands in its place is one number. A bias is neither.
  private static func isMask(_ tensor: StoredTensors.Tensor, _ last: Substring) -> Bool {
    let shape = tensor.shape
    if last == "masked_bias" { return shape.allSatisfy { $0 == 1 } }
    guard shape.count >= 2, shape[shape.count - 1] == shape[shape.count - 2] else { return false }
    return shape.dropLast(2).allSatisfy { $0 == 1 } && (shape.count > 2 || tensor.isWholeNumbers || last != "bias")
  }
}

extension StoredTensors.Tensor {
  /// Whether the numbers are of a type without fractions, by the name of either format.
  var isWholeNumbers: Bool {
    let name = typeName.uppercased()
    return name.hasPrefix("I") || name.hasPrefix("U") || name.hasPrefix("BOOL")
  }
}
