import FurlBase
import FurlTensor

/// How the error of one row of weights is made up for by those below it: ``FeedbackFactor`` of the other side.
///
/// H = E[g gᵀ] of the gradients g of a layer's outputs, shrunk towards a multiple of the identity, is U D Uᵀ with a unit upper
/// triangle U: row i takes up the sum over r < i of U_ri times what row r has become wrong by.
package final class OutputFactor: @unchecked Sendable {
  package let rows: Int
  /// U without its diagonal, and zeros up to whole slices: [slices * 64][slices * 64].
  let matrix: Matrix
  /// D of every row: what its squared error counts when the rows below make up for it.
  package let variances: [Float]

  /// - Parameters:
  ///   - moments: of kind `full`, of the gradients of the outputs.
  ///   - shrinkage: how much of the moments is a multiple of the identity, above 0 and at most 1.
  /// - Throws: ``FurlError`` of kind `input` when the moments are not finite; `unavailable` when there is no memory.
  package init(_ moments: SecondMoments, shrinkage: Double, on math: DenseMath) throws {
    precondition(shrinkage > 0 && shrinkage <= 1)
    guard let copy = try moments.takeMatrix(keeping: true) else {
      throw FurlError(.defect, "only a diagonal has been kept")
    }
    rows = moments.columns
    let slice = CalibratedJob.sliceRows
    let whole = (rows + slice - 1) / slice * slice
    matrix = try Matrix(rows: whole, columns: whole)
    guard shrinkage < 1 else {
      variances = Array(repeating: 1, count: rows)
      return
    }
    copy.mirror(on: math.pool)
    // Cholesky's factor is a lower triangle, so the last row comes first.
    copy.permute(Array((0..<rows).reversed()))
    let share = shrinkage / (1 - shrinkage)
    let factor = try Cholesky(
      copy, adding: Damping(share: .double(share)).amount(copy.diagonal),
      of: .init(name: "the gradients of this layer's outputs", remedy: "use method: gptq"), on: math)
    let roots = factor.lower.diagonal
    let last = rows - 1
    variances = (0..<rows).map { roots[last - $0] * roots[last - $0] }
    let (lower, target, count) = (factor.lower, matrix, rows)
    math.forEachPiece(rows, of: 64) { pieces in
      for row in pieces {
        for below in row + 1..<max(row + 1, count) {
          target.row(row)[below] = lower.row(last - row)[last - below] / roots[last - below]
        }
      }
    }
  }

  /// What a step is multiplied with in each row where an entropy coder pays for large weights: steps that go with the
  /// inverse square root of what rows count (reverse water-filling), about 1 in the geometric mean, within a range of 16.
  ///
  /// They are powers of the root of 2, for each number of its own takes room in the file: what is lost by that is less than a
  /// hundredth of the error.
  package var stepFactors: [Float] {
    let logs = variances.map { -0.5 * Elementary.log(max(Double($0), 1e-30)) }
    let mean = logs.reduce(0, +) / Double(logs.count)
    let half = Elementary.log(Double(2)) / 2
    return logs.map { Float(Elementary.exp2(min(max((($0 - mean) / half).rounded(), -4), 4) / 2)) }
  }
}
