import FurlTensor
import CFurlKernels

/// Gradients of a model's own predictions: what its Fisher information is estimated from.
extension HeadLoss {
  /// Draws the next token of each row from the row's own probabilities, and gives the gradients of -log p of what was drawn.
  ///
  /// - Parameters:
  ///   - hidden: [rows][hidden], behind the last norm.
  ///   - draws: a number from 0 to 1 for each row.
  ///   - gradient: is set: [rows][hidden].
  ///   - statistics: are added to.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package func sample(
    hidden: Matrix, head: HeadWeights, draws: [Double], gradient: Matrix, statistics: inout PredictionStatistics
  ) throws {
    precondition(draws.count == hidden.rows && head.weight.rows == vocabulary && statistics.shares.count == vocabulary)
    let slopes = try head.softCap.map { _ in try Matrix(rows: logits.rows, columns: vocabulary) }
    for start in stride(from: 0, to: hidden.rows, by: logits.rows) {
      let range = start..<min(start + logits.rows, hidden.rows)
      let scores = logits.rows(0..<range.count)
      math.linear(hidden.rows(range), head.weight, bias: head.bias, into: scores)
      var drawn = [DrawnRow](repeating: DrawnRow(), count: range.count)
      drawn.withUnsafeMutableBufferPointer { drawn in
        nonisolated(unsafe) let drawn = drawn
        math.forEachPiece(range.count, of: 4) { rows in
          for row in rows {
            if let cap = head.softCap { saturate(scores.row(row), at: cap, slopes: slopes?.row(row)) }
            drawn[row] = draw(scores.row(row), draws[start + row])
          }
        }
      }
      statistics.add(scores, doubts: drawn.map(\.doubt), on: math)
      for (row, drawn) in drawn.enumerated() { scores.row(row)[drawn.token] -= 1 }
      if let slopes {
        math.forEachPiece(range.count, of: 4) { rows in
          for row in rows {
            let (target, slope) = (scores.row(row), slopes.row(row))
            for index in 0..<vocabulary { target[index] *= slope[index] }
          }
        }
      }
      math.linearBack(scores, head.weight, into: gradient.rows(range))
    }
  }

  private struct DrawnRow {
    var token = 0
    var doubt: Float = 0
  }

  /// Makes probabilities of a row of logits, and draws one of them.
  private func draw(_ logits: UnsafeMutablePointer<Float>, _ share: Double) -> DrawnRow {
    var largest: Float = 0
    _ = math.table.softmax(logits, vocabulary, 1, &largest)
    // Sums of 64 first, which take a fraction of the time of one.
    let piece = 64
    var (sum, squares) = (0.0, Float(0))
    var sums: [Double] = []
    for start in stride(from: 0, to: vocabulary, by: piece) {
      let count = min(piece, vocabulary - start)
      var lanes = SIMD16<Float>.zero
      var own = SIMD16<Float>.zero
      var index = 0
      while index + 16 <= count {
        let p = UnsafeRawPointer(logits + start + index).loadUnaligned(as: SIMD16<Float>.self)
        lanes += p
        own += p * p
        index += 16
      }
      var (rest, restSquares) = (lanes.sum(), own.sum())
      while index < count {
        let p = logits[start + index]
        (rest, restSquares) = (rest + p, restSquares + p * p)
        index += 1
      }
      sum += Double(rest)
      squares += restSquares
      sums.append(sum)
    }
    let wanted = share * sum
    let place = sums.firstIndex { $0 > wanted } ?? sums.count - 1
    var reached = place == 0 ? 0 : sums[place - 1]
    let range = place * piece..<min((place + 1) * piece, vocabulary)
    // Where rounding leaves nothing to draw, the likeliest of the piece.
    var token = range.max { logits[$0] < logits[$1] } ?? 0
    for index in range where logits[index] > 0 {
      reached += Double(logits[index])
      if reached > wanted {
        token = index
        break
      }
    }
    return DrawnRow(token: token, doubt: max(0, 1 - squares))
  }
}

/// What predictions of many rows are like.
package struct PredictionStatistics: Sendable {
  /// Of every token, the sum of p (1 - p) over the rows: what a squared error of its logit counts.
  package private(set) var shares: [Double]
  /// Of every row, 1 less the sum of p²: how little the prediction is sure of.
  package private(set) var doubts: [Float] = []

  package init(vocabulary: Int) { shares = Array(repeating: 0, count: vocabulary) }

  /// - Parameter probabilities: [rows][vocabulary].
  fileprivate mutating func add(_ probabilities: Matrix, doubts own: [Float], on math: DenseMath) {
    doubts += own
    shares.withUnsafeMutableBufferPointer { shares in
      nonisolated(unsafe) let shares = shares
      math.forEachPiece(probabilities.columns, of: 256) { columns in
        var sums = [Float](repeating: 0, count: columns.count)
        for row in 0..<probabilities.rows {
          let source = probabilities.row(row) + columns.lowerBound
          for index in 0..<columns.count { sums[index] += source[index] * (1 - source[index]) }
        }
        for (index, column) in columns.enumerated() { shares[column] += Double(sums[index]) }
      }
    }
  }
}
