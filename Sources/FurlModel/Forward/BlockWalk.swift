import FurlSpec
import FurlTensor

/// A model that is computed block by block over many sequences, while its weights come to be: for calibration.
///
/// The hidden states of all positions are in memory, and the weights of one block. Each input of a block's linear
/// layers is visited before those layers are known, as the layers before them, which are known, give it: through the
/// kernels, the KV cache and the 8-bit activations that an artifact runs with. What comes out at the end is, bit for
/// bit, what a ``Session`` computes.
public final class BlockWalk {
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
  private var stages: [StageSpec] = []
  /// By the layers' names in the block.
  private var weights: [String: LinearGroup.Layer] = [:]
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

  /// Begins with a block.
  ///
  /// - Parameters:
  ///   - index: the block behind the one whose hidden states there are.
  ///   - norms: of its stages.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  public func begin(block index: Int, norms: [Norm]) throws {
    stages = spec.stages(of: index)
    precondition(norms.count == stages.count)
    block = index
    weights = [:]
    self.norms = norms
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
  public func divide(_ site: ReadingSite, by scales: [Float]) throws -> Norm {
    let index = site.stage
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
  public func replace(_ site: ReadingSite, by norm: Norm) { norms[site.stage] = norm }

  /// Makes a layer of the block known.
  public func install(_ layer: LinearSpec, _ weight: PackedMatrix, bias: FloatVector?) {
    var epilogue = LinearGroup.Epilogue.none
    for case .feedForward(let mlp) in stages.flatMap(\.parts).map(\.mixer) {
      let activation = LinearGroup.Activation(mlp.activation)
      if layer.role == .gate { epilogue = .gate(activation) }
      if layer.role == .up, !mlp.isGated { epilogue = .activation(activation) }
    }
    weights[layer.name] = LinearGroup.Layer(weight, bias: bias, epilogue: epilogue)
  }

  private func group(_ layers: [LinearSpec]) -> LinearGroup { LinearGroup(layers.map { weights[$0.name]! }) }

  /// A part with its layers.
  private struct Part {
    let spec: PartSpec
    /// Those that read the stage's input; nil where what they give is kept.
    let inputs: LinearGroup?
    /// The one that adds to the stream.
    let output: LinearGroup
  }

  /// The parts of a stage whose outputs are to be added to the rows.
  private func parts(of stage: StageSpec) -> [Part] {
    stage.parts.map { part in
      Part(
        spec: part, inputs: BlockWalk.isKept(part) ? nil : group(part.inputs(hidden: spec.hiddenSize)),
        output: group(part.outputs(hidden: spec.hiddenSize)))
    }
  }

  /// Whether a place of the block is computed for those behind it, too, so that it has to be visited whether anybody looks
  /// or not.
  public func isNeeded(_ site: ReadingSite) -> Bool {
    guard let part = site.part else { return site.stage > 0 }
    return BlockWalk.isKept(stages[site.stage].parts[part])
  }

  /// Whether what a part's last layer reads is kept for all positions, and not computed again.
  private static func isKept(_ part: PartSpec) -> Bool { if case .attention = part.mixer { true } else { false } }

  /// Calls `body` with what is read at a place of the block, some rows at a time: all positions in their order.
  ///
  /// The layers that read at earlier places must be known.
  ///
  /// - Parameter body: (rows of the input, how many there are).
  public func visit(_ site: ReadingSite, _ body: (Activations, Int) throws -> Void) rethrows {
    guard let work, let heads else { preconditionFailure("no block has begun") }
    let stage = stages[site.stage]
    guard let index = site.part else {
      let before = site.stage > 0 ? parts(of: stages[site.stage - 1]) : []
      return try forEachPiece { piece, _ in
        if site.stage > 0 { complete(before, of: site.stage - 1, work, piece) }
        normalize(norms[site.stage], for: nil, piece.count)
        try body(normed, piece.count)
      }
    }
    let part = stage.parts[index]
    let inputs = group(part.inputs(hidden: spec.hiddenSize))
    try forEachPiece { piece, position in
      let inner = compute(part, inputs, of: site.stage, work, piece.count, position: position)
      if BlockWalk.isKept(part) { heads.copyRows(inner, count: piece.count, to: piece.lowerBound) }
      try body(inner, piece.count)
    }
  }

  /// Ends the block, all of whose layers must be known: hidden states are those behind it.
  public func finish() {
    guard let work, let last = stages.last else { preconditionFailure("no block has begun") }
    let parts = parts(of: last)
    forEachPiece { piece, _ in complete(parts, of: stages.count - 1, work, piece) }
    weights = [:]
  }

  /// Computes what a part's last layer reads, from the rows.
  ///
  /// - Parameter position: of the first row in its sequence.
  private func compute(
    _ part: PartSpec, _ layers: LinearGroup, of stage: Int, _ work: Work, _ count: Int, position: Int
  ) -> Activations {
    normalize(norms[stage], for: layers, count)
    let buffers = work.buffers
    switch part.mixer {
    case .attention:
      layers(normed, count: count, into: [buffers.query, buffers.key, buffers.value], on: context)
      attend(work, position: position, count: count)
      return buffers.attended
    case .feedForward:
      layers(normed, count: count, into: buffers.mlp, on: context)
      return buffers.inner
    case .experts, .recurrent: preconditionFailure("a model that is not computed was not refused")
    }
  }

  /// Adds what a stage's parts give to the rows, and keeps them as the hidden states of a piece.
  private func complete(_ parts: [Part], of stage: Int, _ work: Work, _ piece: Range<Int>) {
    // What is computed again reads the rows as they are before anything is added.
    let inner = parts.map { part in
      if let inputs = part.inputs { return compute(part.spec, inputs, of: stage, work, piece.count, position: 0) }
      if let heads { work.buffers.attended.copyRows(heads, from: piece) }
      return work.buffers.attended
    }
    for (part, inner) in zip(parts, inner) { add(part.output, inner, piece.count) }
    hidden.copyRows(rows, count: piece.count, to: piece.lowerBound)
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

  /// Adds a layer's output to the rows.
  private func add(_ layer: LinearGroup, _ input: Activations, _ count: Int) {
    if layer.readsIntegers(context) {
      input.quantize(count: count, leavingOut: layer.outlierColumns, on: context)
    }
    layer(input, count: count, into: [rows], accumulate: true, on: context)
  }
}
