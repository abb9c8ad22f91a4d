/// Numbers of a matrix, or of a part of one, where they lie: [rows][columns], rows `stride` numbers apart.
///
/// A view keeps no memory alive: whoever takes one holds the matrix, or the memory of a thread, for as long.
struct MatrixView: @unchecked Sendable {
  let base: UnsafeMutablePointer<Float>
  let rows: Int
  let columns: Int
  let stride: Int

  /// - Parameter stride: the numbers from one row to the next; nil: rows follow each other.
  init(_ base: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int? = nil) {
    precondition(rows >= 0 && columns >= 0 && (stride ?? columns) >= columns)
    self.base = base
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? columns
  }

  subscript(row: Int, column: Int) -> Float {
    get {
      precondition(row >= 0 && row < rows && column >= 0 && column < columns)
      return base[row * stride + column]
    }
    nonmutating set {
      precondition(row >= 0 && row < rows && column >= 0 && column < columns)
      base[row * stride + column] = newValue
    }
  }

  /// Some rows of some columns.
  subscript(rows: Range<Int>, columns: Range<Int>) -> MatrixView {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= self.rows)
    precondition(columns.lowerBound >= 0 && columns.upperBound <= self.columns)
    return MatrixView(
      base + (rows.lowerBound * stride + columns.lowerBound), rows: rows.count, columns: columns.count, stride: stride)
  }

  func rows(_ range: Range<Int>) -> MatrixView { self[range, 0..<columns] }

  func columns(_ range: Range<Int>) -> MatrixView { self[0..<rows, range] }

  /// The numbers of a row.
  func row(_ index: Int) -> UnsafeMutablePointer<Float> { base + index * stride }

  func clear() {
    if stride == columns {
      base.update(repeating: 0, count: rows * columns)
    } else {
      for row in 0..<rows { self.row(row).update(repeating: 0, count: columns) }
    }
  }
}
