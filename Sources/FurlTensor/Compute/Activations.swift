import FurlBase
import CFurlKernels

/// Rows of hidden states, and the form that they are rounded to when a product wants it: 8-bit codes or BF16 numbers.
///
/// Rows are padded with zeros to whole tiles, so kernels never look at a rest. Rows beyond what was asked for so
/// far cost nothing: the memory is reserved and only touched when it is used.
package final class Activations: @unchecked Sendable {
  package let columns: Int
  /// The most rows there may be.
  package let capacity: Int
  /// Floats between two rows.
  package let stride: Int
  package let values: UnsafeMutablePointer<Float>
  private let codes: UnsafeMutablePointer<Int8>
  private let scales: UnsafeMutablePointer<Float>
  private let sums: UnsafeMutablePointer<Int32>
  /// The codes of whole panels once more; touched only where kernels read them.
  private let panels: UnsafeMutablePointer<Int8>
  private let bfloats: UnsafeMutablePointer<UInt16>
  private let storage: [ByteStorage]
  /// Of how many rows there is a rounded form; nil where there is none.
  private var roundedCount: Int?
  /// Whether the 8-bit form has panels, too: it was made by kernels that read them.
  private var hasPanels = false

  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package init(columns: Int, capacity: Int) throws {
    let tiles = (columns + Tile.columns - 1) / Tile.columns
    self.columns = columns
    self.capacity = capacity
    stride = tiles * Tile.columns
    storage = try [stride * 4, stride, tiles * 4, tiles * 4, stride, stride * 2].map {
      try ByteStorage(zeroed: $0 * capacity)
    }
    values = storage[0].base.assumingMemoryBound(to: Float.self)
    codes = storage[1].base.assumingMemoryBound(to: Int8.self)
    scales = storage[2].base.assumingMemoryBound(to: Float.self)
    sums = storage[3].base.assumingMemoryBound(to: Int32.self)
    panels = storage[4].base.assumingMemoryBound(to: Int8.self)
    bfloats = storage[5].base.assumingMemoryBound(to: UInt16.self)
  }

  /// A narrower set in the memory of another one: what is in either is lost when the other is written to. Before a
  /// product reads it, ``clearPadding(count:)``.
  package init(columns: Int, sharing other: Activations) {
    precondition(columns > 0 && columns <= other.columns)
    self.columns = columns
    capacity = other.capacity
    stride = (columns + Tile.columns - 1) / Tile.columns * Tile.columns
    storage = other.storage
    (values, codes, scales, sums, panels) = (other.values, other.codes, other.scales, other.sums, other.panels)
    bfloats = other.bfloats
  }

  /// Makes zeros of what lies between the columns and whole tiles, in the first rows.
  package func clearPadding(count: Int) {
    precondition(count <= capacity)
    guard stride > columns else { return }
    for row in 0..<count { (values + row * stride + columns).update(repeating: 0, count: stride - columns) }
  }

  /// One row: [columns].
  package subscript(row: Int) -> [Float] {
    get {
      precondition((0..<capacity).contains(row))
      return Array(UnsafeBufferPointer(start: values + row * stride, count: columns))
    }
    set {
      precondition((0..<capacity).contains(row) && newValue.count == columns)
      newValue.withUnsafeBufferPointer { (values + row * stride).update(from: $0.baseAddress!, count: columns) }
    }
  }

  /// Calls `body` with one row's numbers.
  package func withRow<Result>(_ row: Int, _ body: (Span<Float>) throws -> Result) rethrows -> Result {
    precondition((0..<capacity).contains(row))
    return try body(UnsafeBufferPointer(start: values + row * stride, count: columns).span)
  }

  /// Sets a row to a row of an embedding, plus a row of another one where there is one.
  package func setRow(_ row: Int, to matrix: PackedMatrix, _ index: Int, plus other: (PackedMatrix, Int)? = nil) {
    precondition((0..<capacity).contains(row) && (0..<matrix.rows).contains(index) && matrix.columns == columns)
    let output = values + row * stride
    matrix.decodeRow(index, into: output)
    guard let (positions, position) = other else { return }
    precondition((0..<positions.rows).contains(position) && positions.columns == columns)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { scratch in
      positions.decodeRow(position, into: scratch.baseAddress!)
      for column in 0..<columns { output[column] += scratch[column] }
    }
  }

  /// Sets the first rows to some rows of an embedding, plus as many of another one where there is one.
  package func setRows(
    to matrix: PackedMatrix, _ indices: [Int], plus other: (PackedMatrix, [Int])? = nil, on context: ComputeContext
  ) {
    precondition(indices.count <= capacity && other.map { $0.1.count == indices.count } ?? true)
    context.forEachRow(indices.count) { row in
      setRow(row, to: matrix, indices[row], plus: other.map { ($0.0, $0.1[row]) })
    }
  }

  /// Moves some rows to the front, in their order.
  ///
  /// - Parameter rows: ascending.
  package func gatherRows(_ rows: [Int]) {
    precondition(rows.last ?? 0 < capacity && zip(rows, rows.dropFirst()).allSatisfy { $0 < $1 })
    for (target, source) in rows.enumerated() where target != source {
      (values + target * stride).update(from: values + source * stride, count: stride)
    }
  }

  /// Copies a range of another set's rows to the first ones of this set, which is as wide.
  package func copyRows(_ other: Activations, from range: Range<Int>) {
    precondition(other.columns == columns && range.lowerBound >= 0 && range.upperBound <= other.capacity)
    precondition(range.count <= capacity)
    values.update(from: other.values + range.lowerBound * stride, count: range.count * stride)
  }

  /// Copies another set's first rows to a place in this set, which is as wide.
  package func copyRows(_ other: Activations, count: Int, to row: Int) {
    precondition(other.columns == columns && (0...other.capacity).contains(count))
    precondition(row >= 0 && row + count <= capacity)
    (values + row * stride).update(from: other.values, count: count * stride)
  }

  /// Copies some columns of another set's first rows, in the given order.
  package func copyColumns(_ other: Activations, _ kept: [Int], count: Int) {
    precondition(kept.count == columns && kept.allSatisfy { (0..<other.columns).contains($0) })
    precondition(count >= 0 && count <= capacity && count <= other.capacity)
    for row in 0..<count {
      let (source, target) = (other.values + row * other.stride, values + row * stride)
      for (place, column) in kept.enumerated() { target[place] = source[column] }
    }
  }

  /// Copies some of another set's rows, which are as wide, to the first ones of this set.
  package func copyRows(_ other: Activations, at rows: [Int]) {
    precondition(other.columns == columns && rows.count <= capacity)
    precondition(rows.allSatisfy { (0..<other.capacity).contains($0) })
    for (target, source) in rows.enumerated() {
      (values + target * stride).update(from: other.values + source * stride, count: stride)
    }
  }

  /// Makes the rounded form of one of `count` rows, which lie together in groups or panels. Columns that are left out are
  /// zeros among 8-bit codes; those of BF16 meet weights of zero as they are.
  ///
  /// - Parameter first: where the rows begin: a multiple of ``groupRows``.
  func quantize(row: Int, of count: Int, from first: Int = 0, leavingOut left: [Int], _ context: ComputeContext) {
    let (tiles, kernels) = (stride / Tile.columns, context.kernels)
    guard context.activations == .int8 else {
      return kernels.table.round_bfloats(
        values + (first + row) * stride, columns, furl_panel_rows(count, row),
        bfloats + first * stride + furl_panel_codes(tiles, row))
    }
    let place = first * tiles + furl_group_scales(tiles, row)
    let numbers = values + (first + row) * stride
    let kept = left.map { numbers[$0] }
    for column in left { numbers[column] = 0 }
    let isInPanel = kernels.table.reads_panels && row < count - count % Int(FURL_PANEL_ROWS)
    let panel = isInPanel ? panels + first * stride + furl_panel_codes(tiles, row) : nil
    kernels.table.quantize(
      numbers, columns, furl_group_rows(count, row), codes + first * stride + furl_group_codes(tiles, row),
      scales + place, sums + place, panel)
    for (column, value) in zip(left, kept) { numbers[column] = value }
  }

  /// Rows whose 8-bit forms are interleaved.
  package static let groupRows = Int(FURL_ACTIVATION_GROUP)

  /// - Parameter rounded: whether the rounded form is read.
  func operand(count: Int, rounded: Bool) -> furl_activations {
    precondition(!rounded || roundedCount == count, "the rounded form is of other rows")
    return furl_activations(
      count: count, codes: codes, scales: scales, sums: sums, values: values,
      panels: hasPanels ? panels : nil, bfloats: bfloats)
  }

  /// Some rows of a set whose rounded forms were made piece by piece.
  ///
  /// - Parameter rows: they begin at a multiple of ``groupRows``.
  func operand(of rows: Range<Int>) -> furl_activations {
    let (first, tiles) = (rows.lowerBound, stride / Tile.columns)
    return furl_activations(
      count: rows.count, codes: codes + first * stride, scales: scales + first * tiles, sums: sums + first * tiles,
      values: values + first * stride, panels: hasPanels ? panels + first * stride : nil,
      bfloats: bfloats + first * stride)
  }

  /// The rounded form, if there is one, is of other rows from now on, made by the context's kernels.
  func beginRounding(_ context: ComputeContext, count: Int? = nil) {
    roundedCount = count
    hasPanels = context.activations == .int8 && context.kernels.table.reads_panels
  }

  // MARK: Operations on rows

  /// What a row is divided by before it is weighted.
  package enum RowNorm: Sendable, Hashable {
    /// Less its mean, by its standard deviation (Ba, Kiros and Hinton 2016).
    case layerNorm
    /// By its root mean square (Zhang and Sennrich 2019).
    case rmsNorm
  }

  /// Normalizes rows of `input` into this set, over the columns.
  ///
  /// - Parameters:
  ///   - weight: what the results are multiplied with: [columns].
  ///   - bias: what is added then, where there is any: [columns].
  ///   - epsilon: added to the variance or the mean square.
  ///   - quantizing: makes the rounded form of the result on the way, while it is in the cache.
  ///   - left: columns that are left out of the 8-bit form.
  package func normalize(
    _ input: Activations, count: Int, by norm: RowNorm, weight: FloatVector, bias: FloatVector?, epsilon: Float,
    quantizing: Bool, leavingOut left: [Int] = [], on context: ComputeContext
  ) {
    precondition(count <= capacity && count <= input.capacity && input.columns == columns)
    precondition(weight.count == columns && (bias == nil || bias?.count == columns))
    beginRounding(context, count: quantizing ? count : nil)
    let table = context.kernels.table
    let kernel = norm == .layerNorm ? table.layer_norm : table.rms_norm
    context.forEachRow(count) { row in
      kernel(
        input.values + row * input.stride, columns, weight.pointer, bias?.pointer, epsilon, values + row * stride)
      if quantizing { quantize(row: row, of: count, leavingOut: left, context) }
    }
  }

  /// Makes the rounded form of the first rows.
  ///
  /// - Parameter left: columns that are left out of 8-bit codes.
  package func quantize(count: Int, leavingOut left: [Int] = [], on context: ComputeContext) {
    precondition(count <= capacity && left.allSatisfy { (0..<columns).contains($0) })
    beginRounding(context, count: count)
    context.forEachRow(count) { quantize(row: $0, of: count, leavingOut: left, context) }
  }

  /// The index of a row's largest number, the first of equals; nil if a number is not finite.
  package func argmax(row: Int, _ kernels: Kernels) -> Int? {
    precondition((0..<capacity).contains(row))
    let index = kernels.table.argmax(values + row * stride, columns)
    return index < 0 ? nil : Int(index)
  }

  /// How probable an index of a row of logits is. The row is used up.
  ///
  /// - Parameter temperature: what logits are divided by; above 0.
  package func probability(of index: Int, row: Int, temperature: Double, _ kernels: Kernels) -> Double {
    precondition((0..<capacity).contains(row) && (0..<columns).contains(index))
    var largest: Float = 0
    _ = kernels.table.softmax(values + row * stride, columns, Float(1 / temperature), &largest)
    return Double(values[row * stride + index])
  }

  /// The same of each of the first rows.
  package func argmax(count: Int, on context: ComputeContext) -> [Int?] {
    [Int?](unsafeUninitializedCapacity: count) { buffer, size in
      let best = buffer
      best.initialize(repeating: nil)
      // A vocabulary is wide: two rows are worth two threads.
      if count == 1 {
        best[0] = argmax(row: 0, context.kernels)
      } else {
        context.pool.forEach(count) { best[$0] = argmax(row: $0, context.kernels) }
      }
      size = count
    }
  }
}

/// The pool and the kernels that a job computes with, and what activations are rounded to.
package final class ComputeContext: Sendable {
  package let pool: WorkerPool
  package let kernels: Kernels
  package let activations: ActivationForm

  package init(pool: WorkerPool, kernels: Kernels, activations: ActivationForm = .int8) {
    self.pool = pool
    self.kernels = kernels
    self.activations = activations
    asGenerated = activations == .bf16 ? ComputeContext(pool: pool, kernels: kernels) : nil
  }

  private let asGenerated: ComputeContext?
  /// What tokens are computed with that a model chooses one by one: where prompts are rounded to BF16, 8-bit activations, with
  /// which few rows are fastest.
  package var forGenerated: ComputeContext { asGenerated ?? self }

  /// What a function gives for some rows, whichever threads they fall to.
  package func map<Result: Sendable>(_ count: Int, _ body: (Int) -> Result) -> [Result] {
    [Result](unsafeUninitializedCapacity: count) { buffer, size in
      let results = buffer
      forEachRow(count) { results.initializeElement(at: $0, to: body($0)) }
      size = count
    }
  }

  /// Few rows are done by the caller: waking the other threads would take longer.
  func forEachRow(_ count: Int, _ body: (Int) -> Void) {
    if count < 2 * pool.threads || pool.threads == 1 {
      for row in 0..<count { body(row) }
    } else {
      pool.forEach(count, body)
    }
  }
}
