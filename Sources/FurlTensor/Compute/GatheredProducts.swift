import CFurlKernels

/// Layers that read rows of their own: experts, each with the positions that go through it.
///
/// All of them are computed in one go. Threads meet once for all experts and not once for each, a weight is read once
/// for all of its rows, and a thread that is done takes the next piece of work.
package struct GatheredProducts {
  /// Layers, and the rows of the gathered set that they read and write.
  package struct ProductJob {
    package let layers: LinearGroup
    package let rows: Range<Int>

    /// - Parameter rows: they begin at a multiple of ``GatheredProducts/alignment``.
    package init(_ layers: LinearGroup, rows: Range<Int>) {
      precondition(rows.lowerBound % GatheredProducts.alignment == 0 && !rows.isEmpty)
      self.layers = layers
      self.rows = rows
    }
  }

  /// What the first rows of jobs are multiples of.
  package static var alignment: Int { Activations.groupRows }

  private let jobs: [ProductJob]
  private let context: ComputeContext

  /// - Parameter jobs: their rows do not overlap.
  package init(_ jobs: [ProductJob], on context: ComputeContext) {
    self.jobs = jobs
    self.context = context
  }

  /// Copies the jobs' rows from another set, which is as wide, and makes their rounded forms where layers read those.
  ///
  /// - Parameter rows: which row of the source, for each row up to the last job's last one.
  package func gather(_ source: Activations, _ rows: [Int], into target: Activations) {
    precondition(source.columns == target.columns)
    for job in jobs {
      precondition(job.rows.upperBound <= min(rows.count, target.capacity))
      precondition(rows[job.rows].allSatisfy { (0..<source.capacity).contains($0) })
    }
    target.beginRounding(context)
    context.forEachRow(jobs.count) { index in
      let job = jobs[index]
      let isRounded = job.layers.readsRounded(context)
      for row in job.rows {
        (target.values + row * target.stride).update(
          from: source.values + rows[row] * source.stride, count: source.stride)
        if isRounded { quantize(row, of: job, target) }
      }
    }
  }

  /// Makes the rounded forms of the jobs' rows where layers read those, and zeros of what lies behind the columns.
  package func quantize(_ rows: Activations) {
    precondition(jobs.allSatisfy { $0.rows.upperBound <= rows.capacity })
    rows.beginRounding(context)
    context.forEachRow(jobs.count) { index in
      let job = jobs[index]
      let isRounded = job.layers.readsRounded(context)
      for row in job.rows {
        (rows.values + row * rows.stride + rows.columns).update(repeating: 0, count: rows.stride - rows.columns)
        if isRounded { quantize(row, of: job, rows) }
      }
    }
  }

  private func quantize(_ row: Int, of job: ProductJob, _ rows: Activations) {
    let first = job.rows.lowerBound
    rows.quantize(
      row: row - first, of: job.rows.count, from: first, leavingOut: job.layers.outlierColumns, context)
  }

  /// Computes every job's layers on its rows.
  ///
  /// - Parameters:
  ///   - input: what ``gather(_:_:into:)`` or ``quantize(_:)`` has made ready.
  ///   - outputs: one for each layer of a job; a job writes to the rows that it reads.
  package func callAsFunction(_ input: Activations, into outputs: [Activations]) {
    for job in jobs {
      precondition(job.layers.layers.count == outputs.count && input.columns == job.layers.layers[0].weight.columns)
      precondition(job.rows.upperBound <= input.capacity)
      for (layer, output) in zip(job.layers.layers, outputs) {
        precondition(output.columns == layer.weight.rows && job.rows.upperBound <= output.capacity)
      }
    }
    func compute(_ job: ProductJob, _ tiles: Range<Int>) {
      job.layers.compute(
        tiles, input.operand(of: job.rows), .init(outputs: outputs, first: job.rows.lowerBound, accumulate: false),
        context)
    }
    if context.pool.threads == 1 {
      for job in jobs { compute(job, 0..<job.layers.tiles) }
    } else {
      let pieces = pieces()
      context.pool.forEachAsTaken(pieces.count) { compute(jobs[pieces[$0].job], pieces[$0].tiles) }
    }
  }

  /// Some row tiles of a job's layers.
  private struct ProductPiece {
    let job: Int
    let tiles: Range<Int>
  }

  /// Pieces of work for each thread: enough that none waits long for another at the end.
  private static let piecesForThread = 8

  private func pieces() -> [ProductPiece] {
    let wanted = max(1, (context.pool.threads * GatheredProducts.piecesForThread + jobs.count - 1) / jobs.count)
    var pieces: [ProductPiece] = []
    pieces.reserveCapacity(jobs.count * wanted)
    for (index, job) in jobs.enumerated() {
      let tiles = job.layers.tiles
      // A gate and what it is multiplied with lie in one piece: it has an even number of tiles.
      let size = max(2, ((tiles + wanted - 1) / wanted + 1) / 2 * 2)
      for start in stride(from: 0, to: tiles, by: size) {
        pieces.append(ProductPiece(job: index, tiles: start..<min(start + size, tiles)))
      }
    }
    return pieces
  }
}

extension Activations {
  /// Adds to the first rows as many of another set, each times a factor of its own.
  package func addRows(_ other: Activations, times factors: [Float], on context: ComputeContext) {
    precondition(factors.count <= capacity)
    context.forEachRow(factors.count) { addRow($0, other, row: $0, times: factors[$0]) }
  }

  /// A row of another set, and what it is multiplied with before it is added.
  package struct AddedRow: Sendable {
    package let row: Int
    package let factor: Float

    package init(row: Int, factor: Float) {
      self.row = row
      self.factor = factor
    }
  }

  /// Adds to each of the first rows some of another set, each times a factor, in the order in which they are given.
  ///
  /// - Parameter starts: where those of each row begin in `added`, and the end.
  package func addRows(
    _ other: Activations, _ added: [AddedRow], starts: [Int], on context: ComputeContext
  ) {
    precondition(starts.count <= capacity + 1 && starts.last == added.count)
    context.forEachRow(starts.count - 1) { row in
      for part in added[starts[row]..<starts[row + 1]] { addRow(row, other, row: part.row, times: part.factor) }
    }
  }
}
