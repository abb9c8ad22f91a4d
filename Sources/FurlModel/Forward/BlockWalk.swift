import FurlSpec
import FurlTensor

/// A model that is computed block by block over many sequences, while its weights come to be: for calibration.
///
/// The hidden states of all positions are in memory, and the weights of one block. Each input of a block's linear
/// layers is visited before those layers are known, as the layers before them, which are known, give it: through the
/// kernels, the KV cache and the 8-bit activations that an artifact runs with. What comes out at the end is, bit for
/// bit, what a ``Session`` computes.
public final class BlockWalk {
  /// An input that linear layers of a block share, in the order in which they are visited.
  public enum Input: String, Sendable, Hashable, CaseIterable {
    /// Behind the block's first norm: of query, key and value, with a parallel residual of the MLP's first layers too.
    case attention
    /// What the heads give: of the attention's output.
    case heads = "attention.output"
    /// Behind the MLP's norm: of up and gate, with a sequential residual.
    case mlp
    /// What the MLP's first layers give: of down.
    case inner = "mlp.down"
  }

  public let spec: ModelSpec
  public let context: ComputeContext
  /// Positions of all sequences.
  public let positionCount: Int

  private let ids: [[Int]]
  private let sequences: [Range<Int>]
  private let hidden: Activations
  /// What the heads of the present block give, for all positions.
  private var heads: Activations?
  private let format: KeyValueCache.Format
  private let rotary: RotaryTable?

  private let rows: Activations
  /// What a norm gives: as wide as what it reads.
  private var normed: Activations
  /// As wide as the residual stream.
  private let copies: Activations
  /// Channels of the residual stream that norms read, and room for them; nil: all.
  private var reading: (channels: [Int], rows: Activations)?
  private var work: Work?
  /// The block that is being walked, and its weights so far.
  private var block = 0
  private var weights: [TensorRole: LinearGroup.Layer] = [:]
  private var norms: [Norm] = []

  /// A norm's numbers.
  public struct Norm: Sendable {
    public let weight: FloatVector
    public let bias: FloatVector?

    public init(weight: FloatVector, bias: FloatVector?) {
      self.weight = weight
      self.bias = bias
    }
  }

  /// Positions that are computed at once.
  public static let rowLimit = 256

  /// - Parameters:
  ///   - embedding, positions: as the artifact has them; positions where they are learned.
  ///   - sequences: ids inside of the vocabulary, none longer than the context.
  ///   - format: how keys and values are kept.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  public init(
    _ spec: ModelSpec, embedding: PackedMatrix, positions: PackedMatrix?, sequences ids: [[Int]],
    format: KeyValueCache.Format = .float16, context: ComputeContext
  ) throws {
    precondition(ids.allSatisfy { $0.count <= spec.contextLength && $0.allSatisfy { 0..<spec.vocabularySize ~= $0 } })
    precondition((spec.positions == .learned) == (positions != nil))
    self.spec = spec
    self.context = context
    self.format = format
    self.ids = ids
    var starts: [Range<Int>] = []
    for sequence in ids {
      let start = starts.last?.upperBound ?? 0
      starts.append(start..<start + sequence.count)
    }
    sequences = starts
    positionCount = starts.last?.upperBound ?? 0
    hidden = try Activations(columns: spec.hiddenSize, capacity: max(1, positionCount))
    rows = try Activations(columns: spec.hiddenSize, capacity: BlockWalk.rowLimit)
    copies = try Activations(columns: spec.hiddenSize, capacity: BlockWalk.rowLimit)
    normed = copies
    rotary =
      switch spec.positions {
      case .learned: nil
      case .rotary(let rotary):
        try RotaryTable(frequencies: rotary.frequencies, contextLength: ids.map(\.count).max() ?? 1)
      }
    embed(embedding, positions: positions)
  }

  /// Begins anew with an embedding: the hidden states before the first block.
  ///
  /// - Parameter positions: where they are learned.
  public func embed(_ embedding: PackedMatrix, positions: PackedMatrix?) {
    hidden.setRows(
      to: embedding, ids.flatMap { $0 }, plus: positions.map { ($0, ids.flatMap { Array($0.indices) }) }, on: context)
  }

  /// A copy of the hidden states of all positions: of the blocks that have been walked.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  public func hiddenStates() throws -> Activations {
    let copy = try Activations(columns: spec.hiddenSize, capacity: max(1, positionCount))
    copy.copyRows(hidden, from: 0..<positionCount)
    return copy
  }

  /// Goes back to hidden states that ``hiddenStates()`` has given.
  public func resume(_ states: Activations) { hidden.copyRows(states, from: 0..<positionCount) }

  /// What is needed to compute blocks of the same widths.
  private struct Work {
    let block: ModelSpec.Block
    let cache: KeyValueCache
    let buffers: BlockBuffers

    init(_ block: ModelSpec.Block, _ spec: ModelSpec, longest: Int, format: KeyValueCache.Format, threads: Int) throws {
      self.block = block
      cache = try KeyValueCache(
        blocks: [
          .init(heads: block.heads, kvHeads: block.kvHeads, headSize: block.headSize, window: block.window)
        ], slots: 1, contextLength: longest, format: format, threads: threads, rowLimit: BlockWalk.rowLimit)
      buffers = try BlockBuffers(block, spec, rows: BlockWalk.rowLimit)
    }
  }

  // MARK: A block

  /// The inputs of a block, in the order in which they are to be visited.
  public var inputs: [Input] {
    switch spec.residual {
    case .sequential: [.attention, .heads, .mlp, .inner]
    case .parallel: [.attention, .heads, .inner]
    }
  }

  /// The roles of the layers that read an input.
  public func roles(of input: Input) -> [TensorRole] {
    let mlp: [TensorRole] = spec.mlp == .gated ? [.gate, .up] : [.up]
    return switch input {
    case .attention: [.query, .key, .value] + (spec.residual == .parallel ? mlp : [])
    case .heads: [.attentionOutput]
    case .mlp: mlp
    case .inner: [.down]
    }
  }

  /// Begins with a block.
  ///
  /// - Parameters:
  ///   - index: the block behind the one whose hidden states there are.
  ///   - mlpNorm: with a sequential residual.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  public func begin(block index: Int, attentionNorm: Norm, mlpNorm: Norm?) throws {
    precondition((mlpNorm != nil) == (spec.residual == .sequential))
    block = index
    weights = [:]
    norms = [attentionNorm] + (mlpNorm.map { [$0] } ?? [])
    let widths = spec.blocks[index]
    if work?.block != widths {
      work = try Work(
        widths, spec, longest: max(1, sequences.map(\.count).max() ?? 1), format: format, threads: context.pool.threads)
      heads = try Activations(columns: widths.heads * widths.headSize, capacity: max(1, positionCount))
    }
  }

  /// Divides what goes into the layers behind a norm of the block, column by column: the norm's numbers.
  ///
  /// - Returns: the norm as it is now.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  public func divide(_ input: Input, by scales: [Float]) throws -> Norm {
    let index = input == .attention ? 0 : norms.count - 1
    func divided(_ vector: FloatVector) throws -> FloatVector {
      try FloatVector(zip(vector.values, scales).map { $0 / $1 })
    }
    norms[index] = try Norm(weight: divided(norms[index].weight), bias: norms[index].bias.map(divided))
    return norms[index]
  }

  /// From here on norms read some channels of the residual stream only. Their numbers, and the columns of the layers
  /// behind them, are of those channels; what other layers write stays as wide as it was.
  ///
  /// - Parameter channels: ascending.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  public func narrowNorms(to channels: [Int]) throws {
    precondition(!channels.isEmpty && channels.allSatisfy { (0..<spec.hiddenSize).contains($0) })
    func buffer() throws -> Activations { try Activations(columns: channels.count, capacity: BlockWalk.rowLimit) }
    reading = (channels, try buffer())
    normed = try buffer()
  }

  /// Puts another norm in the place of one of the block's.
  public func replace(_ input: Input, by norm: Norm) { norms[input == .attention ? 0 : norms.count - 1] = norm }

  /// Makes a layer of the block known.
  public func install(_ role: TensorRole, _ weight: PackedMatrix, bias: FloatVector?) {
    let activation = LinearGroup.Activation(spec.activation)
    let epilogue: LinearGroup.Epilogue =
      switch role {
      case .gate: .gate(activation)
      case .up where spec.mlp == .plain: .activation(activation)
      default: .none
      }
    weights[role] = LinearGroup.Layer(weight, bias: bias, epilogue: epilogue)
  }

  private func group(_ roles: [TensorRole]) -> LinearGroup { LinearGroup(roles.map { weights[$0]! }) }

  /// Calls `body` with an input of the block, some rows at a time: all positions in their order.
  ///
  /// The layers that read earlier inputs must be known.
  ///
  /// - Parameter body: (rows of the input, how many there are).
  public func visit(_ input: Input, _ body: (Activations, Int) throws -> Void) rethrows {
    guard let work, let heads else { preconditionFailure("no block has begun") }
    switch input {
    case .attention:
      try forEachPiece { piece, _ in
        normalize(norms[0], for: nil, piece.count)
        try body(normed, piece.count)
      }
    case .heads:
      let layers = group([.query, .key, .value])
      try forEachPiece { piece, position in
        normalize(norms[0], for: layers, piece.count)
        layers(
          normed, count: piece.count, into: [work.buffers.query, work.buffers.key, work.buffers.value], on: context)
        attend(work, position: position, count: piece.count)
        heads.copyRows(work.buffers.attended, count: piece.count, to: piece.lowerBound)
        try body(work.buffers.attended, piece.count)
      }
    case .mlp:
      let output = group([.attentionOutput])
      try forEachPiece { piece, _ in
        work.buffers.attended.copyRows(heads, from: piece)
        add(output, work.buffers.attended, piece.count)
        hidden.copyRows(rows, count: piece.count, to: piece.lowerBound)
        normalize(norms[1], for: nil, piece.count)
        try body(normed, piece.count)
      }
    case .inner:
      try forEachPiece { piece, _ in
        computeInner(work, piece.count)
        try body(work.buffers.inner, piece.count)
      }
    }
  }

  /// Ends the block, all of whose layers must be known: hidden states are those behind it.
  public func finish() {
    guard let work, let heads else { preconditionFailure("no block has begun") }
    let down = group([.down])
    let output = spec.residual == .parallel ? group([.attentionOutput]) : nil
    forEachPiece { piece, _ in
      computeInner(work, piece.count)
      if let output {
        work.buffers.attended.copyRows(heads, from: piece)
        add(output, work.buffers.attended, piece.count)
      }
      add(down, work.buffers.inner, piece.count)
      hidden.copyRows(rows, count: piece.count, to: piece.lowerBound)
    }
    weights = [:]
  }

  /// Applies what stands in for blocks that were cut out, between two blocks or behind the last one: h + A h + b.
  public func apply(patch: PackedMatrix, bias: FloatVector?) {
    let layer = LinearGroup([.init(patch, bias: bias)])
    forEachPiece { piece, _ in
      copies.copyRows(rows, count: piece.count, to: 0)
      add(layer, copies, piece.count)
      hidden.copyRows(rows, count: piece.count, to: piece.lowerBound)
    }
  }

  /// Calls `body` with the hidden states as they are, some rows at a time: (rows, how many, the first one's place).
  public func visitHidden(_ body: (Activations, Int, Int) throws -> Void) rethrows {
    try forEachPiece { piece, _ in try body(rows, piece.count, piece.lowerBound) }
  }

  /// Calls `body` with what goes into the head, when all blocks have been walked.
  public func visitHead(_ norm: Norm, _ body: (Activations, Int) throws -> Void) rethrows {
    try forEachPiece { piece, _ in
      normalize(norm, for: nil, piece.count)
      try body(normed, piece.count)
    }
  }

  // MARK: Pieces

  /// Calls `body` with positions whose hidden states are in `rows`: (where they are, the position of the first in its
  /// sequence).
  private func forEachPiece(_ body: (Range<Int>, Int) throws -> Void) rethrows {
    for sequence in sequences {
      for start in stride(from: sequence.lowerBound, to: sequence.upperBound, by: BlockWalk.rowLimit) {
        let piece = start..<min(start + BlockWalk.rowLimit, sequence.upperBound)
        rows.copyRows(hidden, from: piece)
        try body(piece, start - sequence.lowerBound)
      }
    }
  }

  /// - Parameter layers: that read the result; nil: not as 8-bit activations.
  private func normalize(_ norm: Norm, for layers: LinearGroup?, _ count: Int) {
    reading?.rows.copyColumns(rows, reading?.channels ?? [], count: count)
    normed.normalize(
      reading?.rows ?? rows, count: count, by: .init(spec.norm), weight: norm.weight, bias: norm.bias,
      epsilon: Float(spec.normEpsilon), quantizing: layers?.readsIntegers(context) ?? false,
      leavingOut: layers?.outlierColumns ?? [], on: context)
  }

  private func attend(_ work: Work, position: Int, count: Int) {
    let headSize = work.block.headSize
    rotary?.rotate(
      query: work.buffers.query, key: work.buffers.key, headSize: headSize,
      positions: Array(position..<position + count), on: context)
    let runs = [KeyValueCache.Run(slot: 0, position: position, row: 0, count: count)]
    work.cache.attend(
      block: 0, query: work.buffers.query, runs: runs, storing: (work.buffers.key, work.buffers.value),
      scale: 1 / Float(headSize).squareRoot(), into: work.buffers.attended, on: context)
  }

  private func computeInner(_ work: Work, _ count: Int) {
    let layers = group(roles(of: .mlp))
    normalize(norms.last!, for: layers, count)
    layers(normed, count: count, into: work.buffers.mlp, on: context)
  }

  /// Adds a layer's output to the rows.
  private func add(_ layer: LinearGroup, _ input: Activations, _ count: Int) {
    if layer.readsIntegers(context) {
      input.quantize(count: count, leavingOut: layer.outlierColumns, on: context)
    }
    layer(input, count: count, into: [rows], accumulate: true, on: context)
  }
}
