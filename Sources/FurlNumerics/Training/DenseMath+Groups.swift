import CFurlKernels

extension DenseMath {
  /// For every column the sum over all rows of a b.
  package func columnProducts(_ a: Matrix, _ b: Matrix) -> [Float] {
    precondition(a.rows == b.rows && a.columns == b.columns)
    var sums = [Float](repeating: 0, count: a.columns)
    sums.withUnsafeMutableBufferPointer { sums in
      nonisolated(unsafe) let sums = sums
      forEachPiece(a.columns, of: 256) { columns in
        for row in 0..<a.rows {
          let (x, y) = (a.numbers + row * a.columns, b.numbers + row * a.columns)
          for column in columns { sums[column] += x[column] * y[column] }
        }
      }
    }
    return sums
  }

  /// For every row the sum of squares.
  package func rowSquares(_ matrix: Matrix) -> [Float] {
    let kernel = table.dot
    return (0..<matrix.rows).map { row in
      let start = matrix.numbers + row * matrix.columns
      return kernel(start, start, matrix.columns)
    }
  }

  /// Multiplies every row with a factor.
  package func scaleRows(_ matrix: Matrix, by factors: [Float]) {
    precondition(factors.count == matrix.rows)
    for (row, factor) in factors.enumerated() where factor != 1 {
      let start = matrix.numbers + row * matrix.columns
      for column in 0..<matrix.columns { start[column] *= factor }
    }
  }

  /// Multiplies every column with a factor.
  package func scaleColumns(_ matrix: Matrix, by factors: [Float]) {
    precondition(factors.count == matrix.columns)
    factors.withUnsafeBufferPointer { factors in
      nonisolated(unsafe) let factors = factors
      forEachPiece(matrix.rows, of: DenseMath.rowPiece) { rows in
        for row in rows {
          let start = matrix.numbers + row * matrix.columns
          for column in 0..<matrix.columns { start[column] *= factors[column] }
        }
      }
    }
  }
}
