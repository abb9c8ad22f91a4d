import FurlBase
import FurlTensor

/// A square matrix of FP32 numbers, row by row.
final class SquareMatrix: @unchecked Sendable {
  /// Rows, and columns.
  let size: Int
  private let storage: ByteStorage

  /// A matrix of zeros.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when it would not fit in this machine's memory.
  init(_ size: Int) throws {
    let (bytes, overflow) = size.multipliedReportingOverflow(by: size * 4)
    guard size < 1 << 24, !overflow, UInt64(bytes) < ProcessInfo.processInfo.physicalMemory else {
      throw FurlError(
        .unavailable, "the second moments of \(size) columns do not fit in this machine's memory",
        remedy: "use method: nearest")
    }
    self.size = size
    storage = try ByteStorage(zeroed: bytes, isDense: true)
  }

  convenience init(copying other: SquareMatrix) throws {
    try self.init(other.size)
    numbers.update(from: other.numbers, count: size * size)
  }

  /// [size][size]
  var numbers: UnsafeMutablePointer<Float> { storage.base.assumingMemoryBound(to: Float.self) }

  func row(_ index: Int) -> UnsafeMutablePointer<Float> { numbers + index * size }

  /// From a row and a column on.
  func part(_ row: Int, _ column: Int) -> MatrixMath.Part {
    MatrixMath.Part(base: self.row(row) + column, stride: size)
  }

  var diagonal: [Float] { (0..<size).map { row($0)[$0] } }

  /// Rows and columns are worked on in tiles of so many.
  static let tile = 256

  /// Calls `body` with every tile on and below the diagonal, on any thread.
  func forEachLowerTile(
    from first: Int = 0, on pool: WorkerPool, _ body: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void
  ) {
    let count = (size - first + SquareMatrix.tile - 1) / SquareMatrix.tile
    func range(_ tile: Int) -> Range<Int> {
      let start = first + tile * SquareMatrix.tile
      return start..<min(start + SquareMatrix.tile, size)
    }
    let tiles = (0..<count).flatMap { row in (0...row).map { (row, $0) } }
    pool.forEachAsTaken(tiles.count) { body(range(tiles[$0].0), range(tiles[$0].1)) }
  }

  /// Makes the upper triangle the mirror image of the lower one.
  func mirror(on pool: WorkerPool) {
    forEachLowerTile(on: pool) { rows, columns in
      for row in rows {
        let source = self.row(row)
        for column in columns.lowerBound..<min(columns.upperBound, row) { self.row(column)[row] = source[column] }
      }
    }
  }

  /// Puts row and column `order[i]` in the place of row and column i, for all i.
  func permute(_ order: [Int]) {
    var place = Array(0..<size)
    var inside = Array(0..<size)
    for index in 0..<size where inside[index] != order[index] {
      let other = place[order[index]]
      let (a, b) = (row(index), row(other))
      for column in 0..<size { swap(&a[column], &b[column]) }
      for row in 0..<size {
        let numbers = self.row(row)
        swap(&numbers[index], &numbers[other])
      }
      inside.swapAt(index, other)
      place[inside[index]] = index
      place[inside[other]] = other
    }
  }
}
