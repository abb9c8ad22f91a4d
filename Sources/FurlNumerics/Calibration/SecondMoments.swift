import FurlBase
package import FurlTensor

/// What a linear layer's inputs are like: the sum of x xᵀ over rows of activations, or its diagonal alone.
///
/// Sums are FP32, of one call's rows first and then of all calls, so rounding errors stay near those of one call.
package final class SecondMoments: @unchecked Sendable {
  package let columns: Int
  package let extent: MomentExtent
  /// Rows that have been added.
  package private(set) var count = 0
  private var matrix: Matrix?
  private var squares: [Float]
  /// The largest magnitude in each column; nil where it is not kept.
  package private(set) var largest: [Float]?

  /// - Parameter keepsLargest: whether the largest magnitudes are kept, too.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package init(columns: Int, extent: MomentExtent, keepsLargest: Bool = false) throws {
    precondition(columns > 0)
    largest = keepsLargest ? Array(repeating: 0, count: columns) : nil
    self.columns = columns
    self.extent = extent
    matrix = extent == .full ? try Matrix(rows: columns, columns: columns) : nil
    squares = extent == .diagonal ? Array(repeating: 0, count: columns) : []
  }

  /// Adds rows of activations, the same whatever the number of threads.
  ///
  /// - Parameters:
  ///   - input: [count][columns].
  ///   - weights: what each row's products count; nil: 1.
  package func add(_ input: Activations, count: Int, weights: ArraySlice<Float>? = nil, on math: DenseMath) {
    precondition(input.columns == columns && count <= input.capacity)
    guard count > 0 else { return }
    self.count += count
    let rows = MatrixView(input.values, rows: count, columns: columns, stride: input.stride)
    if var largest {
      self.largest = nil
      for row in 0..<count {
        for column in 0..<columns { largest[column] = max(largest[column], abs(rows.base[row * rows.stride + column])) }
      }
      self.largest = largest
    }
    if let matrix {
      add(rows, weights: weights, to: matrix, on: math)
    } else {
      squares.withUnsafeMutableBufferPointer { squares in
        for column in 0..<columns {
          var sum: Float = 0
          for row in 0..<count {
            let value = rows.base[row * rows.stride + column]
            sum += value * value
          }
          squares[column] += sum
        }
      }
    }
  }

  /// Adds rows of a matrix.
  ///
  /// - Parameter weights: what each row's products count; nil: 1.
  package func add(_ rows: Matrix, weights: ArraySlice<Float>? = nil, on math: DenseMath) {
    precondition(rows.columns == columns && extent == .full)
    guard let matrix, rows.rows > 0 else { return }
    count += rows.rows
    add(rows.view, weights: weights, to: matrix, on: math)
  }

  private func add(_ rows: MatrixView, weights: ArraySlice<Float>?, to matrix: Matrix, on math: DenseMath) {
    guard let weights else {
      matrix.forEachLowerTile(on: math.pool) { lower, upper in
        math.multiplyTransposed(rows.columns(lower), rows.columns(upper), into: matrix[lower, upper], .add)
      }
      return
    }
    precondition(weights.count == rows.rows)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: rows.rows * columns) { weighed in
      nonisolated(unsafe) let weighed = weighed
      let view = MatrixView(weighed.baseAddress!, rows: rows.rows, columns: columns)
      math.forEachPiece(rows.rows, of: 32) { piece in
        for row in piece {
          let (from, to, weight) = (rows.row(row), view.row(row), weights[weights.startIndex + row])
          for column in 0..<columns { to[column] = from[column] * weight }
        }
      }
      matrix.forEachLowerTile(on: math.pool) { lower, upper in
        math.multiplyTransposed(view.columns(lower), rows.columns(upper), into: matrix[lower, upper], .add)
      }
    }
  }

  /// The mean square of each column.
  package var meanSquares: [Float] {
    let sums = matrix?.diagonal ?? squares
    return sums.map { $0 / Float(max(1, count)) }
  }

  /// The lower triangle of the sums of x xᵀ, to be written to: a copy, or what is here, which is gone then.
  func takeMatrix(keeping: Bool) throws -> Matrix? {
    defer { if !keeping { matrix = nil } }
    return keeping ? try matrix.map { try Matrix(copying: $0) } : matrix
  }

  /// [columns][columns] of the means of x xᵀ; nil where only the diagonal is kept.
  package var means: [[Float]]? {
    matrix.map { matrix in
      (0..<columns).map { row in
        (0..<columns).map { matrix.row(max(row, $0))[min(row, $0)] / Float(max(1, count)) }
      }
    }
  }

  /// The mean square of what errors of weights do to the outputs, summed over the rows: e H eᵀ.
  ///
  /// - Parameter errors: [columns][rows].
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package func outputError(_ errors: [Float], rows: Int, on math: DenseMath) throws -> Double {
    let (own, products) = try weigh(errors, rows: rows, on: math)
    var sum = 0.0
    for index in 0..<rows * columns { sum += Double(products.numbers[index]) * Double(own.numbers[index]) }
    return sum / Double(max(1, count))
  }

  /// Errors of weights, and the sums of x xᵀ times them: both [columns][rows].
  private func weigh(_ errors: [Float], rows: Int, on math: DenseMath) throws -> (own: Matrix, products: Matrix) {
    guard let matrix, errors.count == rows * columns else { throw FurlError(.defect, "there are no moments of errors") }
    matrix.mirror(on: math.pool)
    let own = try Matrix(errors, rows: columns, columns: rows)
    let products = try Matrix(rows: columns, columns: rows)
    math.forEachPiece(columns, of: Matrix.tile) { part in
      // [columns of this part][rows] = (columns of H)ᵀ e
      math.multiplyTransposed(matrix.columns(part), own.view, into: products.view.rows(part), .set)
    }
    return (own, products)
  }

  /// What errors of weights come to by the means of products of inputs, which these are, and of outputs: tr(G e H eᵀ).
  ///
  /// - Parameters:
  ///   - errors: [columns][rows].
  ///   - outputs: G, of as many columns as there are rows.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package func outputError(_ errors: [Float], outputs: SecondMoments, on math: DenseMath) throws -> Double {
    let rows = outputs.columns
    guard let other = outputs.matrix else { throw FurlError(.defect, "there are no moments of outputs") }
    let (own, products) = try weigh(errors, rows: rows, on: math)
    other.mirror(on: math.pool)
    let squares = try Matrix(rows: rows, columns: rows)
    math.forEachPiece(rows, of: Matrix.tile) { part in
      math.multiplyTransposed(own.columns(part), products.view, into: squares.view.rows(part), .set)
    }
    var sum = 0.0
    for index in 0..<rows * rows { sum += Double(squares.numbers[index]) * Double(other.numbers[index]) }
    return sum / Double(max(1, count)) / Double(max(1, outputs.count))
  }

  // MARK: Coverage

  package var coverage: MomentCoverage {
    let sums = matrix?.diagonal ?? squares
    return MomentCoverage(
      rows: count, columns: columns, deadColumns: sums.count { $0 == 0 }, isFinite: sums.allSatisfy(\.isFinite))
  }
}

/// What is kept.
package enum MomentExtent: Sendable, Hashable {
  /// The sums of squares of each column.
  case diagonal
  /// The sums of products of all columns.
  case full
}

/// What is wrong with the rows as a sample of a layer's inputs.
package struct MomentCoverage: Sendable, Hashable {
  package let rows: Int
  package let columns: Int
  /// Columns in which every number was zero.
  package let deadColumns: Int
  /// Whether every sum is a finite number.
  package let isFinite: Bool
}
