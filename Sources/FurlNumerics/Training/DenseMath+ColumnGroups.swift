import CFurlKernels
import FurlTensor

/// Numbers that groups of columns share: scales of blocks.
extension DenseMath {
  /// sums[r][g] = the sum of a[r][c] b[r][c] over the columns c of group g.
  ///
  /// - Parameters:
  ///   - a: [rows][columns], as b.
  ///   - columns: of a group; the last may have fewer.
  ///   - sums: [rows][groups].
  package func groupProducts(_ a: Matrix, _ b: Matrix, columns: Int, into sums: Matrix) {
    precondition(a.rows == b.rows && a.columns == b.columns && sums.rows == a.rows)
    precondition(columns > 0 && (a.columns + columns - 1) / columns == sums.columns)
    let table = table
    forEachPiece(a.rows, of: 16) { rows in
      for row in rows {
        let (x, y, target) = (a.row(row), b.row(row), sums.row(row))
        for group in 0..<sums.columns {
          let start = group * columns
          target[group] = table.dot(x + start, y + start, min(columns, a.columns - start))
        }
      }
    }
  }

  /// target[r][c] = (1 + changes[r][g]) a[r][c], to which the same of others is added.
  ///
  /// - Parameters:
  ///   - a: [rows][columns], as target.
  ///   - changes: [rows][groups].
  ///   - adds: false replaces what is there.
  package func scaleGroups(_ a: Matrix, by changes: Matrix, columns: Int, into target: Matrix, adds: Bool = false) {
    precondition(a.rows == target.rows && a.columns == target.columns && changes.rows == a.rows)
    precondition(columns > 0 && (a.columns + columns - 1) / columns == changes.columns)
    forEachPiece(a.rows, of: 16) { rows in
      for row in rows {
        let (x, factors, y) = (a.row(row), changes.row(row), target.row(row))
        for group in 0..<changes.columns {
          let factor = 1 + factors[group]
          for column in group * columns..<min((group + 1) * columns, a.columns) {
            y[column] = adds ? y[column] + factor * x[column] : factor * x[column]
          }
        }
      }
    }
  }
}
