import FurlTensor
import CFurlKernels

/// Causal attention of sequences of one length, forward and backward, without ever holding a whole matrix of scores.
///
/// Queries are taken in tiles. What the forward pass keeps of a row's softmax is the logarithm of its sum; the backward
/// pass computes the probabilities anew from it (Dao et al., "FlashAttention", 2022). One job does a key/value head of a
/// sequence with all queries that share it, so that every sum has one order.
package struct CausalAttention: Sendable {
  package let heads: Int
  package let kvHeads: Int
  package let headSize: Int
  /// Positions that a query sees at most, its own included; nil: all.
  package let window: Int?
  package let sequences: Int
  /// Positions of each sequence.
  package let length: Int
  /// What products of queries and keys are multiplied with; one over the square root of the head's size unless it is set.
  package var scale: Float
  /// What they grow by then from one position to the next, a number for each head: [heads] (ALiBi; Press et al. 2022); nil:
  /// nothing. It is the same whatever is trained, and so changes no gradient but by the probabilities.
  package var slopes: [Float]?
  /// They become softCap * tanh(score / softCap) then (Gemma 2); nil: they stay.
  package var softCap: Float?
  /// What the softmax counts beside the rows, a number for each head, [1][heads] (gpt-oss); nil: nothing.
  package var sinks: Matrix?

  package init(heads: Int, kvHeads: Int, headSize: Int, window: Int?, sequences: Int, length: Int) {
    precondition(heads % kvHeads == 0)
    self.heads = heads
    self.kvHeads = kvHeads
    self.headSize = headSize
    self.window = window
    self.sequences = sequences
    self.length = length
    scale = 1 / Float(headSize).squareRoot()
  }

  private static let tile = 64

  /// What ``saturate(_:_:with:)`` leaves to be multiplied with.
  private var exponentScale: Float { softCap ?? scale }

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

  /// Adds what a head's scores grow by with the positions that a row sees, where they do: to the products, which are
  /// multiplied with the scale afterwards.
  private func slope(of head: Int, _ seen: UnsafeMutablePointer<Float>, _ count: Int) {
    guard let slope = slopes?[head] else { return }
    // The last one that a row sees is its own position.
    let step = slope / scale
    for index in 0..<count { seen[index] += step * Float(index + 1 - count) }
  }

  /// Makes tanh(score * scale / softCap) of a row's scores, where they are capped.
  private func saturate(_ seen: UnsafeMutablePointer<Float>, _ count: Int, with math: DenseMath) {
    guard let softCap else { return }
    for index in 0..<count { seen[index] *= scale / softCap }
    math.table.activate(FURL_TANH, seen, nil, count)
  }

  /// Counts a head's sink beside a row's probabilities, where there are sinks.
  ///
  /// - Parameter offset: the logarithm of the row's sum without it.
  /// - Returns: that with it.
  private func countSink(
    of head: Int, _ seen: UnsafeMutablePointer<Float>, _ count: Int, offset: Float
  ) -> Float {
    guard let sinks else { return offset }
    let (a, b) = (Double(offset), Double(sinks.numbers[head]))
    let total = max(a, b) + Elementary.log(1 + Elementary.exp(-abs(a - b)))
    let share = Float(Elementary.exp(a - total))
    for index in 0..<count { seen[index] *= share }
    return Float(total)
  }

  /// - Parameters:
  ///   - query: [sequences * length][heads * headSize], turned already.
  ///   - key: [sequences * length][kvHeads * headSize].
  ///   - value: as the keys.
  ///   - out: as the queries.
  ///   - statistics: [sequences * length][heads], the logarithm of each row's sum, for the way back.
  package func forward(
    query: Matrix, key: Matrix, value: Matrix, into out: Matrix, statistics: Matrix,
    with math: DenseMath
  ) {
    precondition(sinks == nil || sinks?.count == heads)
    precondition(slopes == nil || slopes?.count == heads)
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
            slope(of: head, seen, count)
            saturate(seen, count, with: math)
            var largest: Float = 0
            let sum = softmax(seen, count, exponentScale, &largest)
            statistics.numbers[(first + position) * heads + head] = countSink(
              of: head, seen, count, offset: LogSoftmax.offset(largest: largest, sum: sum))
          }
          math.multiply(p, values.rows(tile.keys), into: target.rows(tile.queries), .set)
        }
      }
    }
  }

  // MARK: Backward

  /// One head of a sequence on the way back.
  private struct HeadGradient {
    let head: Int
    /// The sequence's first row.
    let first: Int
    let queries, keys, values, outputs: MatrixView
    /// The gradient of the outputs.
    let above: MatrixView
    let query, key, value: MatrixView
  }

  /// The gradients of queries, keys, values and sinks, from that of the output.
  ///
  /// - Parameters:
  ///   - gradient: of the output.
  ///   - out: queries, keys and values are set, sinks are added to.
  package func backward(
    _ saved: SavedAttention, gradient: Matrix, into out: AttentionGradients, with math: DenseMath
  ) {
    precondition((sinks == nil) == (out.sinks == nil))
    let shared = heads / kvHeads
    // Of each sequence and head, so that they are added up in one order.
    var sums = [Float](repeating: 0, count: sinks == nil ? 0 : sequences * heads)
    sums.withUnsafeMutableBufferPointer { sums in
      nonisolated(unsafe) let sums = sums
      forEachGroup(math, matrices: softCap == nil ? 2 : 3) { first, kvHead, scratch in
        let (keys, values) = (part(saved.key, first, kvHead), part(saved.value, first, kvHead))
        let (key, value) = (part(out.key, first, kvHead), part(out.value, first, kvHead))
        key.clear()
        value.clear()
        for head in kvHead * shared..<(kvHead + 1) * shared {
          let state = HeadGradient(
            head: head, first: first, queries: part(saved.query, first, head), keys: keys, values: values,
            outputs: part(saved.out, first, head), above: part(gradient, first, head),
            query: part(out.query, first, head), key: key, value: value)
          let sum = backward(state, statistics: saved.statistics, scratch, with: math)
          if !sums.isEmpty { sums[first / length * heads + head] = sum }
        }
      }
    }
    guard let total = out.sinks else { return }
    for (index, sum) in sums.enumerated() { total.numbers[index % heads] += sum }
  }

  /// - Returns: the gradient of the head's sink; 0 where there is none.
  private func backward(
    _ state: HeadGradient, statistics: Matrix, _ scratch: UnsafeMutablePointer<Float>, with math: DenseMath
  ) -> Float {
    let table = math.table
    var sinkSum = 0.0
    forEachTile { tile in
      let (rows, columns) = (tile.queries.count, tile.keys.count)
      func matrix(_ index: Int) -> MatrixView {
        MatrixView(scratch + index * CausalAttention.tile * length, rows: rows, columns: columns)
      }
      let (p, d) = (matrix(0), matrix(1))
      // What tanh gave: its derivative is 1 - tanh^2.
      let saturated = softCap == nil ? nil : matrix(2)
      func offset(_ position: Int) -> Float { statistics.numbers[(state.first + position) * heads + state.head] }
      let here = state.above.rows(tile.queries)
      score(tile, state.queries, state.keys, into: p, with: math)
      forEachRow(tile, p) { position, seen, count in
        slope(of: state.head, seen, count)
        saturate(seen, count, with: math)
        if let saturated { (saturated.base + (seen - p.base)).update(from: seen, count: count) }
        table.probabilities(seen, count, exponentScale, offset(position))
      }
      math.multiplyTransposed(p, here, into: state.value.rows(tile.keys), .add)
      math.multiplyOuter(here, state.values.rows(tile.keys), into: d, .set)
      forEachRow(tile, d) { position, seen, count in
        let inner = table.dot(state.above.row(position), state.outputs.row(position), headSize)
        table.softmax_back(p.base + (seen - d.base), count, scale, inner, seen)
        if let saturated {
          let values = saturated.base + (seen - d.base)
          for index in 0..<count { seen[index] *= 1 - values[index] * values[index] }
        }
        // What a sink counts has no value: its own gradient is that of a row of zeros.
        if let sinks { sinkSum -= Double(Elementary.exp(sinks.numbers[state.head] - offset(position)) * inner) }
      }
      math.multiply(d, state.keys.rows(tile.keys), into: state.query.rows(tile.queries), .set)
      math.multiplyTransposed(d, state.queries.rows(tile.queries), into: state.key.rows(tile.keys), .add)
    }
    return Float(sinkSum)
  }
}

/// What the way back takes from the way there.
package struct SavedAttention {
  let query, key, value, out, statistics: Matrix

  package init(
    query: Matrix, key: Matrix, value: Matrix, out: Matrix, statistics: Matrix
  ) {
    (self.query, self.key, self.value) = (query, key, value)
    (self.out, self.statistics) = (out, statistics)
  }
}

/// Where the gradients of attention go.
package struct AttentionGradients {
  let query, key, value: Matrix
  /// [1][heads]; nil where there are no sinks.
  let sinks: Matrix?

  package init(query: Matrix, key: Matrix, value: Matrix, sinks: Matrix?) {
    (self.query, self.key, self.value, self.sinks) = (query, key, value, sinks)
  }
}
