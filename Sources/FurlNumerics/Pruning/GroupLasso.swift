import FurlBase
import FurlTensor

/// The group lasso on what a linear layer puts out (Yuan and Lin 2006): of all weights U that have few groups of columns,
/// those whose outputs are nearest to the layer's own,
///
///     minimise  1/2 tr((U - W) C (U - W)ᵀ) + penalty * sum over groups of |U_g C_gg^1/2|,
///
/// with C the covariance of the inputs. A group counts as what it adds to the outputs, not as its weights: where
/// activations differ by orders of magnitude, as behind gated MLPs, large weights say nothing.
///
/// Groups are made orthonormal by the Cholesky factor of their own block of C, so that the minimum over one group, the
/// others held, is an exact soft-threshold; descent goes over the groups until nothing moves. Sizes alone decide the
/// order of sums.
package final class GroupLasso {
  /// The columns of each group, one behind the other.
  package let groups: [Range<Int>]
  private let math: DenseMath
  /// The correlations of the orthonormal inputs: [columns][columns].
  private let correlations: Matrix
  /// Rows are columns of the layer: [columns][outputs].
  private let original: Matrix
  private let current: Matrix
  /// correlations * (original - current).
  private let residual: Matrix
  private let change: Matrix
  /// Groups that are worked on before the others hear of it.
  private let panels: [Range<Int>]
  /// The length of what each group would be without a penalty, when it was last looked at.
  private var lengths: [Double]

  private static let panelColumns = 128

  /// - Parameters:
  ///   - weight: [outputs][columns].
  ///   - groups: all columns in their order.
  /// - Throws: ``FurlError`` of kind `input` when the covariance is not that of finite numbers, `unavailable` when there
  ///   is no memory.
  package init(
    _ weight: Matrix, _ covariance: Covariance, groups: [Range<Int>], on math: DenseMath
  ) throws {
    precondition(weight.columns == covariance.size && groups.last?.upperBound == weight.columns)
    self.groups = groups
    self.math = math
    correlations = try Matrix(copying: covariance.matrix)
    original = try weight.transposed(on: math.pool)
    try GroupLasso.orthonormalize(correlations, original, groups, math)
    current = try Matrix(rows: weight.columns, columns: weight.rows)
    current.copy(original)
    residual = try Matrix(rows: weight.columns, columns: weight.rows)
    panels = GroupLasso.panels(groups)
    change = try Matrix(
      rows: panels.reduce(0) { max($0, groups[$1.upperBound - 1].upperBound - groups[$1.lowerBound].lowerBound) },
      columns: weight.rows)
    lengths = []
    lengths = groups.map { length(original, $0) }
  }

  private static func panels(_ groups: [Range<Int>]) -> [Range<Int>] {
    var panels: [Range<Int>] = []
    for (index, group) in groups.enumerated() {
      if let last = panels.last, group.upperBound - groups[last.lowerBound].lowerBound <= panelColumns {
        panels[panels.count - 1] = last.lowerBound..<index + 1
      } else {
        panels.append(index..<index + 1)
      }
    }
    return panels
  }

  /// Divides each group's inputs by the Cholesky factor of their covariance, and multiplies its weights with it.
  private static func orthonormalize(
    _ matrix: Matrix, _ weights: Matrix, _ groups: [Range<Int>], _ math: DenseMath
  ) throws {
    // A share of the mean of all groups, so that a group of small numbers is held by as much as any other.
    let added = Damping(share: .float(1e-4)).amount(matrix.diagonal)
    for index in 0..<matrix.rows { matrix.row(index)[index] += added }
    let factors = try groups.map { group in
      let own = try Matrix(rows: group.count, columns: group.count)
      for row in group {
        for column in group { own.row(row - group.lowerBound)[column - group.lowerBound] = matrix.row(row)[column] }
      }
      return try Cholesky(own, adding: 0, of: .init(name: "this layer's inputs", kind: "covariances"), on: math)
    }
    for pass in 0..<2 {
      for (group, factor) in zip(groups, factors) where group.count > 1 {
        math.forEachPiece(matrix.rows, of: 256) { factor.solveHalf(matrix[$0, group], with: math) }
      }
      for row in 0..<matrix.rows {
        for (group, factor) in zip(groups, factors) where group.count == 1 {
          matrix.row(row)[group.lowerBound] /= factor.lower.row(0)[0]
        }
      }
      if pass == 0 { matrix.transpose() }
    }
    for (group, factor) in zip(groups, factors) {
      // Row j of the group becomes the sum over i >= j of L_ij times row i, which only looks ahead.
      for row in 0..<group.count {
        let target = weights.row(group.lowerBound + row)
        for column in 0..<weights.columns { target[column] *= factor.lower.row(row)[row] }
        for lower in row + 1..<max(row + 1, group.count) {
          let (source, share) = (weights.row(group.lowerBound + lower), factor.lower.row(lower)[row])
          for column in 0..<weights.columns { target[column] += share * source[column] }
        }
      }
    }
  }

  private func length(_ matrix: Matrix, _ group: Range<Int>) -> Double {
    let numbers = matrix.row(group.lowerBound)
    var sum = 0.0
    for index in 0..<group.count * matrix.columns { sum += Double(numbers[index]) * Double(numbers[index]) }
    return sum.squareRoot()
  }

  // MARK: Descent

  /// Goes over all groups until nothing moves any more, from where it stands.
  ///
  /// - Returns: how often.
  @discardableResult
  package func solve(penalty: Double, sweeps: Int = 30, tolerance: Double = 1e-4) -> Int {
    let scale = lengths.indices.reduce(0) { $0 + length(original, groups[$1]) * length(original, groups[$1]) }
    for sweep in 1...max(1, sweeps) where sweepOnce(penalty) <= tolerance * tolerance * scale { return sweep }
    return sweeps
  }

  /// - Returns: the sum of squares of what has moved.
  private func sweepOnce(_ penalty: Double) -> Double {
    var moved = 0.0
    for panel in panels {
      let columns = groups[panel.lowerBound].lowerBound..<groups[panel.upperBound - 1].upperBound
      change.view.rows(0..<columns.count).clear()
      var hasMoved = false
      for index in panel {
        let group = groups[index]
        let start = group.lowerBound - columns.lowerBound
        let delta = change.view.rows(start..<start + group.count)
        let square = threshold(index, penalty, into: delta.base)
        guard square > 0 else { continue }
        hasMoved = true
        moved += square
        math.multiplyTransposed(correlations[group, columns], delta, into: residual.view.rows(columns), .add)
      }
      if hasMoved { spread(columns) }
    }
    return moved
  }

  /// Sets one group to its minimum; what it was less what it is goes into `delta`.
  ///
  /// - Returns: the sum of squares of that.
  private func threshold(_ index: Int, _ penalty: Double, into delta: UnsafeMutablePointer<Float>) -> Double {
    let group = groups[index]
    let count = group.count * original.columns
    let (numbers, rest) = (current.row(group.lowerBound), residual.row(group.lowerBound))
    var sum = 0.0
    for place in 0..<count {
      let free = Double(numbers[place] + rest[place])
      sum += free * free
    }
    let length = sum.squareRoot()
    lengths[index] = length
    let factor = length > penalty ? Float(1 - penalty / length) : 0
    var square = 0.0
    for place in 0..<count {
      let value = factor * (numbers[place] + rest[place])
      let difference = numbers[place] - value
      delta[place] = difference
      numbers[place] = value
      square += Double(difference) * Double(difference)
    }
    return square
  }

  /// Tells the groups outside of a panel what has changed in it.
  private func spread(_ columns: Range<Int>) {
    let tile = Matrix.tile
    let outside = [0..<columns.lowerBound, columns.upperBound..<correlations.rows].flatMap { range in
      stride(from: range.lowerBound, to: range.upperBound, by: tile).map { $0..<min($0 + tile, range.upperBound) }
    }
    let changes = change.view.rows(0..<columns.count)
    math.pool.forEachAsTaken(outside.count) { index in
      let rows = outside[index]
      math.multiplyTransposed(correlations[columns, rows], changes, into: residual.view.rows(rows), .add)
    }
  }

  // MARK: What comes out

  /// What is minimised.
  package func objective(penalty: Double) -> Double {
    var error = 0.0
    for index in 0..<original.rows * original.columns {
      error += Double(original.numbers[index] - current.numbers[index]) * Double(residual.numbers[index])
    }
    return error / 2 + penalty * groups.reduce(0) { $0 + length(current, $1) }
  }

  /// Groups that are zero.
  package var removed: [Bool] { groups.map { length(current, $0) == 0 } }

  /// What each group adds to the outputs as it is now.
  package var contributions: [Double] { groups.map { length(current, $0) } }

  /// The variance of the outputs that each group stands for: the square of the penalty at which it vanishes, on a path
  /// of growing penalties along which the other groups make up for those that are gone.
  ///
  /// - Parameter limit: groups whose order matters; the path ends when so many are gone.
  package func importances(limit: Int, steps: Int = 24) -> [Double] {
    let sorted = lengths.filter { $0 > 0 }.sorted()
    guard let largest = sorted.last else { return lengths }
    let first = max(sorted[sorted.count / 50] / 2, largest * 1e-6)
    var result = [Double](repeating: .infinity, count: groups.count)
    var previous = 0.0
    for step in 0..<steps {
      let penalty = first * Elementary.pow(largest / first, Double(step) / Double(max(1, steps - 1)))
      solve(penalty: penalty, sweeps: 6, tolerance: 1e-3)
      let gone = removed
      for index in groups.indices {
        if !gone[index] {
          result[index] = .infinity
        } else if result[index] == .infinity {
          result[index] = min(penalty, max(previous, lengths[index]))
        }
      }
      previous = penalty
      if gone.count(where: { $0 }) >= limit { break }
    }
    return result.indices.map {
      let vanishing = result[$0].isFinite ? result[$0] : max(previous, lengths[$0])
      return vanishing * vanishing
    }
  }
}
