import FurlBase
package import FurlNumerics
package import FurlSpec
import FurlTensor

/// The forward pass over whole sequences that keeps what the backward pass needs, and the backward pass.
///
/// FP32 throughout. Of each block its input, queries, keys, values and what is around the MLP are kept; norms and
/// activations are computed again on the way back, which costs little and saves a third of the memory.
package final class TrainingPass {
  package let spec: ModelSpec
  private let shape: TrainingShape
  private let math: DenseMath
  private let blocks: [TrainingBlock]
  /// Keys and values that later blocks take, by the blocks that make them.
  private let givenKeys: [Int: GivenKeys]
  /// What blocks take from the tokens themselves; nil: nothing.
  private let tokens: TokenRows?
  /// What went into each map that stands in for blocks, by its place.
  private let patchInputs: [Int: Matrix]

  /// The residual stream, [rows][hidden]; after ``forward(_:ids:)`` what goes into the last norm.
  private let hidden: Matrix
  /// What comes out of the last norm: what the head reads.
  package let output: Matrix

  package var sequences: Int { shape.sequences }
  /// Tokens of each sequence.
  package var length: Int { shape.length }

  /// Why a model cannot be trained; nil: it can.
  package static func untrainable(_ spec: ModelSpec) -> String? {
    spec.blocks.lazy.flatMap(\.parts).compactMap(\.untrainable).first
  }

  /// - Parameters:
  ///   - sequences: at once.
  ///   - length: tokens of each, at most the model's context.
  ///   - isTrained: whether ``backward(_:gradients:from:ids:)`` will be called.
  /// - Throws: ``FurlError`` of kind `input` for a model with parts that have no gradient, `unavailable` when there is no
  ///   memory.
  package init(_ spec: ModelSpec, sequences: Int, length: Int, isTrained: Bool, math: DenseMath) throws {
    precondition(sequences > 0 && length > 0 && length <= spec.contextLength)
    if let problem = TrainingPass.untrainable(spec) {
      throw FurlError(
        .input, "this \(spec.architecture) model cannot be trained: \(problem)",
        remedy: "leave out heal, prune with fit: reconstruct")
    }
    self.spec = spec
    self.math = math
    let shape = TrainingShape(
      hidden: spec.hiddenSize, sequences: sequences, length: length, isTrained: isTrained)
    self.shape = shape
    func matrix() throws -> Matrix { try Matrix(rows: shape.rows, columns: shape.hidden) }
    patchInputs = try Dictionary(uniqueKeysWithValues: spec.patches.map { ($0, try matrix()) })
    hidden = try matrix()
    output = try matrix()
    givenKeys = try Dictionary(
      uniqueKeysWithValues: spec.sharedKeyBlocks.compactMap { index in
        try spec.blocks[index].attention.map { (index, try GivenKeys($0, shape)) }
      })
    tokens = spec.hasTokenInputs ? try TokenRows(shape) : nil
    blocks = try TrainingPass.blocks(spec, shape, givenKeys, tokens)
  }

  private static func blocks(
    _ spec: ModelSpec, _ shape: TrainingShape, _ givenKeys: [Int: GivenKeys], _ tokens: TokenRows?
  ) throws -> [TrainingBlock] {
    func matrices(_ widths: [TrainingMatrices.Widths]) throws -> TrainingMatrices {
      try TrainingMatrices(widths.reduce([:]) { $0.union($1) }, rows: shape.rows)
    }
    var angles: [ModelSpec.Rotary: RotaryAngles] = [:]
    for case let rotary? in spec.blocks.map(\.rotary) where angles[rotary] == nil {
      angles[rotary] = try RotaryAngles(
        frequencies: rotary.frequencies(context: shape.length), factor: rotary.attentionFactor, count: shape.length)
    }
    let scratch = try matrices(spec.blocks.map { $0.scratchWidths(shape) })
    // Without a way back all blocks use the same memory, as wide as the widest.
    let shared = shape.isTrained ? nil : try matrices(spec.blocks.map { $0.keptWidths(shape) })
    return try zip(spec.blocks, spec.keyBlocks).map { block, keyBlock in
      try TrainingBlock(
        block, shape: shape,
        outside: .init(
          angles: block.rotary.flatMap { angles[$0] }, keys: keyBlock.flatMap { givenKeys[$0] }, tokens: tokens),
        kept: try shared ?? matrices([block.keptWidths(shape)]), scratch: scratch)
    }
  }

  // MARK: Forward

  /// Computes ``output`` of some sequences.
  ///
  /// - Parameter ids: of all sequences, one behind the other: `sequences * length`, each in the vocabulary.
  package func forward(_ parameters: ModelParameters, ids: [Int]) {
    precondition(ids.count == shape.rows)
    math.embed(
      ids, length: length, parameters["embedding"], positions: parameters.optional("positions"), into: hidden)
    tokens?.begin(ids, embedded: hidden)
    for (index, block) in blocks.enumerated() {
      forward(patch: index, parameters)
      block.forward(hidden, layers(of: index, parameters))
    }
    forward(patch: blocks.count, parameters)
    layers(parameters).normalize(hidden, spec.norm, "norm", into: output)
  }

  /// The layers of a block, or what is outside of the blocks.
  private func layers(
    of block: Int? = nil, _ parameters: ModelParameters, _ gradients: ModelParameters? = nil,
    _ observer: GradientObserver? = nil
  ) -> TrainingLayers {
    TrainingLayers(
      math: math, prefix: block.map { "blocks.\($0)." } ?? "", parameters: parameters, gradients: gradients,
      observer: observer)
  }

  /// What stands in for blocks before one of that number, where there is something: h + A h + b.
  private func forward(patch index: Int, _ parameters: ModelParameters) {
    guard let input = patchInputs[index] else { return }
    input.copy(hidden)
    layers(parameters).linear(spec.patchName(before: index), input, into: hidden, accumulate: true)
  }

  // MARK: Backward

  /// Adds the gradients of all parameters.
  ///
  /// - Parameters:
  ///   - gradients: what is added to.
  ///   - gradient: of ``output``; it is used up.
  package func backward(
    _ parameters: ModelParameters, gradients: ModelParameters, from gradient: Matrix, ids: [Int]
  ) throws {
    precondition(ids.count == shape.rows)
    try backward(parameters, gradients, from: gradient, observer: nil)
    math.embedBack(
      ids, length: length, gradient: hidden, addingTo: gradients["embedding"],
      positions: gradients.optional("positions"))
  }

  /// Tells of the gradients of all linear layers' outputs, from the last block back to one of them.
  ///
  /// - Parameters:
  ///   - vectors: room for the gradients of vectors, which mean nothing.
  ///   - gradient: of ``output``; it is used up.
  ///   - block: the last one that is gone through.
  /// - Returns: the gradient of what goes into that block, until the next way there.
  package func observe(
    _ parameters: ModelParameters, vectors: ModelParameters, from gradient: Matrix, downTo block: Int,
    _ observer: @escaping GradientObserver
  ) throws -> Matrix {
    try backward(parameters, vectors, from: gradient, downTo: block, observer: observer)
    return hidden
  }

  /// The way back behind the embedding; its gradient is in `hidden` then.
  private func backward(
    _ parameters: ModelParameters, _ gradients: ModelParameters, from gradient: Matrix, downTo first: Int = 0,
    observer: GradientObserver?
  ) throws {
    precondition(shape.isTrained && gradient.rows == shape.rows && gradient.columns == spec.hiddenSize)
    // From here on the stream is not needed any more, and its gradient takes its place.
    let lastInput = output
    lastInput.copy(hidden)
    hidden.clear()
    for keys in givenKeys.values { keys.clearGradients() }
    tokens?.gradient?.clear()
    try layers(parameters, gradients).normalizeBack(lastInput, spec.norm, "norm", gradient: gradient, addingTo: hidden)
    backward(patch: blocks.count, parameters, gradients, observer)
    for (index, block) in blocks.enumerated().reversed() where index >= first {
      try block.backward(hidden, layers(of: index, parameters, gradients, observer))
      backward(patch: index, parameters, gradients, observer)
    }
    if first == 0, let change = tokens?.gradient { math.add(change, to: hidden) }
  }

  private func backward(
    patch index: Int, _ parameters: ModelParameters, _ gradients: ModelParameters, _ observer: GradientObserver?
  ) {
    guard let input = patchInputs[index] else { return }
    // Behind the last norm's way back nothing reads what the head has read.
    let change = output
    layers(of: nil, parameters, gradients, observer).linearBack(
      spec.patchName(before: index), hidden, input: input, into: change, accumulate: false)
    math.add(change, to: hidden)
  }
}
