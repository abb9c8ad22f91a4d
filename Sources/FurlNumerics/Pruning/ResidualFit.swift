import FurlBase
package import FurlTensor

/// What has to be added to a layer's weights so that its outputs make up for what others of a sum leave to be desired.
///
/// Of the layer's inputs x, each row already times its weight in the sum, and of what is missing r: D (Σ x xᵀ + λ) = Σ r xᵀ, ridge
/// regression through second moments alone. Going through the layers of a sum one after the other, again and again, is block
/// coordinate descent on the least squares of all of them together.
package final class ResidualFit {
  package let inputs: Int
  package let outputs: Int
  /// Rows that have been added.
  package private(set) var count = 0
  /// [inputs][inputs], the lower triangle.
  private let products: Matrix
  /// [inputs][outputs]
  private let cross: Matrix

  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package init(inputs: Int, outputs: Int) throws {
    self.inputs = inputs
    self.outputs = outputs
    products = try Matrix(rows: inputs, columns: inputs)
    cross = try Matrix(rows: inputs, columns: outputs)
  }

  /// Adds rows, the same whatever the number of threads.
  ///
  /// - Parameters:
  ///   - input: [count][inputs].
  ///   - residual: [count][outputs].
  package func add(_ input: Activations, _ residual: Activations, count: Int, on math: DenseMath) {
    precondition(input.columns == inputs && residual.columns == outputs)
    precondition(count <= input.capacity && count <= residual.capacity)
    guard count > 0 else { return }
    self.count += count
    let rows = MatrixView(input.values, rows: count, columns: inputs, stride: input.stride)
    let wanted = MatrixView(residual.values, rows: count, columns: outputs, stride: residual.stride)
    products.forEachLowerTile(on: math.pool) { lower, upper in
      math.multiplyTransposed(rows.columns(lower), rows.columns(upper), into: products[lower, upper], .add)
    }
    math.forEachPiece(inputs, of: Matrix.tile) { part in
      math.multiplyTransposed(rows.columns(part), wanted, into: cross.view.rows(part), .add)
    }
  }

  /// The whole change of the weights, when rows were added that some of it has been taken off already.
  ///
  /// - Parameters:
  ///   - change: what it has been so far: [outputs][inputs]; nil: nothing.
  ///   - ridge: what is added to the diagonal, as a share of its mean.
  /// - Returns: [outputs][inputs].
  /// - Throws: ``FurlError`` of kind `input` when the sums are not finite; `unavailable` when there is no memory. The sums are
  ///   gone then, and when this returns.
  package func change(from change: Matrix?, ridge: Double, on math: DenseMath) throws -> Matrix {
    let wanted = try cross.transposed(on: math.pool)
    if let change {
      products.mirror(on: math.pool)
      math.forEachPiece(outputs, of: 64) { part in
        math.multiply(change.view.rows(part), products.view, into: wanted.view.rows(part), .add)
      }
    }
    let factor = try Cholesky(
      products, adding: Damping(share: .double(ridge)).amount(products.diagonal),
      of: .init(name: "an expert's inputs", remedy: "give more calibration samples"), on: math)
    math.forEachPiece(outputs, of: 64) { part in factor.solve(wanted.view.rows(part), with: math) }
    return wanted
  }
}
