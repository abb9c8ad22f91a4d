package import FurlTensor

/// Matrices made of rows and columns of others, and what goes over all numbers in double precision.
extension Matrix {
  /// Columns as rows.
  package func transposed(on pool: WorkerPool) throws -> Matrix {
    let result = try Matrix(rows: columns, columns: rows)
    pool.forEach((columns + 63) / 64) { strip in
      for column in strip * 64..<min(strip * 64 + 64, columns) {
        let target = result.row(column)
        for row in 0..<rows { target[row] = numbers[row * columns + column] }
      }
    }
    return result
  }

  /// Some columns in the given order.
  package func gather(columns kept: [Int]) throws -> Matrix {
    let result = try Matrix(rows: rows, columns: kept.count)
    for row in 0..<rows {
      let (source, target) = (self.row(row), result.row(row))
      for (place, column) in kept.enumerated() { target[place] = source[column] }
    }
    return result
  }

  /// Some rows in the given order.
  package func gather(rows kept: [Int]) throws -> Matrix {
    let result = try Matrix(rows: kept.count, columns: columns)
    for (place, row) in kept.enumerated() { result.row(place).update(from: self.row(row), count: columns) }
    return result
  }

  /// This matrix and another one of as many rows beside it.
  package func beside(_ other: Matrix) throws -> Matrix {
    precondition(other.rows == rows)
    let result = try Matrix(rows: rows, columns: columns + other.columns)
    for row in 0..<rows {
      result.row(row).update(from: self.row(row), count: columns)
      (result.row(row) + columns).update(from: other.row(row), count: other.columns)
    }
    return result
  }

  /// The reverse: columns in the places of a wider matrix of zeros.
  package func scattered(to places: [Int], of width: Int) throws -> Matrix {
    precondition(places.count == columns)
    let result = try Matrix(rows: rows, columns: width)
    for row in 0..<rows {
      let (source, target) = (self.row(row), result.row(row))
      for (column, place) in places.enumerated() { target[place] = source[column] }
    }
    return result
  }

  /// Numbers that are zero.
  package var zeroCount: Int { (0..<rows * columns).reduce(0) { $0 + (numbers[$1] == 0 ? 1 : 0) } }

  /// The sum of squares of each column.
  package var columnSquares: [Double] {
    var sums = [Double](repeating: 0, count: columns)
    for row in 0..<rows {
      let numbers = self.row(row)
      for column in 0..<columns { sums[column] += Double(numbers[column]) * Double(numbers[column]) }
    }
    return sums
  }

  /// The product with a vector of as many numbers as there are columns.
  package func times(_ vector: [Double]) -> [Double] {
    precondition(vector.count == columns)
    return (0..<rows).map { row in
      let numbers = self.row(row)
      var sum = 0.0
      for column in 0..<columns { sum += Double(numbers[column]) * vector[column] }
      return sum
    }
  }

  /// This matrix plus its product with the transposed of a square one, and a bias in every row: x + x aᵀ + b.
  package func adding(productWithTransposed square: Matrix, bias: [Float]?, on math: DenseMath) throws
    -> Matrix
  {
    precondition(square.rows == columns && square.columns == columns)
    let result = try Matrix(rows: rows, columns: columns)
    let negative = try Matrix(square.values.map { -$0 }, rows: columns, columns: columns)
    math.forEachPiece(rows, of: 256) { range in
      for row in range {
        for column in 0..<columns { result.row(row)[column] = self.row(row)[column] + (bias?[column] ?? 0) }
      }
      math.multiplyOuter(view.rows(range), negative.view, into: result.view.rows(range), .subtract)
    }
    return result
  }
}
