import FurlTensor

extension ModelSpec {
  /// Checks that sizes are within bounds and fit each other, before anything is allocated for them.
  ///
  /// - Parameter file: the name that errors carry.
  /// - Throws: ``FurlError`` of kind `input` that names the figure.
  public func validate(file: String?) throws {
    func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws {
      guard range.contains(value) else {
        throw FurlError.input(
          file, name, "\(value) is out of range", remedy: "allowed: \(range.lowerBound) to \(range.upperBound)")
      }
    }
    try check("vocabulary_size", vocabularySize, 1...(1 << 24))
    try check("hidden_size", hiddenSize, 1...(1 << 17))
    try check("context_length", contextLength, 1...(1 << 24))
    try check("blocks", blocks.count, 0...4096)
    guard normEpsilon.isFinite, normEpsilon >= 0, normEpsilon <= 1 else {
      throw FurlError.input(file, "norm_epsilon", "\(normEpsilon) is out of range", remedy: "allowed: 0 to 1")
    }
    let biased: Set<TensorRole> = [.norm, .query, .key, .value, .attentionOutput, .up, .down]
    if let role = biases.subtracting(biased).map(\.rawValue).min() {
      throw FurlError.input(file, "biases", "a bias of \(role) is not known to this version of Furl")
    }
    for (index, block) in blocks.enumerated() {
      let place = "blocks[\(index)]."
      try check(place + "heads", block.heads, 1...(1 << 12))
      try check(place + "kv_heads", block.kvHeads, 1...block.heads)
      try check(place + "head_size", block.headSize, 1...(1 << 12))
      try check(place + "mlp_size", block.mlpSize, 1...(1 << 20))
      guard block.heads % block.kvHeads == 0 else {
        throw FurlError.input(
          file, place + "kv_heads", "\(block.heads) heads cannot share \(block.kvHeads) key/value heads evenly")
      }
      guard block.headSize % 8 == 0 else {
        throw FurlError.input(
          file, place + "head_size", "\(block.headSize) is not a multiple of 8, which is not supported yet")
      }
    }
  }
}
