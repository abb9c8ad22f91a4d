import FurlBase
import FurlTensor

/// FP32 numbers row by row, without padding: weights, moments, gradients and activations of what Furl computes outside of
/// a model's own forward pass.
///
/// Matrices may share memory. Whoever writes to one is its owner for that time; parts of it may be written by several
/// threads at once.
package final class Matrix: @unchecked Sendable {
  package let rows: Int
  package let columns: Int
  private let storage: ByteStorage
  /// [rows][columns]
  let numbers: UnsafeMutablePointer<Float>

  /// Zeros.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory for so many.
  package init(rows: Int, columns: Int) throws {
    self.rows = rows
    self.columns = columns
    storage = try ByteStorage(zeroed: Matrix.bytes(rows, columns), isDense: true)
    numbers = storage.base.assumingMemoryBound(to: Float.self)
  }

  /// - Parameter values: [rows][columns].
  package convenience init(_ values: [Float], rows: Int, columns: Int) throws {
    precondition(values.count == rows * columns)
    try self.init(rows: rows, columns: columns)
    numbers.update(from: values, count: values.count)
  }

  package convenience init(copying other: Matrix) throws {
    try self.init(rows: other.rows, columns: other.columns)
    copy(other)
  }

  private init(_ storage: ByteStorage, offset: Int, rows: Int, columns: Int) {
    precondition(offset >= 0 && rows >= 0 && columns >= 0 && (offset + rows * columns) * 4 <= storage.count)
    self.rows = rows
    self.columns = columns
    self.storage = storage
    numbers = storage.base.assumingMemoryBound(to: Float.self) + offset
  }

  private static func bytes(_ rows: Int, _ columns: Int) throws -> Int {
    guard rows >= 0, columns >= 0, let bytes = checkedProduct(rows, columns, 4),
      UInt64(bytes) < ProcessInfo.processInfo.physicalMemory
    else {
      throw FurlError(
        .unavailable, "\(rows) x \(columns) numbers do not fit in this machine's memory",
        remedy: "give smaller settings (batch, length, method: nearest), or a smaller model")
    }
    return bytes
  }

  /// Matrices of some shapes that lie one behind the other.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory for all of them.
  package static func row(of shapes: [(rows: Int, columns: Int)]) throws -> (all: Matrix, parts: [Matrix]) {
    let count = try shapes.reduce(0) { sum, shape in
      let (total, overflow) = sum.addingReportingOverflow(try bytes(shape.rows, shape.columns) / 4)
      return overflow ? Int.max : total
    }
    let all = try Matrix(rows: 1, columns: count)
    var offset = 0
    let parts = shapes.map { shape in
      defer { offset += shape.rows * shape.columns }
      return Matrix(all.storage, offset: offset, rows: shape.rows, columns: shape.columns)
    }
    return (all, parts)
  }

  // MARK: Views

  /// The first numbers as so many rows of other columns.
  package func shaped(columns: Int, rows: Int? = nil) -> Matrix {
    let offset = numbers - storage.base.assumingMemoryBound(to: Float.self)
    precondition((rows ?? self.rows) * columns <= self.rows * self.columns)
    return Matrix(storage, offset: offset, rows: rows ?? self.rows, columns: columns)
  }

  /// Some of the rows, in the same memory.
  package func rows(_ range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    let offset = numbers - storage.base.assumingMemoryBound(to: Float.self)
    return Matrix(storage, offset: offset + range.lowerBound * columns, rows: range.count, columns: columns)
  }

  /// All of it.
  var view: MatrixView { MatrixView(numbers, rows: rows, columns: columns) }

  /// Some rows of some columns.
  subscript(rows: Range<Int>, columns: Range<Int>) -> MatrixView { view[rows, columns] }

  /// All rows of some columns.
  func columns(_ range: Range<Int>) -> MatrixView { view.columns(range) }

  /// The numbers of a row.
  func row(_ index: Int) -> UnsafeMutablePointer<Float> { numbers + index * columns }

  // MARK: Numbers

  package var count: Int { rows * columns }

  package subscript(row: Int, column: Int) -> Float {
    get { view[row, column] }
    set { view[row, column] = newValue }
  }

  /// A copy of all numbers, or what takes their place.
  package var values: [Float] {
    get { Array(UnsafeBufferPointer(start: numbers, count: count)) }
    set {
      precondition(newValue.count == count)
      newValue.withUnsafeBufferPointer { if let base = $0.baseAddress { numbers.update(from: base, count: count) } }
    }
  }

  /// One row.
  package subscript(row: Int) -> [Float] {
    get {
      precondition((0..<rows).contains(row))
      return Array(UnsafeBufferPointer(start: self.row(row), count: columns))
    }
    set {
      precondition((0..<rows).contains(row) && newValue.count == columns)
      newValue.withUnsafeBufferPointer {
        if let base = $0.baseAddress { self.row(row).update(from: base, count: columns) }
      }
    }
  }

  package func copy(_ other: Matrix) {
    precondition(other.count == count)
    numbers.update(from: other.numbers, count: count)
  }

  package func clear() { numbers.update(repeating: 0, count: count) }
}
