import FurlTensor

/// What square matrices can do: second moments, covariances and their factors.
extension Matrix {
  /// The numbers on the diagonal of a square matrix.
  var diagonal: [Float] { (0..<rows).map { row($0)[$0] } }

  /// Rows and columns are worked on in tiles of so many.
  static let tile = 256

  /// Calls `body` with every tile on and below the diagonal, on any thread.
  func forEachLowerTile(
    from first: Int = 0, on pool: WorkerPool, _ body: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void
  ) {
    precondition(rows == columns)
    let count = (rows - first + Matrix.tile - 1) / Matrix.tile
    func range(_ tile: Int) -> Range<Int> {
      let start = first + tile * Matrix.tile
      return start..<min(start + Matrix.tile, rows)
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

  /// Swaps rows with columns, in place.
  func transpose() {
    precondition(rows == columns)
    for row in 0..<rows {
      let numbers = self.row(row)
      for column in 0..<row { swap(&numbers[column], &self.row(column)[row]) }
    }
  }

  /// Puts row and column `order[i]` in the place of row and column i, for all i.
  func permute(_ order: [Int]) {
    precondition(rows == columns && order.count == rows)
    var place = Array(0..<rows)
    var inside = Array(0..<rows)
    for index in 0..<rows where inside[index] != order[index] {
      let other = place[order[index]]
      let (a, b) = (row(index), row(other))
      for column in 0..<columns { swap(&a[column], &b[column]) }
      for row in 0..<rows {
        let numbers = self.row(row)
        swap(&numbers[index], &numbers[other])
      }
      inside.swapAt(index, other)
      place[inside[index]] = index
      place[inside[other]] = other
    }
  }
}
