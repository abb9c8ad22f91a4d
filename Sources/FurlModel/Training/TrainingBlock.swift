import FurlNumerics
import FurlSpec

/// A block of a pass: its stages one after the other, and what they keep for the way back.
struct TrainingBlock {
  private struct StagePart {
    let spec: PartSpec
    let mixer: any TrainingMixer
    /// What it gives before its norm; nil where it has none.
    let given: Matrix?

    /// Whether what it gives is added as it is.
    var isPlain: Bool { spec.outputNorm == nil && spec.factor == 1 }
  }

  private struct TrainingStage {
    let spec: StageSpec
    let parts: [StagePart]
  }

  /// Stages that stand beside each other: all read the stream as the first of them does.
  private struct TrainingGroup {
    /// What they read; nil: the stream itself, which nothing has been added to yet.
    let input: Matrix?
    let stages: [TrainingStage]
  }

  /// What a block takes from outside of it beside the stream.
  struct BlockSurroundings {
    /// What its heads are turned by; nil: nothing.
    let angles: RotaryAngles?
    /// Keys and values that it gives to later blocks, or takes from an earlier one; nil: neither.
    let keys: GivenKeys?
    let tokens: TokenRows?
  }

  private let groups: [TrainingGroup]
  /// Whether the stream is multiplied with a number behind it.
  private let isScaled: Bool
  private let hidden: Int
  private let scratch: TrainingMatrices

  init(
    _ spec: BlockSpec, shape: TrainingShape, outside: BlockSurroundings, kept: TrainingMatrices,
    scratch: TrainingMatrices
  ) throws {
    hidden = shape.hidden
    isScaled = spec.isScaled
    self.scratch = scratch
    groups = try spec.stageGroups.map { numbers in
      let stages = numbers.map { spec.stages[$0] }
      let input =
        spec.keepsInput(of: numbers, isTrained: shape.isTrained)
        ? kept[.input(stage: numbers.lowerBound), shape.hidden] : nil
      return try TrainingGroup(
        input: input,
        stages: stages.map { stage in
          try TrainingStage(
            spec: stage,
            parts: stage.parts.map { part in
              try StagePart(
                spec: part,
                mixer: TrainingBlock.mixer(
                  part, shape: shape, stream: input, outside: outside, kept: kept, scratch: scratch),
                given: part.outputNorm == nil ? nil : kept[.given(part: part.name), shape.hidden])
            })
        })
    }
  }

  private static func mixer(
    _ part: PartSpec, shape: TrainingShape, stream: Matrix?, outside: BlockSurroundings, kept: TrainingMatrices,
    scratch: TrainingMatrices
  ) throws -> any TrainingMixer {
    switch part.mixer {
    case .attention(let spec):
      try TrainingAttention(spec, shape: shape, outside: outside, kept: kept, scratch: scratch)
    case .feedForward(let spec): TrainingFeedForward(spec, kept: kept, scratch: scratch)
    case .experts(let spec): TrainingExperts(spec, shape: shape, stream: stream, kept: kept, scratch: scratch)
    case .latentAttention(let spec):
      TrainingLatentAttention(spec, angles: outside.angles, shape: shape, kept: kept, scratch: scratch)
    case .tokenInput(let spec):
      TrainingTokenInput(spec, tokens: outside.tokens, kept: kept, scratch: scratch)
    case .recurrent: preconditionFailure("a model that cannot be trained was not refused")
    }
  }

  // MARK: Forward

  /// - Parameter stream: [rows][hidden], in place.
  func forward(_ stream: Matrix, _ layers: TrainingLayers) {
    for group in groups {
      group.input?.copy(stream)
      for stage in group.stages {
        let input = read(stage, from: group.input ?? stream, layers)
        for part in stage.parts { add(part, of: input, to: stream, layers) }
      }
    }
    scale(stream, layers)
  }

  /// Multiplies the stream, or its gradient, with the number behind the block. That number is part of what a model is and not
  /// trained, as in transformers, where it is no parameter.
  private func scale(_ stream: Matrix, _ layers: TrainingLayers) {
    guard isScaled else { return }
    let factor = layers.parameter("scale").values[0]
    layers.math.scaleRows(stream, by: [Float](repeating: factor, count: stream.rows))
  }

  /// What the parts of a stage read.
  private func read(_ stage: TrainingStage, from source: Matrix, _ layers: TrainingLayers) -> Matrix {
    guard let norm = stage.spec.norm else { return source }
    let normed = scratch[.normed, hidden]
    layers.normalize(source, norm, stage.spec.normName, into: normed)
    return normed
  }

  /// Adds what a part gives to the stream.
  private func add(_ part: StagePart, of input: Matrix, to stream: Matrix, _ layers: TrainingLayers) {
    guard !part.isPlain else { return part.mixer.forward(input, into: stream, accumulate: true, layers) }
    let branch = scratch[.branch, hidden]
    part.mixer.forward(input, into: part.given ?? branch, accumulate: false, layers)
    if let given = part.given, let norm = part.spec.outputNorm {
      layers.normalize(given, norm, part.spec.outputNormName, into: branch)
    }
    layers.math.add(branch, times: Float(part.spec.factor), to: stream)
  }

  // MARK: Backward

  /// - Parameter stream: the gradient of the stream behind the block, [rows][hidden], which becomes that before it.
  func backward(_ stream: Matrix, _ layers: TrainingLayers) throws {
    scale(stream, layers)
    for group in groups.reversed() {
      var above = stream
      if group.stages.count > 1 {
        // Every stage has the gradient of the stream behind all of them.
        above = scratch[.streamGradient, hidden]
        above.copy(stream)
      }
      for stage in group.stages.reversed() {
        guard let source = group.input else { preconditionFailure("this pass has no way back") }
        let input = read(stage, from: source, layers)
        let change = scratch[.normedGradient, hidden]
        for (index, part) in stage.parts.reversed().enumerated() {
          try part.mixer.backward(
            given(part, above, layers), input: input, into: change, accumulate: index > 0, layers)
        }
        if let norm = stage.spec.norm {
          try layers.normalizeBack(source, norm, stage.spec.normName, gradient: change, addingTo: stream)
        } else {
          layers.math.add(change, to: stream)
        }
        for part in stage.parts {
          if let own = part.mixer.streamGradient { layers.math.add(own, to: stream) }
        }
      }
    }
  }

  /// The gradient of what a part gives, from that of the stream.
  private func given(_ part: StagePart, _ above: Matrix, _ layers: TrainingLayers) throws -> Matrix {
    var gradient = above
    if part.spec.factor != 1 {
      gradient = scratch[.branch, hidden]
      gradient.clear()
      layers.math.add(above, times: Float(part.spec.factor), to: gradient)
    }
    guard let given = part.given, let norm = part.spec.outputNorm else { return gradient }
    let change = scratch[.branchGradient, hidden]
    change.clear()
    try layers.normalizeBack(given, norm, part.spec.outputNormName, gradient: gradient, addingTo: change)
    return change
  }
}

extension PartSpec {
  fileprivate var outputNormName: String { name + ".output_norm" }
}

// MARK: Memory

extension BlockSpec {
  /// The stages that read the stream at one place, by their numbers.
  fileprivate var stageGroups: [Range<Int>] {
    var groups: [Range<Int>] = []
    for (index, stage) in stages.enumerated() {
      if stage.isBeside, let last = groups.popLast() {
        groups.append(last.lowerBound..<index + 1)
      } else {
        groups.append(index..<index + 1)
      }
    }
    return groups
  }

  /// Whether what stages read has to be kept apart from the stream: for the way back, or because others have added to that
  /// by the time that it is read.
  fileprivate func keepsInput(of group: Range<Int>, isTrained: Bool) -> Bool {
    isTrained || group.count > 1 || stages[group.lowerBound].norm == nil
      || stages[group].contains { $0.parts.contains(where: \.readsStream) }
  }

  /// Columns of what the block leaves for the way back.
  func keptWidths(_ shape: TrainingShape) -> TrainingMatrices.Widths {
    var widths = parts.reduce(into: TrainingMatrices.Widths()) { widths, part in
      widths = widths.union(part.keptWidths(hidden: shape.hidden))
      if part.outputNorm != nil { widths[.given(part: part.name)] = shape.hidden }
    }
    for group in stageGroups where keepsInput(of: group, isTrained: shape.isTrained) {
      widths[.input(stage: group.lowerBound)] = shape.hidden
    }
    return widths
  }

  /// Columns of what the block needs for a moment.
  func scratchWidths(_ shape: TrainingShape) -> TrainingMatrices.Widths {
    var widths = parts.reduce(into: TrainingMatrices.Widths()) { widths, part in
      widths = widths.union(part.scratchWidths(shape))
      if part.outputNorm != nil || part.factor != 1 { widths[.branch] = shape.hidden }
      if part.outputNorm != nil, shape.isTrained { widths[.branchGradient] = shape.hidden }
    }
    if stages.contains(where: { $0.norm != nil }) { widths[.normed] = shape.hidden }
    guard shape.isTrained else { return widths }
    widths[.normedGradient] = shape.hidden
    if stages.contains(where: \.isBeside) { widths[.streamGradient] = shape.hidden }
    return widths
  }
}
