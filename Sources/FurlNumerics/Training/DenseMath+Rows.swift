import FurlTensor
import CFurlKernels

/// Rows of a matrix by themselves: those that an expert computes.
extension DenseMath {
  /// Sets `out` to some rows of a matrix, in the given order.
  package func gather(_ x: Matrix, rows: [Int], into out: Matrix) {
    precondition(out.rows == rows.count && out.columns == x.columns && rows.allSatisfy { $0 >= 0 && $0 < x.rows })
    forEachPiece(rows.count, of: DenseMath.rowPiece) { range in
      for index in range { out.row(index).update(from: x.row(rows[index]), count: x.columns) }
    }
  }

  /// Adds the rows of a matrix to some rows of another one.
  ///
  /// - Parameters:
  ///   - factors: what each is multiplied with; nil: nothing.
  ///   - rows: where each goes, no two to the same.
  package func scatter(_ x: Matrix, times factors: [Float]? = nil, to rows: [Int], addingTo out: Matrix) {
    precondition(x.rows == rows.count && x.columns == out.columns && (factors == nil || factors?.count == rows.count))
    precondition(rows.allSatisfy { $0 >= 0 && $0 < out.rows })
    forEachPiece(rows.count, of: DenseMath.rowPiece) { range in
      for index in range {
        let (source, target) = (x.row(index), out.row(rows[index]))
        if let factor = factors?[index] {
          for column in 0..<x.columns { target[column] += factor * source[column] }
        } else {
          for column in 0..<x.columns { target[column] += source[column] }
        }
      }
    }
  }

  /// For every row of a the sum of its products with a row of b: the same one, or the only one.
  package func rowProducts(_ a: Matrix, _ b: Matrix) -> [Float] {
    precondition(a.columns == b.columns && (b.rows == a.rows || b.rows == 1))
    let kernel = table.dot
    return (0..<a.rows).map { kernel(a.row($0), b.row(b.rows == 1 ? 0 : $0), a.columns) }
  }
}
