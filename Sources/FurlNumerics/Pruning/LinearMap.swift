import FurlBase
import FurlTensor

/// The linear map that takes hidden states to later ones best: y - x ~ A x + b by least squares (ReplaceMe, Shopkhoev et
/// al. 2025, on the residual stream).
package final class LinearMap {
  private let columns: Int
  private let inputs: InputMoments
  private let cross: Matrix
  private var count = 0
  private var inputOrigin: [Float] = []
  private var changeOrigin: [Float] = []
  private var changeSums: [Double]
  private var changeSquares: [Double]
  private var inputSums: [Double]

  /// Added to the diagonal of the covariance, as a share of its mean.
  package static let damping: Float = 1e-4

  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package init(columns: Int) throws {
    self.columns = columns
    inputs = try InputMoments(columns: columns)
    cross = try Matrix(rows: columns, columns: columns)
    changeSums = Array(repeating: 0, count: columns)
    changeSquares = changeSums
    inputSums = changeSums
  }

  /// Adds positions.
  ///
  /// - Parameters:
  ///   - x, y: [rows][columns], before and behind.
  package func add(_ x: [Float], _ y: [Float], on math: DenseMath) throws {
    let rows = x.count / columns
    precondition(x.count == y.count && x.count == rows * columns)
    guard rows > 0 else { return }
    let (before, change) = (
      try Matrix(x, rows: rows, columns: columns), try Matrix(rows: rows, columns: columns)
    )
    for index in 0..<rows * columns { change.numbers[index] = y[index] - x[index] }
    if count == 0 {
      inputOrigin = LinearMap.means(before)
      changeOrigin = LinearMap.means(change)
    }
    count += rows
    let activations = try Activations(columns: columns, capacity: rows)
    for row in 0..<rows {
      activations[row] = Array(x[row * columns..<(row + 1) * columns])
      let (from, to) = (before.row(row), change.row(row))
      for column in 0..<columns {
        from[column] -= inputOrigin[column]
        to[column] -= changeOrigin[column]
        inputSums[column] += Double(from[column])
        changeSums[column] += Double(to[column])
        changeSquares[column] += Double(to[column]) * Double(to[column])
      }
    }
    try inputs.add(activations, count: rows, on: math)
    math.forEachPiece(columns, of: 128) { rows in
      math.multiplyTransposed(change.columns(rows), before.view, into: cross.view.rows(rows), .add)
    }
  }

  private static func means(_ matrix: Matrix) -> [Float] {
    (0..<matrix.columns).map { column in
      Float((0..<matrix.rows).reduce(0.0) { $0 + Double(matrix.row($1)[column]) } / Double(matrix.rows))
    }
  }

  /// The map of all positions so far; nothing can be added any more.
  ///
  /// - Returns: A: [columns][columns], b, and the share of the change's variance that the map does not explain.
  /// - Throws: ``FurlError`` of kind `input` when states are not finite numbers.
  package func solve(damping: Float = damping, on math: DenseMath) throws -> (
    weight: Matrix, bias: [Float], unexplained: Double
  ) {
    guard inputs.isFinite, changeSquares.allSatisfy(\.isFinite) else {
      throw FurlError.input(nil, "hidden states are not finite numbers", remedy: "the weights are damaged")
    }
    let means = inputs.means
    let covariance = inputs.covariance(on: math.pool)
    let total = Double(max(1, count))
    for row in 0..<columns {
      let numbers = cross.row(row)
      for column in 0..<columns {
        numbers[column] = numbers[column] / Float(total) - Float(changeSums[row] / total * inputSums[column] / total)
      }
    }
    let covariances = cross.values
    let mean = covariance.variances.reduce(0, +) / Double(columns)
    let factor = try Cholesky(
      covariance.matrix, adding: Damping(share: .float(damping)).amount(mean: mean),
      of: .init(name: "hidden states", kind: "covariances"), on: math)
    math.forEachPiece(columns, of: 64) { factor.solve(cross.view.rows($0), with: math) }
    var explained = 0.0
    for index in covariances.indices { explained += Double(covariances[index]) * Double(cross.numbers[index]) }
    let variance = (0..<columns).reduce(0.0) {
      $0 + changeSquares[$1] / total - (changeSums[$1] / total) * (changeSums[$1] / total)
    }
    let turned = cross.times(means)
    let bias = (0..<columns).map { Float(Double(changeOrigin[$0]) + changeSums[$0] / total - turned[$0]) }
    return (cross, bias, variance > 0 ? max(0, 1 - explained / variance) : 0)
  }
}
