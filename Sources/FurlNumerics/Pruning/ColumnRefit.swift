import FurlBase
import FurlTensor

/// What the columns of a layer that stay have to be when others go, so that the layer's outputs change least.
///
/// With the covariance C of the inputs, kept columns K and removed ones P, the squared error of the outputs is least at
/// W'_K = W_K + W_P C_PK C_KK⁻¹ and b' = b + W mean - W'_K mean_K: ordinary least squares, through second moments alone.
package enum ColumnRefit {
  /// Added to the diagonal of C_KK, as a share of its mean, for columns that are always the same.
  package static let damping: Float = 1e-5

  /// - Parameters:
  ///   - weight: [outputs][columns].
  ///   - kept: columns that stay, ascending.
  /// - Returns: [outputs][kept].
  /// - Throws: ``FurlError`` of kind `input` when the covariance is not that of finite numbers.
  package static func leastSquares(
    _ weight: Matrix, _ covariance: Covariance, kept: [Int], damping: Float = damping, on math: DenseMath
  ) throws -> Matrix {
    precondition(weight.columns == covariance.size && !kept.isEmpty)
    let isKept = Set(kept)
    let removed = (0..<weight.columns).filter { !isKept.contains($0) }
    let result = try weight.gather(columns: kept)
    guard !removed.isEmpty else { return result }
    let pool = math.pool
    let own = try Matrix(rows: kept.count, columns: kept.count)
    let cross = try Matrix(rows: removed.count, columns: kept.count)
    pool.forEach(kept.count) { row in
      let source = covariance.matrix.row(kept[row])
      for (place, column) in kept.enumerated() { own.row(row)[place] = source[column] }
    }
    pool.forEach(removed.count) { row in
      let source = covariance.matrix.row(removed[row])
      for (place, column) in kept.enumerated() { cross.row(row)[place] = source[column] }
    }
    let factor = try Cholesky(
      own, adding: Damping(share: .float(damping)).amount(own.diagonal),
      of: .init(name: "this layer's inputs", kind: "covariances", remedy: "give more calibration samples"), on: math)
    // Row slices of W_P C_PK C_KK⁻¹, each added to W_K.
    let rest = try weight.gather(columns: removed).transposed(on: pool)
    math.forEachPiece(weight.rows, of: 64) { rows in
      let numbers = UnsafeMutablePointer<Float>.allocate(capacity: rows.count * kept.count)
      defer { numbers.deallocate() }
      let product = MatrixView(numbers, rows: rows.count, columns: kept.count)
      math.multiplyTransposed(rest.columns(rows), cross.view, into: product, .set)
      factor.solve(product, with: math)
      for (place, row) in rows.enumerated() {
        let (target, change) = (result.row(row), product.row(place))
        for column in 0..<kept.count { target[column] += change[column] }
      }
    }
    return result
  }

  /// What is to be added to a layer's bias so that its mean output stays: W mean - W'_K mean_K.
  package static func biasChange(
    _ weight: Matrix, refitted: Matrix, means: [Double], kept: [Int]
  ) -> [Double] {
    zip(weight.times(means), refitted.times(kept.map { means[$0] })).map { $0 - $1 }
  }
}
