import FurlTensor

extension SquareMatrix {
  /// Columns that are factored at once.
  private static let panel = 128

  /// Puts the lower Cholesky factor in the place of the lower triangle of this symmetric matrix; what is above the
  /// diagonal means nothing then. Blocked: a panel is solved, then its outer product taken off the rest. Tiles depend
  /// on the size only, so the result does not depend on the number of threads.
  ///
  /// - Returns: false when the matrix is not positive definite.
  func factorize(on pool: WorkerPool) -> Bool {
    for start in stride(from: 0, to: size, by: SquareMatrix.panel) {
      let end = min(start + SquareMatrix.panel, size)
      guard factorizeDiagonal(start..<end) else { return false }
      let below = (size - end + SquareMatrix.tile - 1) / SquareMatrix.tile
      pool.forEachAsTaken(below) { tile in
        let row = end + tile * SquareMatrix.tile
        MatrixMath.solve(
          part(start, start), for: part(row, start), rows: min(SquareMatrix.tile, size - row), columns: end - start)
      }
      forEachLowerTile(from: end, on: pool) { rows, columns in
        MatrixMath.subtractOuter(
          part(rows.lowerBound, start), part(columns.lowerBound, start),
          from: part(rows.lowerBound, columns.lowerBound),
          rows: rows.count, columns: columns.count, depth: end - start)
      }
    }
    return true
  }

  /// The factor of one block on the diagonal, with sums in double precision.
  private func factorizeDiagonal(_ range: Range<Int>) -> Bool {
    for column in range {
      let above = row(column)
      var pivot = Double(above[column])
      for index in range.lowerBound..<column { pivot -= Double(above[index]) * Double(above[index]) }
      guard pivot > 0, pivot.isFinite else { return false }
      let root = pivot.squareRoot()
      above[column] = Float(root)
      for lower in column + 1..<max(column + 1, range.upperBound) {
        let row = row(lower)
        var sum = Double(row[column])
        for index in range.lowerBound..<column { sum -= Double(row[index]) * Double(above[index]) }
        row[column] = Float(sum / root)
      }
    }
    return true
  }
}
