package import FurlSpec
package import FurlTensor

/// What is done between the linear layers of a block: the same for a model that runs and for one whose weights are coming
/// to be.
struct BlockForward {
  let context: ComputeContext

  /// What the layers of a stage read.
  ///
  /// - Parameters:
  ///   - norm: nil: the rows as they are.
  ///   - next: the layers that read the result; nil: not as rounded ones.
  func normalize(
    _ input: Activations, _ norm: NormWeights?, count: Int, for next: LinearGroup?, into output: Activations
  ) {
    let isRounded = next?.readsRounded(context) ?? false
    let left = next?.outlierColumns ?? []
    if let norm {
      output.normalize(
        input, count: count, by: .init(norm.spec.kind), weight: norm.weight, bias: norm.bias,
        epsilon: Float(norm.spec.epsilon), quantizing: isRounded, leavingOut: left, on: context)
    } else {
      output.copyRows(input, count: count, to: 0)
      if isRounded { output.quantize(count: count, leavingOut: left, on: context) }
    }
  }

  /// The norms of heads, where there are any.
  struct HeadNormWeights {
    var query: NormWeights?
    var key: NormWeights?
    /// Its weights are ones.
    var value: NormWeights?
  }

  /// Norms and turns queries and keys, and norms values; of a block that takes keys and values, queries alone.
  ///
  /// - Parameter positions: of the rows.
  func turn(
    _ attention: AttentionSpec, norms: HeadNormWeights, _ buffers: BlockBuffers, by rotary: RotaryTable?,
    positions: [Int]
  ) {
    let count = positions.count
    let key = attention.keySource == .earlier ? nil : buffers.key
    if attention.keySource == .keysAlone { buffers.value.copyRows(buffers.key, count: count, to: 0) }
    if let norm = norms.query { normalizeHeads(buffers.query, of: attention, norm, count: count) }
    if let key, let norm = norms.key { normalizeHeads(key, of: attention, norm, count: count) }
    if key != nil, let norm = norms.value { normalizeHeads(buffers.value, of: attention, norm, count: count) }
    rotary?.rotate(query: buffers.query, key: key, headSize: attention.headSize, positions: positions, on: context)
    guard let growth = attention.queryGrowth else { return }
    buffers.query.scaleRows(
      by: positions.map(growth.factor))
  }

  private func normalizeHeads(_ states: Activations, of attention: AttentionSpec, _ norm: NormWeights, count: Int) {
    states.normalizePieces(
      of: attention.headNorms == .ofRow ? states.columns : attention.headSize, count: count, by: .init(norm.spec.kind),
      weight: norm.weight, bias: norm.bias, epsilon: Float(norm.spec.epsilon), on: context)
  }

  /// What is done to heads' outputs before the last layer reads them.
  func finish(_ attention: AttentionSpec, _ buffers: BlockBuffers, count: Int) {
    guard attention.outputGate != nil, let gates = buffers.gates else { return }
    buffers.attended.gateSoftly(by: gates, count: count, on: context)
  }

  /// What the last layer of a token input reads: what its gate has given, times what comes of the tokens.
  ///
  /// - Parameters:
  ///   - embedded: the tokens' embeddings, as the first block got them.
  ///   - tokens: of the rows.
  func finish(_ weights: TokenInputWeights, _ buffers: InputBuffers, _ embedded: Activations, tokens: [Int]) {
    let count = tokens.count
    apply(weights.context, embedded, count: count, into: buffers.context)
    normalize(buffers.context, weights.norm, count: count, for: nil, into: buffers.normed)
    buffers.rows.setRows(to: weights.table, tokens, on: context)
    buffers.normed.add(buffers.rows, count: count, on: context)
    buffers.gate.multiply(by: buffers.normed, count: count, on: context)
    buffers.gate.clearPadding(count: count)
  }

  /// What an MLP's first layers leave to be done behind them.
  func finish(_ mlp: FeedForwardSpec, _ outputs: [Activations], count: Int) {
    guard let limit = mlp.limit else { return }
    outputs[0].gate(by: .init(mlp.activation), outputs[1], limit: Float(limit), count: count, on: context)
  }

  /// One layer, its input rounded where it reads that.
  func apply(
    _ layer: LinearGroup, _ input: Activations, count: Int, into output: Activations, accumulate: Bool = false
  ) {
    if layer.readsRounded(context) {
      input.quantize(count: count, leavingOut: layer.outlierColumns, on: context)
    }
    layer(input, count: count, into: [output], accumulate: accumulate, on: context)
  }

  /// Adds what a part gives to the rows of the residual stream.
  ///
  /// - Parameters:
  ///   - result: what its last layer reads, or where it has none, what it gives.
  ///   - branch, other: room as wide as the stream.
  func add(
    _ part: PartWeights, _ result: Activations, to hidden: Activations, branch: Activations, other: Activations,
    count: Int
  ) {
    let factor = Float(part.spec.factor)
    if let output = part.output, part.outputNorm == nil, factor == 1 {
      return apply(output, result, count: count, into: hidden, accumulate: true)
    }
    var given = result
    if let output = part.output {
      apply(output, result, count: count, into: branch)
      given = branch
    }
    if let norm = part.outputNorm {
      normalize(given, norm, count: count, for: nil, into: other)
      given = other
    }
    hidden.add(given, times: factor, count: count, on: context)
  }
}

extension AttentionSpec {
  /// What becomes of products of queries and keys.
  func scores(sinks: FloatVector?) -> KeyValueCache.Scores {
    KeyValueCache.Scores(
      scale: scale.map(Float.init) ?? 1 / Float(headSize).squareRoot(), softCap: softCap.map(Float.init), sinks: sinks,
      slopes: slopes.flatMap { try? FloatVector($0) })
  }

  /// What a cache keeps of it.
  package var cached: KeyValueCache.Heads {
    KeyValueCache.Heads(heads: heads, kvHeads: kvHeads, headSize: headSize, window: window)
  }
}

/// The tables of angles that a model's blocks turn with, each once.
struct RotaryTables {
  private let tables: [ModelSpec.Rotary: RotaryTable]

  /// - Parameter contextLength: positions that there may be.
  init(_ spec: ModelSpec, contextLength: Int) throws {
    var tables: [ModelSpec.Rotary: RotaryTable] = [:]
    for rotary in spec.blocks.flatMap(\.parts).compactMap({ $0.attention?.rotary }) where tables[rotary] == nil {
      tables[rotary] = try RotaryTable(
        frequencies: rotary.frequencies(context: contextLength), factor: rotary.attentionFactor,
        contextLength: contextLength)
    }
    self.tables = tables
  }

  subscript(attention: AttentionSpec) -> RotaryTable? { attention.rotary.flatMap { tables[$0] } }
}
