import FurlBase
import FurlTensor

/// FP32 numbers row by row, without padding: weights, gradients and activations of training.
///
/// Matrices may share memory. Whoever writes to one is its owner for that time; parts of it may be written by several
/// threads at once.
public final class DenseMatrix: @unchecked Sendable {
  public let rows: Int
  public let columns: Int
  private let storage: ByteStorage
  let numbers: UnsafeMutablePointer<Float>

  /// Zeros.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory for so many.
  public init(rows: Int, columns: Int) throws {
    self.rows = rows
    self.columns = columns
    storage = try ByteStorage(zeroed: DenseMatrix.bytes(rows, columns), isDense: true)
    numbers = storage.base.assumingMemoryBound(to: Float.self)
  }

  private init(_ storage: ByteStorage, offset: Int, rows: Int, columns: Int) {
    precondition(offset >= 0 && rows >= 0 && columns >= 0 && (offset + rows * columns) * 4 <= storage.count)
    self.rows = rows
    self.columns = columns
    self.storage = storage
    numbers = storage.base.assumingMemoryBound(to: Float.self) + offset
  }

  private static func bytes(_ rows: Int, _ columns: Int) throws -> Int {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    let (bytes, tooMany) = count.multipliedReportingOverflow(by: 4)
    guard rows >= 0, columns >= 0, !overflow, !tooMany, UInt64(bytes) < ProcessInfo.processInfo.physicalMemory else {
      throw FurlError(
        .unavailable, "\(rows) x \(columns) numbers do not fit in this machine's memory",
        remedy: "train with a smaller batch or shorter sequences, or a smaller model")
    }
    return bytes
  }

  /// Matrices of some shapes that lie one behind the other.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory for all of them.
  public static func row(of shapes: [(rows: Int, columns: Int)]) throws -> (all: DenseMatrix, parts: [DenseMatrix]) {
    let count = try shapes.reduce(0) { sum, shape in
      let (total, overflow) = sum.addingReportingOverflow(try bytes(shape.rows, shape.columns) / 4)
      return overflow ? Int.max : total
    }
    let all = try DenseMatrix(rows: 1, columns: count)
    var offset = 0
    let parts = shapes.map { shape in
      defer { offset += shape.rows * shape.columns }
      return DenseMatrix(all.storage, offset: offset, rows: shape.rows, columns: shape.columns)
    }
    return (all, parts)
  }

  /// The first numbers as so many rows of other columns.
  public func shaped(columns: Int, rows: Int? = nil) -> DenseMatrix {
    let offset = numbers - storage.base.assumingMemoryBound(to: Float.self)
    precondition((rows ?? self.rows) * columns <= self.rows * self.columns)
    return DenseMatrix(storage, offset: offset, rows: rows ?? self.rows, columns: columns)
  }

  /// Some of the rows, in the same memory.
  public func rows(_ range: Range<Int>) -> DenseMatrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    let offset = numbers - storage.base.assumingMemoryBound(to: Float.self)
    return DenseMatrix(storage, offset: offset + range.lowerBound * columns, rows: range.count, columns: columns)
  }

  public var count: Int { rows * columns }

  /// A copy of all numbers, or what takes their place.
  public var values: [Float] {
    get { Array(UnsafeBufferPointer(start: numbers, count: count)) }
    set {
      precondition(newValue.count == count)
      newValue.withUnsafeBufferPointer { if let base = $0.baseAddress { numbers.update(from: base, count: count) } }
    }
  }

  /// One row.
  public subscript(row: Int) -> [Float] {
    get {
      precondition((0..<rows).contains(row))
      return Array(UnsafeBufferPointer(start: numbers + row * columns, count: columns))
    }
    set {
      precondition((0..<rows).contains(row) && newValue.count == columns)
      newValue.withUnsafeBufferPointer {
        if let base = $0.baseAddress { (numbers + row * columns).update(from: base, count: columns) }
      }
    }
  }

  /// Sets some rows to those of a source.
  ///
  /// - Throws: ``FurlError`` of kind `input` for a number that is not finite.
  public func load(_ source: WeightSource, with buffer: ReadBuffer) throws {
    precondition(source.rows == rows && source.columns == columns)
    let step = max(1, (1 << 20) / max(1, columns))
    for start in stride(from: 0, to: rows, by: step) {
      let range = start..<min(start + step, rows)
      let values = try source.loadFloats(rows: range, with: buffer)
      if let bad = values.firstIndex(where: { !$0.isFinite }) {
        let place = "element [\(start + bad / columns), \(bad % columns)]"
        throw FurlError.input(source.file.path, "\(place) is \(values[bad]), not a finite number")
      }
      values.withUnsafeBufferPointer { (numbers + start * columns).update(from: $0.baseAddress!, count: values.count) }
    }
  }

  public func copy(_ other: DenseMatrix) {
    precondition(other.count == count)
    numbers.update(from: other.numbers, count: count)
  }

  public func clear() { numbers.update(repeating: 0, count: count) }

  /// Calls `body` with copies of all bytes, a piece at a time.
  public func forEachChunk(_ body: ([UInt8]) throws -> Void) rethrows {
    let step = 1 << 20
    for start in stride(from: 0, to: count, by: step) {
      try body(Array(UnsafeRawBufferPointer(start: numbers + start, count: min(step, count - start) * 4)))
    }
  }

  /// Sets all numbers to those in a file, as ``forEachChunk(_:)`` gives them.
  ///
  /// - Throws: ``FurlError`` of kind `input` when the file cannot be read.
  public func load(_ file: MappedFile, at offset: Int) throws {
    try file.read(offset..<offset + count * 4, into: numbers)
  }

  var part: MatrixMath.Part { MatrixMath.Part(base: numbers, stride: columns) }

  /// What begins at a row and a column.
  func part(_ row: Int, _ column: Int) -> MatrixMath.Part {
    MatrixMath.Part(base: numbers + row * columns + column, stride: columns)
  }
}
