package import FurlBase

/// A matrix whose numbers no file holds as they are: they are computed from several stored tensors (codes, scales, zeros),
/// row by row and whenever they are read.
package protocol CodedMatrix: Sendable {
  /// Outputs.
  var rows: Int { get }
  /// Inputs.
  var columns: Int { get }
  /// What people call the form: `GPTQ 4 bits, groups of 128`.
  var form: String { get }
  /// The bytes that it is computed from; those of the codes come first.
  var parts: [StoredPart] { get }
  /// Bytes of everything that it is computed from.
  var bytes: Int { get }

  /// Writes some rows as FP32, [range.count][columns]. The range lies in the matrix.
  func decode(rows range: Range<Int>, into output: UnsafeMutablePointer<Float>)
}

/// Bytes of a file that a matrix is computed from.
package struct StoredPart: Sendable {
  package let file: MappedFile
  package let range: Range<Int>

  package init(_ file: MappedFile, _ range: Range<Int>) {
    self.file = file
    self.range = range
  }
}

extension CodedMatrix {
  package var bytes: Int { parts.reduce(0) { $0 + $1.range.count } }
}

/// A part of such a matrix, as a source of weights.
struct CodedRows: Sendable {
  let matrix: any CodedMatrix
  /// The rows that may be read begin with this one.
  let firstRow: Int
  let firstColumn: Int

  /// Writes a run of rows that lie together, counted from `firstRow`: [range.count][columns].
  private func decode(run: Range<Int>, columns: Int, into output: UnsafeMutablePointer<Float>) {
    let rows = firstRow + run.lowerBound..<firstRow + run.upperBound
    if firstColumn == 0, columns == matrix.columns { return matrix.decode(rows: rows, into: output) }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: matrix.columns) { whole in
      for (index, row) in rows.enumerated() {
        matrix.decode(rows: row..<row + 1, into: whole.baseAddress!)
        for column in 0..<columns { output[index * columns + column] = whole[firstColumn + column] }
      }
    }
  }

  /// Writes rows in an order, those that lie together at once.
  func decode(
    rows range: Range<Int>, order: WeightSource.RowOrder, columns: Int, into output: UnsafeMutablePointer<Float>
  ) {
    if order == .stored { return decode(run: range, columns: columns, into: output) }
    var start = range.lowerBound
    while start < range.upperBound {
      let first = order.stored(start)
      var end = start + 1
      while end < range.upperBound, order.stored(end) == first + end - start { end += 1 }
      decode(
        run: first..<first + end - start, columns: columns, into: output + (start - range.lowerBound) * columns)
      start = end
    }
  }
}

extension WeightSource {
  /// Rows of a matrix that is computed when it is read. As a source it has the type of what comes out, FP32.
  ///
  /// - Parameters:
  ///   - firstRow: of the matrix, from which `rowOrder` counts.
  ///   - firstColumn: the columns that are read are those from this one on.
  /// - Throws: ``FurlError`` of kind `defect` for rows or columns that the matrix does not have.
  package init(
    coded matrix: any CodedMatrix, firstRow: Int = 0, rows: Int, firstColumn: Int = 0, columns: Int,
    rowOrder: RowOrder = .stored
  ) throws {
    let codes = matrix.parts[0]
    guard rows > 0, columns > 0, firstRow >= 0, firstColumn >= 0, firstColumn + columns <= matrix.columns,
      let last = rowOrder.last(of: rows), last < matrix.rows - firstRow, rowOrder.fits(rows)
    else { throw FurlError(.defect, file: codes.file.path, "a part of \(matrix.form) lies outside of its matrix") }
    self.init(
      coded: CodedRows(matrix: matrix, firstRow: firstRow, firstColumn: firstColumn), codes, rows: rows,
      columns: columns, rowOrder: rowOrder)
  }

  /// Whether the numbers are computed from several stored tensors.
  package var isCoded: Bool { coded != nil }

  /// Some rows of a computed matrix, in the order in which they are stored.
  ///
  /// - Throws: ``FurlError`` of kind `defect` for a source whose numbers a file holds.
  package func codedRows(_ range: Range<Int>) throws -> WeightSource {
    guard let coded else { throw FurlError(.defect, file: file.path, "is no computed matrix") }
    return try WeightSource(
      coded: coded.matrix, firstRow: coded.firstRow + range.lowerBound, rows: range.count,
      firstColumn: coded.firstColumn, columns: columns
    ).folding(fold)
  }

  /// How the numbers are stored, for people.
  package var storedForm: String { coded?.matrix.form ?? type.rawValue }

  /// Bits in the files for each number, scales and zeros included.
  package var storedBitsPerWeight: Double {
    guard let matrix = coded?.matrix else { return 8 * Double(type.blockBytes) / Double(type.blockSize) }
    return 8 * Double(matrix.bytes) / (Double(matrix.rows) * Double(matrix.columns))
  }

  /// Bytes in the files for so many of its numbers.
  package func storedBytes(_ numbers: Int) -> Int {
    isCoded ? Int((storedBitsPerWeight * Double(numbers) / 8).rounded()) : type.byteCount(numbers)
  }
}
