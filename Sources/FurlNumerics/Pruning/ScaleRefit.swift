import FurlBase
import FurlTensor

/// What the inputs of a layer that cannot change have to be multiplied with when some of its columns go.
///
/// A head that is the embedding is no matrix of its own, but the norm before it is. With the covariance G of the layer's
/// rows (a softmax does not see what all outputs have in common), the inputs x, those x' of the columns that stay and
/// r = x - x', zeros for columns that go, the squared error of the outputs is least for the scales 1 + s with
///
///     (G_KK ∘ Cov(x', x')) s = diag(G_K Cov(r, x')).
package enum ScaleRefit {
  /// Added to diagonals, as a share of their mean.
  package static let damping: Float = 1e-4

  /// - Parameters:
  ///   - rows: the covariance of the layer's rows: [columns][columns].
  ///   - inputs: of r and behind it x': [columns + kept][columns + kept].
  ///   - kept: columns that stay, ascending.
  /// - Returns: what each kept column is multiplied with.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory, `input` for what is no covariance.
  package static func scales(
    rows: Covariance, inputs: Covariance, kept: [Int], on math: DenseMath
  ) throws -> [Double] {
    let width = rows.size
    precondition(inputs.size == width + kept.count && !kept.isEmpty)
    let system = try Matrix(rows: kept.count, columns: kept.count)
    let target = try Matrix(rows: 1, columns: kept.count)
    math.pool.forEach(kept.count) { row in
      let (products, moments) = (rows.matrix.row(kept[row]), inputs.matrix.row(width + row))
      for (place, column) in kept.enumerated() { system.row(row)[place] = products[column] * moments[width + place] }
      var sum = 0.0
      for column in 0..<width { sum += Double(products[column]) * Double(moments[column]) }
      target.numbers[row] = Float(sum)
    }
    return try solve(system, target, on: math).map { 1 + $0 }
  }

  /// What is to be added to the kept columns so that the mean outputs stay.
  ///
  /// - Parameter difference: by how much the mean inputs are short: [columns].
  package static func shift(
    rows: Covariance, difference: [Double], kept: [Int], on math: DenseMath
  ) throws -> [Double] {
    precondition(difference.count == rows.size && !kept.isEmpty)
    let system = try Matrix(rows: kept.count, columns: kept.count)
    let target = try Matrix(rows: 1, columns: kept.count)
    math.pool.forEach(kept.count) { row in
      let products = rows.matrix.row(kept[row])
      for (place, column) in kept.enumerated() { system.row(row)[place] = products[column] }
      var sum = 0.0
      for column in difference.indices { sum += Double(products[column]) * difference[column] }
      target.numbers[row] = Float(sum)
    }
    return try solve(system, target, on: math)
  }

  private static func solve(_ system: Matrix, _ target: Matrix, on math: DenseMath) throws -> [Double] {
    let factor = try Cholesky(
      system, adding: Damping(share: .float(damping)).amount(system.diagonal),
      of: .init(name: "the head's inputs", kind: "covariances", remedy: "give more calibration samples"), on: math)
    factor.solve(target.view, with: math)
    return target.values.map(Double.init)
  }
}
