import FurlBase
import FurlTensor
import CFurlKernels

/// Causal attention of sequences of one length, forward and backward, without ever holding a whole matrix of scores.
///
/// Queries are taken in tiles. What the forward pass keeps of a row's softmax is the logarithm of its sum; the backward
/// pass computes the probabilities anew from it (Dao et al., "FlashAttention", 2022). One job does a key/value head of a
/// sequence with all queries that share it, so that every sum has one order.
public struct CausalAttention: Sendable {
  public let heads: Int
  public let kvHeads: Int
  public let headSize: Int
  /// Positions that a query sees at most, its own included; nil: all.
  public let window: Int?
  public let sequences: Int
  /// Positions of each sequence.
  public let length: Int

  public init(heads: Int, kvHeads: Int, headSize: Int, window: Int?, sequences: Int, length: Int) {
    precondition(heads % kvHeads == 0)
    self.heads = heads
    self.kvHeads = kvHeads
    self.headSize = headSize
    self.window = window
    self.sequences = sequences
    self.length = length
  }

  private static let tile = 64

  private var scale: Float { 1 / Float(headSize).squareRoot() }

  /// Queries at once, and the keys that any of them sees.
  private struct AttentionTile {
    let queries: Range<Int>
    let keys: Range<Int>
  }

  private func forEachTile(_ body: (AttentionTile) -> Void) {
    for start in stride(from: 0, to: length, by: CausalAttention.tile) {
      let queries = start..<min(start + CausalAttention.tile, length)
      body(AttentionTile(queries: queries, keys: firstKey(start)..<queries.upperBound))
    }
  }

  /// The first position that a query sees.
  private func firstKey(_ query: Int) -> Int { window.map { max(0, query + 1 - $0) } ?? 0 }

  /// Calls `body` for every sequence and key/value head, with memory for `matrices` tiles of scores.
  private func forEachGroup(
    _ math: DenseMath, matrices: Int, _ body: (_ first: Int, _ kvHead: Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    math.pool.forEachAsTaken(sequences * kvHeads) { job in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: matrices * CausalAttention.tile * length) { scratch in
        body(job / kvHeads * length, job % kvHeads, scratch.baseAddress!)
      }
    }
  }

  /// Scores of a tile, [queries][keys].
  private func scores(
    _ tile: AttentionTile, _ query: MatrixMath.Part, _ key: MatrixMath.Part, into scores: UnsafeMutablePointer<Float>
  ) {
    MatrixMath.addOuter(
      query.from(tile.queries.lowerBound, 0), key.from(tile.keys.lowerBound, 0),
      to: MatrixMath.Part(base: scores, stride: tile.keys.count), rows: tile.queries.count, columns: tile.keys.count,
      depth: headSize, accumulate: false)
  }

  /// Calls `body` with what a row of a tile sees, and sets the rest of the row to zero.
  private func forEachRow(
    _ tile: AttentionTile, _ scores: UnsafeMutablePointer<Float>,
    _ body: (_ query: Int, _ seen: UnsafeMutablePointer<Float>, _ count: Int) -> Void
  ) {
    for query in tile.queries {
      let row = scores + (query - tile.queries.lowerBound) * tile.keys.count
      let first = max(firstKey(query), tile.keys.lowerBound) - tile.keys.lowerBound
      let end = query + 1 - tile.keys.lowerBound
      body(query, row + first, end - first)
      row.update(repeating: 0, count: first)
      (row + end).update(repeating: 0, count: tile.keys.count - end)
    }
  }

  /// - Parameters:
  ///   - query: [sequences * length][heads * headSize], turned already.
  ///   - key: [sequences * length][kvHeads * headSize].
  ///   - value: as the keys.
  ///   - out: as the queries.
  ///   - statistics: [sequences * length][heads], the logarithm of each row's sum, for the way back.
  public func forward(
    query: DenseMatrix, key: DenseMatrix, value: DenseMatrix, into out: DenseMatrix, statistics: DenseMatrix,
    with math: DenseMath
  ) {
    let shared = heads / kvHeads
    let softmax = math.table.softmax
    forEachGroup(math, matrices: 1) { first, kvHead, probabilities in
      let keys = key.part(first, kvHead * headSize)
      let values = value.part(first, kvHead * headSize)
      for head in kvHead * shared..<(kvHead + 1) * shared {
        let queries = query.part(first, head * headSize)
        let target = out.part(first, head * headSize)
        forEachTile { tile in
          scores(tile, queries, keys, into: probabilities)
          forEachRow(tile, probabilities) { position, seen, count in
            var largest: Float = 0
            let sum = softmax(seen, count, scale, &largest)
            statistics.numbers[(first + position) * heads + head] = LogSoftmax.offset(
              largest: largest, sum: sum)
          }
          MatrixMath.add(
            MatrixMath.Part(base: probabilities, stride: tile.keys.count), values.from(tile.keys.lowerBound, 0),
            to: target.from(tile.queries.lowerBound, 0), rows: tile.queries.count, columns: headSize,
            depth: tile.keys.count, accumulate: false)
        }
      }
    }
  }

  /// The gradients of queries, keys and values, from that of the output.
  public func backward(
    _ saved: SavedAttention, gradient: DenseMatrix, query: DenseMatrix, key: DenseMatrix, value: DenseMatrix,
    with math: DenseMath
  ) {
    let shared = heads / kvHeads
    let table = math.table
    forEachGroup(math, matrices: 2) { first, kvHead, scratch in
      let probabilities = scratch
      let changes = scratch + CausalAttention.tile * length
      let keys = saved.key.part(first, kvHead * headSize)
      let values = saved.value.part(first, kvHead * headSize)
      let keyGradient = key.part(first, kvHead * headSize)
      let valueGradient = value.part(first, kvHead * headSize)
      for row in 0..<length {
        keyGradient.from(row, 0).base.update(repeating: 0, count: headSize)
        valueGradient.from(row, 0).base.update(repeating: 0, count: headSize)
      }
      for head in kvHead * shared..<(kvHead + 1) * shared {
        let queries = saved.query.part(first, head * headSize)
        let outputs = saved.out.part(first, head * headSize)
        let above = gradient.part(first, head * headSize)
        let queryGradient = query.part(first, head * headSize)
        forEachTile { tile in
          let (rows, columns) = (tile.queries.count, tile.keys.count)
          let p = MatrixMath.Part(base: probabilities, stride: columns)
          let d = MatrixMath.Part(base: changes, stride: columns)
          let here = above.from(tile.queries.lowerBound, 0)
          scores(tile, queries, keys, into: probabilities)
          forEachRow(tile, probabilities) { position, seen, count in
            table.probabilities(seen, count, scale, saved.statistics.numbers[(first + position) * heads + head])
          }
          MatrixMath.addTransposed(
            p, here, to: valueGradient.from(tile.keys.lowerBound, 0), rows: columns, columns: headSize, depth: rows,
            accumulate: true)
          MatrixMath.addOuter(
            here, values.from(tile.keys.lowerBound, 0), to: d, rows: rows, columns: columns, depth: headSize,
            accumulate: false)
          forEachRow(tile, changes) { position, seen, count in
            let inner = table.dot(above.from(position, 0).base, outputs.from(position, 0).base, headSize)
            table.softmax_back(probabilities + (seen - changes), count, scale, inner, seen)
          }
          MatrixMath.add(
            d, keys.from(tile.keys.lowerBound, 0), to: queryGradient.from(tile.queries.lowerBound, 0), rows: rows,
            columns: headSize, depth: columns, accumulate: false)
          MatrixMath.addTransposed(
            d, queries.from(tile.queries.lowerBound, 0), to: keyGradient.from(tile.keys.lowerBound, 0), rows: columns,
            columns: headSize, depth: rows, accumulate: true)
        }
      }
    }
  }
}

/// What the way back takes from the way there.
public struct SavedAttention {
  let query, key, value, out, statistics: DenseMatrix

  public init(
    query: DenseMatrix, key: DenseMatrix, value: DenseMatrix, out: DenseMatrix, statistics: DenseMatrix
  ) {
    (self.query, self.key, self.value) = (query, key, value)
    (self.out, self.statistics) = (out, statistics)
  }
}
