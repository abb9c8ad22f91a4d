import CFurlKernels

/// Keys and values of the positions that have been computed, for several sequences (slots) at once.
///
/// Layout of one head: keys[position / 16][head size][16], values[position][head size], so that sixteen scores
/// come at once without sums across lanes. Memory is reserved for the whole context and touched as it is used.
public final class KeyValueCache: @unchecked Sendable {
  /// How keys and values are kept.
  public enum Format: String, Sendable, CaseIterable {
    case float32 = "f32"
    case float16 = "f16"

    var size: Int { self == .float32 ? 4 : 2 }
  }

  /// The heads of one block.
  public struct Heads: Sendable, Hashable {
    public let heads: Int
    public let kvHeads: Int
    public let headSize: Int
    /// Positions that a query sees at most, its own included; nil: all.
    public let window: Int?

    public init(heads: Int, kvHeads: Int, headSize: Int, window: Int? = nil) {
      precondition(window.map { $0 > 0 } ?? true)
      self.heads = heads
      self.kvHeads = kvHeads
      self.headSize = headSize
      self.window = window
    }
  }

  public let format: Format
  public let slots: Int
  /// Positions a slot can hold.
  public let contextLength: Int
  private let blocks: [Heads]
  private let capacity: Int
  private let starts: [Int]
  private let storage: ByteStorage
  private let scratch: [ByteStorage]

  /// - Throws: ``FurlError`` of kind `unavailable` when so much memory cannot even be reserved.
  public init(blocks: [Heads], slots: Int, contextLength: Int, format: Format, threads: Int) throws {
    self.blocks = blocks
    self.slots = slots
    self.contextLength = contextLength
    self.format = format
    let capacity = (contextLength + 15) / 16 * 16
    self.capacity = capacity
    var starts = [0]
    for block in blocks {
      let (bytes, overflow) = (2 * format.size * block.kvHeads * block.headSize)
        .multipliedReportingOverflow(by: capacity * slots)
      guard !overflow, let last = starts.last, last <= Int.max - bytes else {
        throw FurlError(.unavailable, "a KV cache for \(slots) x \(contextLength) positions does not fit in memory")
      }
      starts.append(last + bytes)
    }
    self.starts = starts
    storage = try ByteStorage(zeroed: starts[blocks.count])
    scratch = try (0..<threads).map { _ in
      try ByteStorage(zeroed: 4 * furl_attention_scratch(capacity + KeyValueCache.queriesPerJob))
    }
  }

  /// Rows of a batch that are consecutive positions of one slot.
  public struct Run: Sendable {
    public let slot: Int
    /// The position of the first row.
    public let position: Int
    /// The first row in the batch.
    public let row: Int
    public let count: Int

    public init(slot: Int, position: Int, row: Int, count: Int) {
      self.slot = slot
      self.position = position
      self.row = row
      self.count = count
    }
  }

  private static let queriesPerJob = 32

  private func keys(_ block: Int, _ slot: Int, _ head: Int) -> UnsafeMutableRawPointer {
    let headBytes = capacity * blocks[block].headSize * format.size
    return storage.base + starts[block] + 2 * headBytes * (slot * blocks[block].kvHeads + head)
  }

  private func values(_ block: Int, _ slot: Int, _ head: Int) -> UnsafeMutableRawPointer {
    keys(block, slot, head) + capacity * blocks[block].headSize * format.size
  }

  /// Stores the keys and values of the runs' rows.
  ///
  /// - Parameters:
  ///   - keys: [rows][kvHeads * headSize].
  ///   - values: the same shape.
  public func store(block: Int, keys: Activations, values: Activations, runs: [Run], on context: ComputeContext) {
    let heads = blocks[block]
    precondition(keys.columns == heads.kvHeads * heads.headSize && values.columns == keys.columns)
    let kernel = format == .float32 ? context.kernels.table.store_f32 : context.kernels.table.store_f16
    for run in runs { check(run, rows: keys.capacity) }
    let rows = runs.reduce(0) { $0 + $1.count }
    func store(_ run: Run, head: Int) {
      for index in 0..<run.count {
        let row = run.row + index
        kernel(
          keys.values + row * keys.stride + head * heads.headSize,
          values.values + row * values.stride + head * heads.headSize, heads.headSize, run.position + index,
          self.keys(block, run.slot, head), self.values(block, run.slot, head))
      }
    }
    if rows <= 4 {
      for run in runs { for head in 0..<heads.kvHeads { store(run, head: head) } }
    } else {
      context.pool.forEach(runs.count * heads.kvHeads) { store(runs[$0 / heads.kvHeads], head: $0 % heads.kvHeads) }
    }
  }

  /// Attention of the runs' rows over what their slots hold; every row sees its own position and those before it.
  ///
  /// - Parameters:
  ///   - query: [rows][heads * headSize].
  ///   - output: the same shape.
  public func attend(
    block: Int, query: Activations, runs: [Run], scale: Float, into output: Activations, on context: ComputeContext
  ) {
    let heads = blocks[block]
    precondition(query.columns == heads.heads * heads.headSize && output.columns == query.columns)
    for run in runs { check(run, rows: min(query.capacity, output.capacity)) }
    let kernel = format == .float32 ? context.kernels.table.attend_f32 : context.kernels.table.attend_f16
    let group = heads.heads / heads.kvHeads
    let jobs = Jobs(runs, heads: heads.heads, queries: KeyValueCache.queriesPerJob)
    context.pool.run { part, parts in
      jobs.forEach(part, parts) { run, first, count, head in
        let row = run.row + first
        let visible = run.position + first + 1
        let window = heads.window ?? 0
        var job = furl_attention(
          query: query.values + row * query.stride + head * heads.headSize, query_stride: query.stride,
          queries: count, keys: keys(block, run.slot, head / group), values: values(block, run.slot, head / group),
          first: window == 0 ? 0 : max(0, visible - window), visible: visible, window: window,
          head_size: heads.headSize, scale: scale,
          scratch: scratch[part].base.assumingMemoryBound(to: Float.self),
          out: output.values + row * output.stride + head * heads.headSize, out_stride: output.stride)
        kernel(&job)
      }
    }
  }

  private func check(_ run: Run, rows: Int) {
    precondition((0..<slots).contains(run.slot) && run.position >= 0 && run.position + run.count <= contextLength)
    precondition(run.row >= 0 && run.count > 0 && run.row + run.count <= rows)
  }
}

/// The pieces of attention: up to so many queries of one head. Threads take contiguous shares of equal cost.
private struct Jobs {
  let runs: [KeyValueCache.Run]
  let heads: Int
  let queries: Int
  let total: Int

  init(_ runs: [KeyValueCache.Run], heads: Int, queries: Int) {
    self.runs = runs
    self.heads = heads
    self.queries = queries
    total = runs.reduce(0) { $0 + Jobs.cost($1, 0, $1.count) } * heads
  }

  /// Scores to compute.
  private static func cost(_ run: KeyValueCache.Run, _ first: Int, _ count: Int) -> Int {
    count * (run.position + first + 1) + count * (count - 1) / 2
  }

  func forEach(_ part: Int, _ parts: Int, _ body: (KeyValueCache.Run, Int, Int, Int) -> Void) {
    let share = WorkerPool.share(total, part, parts)
    var passed = 0
    for run in runs {
      for head in 0..<heads {
        var first = 0
        while first < run.count {
          let count = min(queries, run.count - first)
          // A job belongs to the thread in whose share it begins.
          if share.contains(passed) { body(run, first, count, head) }
          passed += Jobs.cost(run, first, count)
          first += count
        }
      }
    }
  }
}
