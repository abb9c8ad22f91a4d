import FurlBase
package import FurlSpec
package import FurlTensor

/// A model that is computed block by block over many sequences, while its weights come to be: for calibration.
///
/// The hidden states of all positions are in memory, and the weights of one block. Each input of a block's linear
/// layers is visited before those layers are known, as the layers before them, which are known, give it: through the
/// kernels, the KV cache and the 8-bit activations that an artifact runs with. What comes out at the end is, bit for
/// bit, what a ``Session`` computes.
package final class BlockWalk {
  package let spec: ModelSpec
  package let context: ComputeContext
  /// Positions of all sequences.
  package let positionCount: Int

  let ids: [[Int]]
  let sequences: [Range<Int>]
  let hidden: Activations
  /// What the heads of the present block give, for all positions.
  var heads: Activations?
  let format: KeyValueCache.CacheFormat
  let rotary: RotaryTables
  let forward: BlockForward

  let rows: Activations
  /// What a norm gives: as wide as what it reads.
  var normed: Activations
  /// As wide as the residual stream.
  let copies: Activations
  let branch: Activations
  /// Channels of the residual stream that norms read, and room for them; nil: all.
  var reading: (channels: [Int], rows: Activations)?
  var work: WalkWork?
  /// The block that is being walked, and its weights so far.
  var block = 0
  var stages: [StageSpec] = []
  /// By the layers' names in the block.
  var weights: [String: LinearGroup.GroupedLayer] = [:]
  /// Of the stages.
  var norms: [NormWeights?] = []
  /// Other vectors, by their names in the block.
  var vectors: [String: FloatVector] = [:]
  /// Of each position, the experts that it goes through; empty as long as nobody has asked.
  var routes: [[ExpertRouting.ChosenExperts]] = []
  /// The experts of the present block that there are to choose from; nil: all.
  var keptExperts: [Int]?
  /// What the tokens' embeddings are looked up in.
  private var embedding: PackedMatrix
  /// Of blocks by their number, keys and values of all positions that later blocks take.
  private var sharedKeys: [Int: SharedKeys] = [:]
  private let keyBlocks: [Int?]
  private let sharedKeyBlocks: Set<Int>

  /// Keys and values of all positions, as a cache takes them. They are written once.
  struct SharedKeys {
    let keys: Activations
    let values: Activations
  }

  /// A norm's numbers.
  package struct WalkedNorm: Sendable {
    package let weight: FloatVector
    package let bias: FloatVector?

    package init(weight: FloatVector, bias: FloatVector?) {
      self.weight = weight
      self.bias = bias
    }
  }

  /// Positions that are computed at once.
  package static let rowLimit = 256

  /// - Parameters:
  ///   - embedding, positions: as the artifact has them; positions where they are learned.
  ///   - sequences: ids inside of the vocabulary, none longer than the context.
  ///   - format: how keys and values are kept.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package init(
    _ spec: ModelSpec, embedding: PackedMatrix, positions: PackedMatrix?, sequences ids: [[Int]],
    format: KeyValueCache.CacheFormat = .float16, context: ComputeContext
  ) throws {
    precondition(ids.allSatisfy { $0.count <= spec.contextLength && $0.allSatisfy { 0..<spec.vocabularySize ~= $0 } })
    precondition(spec.hasLearnedPositions == (positions != nil))
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
    branch = try Activations(columns: spec.hiddenSize, capacity: BlockWalk.rowLimit)
    rotary = try RotaryTables(spec, contextLength: ids.map(\.count).max() ?? 1)
    forward = BlockForward(context: context)
    self.embedding = embedding
    (keyBlocks, sharedKeyBlocks) = (spec.keyBlocks, spec.sharedKeyBlocks)
    embed(embedding, positions: positions)
  }

  /// Begins anew with an embedding: the hidden states before the first block.
  ///
  /// - Parameter positions: where they are learned.
  package func embed(_ embedding: PackedMatrix, positions: PackedMatrix?) {
    self.embedding = embedding
    sharedKeys = [:]
    hidden.setRows(
      to: embedding, ids.flatMap { $0 }, plus: positions.map { ($0, ids.flatMap { Array($0.indices) }) }, on: context)
  }

  /// A copy of the hidden states of all positions: of the blocks that have been walked.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package func hiddenStates() throws -> Activations {
    let copy = try Activations(columns: spec.hiddenSize, capacity: max(1, positionCount))
    copy.copyRows(hidden, from: 0..<positionCount)
    return copy
  }

  /// What blocks that have been walked leave for those behind them.
  struct WalkState {
    let hidden: Activations
    /// Blocks may look tokens up in it, too.
    fileprivate let embedding: PackedMatrix
    fileprivate let sharedKeys: [Int: SharedKeys]
  }

  /// What the blocks that have been walked leave for those behind them.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  func state() throws -> WalkState {
    WalkState(hidden: try hiddenStates(), embedding: embedding, sharedKeys: sharedKeys)
  }

  /// Goes back to what ``state()`` has given.
  func resume(_ state: WalkState) {
    hidden.copyRows(state.hidden, from: 0..<positionCount)
    (embedding, sharedKeys) = (state.embedding, state.sharedKeys)
  }

  /// The embeddings of the tokens at some positions, into the first rows of a set.
  func embedTokens(at positions: Range<Int>, into rows: Activations) {
    rows.setRows(to: embedding, tokens(at: positions), on: context)
    rows.clearPadding(count: positions.count)
  }

  /// The tokens at some positions of one sequence.
  func tokens(at positions: Range<Int>) -> [Int] {
    guard let index = sequences.lastIndex(where: { $0.lowerBound <= positions.lowerBound && !$0.isEmpty }) else {
      return []
    }
    let start = sequences[index].lowerBound
    return Array(ids[index][positions.lowerBound - start..<positions.upperBound - start])
  }

  /// What is needed to compute blocks that are built alike.
  struct WalkWork {
    let block: BlockSpec
    let cache: KeyValueCache?
    let buffers: BlockBuffers

    init(_ block: BlockSpec, hidden: Int, longest: Int, format: KeyValueCache.CacheFormat, threads: Int) throws {
      self.block = block
      cache = try block.cached.map {
        try KeyValueCache(
          blocks: [$0], slots: 1, contextLength: longest, format: format, threads: threads,
          rowLimit: BlockWalk.rowLimit)
      }
      buffers = try BlockBuffers([block], hidden: hidden, rows: BlockWalk.rowLimit)
    }
  }

  // MARK: A block

  /// Begins with a block.
  ///
  /// - Parameters:
  ///   - index: the block behind the one whose hidden states there are.
  ///   - vector: gives the vectors of the block by their names in the model, nil for one that there is not. Norms are of
  ///     the whole residual stream.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package func begin(block index: Int, vector: (String) throws -> FloatVector?) throws {
    block = index
    stages = spec.stages(of: index)
    weights = [:]
    routes = []
    keptExperts = nil
    vectors = [:]
    let prefix = "blocks.\(index)."
    norms = try zip(stages, spec.normNames(of: index)).map { stage, name -> NormWeights? in
      guard let norm = stage.norm, let name else { return nil }
      guard let weight = try vector(name) else { throw FurlError(.defect, place: name, "is missing") }
      let bias = try vector(name + ".bias")
      return NormWeights(spec: norm, weight: try read(weight), bias: try bias.map(read))
    }
    for part in stages.flatMap(\.parts) {
      let outputNorm = part.outputNorm == nil ? [] : [part.name + ".output_norm"]
      for name in part.vectors.map(\.name) + part.ownNormNames + outputNorm {
        vectors[name] = try vector(prefix + name)
        vectors[name + ".bias"] = try vector(prefix + name + ".bias")
      }
    }
    let own = spec.blocks[index]
    if own.isScaled { vectors["scale"] = try vector(prefix + "scale") }
    if let attention = own.attention {
      vectors["attention.value_norm"] = try attention.valueNormWeights()?.weight
      if sharedKeyBlocks.contains(index) {
        func all() throws -> Activations {
          try Activations(columns: attention.keys, capacity: max(1, positionCount))
        }
        sharedKeys[index] = SharedKeys(keys: try all(), values: try all())
      }
    }
    if work?.block != own {
      work = try WalkWork(
        own, hidden: spec.hiddenSize, longest: max(1, sequences.map(\.count).max() ?? 1), format: format,
        threads: context.pool.threads)
      heads = try own.parts.lazy.compactMap(\.attendedSize).first.map {
        try Activations(columns: $0, capacity: max(1, positionCount))
      }
    }
  }

  /// A norm's numbers of the channels that are read.
  private func read(_ vector: FloatVector) throws -> FloatVector {
    guard let channels = reading?.channels else { return vector }
    let values = vector.values
    return try FloatVector(channels.map { values[$0] })
  }

  /// Divides what goes into the layers behind a norm of the block, column by column: the norm's numbers.
  ///
  /// - Returns: the norm as it is now; nil where nothing can be divided: the stage has no norm.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package func divide(_ site: ReadingSite, by scales: [Float]) throws -> WalkedNorm? {
    guard let norm = norms[site.stage] else { return nil }
    func divided(_ vector: FloatVector) throws -> FloatVector {
      try FloatVector(zip(vector.values, scales).map { $0 / $1 })
    }
    let changed = WalkedNorm(weight: try divided(norm.weight), bias: try norm.bias.map(divided))
    replace(site, by: changed)
    return changed
  }

  /// From here on norms read some channels of the residual stream only. Their numbers, and the columns of the layers
  /// behind them, are of those channels; what other layers write stays as wide as it was.
  ///
  /// - Parameter channels: ascending.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package func narrowNorms(to channels: [Int]) throws {
    precondition(!channels.isEmpty && channels.allSatisfy { (0..<spec.hiddenSize).contains($0) })
    func buffer() throws -> Activations { try Activations(columns: channels.count, capacity: BlockWalk.rowLimit) }
    reading = (channels, try buffer())
    normed = try buffer()
  }

  /// Applies what stands in for blocks that were cut out, between two blocks or behind the last one: h + A h + b.
  package func apply(patch: PackedMatrix, bias: FloatVector?) {
    let layer = LinearGroup([.init(patch, bias: bias)])
    forEachPiece { piece, _ in
      copies.copyRows(rows, count: piece.count, to: 0)
      forward.apply(layer, copies, count: piece.count, into: rows, accumulate: true)
      hidden.copyRows(rows, count: piece.count, to: piece.lowerBound)
    }
  }

  /// Calls `body` with the hidden states as they are, some rows at a time: (rows, how many, the first one's place).
  package func visitHidden(_ body: (Activations, Int, Int) throws -> Void) rethrows {
    try forEachPiece { piece, _ in try body(rows, piece.count, piece.lowerBound) }
  }

  /// Calls `body` with what goes into the head, when all blocks have been walked.
  package func visitHead(_ norm: WalkedNorm, _ body: (Activations, Int) throws -> Void) rethrows {
    try forEachPiece { piece, _ in
      normalize(NormWeights(spec: spec.norm, weight: norm.weight, bias: norm.bias), for: nil, piece.count)
      try body(normed, piece.count)
    }
  }

  // MARK: Pieces

  /// Calls `body` with positions whose hidden states are in `rows`: (where they are, the position of the first in its
  /// sequence).
  func forEachPiece(_ body: (Range<Int>, Int) throws -> Void) rethrows {
    for sequence in sequences {
      for start in stride(from: sequence.lowerBound, to: sequence.upperBound, by: BlockWalk.rowLimit) {
        let piece = start..<min(start + BlockWalk.rowLimit, sequence.upperBound)
        rows.copyRows(hidden, from: piece)
        try body(piece, start - sequence.lowerBound)
      }
    }
  }

  /// - Parameter layers: that read the result; nil: not as 8-bit activations.
  func normalize(_ norm: NormWeights?, for layers: LinearGroup?, _ count: Int) {
    reading?.rows.copyColumns(rows, reading?.channels ?? [], count: count)
    forward.normalize(reading?.rows ?? rows, norm, count: count, for: layers, into: normed)
  }

  /// - Parameters:
  ///   - position: of the first row in its sequence.
  ///   - piece: where the rows are among all positions.
  func attend(_ attention: AttentionSpec, _ work: WalkWork, position: Int, piece: Range<Int>) {
    let count = piece.count
    let valueNorm = attention.valueNorm.map { NormSpec(.rmsNorm, epsilon: $0) }
    forward.turn(
      attention,
      norms: .init(
        query: norm(attention.queryNorm, "attention.query_norm"), key: norm(attention.keyNorm, "attention.key_norm"),
        value: norm(valueNorm, "attention.value_norm")),
      work.buffers, by: rotary[attention], positions: Array(position..<position + count))
    if attention.keySource == .earlier, let source = keyBlocks[block], let shared = sharedKeys[source] {
      work.buffers.key.copyRows(shared.keys, from: piece)
      work.buffers.value.copyRows(shared.values, from: piece)
    } else if let shared = sharedKeys[block] {
      shared.keys.copyRows(work.buffers.key, count: count, to: piece.lowerBound)
      shared.values.copyRows(work.buffers.value, count: count, to: piece.lowerBound)
    }
    let runs = [KeyValueCache.CacheRun(slot: 0, position: position, row: 0, count: count)]
    work.cache?.attend(
      block: 0, query: work.buffers.query, runs: runs, storing: (work.buffers.key, work.buffers.value),
      scores: attention.scores(sinks: vectors["attention.sinks"]), into: work.buffers.attended, on: context)
  }
}
