import FurlBase
package import FurlSpec
package import FurlTensor

/// Sequences being computed: a KV cache with a number of slots, and the buffers of the forward pass.
///
/// One owner at a time; several sessions may share a ``LanguageModel``. A row's result never depends on what else
/// is in the batch.
package final class Session {
  /// Rows that one ``forward(_:)`` takes: enough that a weight is read once for many rows, few enough that the
  /// rows stay in the cache. Where rows are spread over many experts it is more of them.
  ///
  /// - Parameter activations: weights that are unpacked to BF16 numbers want more rows that share that.
  package static func rowLimit(_ spec: ModelSpec, _ activations: ActivationForm = .int8) -> Int {
    guard activations != .bf16 else { return 512 }
    let share = spec.blocks.compactMap(\.experts).map { $0.count / max(1, $0.active) }.max() ?? 1
    return share > 8 ? 512 : share > 4 ? 256 : 128
  }

  package let model: LanguageModel
  package let context: ComputeContext
  package let slots: Int
  /// Rows that one ``forward(_:)`` takes.
  package let rowLimit: Int
  /// Positions that each slot holds.
  package private(set) var lengths: [Int]

  private let cache: KeyValueCache
  /// With what the present pass computes.
  private var forward: BlockForward
  private let plan: ModelPlan
  /// Of the first planes of codes in two planes, where drafts are to be made; nil: none are.
  private let draftPlan: ModelPlan?
  /// The tokens and the positions of the rows of one ``forward(_:)``.
  private var tokens: [Int] = []
  private var positions: [Int] = []
  private let hidden: Activations
  private let normed: Activations
  /// The tokens' embeddings, where blocks read them again; nil: none does.
  private let embedded: Activations?
  /// The blocks from this one on store no keys and values: rows that no logits are wanted of end before it.
  private let firstTaking: Int
  /// Room for what a part gives before it is added; nil where nothing is done to it.
  private let branches: (Activations, Activations)?
  /// [rows][vocabularySize] of the last ``forward(_:)``.
  package let logits: Activations

  /// - Parameters:
  ///   - slots: sequences at once.
  ///   - contextLength: positions for each; at most the model's.
  ///   - format: how keys and values are kept; nil for the model's default.
  ///   - drafts: the same model with other weights, which passes may read instead (``forward(_:drafting:)``).
  /// - Throws: ``FurlError`` of kind `usage` without a slot or a position, `unavailable` when there is no memory.
  package init(
    _ model: LanguageModel, context: ComputeContext, slots: Int = 1, contextLength: Int? = nil,
    format: KeyValueCache.CacheFormat? = nil, drafts: LanguageModel? = nil
  ) throws {
    let spec = model.spec
    let rows = Session.rowLimit(spec, context.activations)
    rowLimit = rows
    guard slots > 0 else { throw FurlError(.usage, "\(slots) slots hold no sequence", remedy: "give 1 or more") }
    if let contextLength, contextLength <= 0 {
      throw FurlError(.usage, "a context of \(contextLength) holds no token", remedy: "give 1 or more")
    }
    self.model = model
    self.context = context
    self.slots = slots
    // The cache comes first: it refuses more slots than there is memory for.
    cache = try KeyValueCache(
      blocks: spec.blocks.compactMap(\.stored),
      slots: slots, contextLength: min(contextLength ?? spec.contextLength, spec.contextLength),
      format: format ?? model.defaultKeyValueFormat, threads: context.pool.threads, rowLimit: rows)
    forward = BlockForward(context: context)
    lengths = Array(repeating: 0, count: slots)
    tokens.reserveCapacity(rows)
    positions.reserveCapacity(rows)
    func buffer(_ columns: Int) throws -> Activations { try Activations(columns: columns, capacity: rows) }
    hidden = try buffer(spec.hiddenSize)
    normed = try buffer(spec.hiddenSize)
    logits = try buffer(spec.vocabularySize)
    let parts = spec.blocks.flatMap(\.parts)
    branches =
      parts.contains { $0.outputNorm != nil || $0.factor != 1 }
      ? (try buffer(spec.hiddenSize), try buffer(spec.hiddenSize)) : nil
    let readsAgain = parts.contains { if case .tokenInput = $0.mixer { true } else { false } }
    embedded = readsAgain ? try buffer(spec.hiddenSize) : nil
    firstTaking = (spec.blocks.lastIndex { !$0.takesKeys } ?? -1) + 1
    let widest = try BlockBuffers(spec.blocks, hidden: spec.hiddenSize, rows: rows)
    let rotary = try RotaryTables(spec, contextLength: cache.contextLength)
    var places: [Int?] = []
    var stored = 0
    for (block, source) in zip(spec.blocks, spec.keyBlocks) {
      if block.takesKeys {
        places.append(source.flatMap { places[$0] })
      } else {
        places.append(block.stored == nil ? nil : stored)
        stored += block.stored == nil ? 0 : 1
      }
    }
    // Blocks are computed one after the other, in the same memory.
    let buffers = spec.blocks.map { BlockBuffers($0, sharing: widest) }
    func plan(_ model: LanguageModel) -> ModelPlan {
      ModelPlan(
        blocks: spec.blocks.indices.map { BlockPlan(model.blocks[$0], place: places[$0], buffers[$0], rotary) },
        patch: model.patch, head: model.head)
    }
    self.plan = plan(model)
    draftPlan = drafts.map(plan)
  }

  /// Whether passes may read other weights.
  package var hasDrafts: Bool { draftPlan != nil }

  /// Whether prompts and what is generated are computed differently, so that no pass takes both.
  package var separatesPrompts: Bool { context.forGenerated.activations != context.activations }

  /// Positions a slot can hold.
  package var contextLength: Int { cache.contextLength }

  /// Forgets what a slot holds.
  package func truncate(slot: Int) { lengths[slot] = 0 }

  /// The shortest length apart from 0 that a slot can be truncated to.
  ///
  /// 0 unless the model has sliding windows. A block with one keeps the positions that its window and one
  /// ``forward(_:)`` need; going back, up to ``rowLimit`` positions are always possible.
  package func shortestLength(slot: Int) -> Int { cache.firstResumable(slot: slot) }

  /// Forgets what a slot holds beyond some positions, so that they can be continued in another way: the results are
  /// those of a slot that never held more.
  ///
  /// - Parameter length: 0 to the slot's length.
  /// - Throws: ``FurlError`` of kind `usage` below ``shortestLength(slot:)``, where a window reaches back to positions
  ///   that are not held any more; the slot stays as it was, and can be computed anew from 0.
  package func truncate(slot: Int, to length: Int) throws {
    precondition(length >= 0 && length <= lengths[slot])
    guard length == 0 || length >= shortestLength(slot: slot) else {
      throw FurlError(
        .usage, "\(length) positions cannot be gone back to: a sliding window has dropped what they look back on",
        remedy: "compute them anew, or go back to \(shortestLength(slot: slot)) or more")
    }
    lengths[slot] = length
  }

  /// Gives a slot the first positions of another one: the same as computing their tokens there.
  ///
  /// - Returns: false when the model has sliding windows and the source is beyond one; nothing has happened then.
  package func copy(slot source: Int, to target: Int, count: Int) -> Bool {
    precondition((0...lengths[source]).contains(count))
    guard cache.copy(slot: source, to: target, count: count, on: context) else { return false }
    lengths[target] = count
    return true
  }

  /// Computes the next positions of some slots.
  ///
  /// - Parameters:
  ///   - segments: at most ``rowLimit`` tokens in all, each slot at most once; where ``separatesPrompts``, all generated or
  ///     none.
  ///   - drafting: reads the weights for drafts. What positions hold then is theirs: it has to be computed again with the
  ///     model's (``truncate(slot:to:)``) before anything may follow that is the model's.
  /// - Returns: for each segment, the rows of ``logits`` that belong to it, in the order of its tokens.
  /// - Throws: ``FurlError`` of kind `input` for an id outside of the vocabulary, `usage` when a slot is full.
  @discardableResult
  package func forward(_ segments: [Segment], drafting: Bool = false) throws -> [Range<Int>] {
    let plan = drafting ? draftPlan ?? plan : plan
    let isGenerated = segments.first?.isGenerated ?? false
    precondition(!separatesPrompts || segments.allSatisfy { $0.isGenerated == isGenerated })
    forward = BlockForward(context: isGenerated ? context.forGenerated : context)
    var runs: [KeyValueCache.CacheRun] = []
    var wanted = Wanted()
    var row = 0
    tokens.removeAll(keepingCapacity: true)
    positions.removeAll(keepingCapacity: true)
    for segment in segments {
      guard !segment.ids.isEmpty else {
        wanted.add(segment, nil)
        continue
      }
      let position = lengths[segment.slot]
      guard position + segment.ids.count <= cache.contextLength else {
        throw FurlError(
          .usage, "\(position + segment.ids.count) tokens do not fit in a context of \(cache.contextLength)")
      }
      for (offset, id) in segment.ids.enumerated() {
        guard (0..<model.spec.vocabularySize).contains(id) else {
          throw FurlError.input(nil, "token \(id) is outside of a vocabulary of \(model.spec.vocabularySize)")
        }
        tokens.append(id)
        positions.append(position + offset)
      }
      let run = KeyValueCache.CacheRun(slot: segment.slot, position: position, row: row, count: segment.ids.count)
      runs.append(run)
      wanted.add(segment, run)
      row += segment.ids.count
    }
    precondition(row <= rowLimit && Set(runs.map(\.slot)).count == runs.count)
    guard row > 0 else { return segments.map { _ in 0..<0 } }
    hidden.setRows(to: model.embedding, tokens, plus: model.positions.map { ($0, positions) }, on: context)
    embedded?.copyRows(hidden, count: row, to: 0)
    embedded?.clearPadding(count: row)
    computeBlocks(plan.blocks, runs, rows: row, wanted)
    for run in runs { lengths[run.slot] += run.count }
    if let patch = plan.patch, !wanted.rows.isEmpty { apply(patch, wanted.rows.count) }
    if !wanted.rows.isEmpty {
      forward.normalize(hidden, model.norm, count: wanted.rows.count, for: plan.head, into: normed)
      plan.head(normed, count: wanted.rows.count, into: [logits], on: forward.context)
      if let cap = model.spec.logitSoftCap {
        logits.capSoftly(at: Float(cap), count: wanted.rows.count, on: context)
      }
    }
    return wanted.ranges
  }

  /// Rows that something is computed for: logits, or a block's outputs.
  private struct Wanted {
    /// Ascending.
    var rows: [Int] = []
    /// The same rows, as parts of the sequences.
    var runs: [KeyValueCache.CacheRun] = []
    /// For each segment, which of the rows are its own.
    var ranges: [Range<Int>] = []

    /// The runs with their rows one behind the other.
    var gathered: [KeyValueCache.CacheRun] {
      var row = 0
      return runs.map { run in
        defer { row += run.count }
        return .init(slot: run.slot, position: run.position, row: row, count: run.count)
      }
    }

    /// - Parameter run: the segment's rows; nil if it has none.
    mutating func add(_ segment: Segment, _ run: KeyValueCache.CacheRun?) {
      let start = rows.count
      if let run, segment.logits != .none {
        let skipped =
          switch segment.logits {
          case .none, .all: 0
          case .last: run.count - 1
          case .tail(let count): max(0, run.count - count)
          }
        rows += run.row + skipped..<run.row + run.count
        runs.append(
          .init(
            slot: run.slot, position: run.position + skipped, row: run.row + skipped, count: run.count - skipped))
      }
      ranges.append(start..<rows.count)
    }
  }

  /// All blocks, in place on the first rows of `hidden`: those that are wanted are the first ones then.
  private func computeBlocks(
    _ blocks: [BlockPlan], _ runs: [KeyValueCache.CacheRun], rows: Int, _ wanted: Wanted
  ) {
    guard wanted.rows.count < rows else {
      for block in blocks { compute(block, runs: runs, rows: rows, wanted: nil) }
      return
    }
    // Nothing comes after the last block that stores keys and values but those that take them, and the logits: other rows
    // leave theirs there, and end.
    guard firstTaking > 0 else { return keep(wanted.rows) }
    for block in blocks[..<(firstTaking - 1)] { compute(block, runs: runs, rows: rows, wanted: nil) }
    compute(blocks[firstTaking - 1], runs: runs, rows: rows, wanted: wanted)
    guard !wanted.rows.isEmpty, firstTaking < blocks.count else { return }
    let left = wanted.gathered
    for block in blocks[firstTaking...] { compute(block, runs: left, rows: wanted.rows.count, wanted: nil) }
  }

  /// Brings some rows of the stream to the front, with what is known of them.
  private func keep(_ rows: [Int]) {
    hidden.gatherRows(rows)
    embedded?.gatherRows(rows)
    tokens = rows.map { tokens[$0] }
    positions = rows.map { positions[$0] }
  }

  /// One block, in place on the first rows of `hidden`.
  ///
  /// - Parameter wanted: the rows whose outputs are needed, which come to the front; nil for all.
  private func compute(_ block: BlockPlan, runs: [KeyValueCache.CacheRun], rows: Int, wanted: Wanted?) {
    var state = BlockState(runs: runs, rows: rows, wanted: wanted)
    if let wanted, block.place == nil {
      // Without attention no row looks at another.
      keep(wanted.rows)
      (state.rows, state.wanted) = (wanted.rows.count, nil)
      if wanted.rows.isEmpty { return }
    }
    if let patch = block.patch { apply(patch, state.rows) }
    for stage in block.stages {
      compute(stage, of: block, &state)
      if state.isOver { return }
      if stage.addsResults { addResults(&state) }
    }
    if let scale = block.scale { hidden.scaleRows(by: scale, count: state.rows, on: forward.context) }
  }

  /// How far a block is.
  private struct BlockState {
    let runs: [KeyValueCache.CacheRun]
    /// Those that are computed still.
    var rows: Int
    /// Those whose outputs are needed, as long as more are computed.
    var wanted: Wanted?
    /// Parts whose results are not added yet.
    var results: [(part: PartWeights, result: Activations)] = []
    var isOver = false
  }

  /// Computes the parts of a stage.
  private func compute(_ stage: StagePlan, of block: BlockPlan, _ state: inout BlockState) {
    forward.normalize(hidden, stage.norm, count: state.rows, for: stage.inputs, into: normed)
    stage.inputs(normed, count: state.rows, into: stage.outputs, on: forward.context)
    for part in stage.parts {
      switch part.work {
      case .attention(let attention):
        attend(part, attention, of: block, &state)
        if state.isOver { return }
        forward.finish(attention.spec, block.buffers, count: state.rows)
        state.results.append((part.weights, block.buffers.attended))
      case .latentAttention(let spec, let weights, let attention):
        forward.expand(spec, weights, block.buffers, count: state.rows)
        attend(part, attention, of: block, &state)
        if state.isOver { return }
        state.results.append((part.weights, forward.narrow(spec, block.buffers, count: state.rows)))
      case .feedForward(let mlp):
        forward.finish(mlp, block.buffers.mlp, count: state.rows)
        state.results.append((part.weights, block.buffers.inner))
      case .experts(let weights, let experts):
        forward.compute(weights, of: normed, stream: hidden, experts, count: state.rows)
        state.results.append((part.weights, experts.sum))
      case .tokenInput(let weights, let input):
        if let embedded { forward.finish(weights, input, embedded, tokens: tokens) }
        state.results.append((part.weights, input.gate))
      case .none: preconditionFailure("a model that is not computed was not refused")
      }
    }
  }

  private func attend(_ part: PartPlan, _ attention: AttentionPlan, of block: BlockPlan, _ state: inout BlockState) {
    guard let place = block.place else { return }
    let (query, key, value) = (block.buffers.query, block.buffers.key, block.buffers.value)
    let attended = block.buffers.attended
    forward.turn(
      attention.spec, norms: attention.norms, block.buffers, by: attention.rotary, positions: positions)
    guard let wanted = state.wanted else {
      return cache.attend(
        block: place, query: query, runs: state.runs, storing: attention.takesKeys ? nil : (key, value),
        scores: attention.scores, into: attended, on: context)
    }
    cache.store(block: place, (key, value), runs: state.runs, on: context)
    if wanted.rows.isEmpty {
      state.isOver = true
      return
    }
    cache.attend(
      block: place, query: query, runs: wanted.runs, storing: nil, scores: attention.scores, into: attended, on: context
    )
    // What lies in buffers of all rows comes to the front with those that are wanted. Parts before this one are among
    // the results.
    state.wanted = nil
    state.rows = wanted.rows.count
    keep(wanted.rows)
    let waiting = [attended] + (block.buffers.gates.map { [$0] } ?? []) + state.results.map(\.result)
    for rows in waiting + (part.later.isEmpty ? [] : [normed] + part.later) { rows.gatherRows(wanted.rows) }
  }

  /// Adds what the parts give to the residual stream.
  private func addResults(_ state: inout BlockState) {
    for (part, result) in state.results {
      result.clearPadding(count: state.rows)
      let (branch, other) = branches ?? (normed, normed)
      forward.add(part, result, to: hidden, branch: branch, other: other, count: state.rows)
    }
    state.results = []
  }

  /// Adds to the residual stream what stands in for blocks that were cut out.
  private func apply(_ patch: LinearGroup, _ rows: Int) {
    normed.copyRows(hidden, count: rows, to: 0)
    forward.apply(patch, normed, count: rows, into: hidden, accumulate: true)
  }
}
