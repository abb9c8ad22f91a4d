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

  /// Sets a matrix to the scores of a tile, [queries][keys].
  private func score(
    _ tile: AttentionTile, _ query: MatrixView, _ key: MatrixView, into scores: MatrixView, with math: DenseMath
  ) {
    math.multiplyOuter(query.rows(tile.queries), key.rows(tile.keys), into: scores, .set)
  }

  /// The numbers of a head in the rows of a sequence that begins at a row: [length][headSize].
  private func part(_ matrix: Matrix, _ first: Int, _ head: Int) -> MatrixView {
    matrix[first..<first + length, head * headSize..<(head + 1) * headSize]
  }

  /// Calls `body` with what a row of a tile sees, and sets the rest of the row to zero.
  private func forEachRow(
    _ tile: AttentionTile, _ scores: MatrixView,
    _ body: (_ query: Int, _ seen: UnsafeMutablePointer<Float>, _ count: Int) -> Void
  ) {
    for query in tile.queries {
      let row = scores.row(query - tile.queries.lowerBound)
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
    query: Matrix, key: Matrix, value: Matrix, into out: Matrix, statistics: Matrix,
    with math: DenseMath
  ) {
    let shared = heads / kvHeads
    let softmax = math.table.softmax
    forEachGroup(math, matrices: 1) { first, kvHead, scratch in
      let keys = part(key, first, kvHead)
      let values = part(value, first, kvHead)
      for head in kvHead * shared..<(kvHead + 1) * shared {
        let queries = part(query, first, head)
        let target = part(out, first, head)
        forEachTile { tile in
          let p = MatrixView(scratch, rows: tile.queries.count, columns: tile.keys.count)
          score(tile, queries, keys, into: p, with: math)
          forEachRow(tile, p) { position, seen, count in
            var largest: Float = 0
            let sum = softmax(seen, count, scale, &largest)
            statistics.numbers[(first + position) * heads + head] = LogSoftmax.offset(
              largest: largest, sum: sum)
          }
          math.multiply(p, values.rows(tile.keys), into: target.rows(tile.queries), .set)
        }
      }
    }
  }

  /// The gradients of queries, keys and values, from that of the output.
  public func backward(
    _ saved: SavedAttention, gradient: Matrix, query: Matrix, key: Matrix, value: Matrix,
    with math: DenseMath
  ) {
    let shared = heads / kvHeads
    let table = math.table
    forEachGroup(math, matrices: 2) { first, kvHead, scratch in
      let keys = part(saved.key, first, kvHead)
      let values = part(saved.value, first, kvHead)
      let keyGradient = part(key, first, kvHead)
      let valueGradient = part(value, first, kvHead)
      keyGradient.clear()
      valueGradient.clear()
      for head in kvHead * shared..<(kvHead + 1) * shared {
        let queries = part(saved.query, first, head)
        let outputs = part(saved.out, first, head)
        let above = part(gradient, first, head)
        let queryGradient = part(query, first, head)
        forEachTile { tile in
          let (rows, columns) = (tile.queries.count, tile.keys.count)
          let p = MatrixView(scratch, rows: rows, columns: columns)
          let d = MatrixView(scratch + CausalAttention.tile * length, rows: rows, columns: columns)
          let here = above.rows(tile.queries)
          score(tile, queries, keys, into: p, with: math)
          forEachRow(tile, p) { position, seen, count in
            table.probabilities(seen, count, scale, saved.statistics.numbers[(first + position) * heads + head])
          }
          math.multiplyTransposed(p, here, into: valueGradient.rows(tile.keys), .add)
          math.multiplyOuter(here, values.rows(tile.keys), into: d, .set)
          forEachRow(tile, d) { position, seen, count in
            let inner = table.dot(above.row(position), outputs.row(position), headSize)
            table.softmax_back(p.base + (seen - d.base), count, scale, inner, seen)
          }
          math.multiply(d, keys.rows(tile.keys), into: queryGradient.rows(tile.queries), .set)
          math.multiplyTransposed(d, queries.rows(tile.queries), into: keyGradient.rows(tile.keys), .add)
        }
      }
    }
  }
}

/// What the way back takes from the way there.
public struct SavedAttention {
  let query, key, value, out, statistics: Matrix

  public init(
    query: Matrix, key: Matrix, value: Matrix, out: Matrix, statistics: Matrix
  ) {
    (self.query, self.key, self.value) = (query, key, value)
    (self.out, self.statistics) = (out, statistics)
  }
}
