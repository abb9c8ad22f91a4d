import FurlBase
import FurlSpec
import FurlTensor

/// Sequences being computed: a KV cache with a number of slots, and the buffers of the forward pass.
///
/// One owner at a time; several sessions may share a ``LanguageModel``. A row's result never depends on what else
/// is in the batch.
public final class Session {
  /// Tokens that continue one slot.
  public struct Segment: Sendable {
    /// Which of a segment's positions logits are computed for.
    public enum LogitRows: Sendable, Equatable {
      case none, last, all
      /// So many at the end.
      case tail(Int)
    }

    public let slot: Int
    public let ids: [Int]
    public let logits: LogitRows

    public init(slot: Int, ids: [Int], logits: LogitRows) {
      self.slot = slot
      self.ids = ids
      self.logits = logits
    }
  }

  /// Rows that one ``forward(_:)`` takes: enough that a weight is read once for many rows, few enough that the
  /// rows stay in the cache.
  public static let rowLimit = 128

  public let model: LanguageModel
  public let context: ComputeContext
  public let slots: Int
  /// Positions that each slot holds.
  public private(set) var lengths: [Int]

  private let cache: KeyValueCache
  /// Angles of rotary positions; nil where positions are learned.
  private let rotary: RotaryTable?
  /// The tokens and the positions of the rows of one ``forward(_:)``.
  private var tokens: [Int] = []
  private var positions: [Int] = []
  private let hidden: Activations
  private let normed: Activations
  /// For each block, all in the same memory.
  private let buffers: [BlockBuffers]
  /// [rows][vocabularySize] of the last ``forward(_:)``.
  public let logits: Activations

  /// - Parameters:
  ///   - slots: sequences at once.
  ///   - contextLength: positions for each; at most the model's.
  ///   - format: how keys and values are kept; nil for the model's default.
  /// - Throws: ``FurlError`` of kind `usage` without a slot or a position, `unavailable` when there is no memory.
  public init(
    _ model: LanguageModel, context: ComputeContext, slots: Int = 1, contextLength: Int? = nil,
    format: KeyValueCache.Format? = nil
  ) throws {
    let spec = model.spec
    let rows = Session.rowLimit
    guard slots > 0 else { throw FurlError(.usage, "\(slots) slots hold no sequence", remedy: "give 1 or more") }
    if let contextLength, contextLength <= 0 {
      throw FurlError(.usage, "a context of \(contextLength) holds no token", remedy: "give 1 or more")
    }
    self.model = model
    self.context = context
    self.slots = slots
    // The cache comes first: it refuses more slots than there is memory for.
    cache = try KeyValueCache(
      blocks: spec.blocks.map { .init(heads: $0.heads, kvHeads: $0.kvHeads, headSize: $0.headSize, window: $0.window) },
      slots: slots, contextLength: min(contextLength ?? spec.contextLength, spec.contextLength),
      format: format ?? model.defaultKeyValueFormat, threads: context.pool.threads, rowLimit: rows)
    rotary =
      switch spec.positions {
      case .learned: nil
      case .rotary(let rotary):
        try RotaryTable(frequencies: rotary.frequencies, contextLength: cache.contextLength)
      }
    lengths = Array(repeating: 0, count: slots)
    tokens.reserveCapacity(rows)
    positions.reserveCapacity(rows)
    func buffer(_ columns: Int) throws -> Activations { try Activations(columns: columns, capacity: rows) }
    hidden = try buffer(spec.hiddenSize)
    normed = try buffer(spec.hiddenSize)
    logits = try buffer(spec.vocabularySize)
    let widest = try BlockBuffers(widestOf: spec.blocks, spec, rows: rows)
    buffers = spec.blocks.map { BlockBuffers($0, spec, sharing: widest) }
  }

  /// Positions a slot can hold.
  public var contextLength: Int { cache.contextLength }

  /// Forgets what a slot holds.
  public func truncate(slot: Int) { lengths[slot] = 0 }

  /// The shortest length apart from 0 that a slot can be truncated to.
  ///
  /// 0 unless the model has sliding windows. A block with one keeps the positions that its window and one
  /// ``forward(_:)`` need; going back, up to ``rowLimit`` positions are always possible.
  public func shortestLength(slot: Int) -> Int { cache.firstResumable(slot: slot) }

  /// Forgets what a slot holds beyond some positions, so that they can be continued in another way: the results are
  /// those of a slot that never held more.
  ///
  /// - Parameter length: 0 to the slot's length.
  /// - Throws: ``FurlError`` of kind `usage` below ``shortestLength(slot:)``, where a window reaches back to positions
  ///   that are not held any more; the slot stays as it was, and can be computed anew from 0.
  public func truncate(slot: Int, to length: Int) throws {
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
  public func copy(slot source: Int, to target: Int, count: Int) -> Bool {
    precondition((0...lengths[source]).contains(count))
    guard cache.copy(slot: source, to: target, count: count, on: context) else { return false }
    lengths[target] = count
    return true
  }

  /// Computes the next positions of some slots.
  ///
  /// - Parameter segments: at most ``rowLimit`` tokens in all, each slot at most once.
  /// - Returns: for each segment, the rows of ``logits`` that belong to it, in the order of its tokens.
  /// - Throws: ``FurlError`` of kind `input` for an id outside of the vocabulary, `usage` when a slot is full.
  @discardableResult
  public func forward(_ segments: [Segment]) throws -> [Range<Int>] {
    var runs: [KeyValueCache.Run] = []
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
      let run = KeyValueCache.Run(slot: segment.slot, position: position, row: row, count: segment.ids.count)
      runs.append(run)
      wanted.add(segment, run)
      row += segment.ids.count
    }
    precondition(row <= Session.rowLimit && Set(runs.map(\.slot)).count == runs.count)
    guard row > 0 else { return segments.map { _ in 0..<0 } }
    hidden.setRows(to: model.embedding, tokens, plus: model.positions.map { ($0, positions) }, on: context)
    for index in model.blocks.indices.dropLast() { computeBlock(index, runs: runs, rows: row, wanted: nil) }
    // Nothing comes after the last block but the logits: other rows leave their keys and values there, and end.
    if let last = model.blocks.indices.last {
      computeBlock(last, runs: runs, rows: row, wanted: wanted.rows.count < row ? wanted : nil)
    } else {
      hidden.gatherRows(wanted.rows)
    }
    for run in runs { lengths[run.slot] += run.count }
    if let patch = model.patch, !wanted.rows.isEmpty { apply(patch, wanted.rows.count) }
    if !wanted.rows.isEmpty {
      normalize(hidden, model.norm, wanted.rows.count, for: model.head)
      model.head(normed, count: wanted.rows.count, into: [logits], on: context)
    }
    return wanted.ranges
  }

  /// Rows that something is computed for: logits, or a block's outputs.
  private struct Wanted {
    /// Ascending.
    var rows: [Int] = []
    /// The same rows, as parts of the sequences.
    var runs: [KeyValueCache.Run] = []
    /// For each segment, which of the rows are its own.
    var ranges: [Range<Int>] = []

    /// - Parameter run: the segment's rows; nil if it has none.
    mutating func add(_ segment: Segment, _ run: KeyValueCache.Run?) {
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

  /// One block, in place on the first rows of `hidden`.
  ///
  /// - Parameter wanted: the rows whose outputs are needed, which come to the front; nil for all.
  private func computeBlock(_ index: Int, runs: [KeyValueCache.Run], rows: Int, wanted: Wanted?) {
    let block = model.blocks[index]
    let buffer = buffers[index]
    let headSize = model.spec.blocks[index].headSize
    if let patch = block.patch { apply(patch, rows) }
    normalize(hidden, block.attentionNorm, rows, for: block.queryKeyValue)
    block.queryKeyValue(normed, count: rows, into: buffer.queryKeyValue, on: context)
    rotary?.rotate(query: buffer.query, key: buffer.key, headSize: headSize, positions: positions, on: context)
    let stored = (buffer.key, buffer.value)
    if wanted != nil { cache.store(block: index, stored, runs: runs, on: context) }
    if let wanted, wanted.rows.isEmpty { return }
    cache.attend(
      block: index, query: buffer.query, runs: wanted?.runs ?? runs, storing: wanted == nil ? stored : nil,
      scale: 1 / Float(headSize).squareRoot(), into: buffer.attended, on: context)
    var rows = rows
    if let wanted {
      rows = wanted.rows.count
      hidden.gatherRows(wanted.rows)
      buffer.attended.gatherRows(wanted.rows)
      if block.mlp == nil { buffer.inner.gatherRows(wanted.rows) }
    }
    buffer.attended.clearPadding(count: rows)
    add(block.attentionOutput, buffer.attended, rows)
    if let mlp = block.mlp {
      normalize(hidden, mlp.norm, rows, for: mlp.up)
      mlp.up(normed, count: rows, into: buffer.mlp, on: context)
    }
    buffer.inner.clearPadding(count: rows)
    add(block.down, buffer.inner, rows)
  }

  private func normalize(_ input: Activations, _ norm: LanguageModel.Norm, _ rows: Int, for next: LinearGroup) {
    normed.normalize(
      input, count: rows, by: .init(model.spec.norm), weight: norm.weight, bias: norm.bias,
      epsilon: Float(model.spec.normEpsilon),
      quantizing: next.readsIntegers(context), leavingOut: next.outlierColumns, on: context)
  }

  /// Adds to the residual stream what stands in for blocks that were cut out.
  private func apply(_ patch: LinearGroup, _ rows: Int) {
    normed.copyRows(hidden, count: rows, to: 0)
    add(patch, normed, rows)
  }

  /// Adds a layer's output to the residual stream.
  private func add(_ layer: LinearGroup, _ input: Activations, _ rows: Int) {
    if layer.readsIntegers(context) { input.quantize(count: rows, leavingOut: layer.outlierColumns, on: context) }
    layer(input, count: rows, into: [hidden], accumulate: true, on: context)
  }
}
