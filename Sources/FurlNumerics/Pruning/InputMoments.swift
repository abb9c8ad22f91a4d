import FurlBase
package import FurlTensor

/// Means and covariances of a layer's inputs over rows of activations.
///
/// Sums are FP32 and of the distance from the mean of the first rows, so that large means, which some columns of
/// language models have, cost no digits. The order of sums depends on the rows only.
package final class InputMoments: @unchecked Sendable {
  package let columns: Int
  /// Rows that have been added.
  package private(set) var count = 0
  private let products: Matrix
  private var origin: [Float] = []
  private var sums: [Double]
  private var shifted: Activations?

  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package init(columns: Int) throws {
    precondition(columns > 0)
    self.columns = columns
    products = try Matrix(rows: columns, columns: columns)
    sums = Array(repeating: 0, count: columns)
  }

  /// Adds rows of activations, the same whatever the number of threads.
  ///
  /// - Parameter input: [count][columns].
  package func add(_ input: Activations, count: Int, on math: DenseMath) throws {
    precondition(input.columns == columns && count <= input.capacity)
    guard count > 0 else { return }
    if origin.isEmpty { origin = InputMoments.means(input, count: count) }
    if shifted == nil || shifted!.capacity < count { shifted = try Activations(columns: columns, capacity: count) }
    guard let shifted else { return }
    shift(input, count: count, into: shifted)
    self.count += count
    let rows = MatrixView(shifted.values, rows: count, columns: columns, stride: shifted.stride)
    products.forEachLowerTile(on: math.pool) { lower, upper in
      math.multiplyTransposed(rows.columns(lower), rows.columns(upper), into: products[lower, upper], .add)
    }
  }

  /// Adds the rows of a matrix, times a factor.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package func add(rowsOf matrix: Matrix, times factor: Float = 1, on math: DenseMath) throws {
    precondition(matrix.columns == columns)
    let piece = 256
    let rows = try Activations(columns: columns, capacity: piece)
    for first in stride(from: 0, to: matrix.rows, by: piece) {
      let count = min(piece, matrix.rows - first)
      for row in 0..<count {
        let (from, to) = (matrix.row(first + row), rows.values + row * rows.stride)
        for column in 0..<columns { to[column] = factor * from[column] }
      }
      try add(rows, count: count, on: math)
    }
  }

  private static func means(_ input: Activations, count: Int) -> [Float] {
    var sums = [Double](repeating: 0, count: input.columns)
    for row in 0..<count {
      for column in 0..<input.columns { sums[column] += Double(input.values[row * input.stride + column]) }
    }
    return sums.map { Float($0 / Double(count)) }
  }

  private func shift(_ input: Activations, count: Int, into target: Activations) {
    for row in 0..<count {
      let (from, to) = (input.values + row * input.stride, target.values + row * target.stride)
      for column in 0..<columns {
        let value = from[column] - origin[column]
        to[column] = value
        sums[column] += Double(value)
      }
    }
  }

  /// The mean of each column.
  package var means: [Double] { sums.indices.map { Double(origin[$0]) + sums[$0] / Double(max(1, count)) } }

  /// The mean square of each column.
  package func meanSquares(_ covariance: Covariance) -> [Double] {
    zip(covariance.variances, means).map { $0 + $1 * $1 }
  }

  /// Whether every sum is a finite number.
  package var isFinite: Bool { sums.allSatisfy(\.isFinite) && products.diagonal.allSatisfy(\.isFinite) }

  /// How much of what columns have in common is to be believed by somebody who solves with it: of a covariance of as many
  /// columns as there are rows half is chance. A ridge of columns / rows on correlations (a linear shrinkage towards the
  /// diagonal, Ledoit and Wolf 2004, with the share that columns without anything in common would need).
  package var ridge: Double { Double(columns) / Double(max(1, count)) }

  /// The covariances, which take the memory of the sums: nothing can be added any more.
  ///
  /// - Parameters:
  ///   - ridge: covariances between different columns are divided by 1 + ridge.
  ///   - isAroundZero: whether the products of the means are added: for layers that have no bias.
  package func covariance(ridge: Double = 0, isAroundZero: Bool = false, on pool: WorkerPool) -> Covariance {
    let scale = 1 / Float(max(1, count))
    let share = Float(1 / (1 + ridge))
    let offsets = sums.map { Float($0 / Double(max(1, count))) }
    products.forEachLowerTile(on: pool) { rows, columns in
      for row in rows {
        let numbers = products.row(row)
        for column in columns.lowerBound..<min(columns.upperBound, row + 1) {
          numbers[column] = (numbers[column] * scale - offsets[row] * offsets[column]) * (column == row ? 1 : share)
        }
      }
    }
    if isAroundZero {
      let means = means.map { Float($0) }
      for row in 0..<columns {
        let numbers = products.row(row)
        for column in 0...row { numbers[column] += means[row] * means[column] }
      }
    }
    products.mirror(on: pool)
    return Covariance(products)
  }
}

/// A symmetric matrix of covariances, both triangles: [size][size].
package final class Covariance: @unchecked Sendable {
  let matrix: Matrix

  init(_ matrix: Matrix) { self.matrix = matrix }

  package var size: Int { matrix.rows }
  package var variances: [Double] { matrix.diagonal.map { Double(max(0, $0)) } }

  /// A matrix from its rows.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package convenience init(rows: [[Float]]) throws {
    let matrix = try Matrix(rows: rows.count, columns: rows.count)
    for (index, row) in rows.enumerated() {
      precondition(row.count == rows.count)
      matrix.row(index).update(from: row, count: row.count)
    }
    self.init(matrix)
  }

  package subscript(row: Int, column: Int) -> Float { matrix.row(row)[column] }

  /// The sum of the products of all elements with those of another one: the variance of what a layer puts out, from the
  /// products of its columns and the covariance of its inputs.
  package func product(_ other: Covariance) -> Double {
    precondition(other.size == size)
    var sum = 0.0
    for row in 0..<size {
      let (own, others) = (matrix.row(row), other.matrix.row(row))
      for column in 0..<size { sum += Double(own[column]) * Double(others[column]) }
    }
    return sum
  }

  /// A matrix R of as many rows whose Rᵀ R this is, but for a little on the diagonal.
  ///
  /// - Throws: ``FurlError`` of kind `input` when this is not positive definite.
  package func root(damping: Double = 1e-6, on math: DenseMath) throws -> Matrix {
    let factor = try Cholesky(
      Matrix(copying: matrix), adding: Damping(share: .double(damping)).amount(matrix.diagonal),
      of: .init(name: "a layer's weights", kind: "covariances"), on: math)
    let root = try Matrix(rows: size, columns: size)
    for column in 0..<size {
      for row in 0...column { root.row(row)[column] = factor.lower.row(column)[row] }
    }
    return root
  }
}
