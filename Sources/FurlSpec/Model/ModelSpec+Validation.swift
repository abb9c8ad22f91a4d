import FurlBase

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
    var biased: Set<TensorRole> = [.norm, .query, .key, .value, .attentionOutput, .up, .down]
    if mlp == .gated { biased.insert(.gate) }
    if !tiedEmbeddings { biased.insert(.head) }
    if let role = biases.subtracting(biased).map(\.rawValue).min() {
      throw FurlError.input(file, "biases", "a bias of \(role) does not fit this model")
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
      guard block.headSize % 2 == 0 else {
        throw FurlError.input(file, place + "head_size", "\(block.headSize) is odd, which is not supported")
      }
      if let window = block.window { try check(place + "window", window, 1...(1 << 30)) }
    }
    for place in patches.sorted() { try check("patches", place, 0...blocks.count) }
    if case .rotary(let rotary) = positions { try validate(rotary, file: file) }
  }

  private func validate(_ rotary: Rotary, file: String?) throws {
    func check(_ name: String, _ value: Double, _ range: ClosedRange<Double>) throws {
      guard range.contains(value) else {
        throw FurlError.input(
          file, "rotary." + name, "\(value) is out of range",
          remedy: "allowed: \(range.lowerBound) to \(range.upperBound)")
      }
    }
    try check("theta", rotary.theta, 1...1e12)
    let smallest = blocks.map(\.headSize).min() ?? 1 << 12
    guard rotary.dimensions > 0, rotary.dimensions % 2 == 0, rotary.dimensions <= smallest else {
      throw FurlError.input(
        file, "rotary.dimensions", "\(rotary.dimensions) is not an even number up to the head size \(smallest)")
    }
    switch rotary.scaling {
    case .none: break
    case .linear(let factor): try check("scaling.factor", factor, 1e-3...1e6)
    case .llama3(let factor, let low, let high, let context):
      try check("scaling.factor", factor, 1e-3...1e6)
      try check("scaling.low_frequency_factor", low, 1e-3...1e6)
      try check("scaling.high_frequency_factor", high, 1e-3...1e6)
      guard low < high else {
        throw FurlError.input(file, "rotary.scaling", "the low frequency factor is not below the high one")
      }
      guard (1...(1 << 24)).contains(context) else {
        throw FurlError.input(file, "rotary.scaling.original_context", "\(context) is out of range")
      }
    }
  }
}
