import FurlBase
import FurlTensor

/// FP32 numbers, row by row, that pruning computes with.
public final class FloatMatrix: @unchecked Sendable {
  public let rows: Int
  public let columns: Int
  private let storage: ByteStorage

  /// Zeros.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  public init(rows: Int, columns: Int) throws {
    guard let bytes = checkedProduct(rows, columns, 4) else {
      throw FurlError(.unavailable, "a matrix of \(rows) x \(columns) numbers does not fit in memory")
    }
    self.rows = rows
    self.columns = columns
    storage = try ByteStorage(zeroed: bytes, isDense: true)
  }

  /// - Parameter values: [rows][columns].
  public convenience init(_ values: [Float], rows: Int, columns: Int) throws {
    precondition(values.count == rows * columns)
    try self.init(rows: rows, columns: columns)
    base.update(from: values, count: values.count)
  }

  var base: UnsafeMutablePointer<Float> { storage.base.assumingMemoryBound(to: Float.self) }

  func row(_ index: Int) -> UnsafeMutablePointer<Float> { base + index * columns }

  func part(_ row: Int, _ column: Int) -> MatrixMath.Part {
    MatrixMath.Part(base: self.row(row) + column, stride: columns)
  }

  /// All numbers: [rows][columns].
  public var values: [Float] { Array(UnsafeBufferPointer(start: base, count: rows * columns)) }

  /// Columns as rows.
  public func transposed(on pool: WorkerPool) throws -> FloatMatrix {
    let result = try FloatMatrix(rows: columns, columns: rows)
    pool.forEach((columns + 63) / 64) { strip in
      for column in strip * 64..<min(strip * 64 + 64, columns) {
        let target = result.row(column)
        for row in 0..<rows { target[row] = base[row * columns + column] }
      }
    }
    return result
  }

  /// Some columns in the given order.
  public func gather(columns kept: [Int]) throws -> FloatMatrix {
    let result = try FloatMatrix(rows: rows, columns: kept.count)
    for row in 0..<rows {
      let (source, target) = (self.row(row), result.row(row))
      for (place, column) in kept.enumerated() { target[place] = source[column] }
    }
    return result
  }

  /// Some rows in the given order.
  public func gather(rows kept: [Int]) throws -> FloatMatrix {
    let result = try FloatMatrix(rows: kept.count, columns: columns)
    for (place, row) in kept.enumerated() { result.row(place).update(from: self.row(row), count: columns) }
    return result
  }

  /// This matrix and another one of as many rows beside it.
  public func beside(_ other: FloatMatrix) throws -> FloatMatrix {
    precondition(other.rows == rows)
    let result = try FloatMatrix(rows: rows, columns: columns + other.columns)
    for row in 0..<rows {
      result.row(row).update(from: self.row(row), count: columns)
      (result.row(row) + columns).update(from: other.row(row), count: other.columns)
    }
    return result
  }

  /// The reverse: columns in the places of a wider matrix of zeros.
  public func scattered(to places: [Int], of width: Int) throws -> FloatMatrix {
    precondition(places.count == columns)
    let result = try FloatMatrix(rows: rows, columns: width)
    for row in 0..<rows {
      let (source, target) = (self.row(row), result.row(row))
      for (column, place) in places.enumerated() { target[place] = source[column] }
    }
    return result
  }

  /// Numbers that are zero.
  public var zeroCount: Int { (0..<rows * columns).reduce(0) { $0 + (base[$1] == 0 ? 1 : 0) } }

  /// The sum of squares of each column.
  public var columnSquares: [Double] {
    var sums = [Double](repeating: 0, count: columns)
    for row in 0..<rows {
      let numbers = self.row(row)
      for column in 0..<columns { sums[column] += Double(numbers[column]) * Double(numbers[column]) }
    }
    return sums
  }

  /// The product with a vector of as many numbers as there are columns.
  public func times(_ vector: [Double]) -> [Double] {
    precondition(vector.count == columns)
    return (0..<rows).map { row in
      let numbers = self.row(row)
      var sum = 0.0
      for column in 0..<columns { sum += Double(numbers[column]) * vector[column] }
      return sum
    }
  }

  /// This matrix plus its product with the transposed of a square one, and a bias in every row: x + x aᵀ + b.
  public func adding(productWithTransposed square: FloatMatrix, bias: [Float]?, on pool: WorkerPool) throws
    -> FloatMatrix
  {
    precondition(square.rows == columns && square.columns == columns)
    let result = try FloatMatrix(rows: rows, columns: columns)
    let negative = try FloatMatrix(square.values.map { -$0 }, rows: columns, columns: columns)
    let slice = 256
    pool.forEachAsTaken((rows + slice - 1) / slice) { index in
      let first = index * slice
      let count = min(slice, rows - first)
      for row in first..<first + count {
        for column in 0..<columns { result.row(row)[column] = self.row(row)[column] + (bias?[column] ?? 0) }
      }
      MatrixMath.subtractOuter(
        part(first, 0), negative.part(0, 0), from: result.part(first, 0), rows: count, columns: columns, depth: columns)
    }
    return result
  }

  /// The matrix as kernels read it.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names the first number that is not finite.
  public func packed(_ scheme: Scheme = .float32, on pool: WorkerPool) throws -> PackedMatrix {
    let encoder = try TileEncoder(PackedLayout(scheme: scheme, shape: [rows, columns]))
    let failures = FirstFailure()
    pool.forEach(encoder.matrix.tiles) { tile in
      let first = tile * Tile.rows
      let count = min(Tile.rows, rows - first)
      let numbers = Array(UnsafeBufferPointer(start: row(first), count: count * columns))
      if !encoder.encode(numbers, tile: tile) {
        failures.add(
          FurlError.input(nil, "rows \(first)..<\(first + count) hold numbers that are not finite"), at: tile)
      }
    }
    try failures.rethrow()
    return encoder.matrix
  }
}
