import FurlBase
import CFurlKernels

/// Keys and values of the positions that have been computed, for several sequences (slots) at once.
///
/// A block with a window keeps only the positions that its window and one batch need, as a ring: position p lies
/// at p modulo the ring's length. Memory is reserved for all of it and touched as it is used. How a head lies in
/// memory: `furl_kv_head`. One owner at a time.
package final class KeyValueCache: @unchecked Sendable {
  /// How keys and values are kept.
  package enum CacheFormat: String, Sendable, CaseIterable {
    case float32 = "f32"
    case float16 = "f16"
    /// 8-bit codes with FP16 scales, one for 32 dimensions of a key and one for a head's value: each number is
    /// within half a 127th of the largest that shares its scale.
    case int8 = "i8"

    /// Bytes of a number, without scales.
    var size: Int {
      switch self {
      case .float32: 4
      case .float16: 2
      case .int8: 1
      }
    }
  }

  /// The heads of one block.
  package struct Heads: Sendable, Hashable {
    package let heads: Int
    package let kvHeads: Int
    /// Even.
    package let headSize: Int
    /// Positions that a query sees at most, its own included; nil: all.
    package let window: Int?

    package init(heads: Int, kvHeads: Int, headSize: Int, window: Int? = nil) {
      precondition(kvHeads > 0 && heads % kvHeads == 0 && headSize > 0 && headSize % 2 == 0)
      precondition(window.map { $0 > 0 } ?? true)
      self.heads = heads
      self.kvHeads = kvHeads
      self.headSize = headSize
      self.window = window
    }

    /// Query heads that share one key/value head.
    var group: Int { heads / kvHeads }
  }

  /// The rows that a batch may have unless a cache is made for others.
  package static let defaultRowLimit = 128

  package let format: CacheFormat
  package let slots: Int
  /// Positions of a sequence.
  package let contextLength: Int
  /// Rows that one sequence may have in a batch.
  package let rowLimit: Int
  let blocks: [Heads]
  let scratch: AttentionScratch
  private let layouts: [Layout]
  /// Where each block begins.
  private let starts: [Int]
  private let storage: ByteStorage
  /// One beyond the last position that was ever written to a slot since it was begun.
  private var ends: [Int]

  /// - Parameters:
  ///   - contextLength: positions of a sequence.
  ///   - rowLimit: rows that one sequence may have in a batch; what a ring holds beyond its window.
  ///   - threads: threads of the pools that will compute with it.
  /// - Throws: ``FurlError`` of kind `unavailable` when so much memory cannot even be reserved.
  package init(
    blocks: [Heads], slots: Int, contextLength: Int, format: CacheFormat, threads: Int,
    rowLimit: Int = KeyValueCache.defaultRowLimit
  ) throws {
    precondition(slots > 0 && contextLength > 0 && rowLimit > 0)
    let refusal = FurlError(
      .unavailable, "a KV cache for \(slots) x \(contextLength) positions does not fit in memory",
      remedy: "use fewer slots or a shorter context")
    let layouts = blocks.compactMap { Layout($0, contextLength: contextLength, format: format, rowLimit: rowLimit) }
    guard layouts.count == blocks.count else { throw refusal }
    var starts = [0]
    for (block, layout) in zip(blocks, layouts) {
      guard let bytes = checkedProduct(layout.headBytes, block.kvHeads, slots) else { throw refusal }
      let (end, overflow) = starts[starts.count - 1].addingReportingOverflow(bytes)
      guard !overflow else { throw refusal }
      starts.append(end)
    }
    self.blocks = blocks
    self.layouts = layouts
    self.starts = starts
    self.slots = slots
    self.contextLength = contextLength
    self.format = format
    self.rowLimit = rowLimit
    // Many sequences are there to fill their cache, and what they read of it comes from memory.
    storage = try ByteStorage(zeroed: starts[blocks.count], isDense: slots > 1)
    scratch = try AttentionScratch(
      zip(blocks, layouts).map { ($0, $1.capacity) }, slots: slots, rowLimit: rowLimit, threads: threads)
    ends = Array(repeating: 0, count: slots)
  }

  /// Bytes that a cache of one slot reserves; nil if that is more than an `Int` holds.
  package static func byteCount(
    _ blocks: [Heads], contextLength: Int, format: CacheFormat, rowLimit: Int = KeyValueCache.defaultRowLimit
  ) -> Int? {
    blocks.reduce(0) { sum, block in
      guard let sum,
        let layout = Layout(block, contextLength: contextLength, format: format, rowLimit: rowLimit),
        let bytes = checkedProduct(layout.headBytes, block.kvHeads)
      else { return nil }
      let (total, overflow) = sum.addingReportingOverflow(bytes)
      return overflow ? nil : total
    }
  }

  /// Rows of a batch that are consecutive positions of one slot.
  package struct CacheRun: Sendable {
    package let slot: Int
    /// The position of the first row.
    package let position: Int
    /// The first row in the batch.
    package let row: Int
    package let count: Int

    package init(slot: Int, position: Int, row: Int, count: Int) {
      self.slot = slot
      self.position = position
      self.row = row
      self.count = count
    }
  }

  /// The first position from which a slot can be continued, apart from 0, which is always possible: rings have
  /// lost what positions before it would look back on.
  package func firstResumable(slot: Int) -> Int {
    blocks.indices.reduce(0) { max($0, firstResumable(slot: slot, block: $1)) }
  }

  private func firstResumable(slot: Int, block: Int) -> Int {
    let lost = ends[slot] - layouts[block].capacity
    guard let window = blocks[block].window, lost > 0 else { return 0 }
    return lost + window - 1
  }

  func head(_ block: Int, slot: Int, _ head: Int) -> furl_kv_head {
    let layout = layouts[block]
    let base = storage.base + starts[block] + layout.headBytes * (slot * blocks[block].kvHeads + head)
    let scales = format == .int8
    return furl_kv_head(
      keys: base, values: base + layout.values,
      key_scales: scales ? (base + layout.keyScales).assumingMemoryBound(to: UInt16.self) : nil,
      value_scales: scales ? (base + layout.valueScales).assumingMemoryBound(to: UInt16.self) : nil,
      capacity: layout.capacity, head_size: blocks[block].headSize)
  }

  /// Keys and values that are to be stored: [rows][kvHeads * headSize] each.
  package typealias Stored = (keys: Activations, values: Activations)

  /// Stores the keys and values of the runs' rows.
  ///
  /// - Parameter runs: each continues its slot at 0 or at ``firstResumable(slot:)`` and later.
  package func store(block: Int, _ stored: Stored, runs: [CacheRun], on context: ComputeContext) {
    advance(block, stored, runs)
    let heads = blocks[block].kvHeads
    if runs.reduce(0, { $0 + $1.count }) <= 4 {
      for run in runs { for head in 0..<heads { store(block, stored, run, head: head, context.kernels) } }
    } else {
      context.pool.forEach(runs.count * heads) {
        store(block, stored, runs[$0 / heads], head: $0 % heads, context.kernels)
      }
    }
  }

  /// Checks rows that are to be stored, and notes how far the slots go with them.
  func advance(_ block: Int, _ stored: Stored, _ runs: [CacheRun]) {
    let columns = blocks[block].kvHeads * blocks[block].headSize
    precondition(stored.keys.columns == columns && stored.values.columns == columns)
    for run in runs {
      check(run, rows: min(stored.keys.capacity, stored.values.capacity))
      precondition(run.position == 0 || run.position >= firstResumable(slot: run.slot, block: block))
      let end = run.position + run.count
      ends[run.slot] = run.position == 0 ? end : max(ends[run.slot], end)
    }
  }

  /// Stores one head of a run's rows.
  func store(_ block: Int, _ stored: Stored, _ run: CacheRun, head: Int, _ kernels: Kernels) {
    let kernel =
      switch format {
      case .float32: kernels.table.store_f32
      case .float16: kernels.table.store_f16
      case .int8: kernels.table.store_i8
      }
    var cache = self.head(block, slot: run.slot, head)
    let column = head * blocks[block].headSize
    for index in 0..<run.count {
      let row = run.row + index
      kernel(
        &cache, stored.keys.values + row * stored.keys.stride + column,
        stored.values.values + row * stored.values.stride + column, run.position + index)
    }
  }

  /// Gives a slot the first positions of another one, as if they had been stored there.
  ///
  /// - Returns: false when a ring of the source has lost some of them; nothing has happened then.
  package func copy(slot source: Int, to target: Int, count: Int, on context: ComputeContext) -> Bool {
    precondition((0..<slots).contains(source) && (0..<slots).contains(target) && source != target)
    precondition((0...ends[source]).contains(count))
    guard layouts.allSatisfy({ ends[source] <= $0.capacity }) else { return false }
    ends[target] = count
    context.pool.forEach(blocks.count) { block in
      for head in 0..<blocks[block].kvHeads {
        // A head begins with its keys.
        let (from, to) = (self.head(block, slot: source, head).keys, self.head(block, slot: target, head).keys)
        for part in layouts[block].parts(count) {
          (to + part.lowerBound).copyMemory(from: from + part.lowerBound, byteCount: part.count)
        }
      }
    }
    return true
  }

  func check(_ run: CacheRun, rows: Int) {
    precondition((0..<slots).contains(run.slot) && run.position >= 0 && run.position + run.count <= contextLength)
    precondition(run.row >= 0 && (1...rowLimit).contains(run.count) && run.row + run.count <= rows)
  }
}

/// Where the parts of one head lie.
private struct Layout {
  /// Positions that are kept, a multiple of 16.
  let capacity: Int
  let values: Int
  let keyScales: Int
  let valueScales: Int
  let headBytes: Int
  /// Bytes of 16 positions: of keys or of values, of the keys' scales, of the values' scales.
  private let tileBytes: (cells: Int, keyScales: Int, valueScales: Int)

  /// Where the first positions lie: everything is kept in tiles of 16 positions.
  func parts(_ count: Int) -> [Range<Int>] {
    let tiles = (count + 15) / 16
    return [
      0..<tiles * tileBytes.cells, values..<values + tiles * tileBytes.cells,
      keyScales..<keyScales + tiles * tileBytes.keyScales, valueScales..<valueScales + tiles * tileBytes.valueScales,
    ]
  }

  /// nil: more bytes than an `Int` holds.
  init?(_ heads: KeyValueCache.Heads, contextLength: Int, format: KeyValueCache.CacheFormat, rowLimit: Int) {
    var positions = contextLength
    if let window = heads.window {
      let (needed, overflow) = window.addingReportingOverflow(rowLimit - 1)
      if !overflow { positions = min(positions, needed) }
    }
    let padded = furl_padded_head(heads.headSize)
    let scales = format == .int8 ? 2 * ((padded + 31) / 32 + 1) : 0
    // The last factor covers both, so nothing below overflows.
    guard positions <= Int.max - 15,
      checkedProduct((positions + 15) / 16 * 16, 2 * padded * format.size + scales + 64) != nil
    else { return nil }
    capacity = (positions + 15) / 16 * 16
    let scaleBytes = format == .int8 ? 16 * 2 : 0
    tileBytes = (16 * padded * format.size, scaleBytes * ((padded + 31) / 32), scaleBytes)
    let tiles = capacity / 16
    values = tiles * tileBytes.cells
    keyScales = 2 * values
    valueScales = keyScales + tiles * tileBytes.keyScales
    headBytes = (valueScales + tiles * tileBytes.valueScales + 63) / 64 * 64
  }
}

/// The product, if an `Int` holds it.
package func checkedProduct(_ factors: Int...) -> Int? {
  factors.reduce(1) { product, factor in
    guard let product else { return nil }
    let (next, overflow) = product.multipliedReportingOverflow(by: factor)
    return overflow ? nil : next
  }
}
