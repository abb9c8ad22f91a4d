import FurlBase
import FurlNumerics
import FurlSpec
import FurlTensor

/// The forward pass over whole sequences that keeps what the backward pass needs, and the backward pass.
///
/// FP32 throughout. Of each block its input, queries, keys, values and what is around the MLP are kept; norms and
/// activations are computed again on the way back, which costs little and saves a third of the memory.
public final class TrainingPass {
  public let spec: ModelSpec
  private let form: UniformDecoder
  public let sequences: Int
  /// Tokens of each sequence.
  public let length: Int
  private let math: DenseMath
  /// Whether there will be a way back.
  private let isTrained: Bool
  private let kept: [KeptBlock]
  private let angles: RotaryAngles?
  /// What went into each map that stands in for blocks, by its place.
  private let patchInputs: [Int: Matrix]

  /// The residual stream, [rows][hidden]; after ``forward(_:ids:)`` what goes into the last norm.
  private let hidden: Matrix
  /// What comes out of the last norm: what the head reads.
  public let output: Matrix
  private let scratch: Scratch

  /// What a block leaves for the way back.
  fileprivate struct KeptBlock {
    let input, query, key, value, attended, statistics: Matrix
    /// What the MLP's norm reads; with a parallel residual the block's input.
    let middle: Matrix
    let gate: Matrix?
    let up: Matrix
  }

  /// What is used for a moment.
  private struct Scratch {
    let normed: Matrix
    /// [rows][largest MLP]
    let inner: Matrix
    // The rest is of the way back.
    let innerGradient, gateGradient, normedGradient, queryGradient, keyGradient, valueGradient,
      attendedGradient: Matrix?
  }

  private var rows: Int { sequences * length }

  /// - Parameters:
  ///   - sequences: at once.
  ///   - length: tokens of each, at most the model's context.
  ///   - isTrained: whether ``backward(_:gradients:from:)`` will be called.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  public init(_ spec: ModelSpec, sequences: Int, length: Int, isTrained: Bool, math: DenseMath) throws {
    precondition(sequences > 0 && length > 0 && length <= spec.contextLength)
    guard let form = UniformDecoder(spec) else {
      throw FurlError(
        .input, "a \(spec.architecture) model cannot be trained by this version of Furl",
        remedy: "leave out heal, prune with fit: reconstruct")
    }
    self.form = form
    self.spec = spec
    self.sequences = sequences
    self.length = length
    self.math = math
    self.isTrained = isTrained
    let rows = sequences * length
    func matrix(_ columns: Int) throws -> Matrix { try Matrix(rows: rows, columns: columns) }
    angles =
      switch form.positions {
      case .learned: nil
      case .rotary(let rotary): try RotaryAngles(frequencies: rotary.frequencies, count: length)
      }
    patchInputs = try Dictionary(
      uniqueKeysWithValues: spec.patches.map { ($0, try matrix(spec.hiddenSize)) })
    hidden = try matrix(spec.hiddenSize)
    output = try matrix(spec.hiddenSize)
    let widest = Widths(form)
    var shared: KeptBlock?
    kept = try form.blocks.map { block in
      // Without a way back all blocks use the same memory, as wide as the widest.
      if !isTrained, let shared { return shared.shaped(block) }
      let own = try KeptBlock(isTrained ? Widths(block) : widest, form, hidden: spec.hiddenSize, rows: rows)
      if !isTrained { shared = own }
      return own.shaped(block)
    }
    func back(_ columns: Int) throws -> Matrix? { isTrained ? try matrix(columns) : nil }
    scratch = Scratch(
      normed: try matrix(spec.hiddenSize), inner: try matrix(widest.mlp), innerGradient: try back(widest.mlp),
      gateGradient: form.mlp == .gated ? try back(widest.mlp) : nil, normedGradient: try back(spec.hiddenSize),
      queryGradient: try back(widest.queries), keyGradient: try back(widest.keys), valueGradient: try back(widest.keys),
      attendedGradient: try back(widest.queries))
  }

  /// Columns of a block's matrices, or the most of all blocks.
  fileprivate struct Widths {
    var queries = 0
    var keys = 0
    var heads = 0
    var mlp = 0

    init(_ block: UniformDecoder.Widths) {
      queries = block.heads * block.headSize
      keys = block.kvHeads * block.headSize
      heads = block.heads
      mlp = block.mlpSize
    }

    init(_ form: UniformDecoder) {
      for widths in form.blocks.map(Widths.init) {
        queries = max(queries, widths.queries)
        keys = max(keys, widths.keys)
        heads = max(heads, widths.heads)
        mlp = max(mlp, widths.mlp)
      }
    }
  }

  // MARK: Forward

  /// Computes ``output`` of some sequences.
  ///
  /// - Parameter ids: of all sequences, one behind the other: `sequences * length`, each in the vocabulary.
  public func forward(_ parameters: ModelParameters, ids: [Int]) {
    precondition(ids.count == rows)
    math.embed(
      ids, length: length, parameters["embedding"], positions: parameters.optional("positions"), into: hidden)
    for index in spec.blocks.indices {
      forward(patch: index, parameters)
      forward(block: index, parameters)
    }
    forward(patch: spec.blocks.count, parameters)
    normalize(hidden, parameters.layer("norm"), into: output)
  }

  private func normalize(_ x: Matrix, _ norm: ModelParameters.Layer, into out: Matrix) {
    math.normalize(
      x, by: .init(form.norm), weight: norm.weight, bias: norm.bias, epsilon: Float(form.normEpsilon), into: out)
  }

  private func linear(
    _ x: Matrix, _ layer: ModelParameters.Layer, into out: Matrix, accumulate: Bool = false
  ) {
    math.linear(x, layer.weight, bias: layer.bias, into: out, accumulate: accumulate)
  }

  /// What stands in for blocks before one of that number, where there is something: h + A h + b.
  private func forward(patch index: Int, _ parameters: ModelParameters) {
    guard let input = patchInputs[index] else { return }
    input.copy(hidden)
    linear(input, parameters.layer(spec.patchName(before: index)), into: hidden, accumulate: true)
  }

  private func backward(patch index: Int, _ parameters: ModelParameters, _ gradients: ModelParameters) {
    guard let input = patchInputs[index], let change = scratch.normedGradient else { return }
    let own = gradients.layer(spec.patchName(before: index))
    math.addWeightGradient(hidden, input, to: own.weight, bias: own.bias)
    math.linearBack(hidden, parameters[spec.patchName(before: index)], into: change)
    math.add(change, to: hidden)
  }

  private func attention(_ block: UniformDecoder.Widths) -> CausalAttention {
    CausalAttention(
      heads: block.heads, kvHeads: block.kvHeads, headSize: block.headSize, window: block.window,
      sequences: sequences, length: length)
  }

  private func forward(block index: Int, _ parameters: ModelParameters) {
    let block = form.blocks[index]
    let prefix = "blocks.\(index)."
    let kept = kept[index]
    if isTrained { kept.input.copy(hidden) }
    normalize(hidden, parameters.layer(prefix + "attention.norm"), into: scratch.normed)
    linear(scratch.normed, parameters.layer(prefix + "attention.query"), into: kept.query)
    linear(scratch.normed, parameters.layer(prefix + "attention.key"), into: kept.key)
    linear(scratch.normed, parameters.layer(prefix + "attention.value"), into: kept.value)
    if let angles {
      math.rotate(kept.query, headSize: block.headSize, length: length, angles: angles, back: false)
      math.rotate(kept.key, headSize: block.headSize, length: length, angles: angles, back: false)
    }
    attention(block).forward(
      query: kept.query, key: kept.key, value: kept.value, into: kept.attended, statistics: kept.statistics, with: math)
    linear(kept.attended, parameters.layer(prefix + "attention.output"), into: hidden, accumulate: true)
    if form.residual == .sequential {
      if isTrained { kept.middle.copy(hidden) }
      normalize(hidden, parameters.layer(prefix + "mlp.norm"), into: scratch.normed)
    }
    if let gate = kept.gate { linear(scratch.normed, parameters.layer(prefix + "mlp.gate"), into: gate) }
    linear(scratch.normed, parameters.layer(prefix + "mlp.up"), into: kept.up)
    linear(inner(kept, block), parameters.layer(prefix + "mlp.down"), into: hidden, accumulate: true)
  }

  /// What the MLP's last layer reads.
  private func inner(_ kept: KeptBlock, _ block: UniformDecoder.Widths) -> Matrix {
    let inner = scratch.inner.shaped(columns: block.mlpSize)
    let activation = LinearGroup.Activation(form.activation)
    if let gate = kept.gate {
      math.activate(activation, gate, factor: kept.up, into: inner)
    } else {
      math.activate(activation, kept.up, factor: nil, into: inner)
    }
    return inner
  }

  // MARK: Backward

  /// Adds the gradients of all parameters.
  ///
  /// - Parameters:
  ///   - gradients: what is added to.
  ///   - gradient: of ``output``; it is used up.
  public func backward(
    _ parameters: ModelParameters, gradients: ModelParameters, from gradient: Matrix, ids: [Int]
  ) throws {
    precondition(isTrained && gradient.rows == rows && gradient.columns == spec.hiddenSize && ids.count == rows)
    // From here on the stream is not needed any more, and its gradient takes its place.
    let lastInput = output
    lastInput.copy(hidden)
    hidden.clear()
    try normalizeBack(lastInput, "norm", gradient, parameters, gradients)
    backward(patch: spec.blocks.count, parameters, gradients)
    for index in spec.blocks.indices.reversed() {
      try backward(block: index, parameters, gradients)
      backward(patch: index, parameters, gradients)
    }
    math.embedBack(
      ids, length: length, gradient: hidden, addingTo: gradients["embedding"],
      positions: gradients.optional("positions"))
  }

  /// Adds what a norm's input gets to the stream's gradient.
  private func normalizeBack(
    _ x: Matrix, _ name: String, _ gradient: Matrix, _ parameters: ModelParameters,
    _ gradients: ModelParameters
  ) throws {
    let own = gradients.layer(name)
    try math.normalizeBack(
      x, by: .init(form.norm), weight: parameters[name], epsilon: Float(form.normEpsilon), gradient: gradient,
      addingTo: NormGradients(input: hidden, weight: own.weight, bias: own.bias))
  }

  private func backward(
    block index: Int, _ parameters: ModelParameters, _ gradients: ModelParameters
  ) throws {
    guard let normed = scratch.normedGradient else { preconditionFailure("this pass has no way back") }
    let block = form.blocks[index]
    let prefix = "blocks.\(index)."
    let kept = kept[index]
    /// From the gradient of a layer's output to those of its weight and its input.
    func linearBack(
      _ name: String, _ gradient: Matrix, input: Matrix, into out: Matrix, accumulate: Bool
    ) {
      let own = gradients.layer(prefix + name)
      math.addWeightGradient(gradient, input, to: own.weight, bias: own.bias)
      math.linearBack(gradient, parameters[prefix + name], into: out, accumulate: accumulate)
    }

    // The MLP.
    let innerGradient = scratch.innerGradient!.shaped(columns: block.mlpSize)
    linearBack("mlp.down", hidden, input: inner(kept, block), into: innerGradient, accumulate: false)
    normalize(
      kept.middle, parameters.layer(prefix + (form.residual == .sequential ? "mlp.norm" : "attention.norm")),
      into: scratch.normed)
    let activation = LinearGroup.Activation(form.activation)
    if let gate = kept.gate, let gateGradient = scratch.gateGradient {
      let upGradient = gateGradient.shaped(columns: block.mlpSize)
      math.activateBack(
        activation, gate, factor: kept.up, gradient: innerGradient, factorGradient: upGradient)
      linearBack("mlp.gate", innerGradient, input: scratch.normed, into: normed, accumulate: false)
      linearBack("mlp.up", upGradient, input: scratch.normed, into: normed, accumulate: true)
    } else {
      math.activateBack(activation, kept.up, factor: nil, gradient: innerGradient, factorGradient: nil)
      linearBack("mlp.up", innerGradient, input: scratch.normed, into: normed, accumulate: false)
    }
    let attended = scratch.attendedGradient!.shaped(columns: kept.attended.columns)
    if form.residual == .sequential {
      try normalizeBack(kept.middle, prefix + "mlp.norm", normed, parameters, gradients)
      normalize(kept.input, parameters.layer(prefix + "attention.norm"), into: scratch.normed)
    }

    // Attention.
    linearBack("attention.output", hidden, input: kept.attended, into: attended, accumulate: false)
    let query = scratch.queryGradient!.shaped(columns: kept.query.columns)
    let key = scratch.keyGradient!.shaped(columns: kept.key.columns)
    let value = scratch.valueGradient!.shaped(columns: kept.value.columns)
    attention(block).backward(
      .init(
        query: kept.query, key: kept.key, value: kept.value, out: kept.attended, statistics: kept.statistics),
      gradient: attended, query: query, key: key, value: value, with: math)
    if let angles {
      math.rotate(query, headSize: block.headSize, length: length, angles: angles, back: true)
      math.rotate(key, headSize: block.headSize, length: length, angles: angles, back: true)
    }
    let isParallel = form.residual == .parallel
    linearBack("attention.query", query, input: scratch.normed, into: normed, accumulate: isParallel)
    linearBack("attention.key", key, input: scratch.normed, into: normed, accumulate: true)
    linearBack("attention.value", value, input: scratch.normed, into: normed, accumulate: true)
    try normalizeBack(kept.input, prefix + "attention.norm", normed, parameters, gradients)
  }
}

extension TrainingPass.KeptBlock {
  fileprivate init(_ widths: TrainingPass.Widths, _ form: UniformDecoder, hidden: Int, rows: Int) throws {
    func matrix(_ columns: Int) throws -> Matrix { try Matrix(rows: rows, columns: columns) }
    input = try matrix(hidden)
    query = try matrix(widths.queries)
    key = try matrix(widths.keys)
    value = try matrix(widths.keys)
    attended = try matrix(widths.queries)
    statistics = try matrix(widths.heads)
    middle = form.residual == .sequential ? try matrix(hidden) : input
    gate = form.mlp == .gated ? try matrix(widths.mlp) : nil
    up = try matrix(widths.mlp)
  }

  private init(_ other: Self, _ block: UniformDecoder.Widths) {
    let queries = block.heads * block.headSize
    let keys = block.kvHeads * block.headSize
    input = other.input
    query = other.query.shaped(columns: queries)
    key = other.key.shaped(columns: keys)
    value = other.value.shaped(columns: keys)
    attended = other.attended.shaped(columns: queries)
    statistics = other.statistics.shaped(columns: block.heads)
    middle = other.middle
    gate = other.gate.map { $0.shaped(columns: block.mlpSize) }
    up = other.up.shaped(columns: block.mlpSize)
  }

  /// The same memory in a block's widths.
  fileprivate func shaped(_ block: UniformDecoder.Widths) -> Self { Self(self, block) }
}
