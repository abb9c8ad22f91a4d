package import FurlTensor

/// Pieces of rows, which lie beside each other at equal distances: heads of one size within wider ones.
extension DenseMath {
  /// Copies pieces of every row of a matrix to another one's; what lies beside them there stays.
  ///
  /// - Parameters:
  ///   - x: [rows][columns].
  ///   - source: where they lie in it; target: where in `out`.
  ///   - size: numbers of a piece.
  ///   - count: pieces of a row.
  ///   - out: [rows][other columns].
  package func copyPieces(
    _ x: Matrix, from source: Activations.Pieces, of size: Int, count: Int, into out: Matrix,
    to target: Activations.Pieces
  ) {
    precondition(x.rows == out.rows && size > 0 && (count == 1 || target.step >= size))
    precondition(source.end(count, of: size) <= x.columns && target.end(count, of: size) <= out.columns)
    forEachPiece(x.rows, of: DenseMath.rowPiece) { rows in
      for row in rows {
        let (from, to) = (x.row(row) + source.start, out.row(row) + target.start)
        for piece in 0..<count { (to + piece * target.step).update(from: from + piece * source.step, count: size) }
      }
    }
  }

  /// Sets every row of `out` to the sum of the pieces of a row: the gradient of what was copied to all of them.
  ///
  /// - Parameters:
  ///   - x: [rows][columns].
  ///   - source: where they lie in it.
  ///   - count: pieces of a row.
  ///   - out: [rows][size of a piece].
  package func sumPieces(_ x: Matrix, from source: Activations.Pieces, count: Int, into out: Matrix) {
    let size = out.columns
    precondition(x.rows == out.rows && count > 0 && source.end(count, of: size) <= x.columns)
    forEachPiece(x.rows, of: DenseMath.rowPiece) { rows in
      for row in rows {
        let (from, to) = (x.row(row) + source.start, out.row(row))
        to.update(from: from, count: size)
        for piece in 1..<max(1, count) {
          for index in 0..<size { to[index] += from[piece * source.step + index] }
        }
      }
    }
  }
}

extension Activations.Pieces {
  /// Columns up to the end of so many pieces.
  fileprivate func end(_ count: Int, of size: Int) -> Int {
    precondition(start >= 0 && step >= 0)
    return start + max(0, count - 1) * step + size
  }
}
