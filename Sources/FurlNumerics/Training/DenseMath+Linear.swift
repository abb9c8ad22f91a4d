import FurlTensor
import CFurlKernels

/// Linear layers of training, and sums over matrices.
extension DenseMath {
  /// Rows that are worked on at once where rows have nothing to do with each other.
  static let rowPiece = 32

  /// Calls `body` with the tiles of a matrix.
  func forEachTile(_ rows: Int, _ columns: Int, _ body: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void) {
    // Large enough that packing is little beside multiplying, small enough that a few threads have even shares.
    let height = rows >= 2048 ? 512 : 256
    let width = 1024
    let across = (columns + width - 1) / width
    pool.forEachAsTaken((rows + height - 1) / height * across) { tile in
      let (row, column) = (tile / across * height, tile % across * width)
      body(row..<min(row + height, rows), column..<min(column + width, columns))
    }
  }

  // MARK: Linear layers

  /// out = x wᵀ + bias, or that added to what is there.
  ///
  /// - Parameters:
  ///   - x: [rows][inputs].
  ///   - weight: [outputs][inputs].
  ///   - bias: [1][outputs].
  ///   - out: [rows][outputs].
  package func linear(
    _ x: Matrix, _ weight: Matrix, bias: Matrix?, into out: Matrix, accumulate: Bool = false
  ) {
    precondition(x.columns == weight.columns && out.columns == weight.rows && out.rows == x.rows)
    precondition(bias == nil || bias?.count == weight.rows)
    forEachTile(out.rows, out.columns) { rows, columns in
      if let bias {
        for row in rows {
          let target = out.numbers + row * out.columns + columns.lowerBound
          let source = bias.numbers + columns.lowerBound
          if accumulate {
            for index in 0..<columns.count { target[index] += source[index] }
          } else {
            target.update(from: source, count: columns.count)
          }
        }
      }
      multiplyOuter(
        x.view.rows(rows), weight.view.rows(columns), into: out[rows, columns],
        accumulate || bias != nil ? .add : .set)
    }
  }

  /// The gradient of a linear layer's input, from that of its output: out = gradient w, or that added.
  ///
  /// - Parameters:
  ///   - gradient: [rows][outputs].
  ///   - out: [rows][inputs].
  package func linearBack(
    _ gradient: Matrix, _ weight: Matrix, into out: Matrix, accumulate: Bool = false
  ) {
    precondition(gradient.columns == weight.rows && out.columns == weight.columns && out.rows == gradient.rows)
    forEachTile(out.rows, out.columns) { rows, columns in
      multiply(
        gradient.view.rows(rows), weight.columns(columns), into: out[rows, columns], accumulate ? .add : .set)
    }
  }

  /// Adds the gradients of a linear layer's weight and bias, from those of its output and its input.
  package func addWeightGradient(
    _ gradient: Matrix, _ x: Matrix, to weight: Matrix, bias: Matrix?
  ) {
    precondition(gradient.rows == x.rows && weight.rows == gradient.columns && weight.columns == x.columns)
    forEachTile(weight.rows, weight.columns) { rows, columns in
      multiplyTransposed(gradient.columns(rows), x.columns(columns), into: weight[rows, columns], .add)
    }
    if let bias { addColumnSums(gradient, to: bias) }
  }

  /// Adds the sum of all rows to a vector.
  func addColumnSums(_ matrix: Matrix, to vector: Matrix) {
    precondition(vector.count == matrix.columns)
    forEachPiece(matrix.columns, of: 256) { columns in
      let target = vector.numbers + columns.lowerBound
      for row in 0..<matrix.rows {
        let source = matrix.numbers + row * matrix.columns + columns.lowerBound
        for index in 0..<columns.count { target[index] += source[index] }
      }
    }
  }

  /// out = a b, of a: [rows][depth], b: [depth][columns].
  package func product(_ a: Matrix, _ b: Matrix, into out: Matrix, accumulate: Bool = false) {
    linearBack(a, b, into: out, accumulate: accumulate)
  }

  /// out = aᵀ b, of a: [depth][rows], b: [depth][columns].
  package func transposedProduct(_ a: Matrix, _ b: Matrix, into out: Matrix) {
    out.clear()
    addWeightGradient(a, b, to: out, bias: nil)
  }

  // MARK: Sums

  /// a += b, or a multiple of b.
  package func add(_ b: Matrix, times factor: Float = 1, to a: Matrix) {
    precondition(a.count == b.count)
    forEachPiece(a.count, of: 1 << 16) { range in
      let (target, source) = (a.numbers + range.lowerBound, b.numbers + range.lowerBound)
      if factor == 1 {
        for index in 0..<range.count { target[index] += source[index] }
      } else {
        for index in 0..<range.count { target[index] += factor * source[index] }
      }
    }
  }

  /// The sum of squares.
  package func squares(_ matrix: Matrix) -> Double {
    let table = table
    return sum(of: matrix.count) { range in
      let start = matrix.numbers + range.lowerBound
      return table.dot(start, start, range.count)
    }
  }

  /// The sum of squares of a - b, whose multiple is added to a gradient where there is one.
  package func squaredDistance(
    _ a: Matrix, _ b: Matrix, adding scale: Float = 0, to gradient: Matrix? = nil
  ) -> Double {
    precondition(a.count == b.count && (gradient == nil || gradient?.count == a.count))
    return sum(of: a.count) { range in
      let (x, y) = (a.numbers + range.lowerBound, b.numbers + range.lowerBound)
      var sum: Float = 0
      for index in 0..<range.count { sum += (x[index] - y[index]) * (x[index] - y[index]) }
      guard let gradient else { return sum }
      let target = gradient.numbers + range.lowerBound
      for index in 0..<range.count { target[index] += scale * (x[index] - y[index]) }
      return sum
    }
  }

  /// Adds up what `body` gives for pieces of 0..<count, in their order.
  private func sum(of count: Int, _ body: (Range<Int>) -> Float) -> Double {
    let piece = 1 << 12
    var sums = [Float](repeating: 0, count: (count + piece - 1) / piece)
    sums.withUnsafeMutableBufferPointer { sums in
      nonisolated(unsafe) let sums = sums
      forEachPiece(count, of: piece) { sums[$0.lowerBound / piece] = body($0) }
    }
    return sums.reduce(0) { $0 + Double($1) }
  }
}
