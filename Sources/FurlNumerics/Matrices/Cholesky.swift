import FurlBase
import FurlTensor

/// What is added to the diagonal of a symmetric matrix before it is factored: a share of the diagonal's mean.
struct Damping {
  /// The share, and with it the precision in which it is multiplied with the mean, which bits depend on.
  enum Share {
    case double(Double)
    case float(Float)
  }

  let share: Share

  /// - Returns: 1 where the mean is zero: where no input is ever seen, nothing depends on it.
  func amount(mean: Double) -> Float {
    guard mean > 0 else { return 1 }
    return switch share {
    case .double(let share): Float(share * mean)
    case .float(let share): share * Float(mean)
    }
  }

  /// - Parameter diagonal: summed in its order, in double precision.
  func amount(_ diagonal: [Float]) -> Float {
    amount(mean: diagonal.reduce(0) { $0 + Double($1) } / Double(diagonal.count))
  }
}

/// What is factored, for errors: whoever knows the layer adds its name.
struct FactoredMoments {
  /// "this layer's inputs"
  let name: String
  /// What of them the matrix holds.
  var kind = "second moments"
  /// What to do when the matrix is not positive definite.
  var remedy: String?
  /// What to do when it is not finite.
  var remedyWhereNotFinite: String?
}

/// The lower triangle L of a symmetric positive definite matrix L Lᵀ, and what is solved with it.
struct Cholesky {
  /// What is above the diagonal means nothing.
  let lower: Matrix

  /// Factors a matrix in its own memory, what is added to its diagonal included; only its lower triangle is read.
  ///
  /// Blocked: a panel is solved, then its outer product taken off the rest. Tiles depend on the size only, so the result
  /// does not depend on the number of threads. Pivots are sums in double precision, products of blocks in single.
  ///
  /// - Parameter added: to every number of the diagonal.
  /// - Throws: ``FurlError`` of kind `input` when the diagonal is not finite, or the matrix not positive definite.
  init(_ matrix: Matrix, adding added: Float, of subject: FactoredMoments, on math: DenseMath) throws {
    guard matrix.diagonal.allSatisfy(\.isFinite) else {
      throw FurlError.input(nil, "\(subject.name) are not finite numbers", remedy: subject.remedyWhereNotFinite)
    }
    for index in 0..<matrix.rows { matrix.row(index)[index] += added }
    guard Cholesky.factorize(matrix, on: math) else {
      throw FurlError.input(
        nil, "the \(subject.kind) of \(subject.name) are not positive definite", remedy: subject.remedy)
    }
    lower = matrix
  }

  // MARK: Solving

  /// a = a (L Lᵀ)⁻¹, on the calling thread; a: [rows][size].
  func solve(_ a: MatrixView, with math: DenseMath) {
    solveHalf(a, with: math)
    math.solve(lower.view, for: a, transposed: false)
  }

  /// a = a Lᵀ⁻¹, on the calling thread: rows whose second moments were L Lᵀ have those of the identity then.
  func solveHalf(_ a: MatrixView, with math: DenseMath) { math.solve(lower.view, for: a) }

  // MARK: Factoring

  /// Columns that are factored at once.
  private static let panel = 128

  private static func factorize(_ matrix: Matrix, on math: DenseMath) -> Bool {
    let size = matrix.rows
    for start in stride(from: 0, to: size, by: panel) {
      let columns = start..<min(start + panel, size)
      guard factorizeDiagonal(matrix, columns) else { return false }
      let end = columns.upperBound
      math.forEachPiece(size - end, of: Matrix.tile) { piece in
        let rows = end + piece.lowerBound..<end + piece.upperBound
        math.solve(matrix[columns, columns], for: matrix[rows, columns])
      }
      matrix.forEachLowerTile(from: end, on: math.pool) { lower, upper in
        math.multiplyOuter(matrix[lower, columns], matrix[upper, columns], into: matrix[lower, upper], .subtract)
      }
    }
    return true
  }

  /// The factor of one block on the diagonal.
  private static func factorizeDiagonal(_ matrix: Matrix, _ range: Range<Int>) -> Bool {
    for column in range {
      let above = matrix.row(column)
      var pivot = Double(above[column])
      for index in range.lowerBound..<column { pivot -= Double(above[index]) * Double(above[index]) }
      guard pivot > 0, pivot.isFinite else { return false }
      let root = pivot.squareRoot()
      above[column] = Float(root)
      for lower in column + 1..<max(column + 1, range.upperBound) {
        let row = matrix.row(lower)
        var sum = Double(row[column])
        for index in range.lowerBound..<column { sum -= Double(row[index]) * Double(above[index]) }
        row[column] = Float(sum / root)
      }
    }
    return true
  }
}
