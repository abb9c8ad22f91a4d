extension ModelSpec {
  /// Any of the model's norms.
  public var normSpec: NormSpec { NormSpec(norm, epsilon: normEpsilon, hasBias: biases.contains(.norm)) }

  /// What a block does, stage by stage.
  ///
  /// - Parameter block: its number.
  public func stages(of block: Int) -> [StageSpec] {
    let widths = blocks[block]
    var attention = AttentionSpec(
      heads: widths.heads, kvHeads: widths.kvHeads, headSize: widths.headSize, window: widths.window,
      biases: biases.intersection([.query, .key, .value, .attentionOutput]))
    if case .rotary(let rotary) = positions { attention.rotary = rotary }
    let neurons = FeedForwardSpec(
      size: widths.mlpSize, isGated: mlp == .gated, activation: activation,
      biases: biases.intersection([.gate, .up, .down]))
    let parts = [PartSpec(.attention(attention)), PartSpec(.feedForward(neurons))]
    return switch residual {
    case .parallel: [StageSpec(norm: normSpec, parts: parts)]
    case .sequential: parts.map { StageSpec(norm: normSpec, parts: [$0]) }
    }
  }
}
