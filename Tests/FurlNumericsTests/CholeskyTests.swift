import FurlBase
@testable import FurlNumerics
import FurlTensor
import FurlTestSupport
import Testing

/// The Cholesky factorisation and what is solved with it, against elimination in double precision.
@Suite struct CholeskyTests {
  private static let subject = FactoredMoments(
    name: "these inputs", remedy: "raise damping", remedyWhereNotFinite: "mend the weights")

  /// x aᵀ⁻¹ of a symmetric matrix by Gaussian elimination with pivots.
  private static func eliminate(_ a: [[Double]], _ x: [Double]) -> [Double] {
    var rows = zip(a, x).map { $0 + [$1] }
    let size = rows.count
    for column in 0..<size {
      let pivot = (column..<size).max { abs(rows[$0][column]) < abs(rows[$1][column]) } ?? column
      rows.swapAt(column, pivot)
      for row in 0..<size where row != column {
        let share = rows[row][column] / rows[column][column]
        for place in column...size { rows[row][place] -= share * rows[column][place] }
      }
    }
    return (0..<size).map { rows[$0][size] / rows[$0][$0] }
  }

  /// Sums of products of so many rows of inputs.
  private static func moments(_ size: Int, of count: Int, seed: UInt64) throws -> Matrix {
    let inputs = TestData.weights(count, size, seed: seed)
    let matrix = try Matrix(rows: size, columns: size)
    for row in 0..<size {
      for column in 0..<size {
        matrix[row, column] = Float(
          (0..<count).reduce(0.0) { $0 + Double(inputs[$1 * size + row]) * Double(inputs[$1 * size + column]) })
      }
    }
    return matrix
  }

  private func doubles(_ matrix: Matrix, adding added: Float) -> [[Double]] {
    (0..<matrix.rows).map { row in
      (0..<matrix.columns).map { Double(matrix[row, $0] + ($0 == row ? added : 0)) }
    }
  }

  /// Compares with elimination; the error may be the condition number's share of what floats round.
  private func check(_ matrix: Matrix, damping: Damping, condition: Double, threads: Int = 2) throws {
    let math = try CalibrationTests.math(threads: threads)
    let size = matrix.rows
    let added = damping.amount(matrix.diagonal)
    let whole = doubles(matrix, adding: added)
    let cholesky = try Cholesky(Matrix(copying: matrix), adding: added, of: Self.subject, on: math)
    var worst = Worst()
    for row in 0..<size {
      for column in 0...row {
        let terms = (0...column).map { Double(cholesky.lower[row, $0]) * Double(cholesky.lower[column, $0]) }
        let bound = (whole[row][row] * whole[column][column]).squareRoot() * 1e-5
        worst.add(terms.reduce(0, +), whole[row][column], bound: bound, "factor \(size): \(row) \(column)")
      }
    }
    let right = try Matrix(TestData.weights(3, size, seed: 5), rows: 3, columns: size)
    let solved = try Matrix(copying: right)
    cholesky.solve(solved.view, with: math)
    for row in 0..<3 {
      let expected = Self.eliminate(whole, right[row].map(Double.init))
      let length = expected.reduce(0) { $0 + $1 * $1 }.squareRoot()
      for column in 0..<size {
        worst.add(
          Double(solved[row, column]), expected[column], bound: length * condition * 1e-6,
          "solved \(size): \(row) \(column)")
      }
    }
    // Half of it makes the identity of what was factored: L⁻¹ (L Lᵀ) L⁻ᵀ.
    let half = try Matrix(whole.joined().map { Float($0) }, rows: size, columns: size)
    cholesky.solveHalf(half.view, with: math)
    half.transpose()
    cholesky.solveHalf(half.view, with: math)
    for row in 0..<size {
      for column in 0..<size {
        worst.add(
          Double(half[row, column]), row == column ? 1 : 0, bound: condition * 1e-5, "half \(size): \(row) \(column)")
      }
    }
    #expect(worst.share <= 1, "\(worst.place)")
  }

  @Test(arguments: [1, 2, 15, 16, 17, 64, 150])
  func solvesPositiveDefiniteSystems(_ size: Int) throws {
    let matrix = try Self.moments(size, of: 3 * size + 1, seed: UInt64(size))
    try check(matrix, damping: Damping(share: .double(0.1)), condition: 100)
    try check(matrix, damping: Damping(share: .float(0.1)), condition: 100, threads: 1)
  }

  /// One row of inputs: of rank one, and definite by its damping alone.
  @Test(arguments: [2, 15, 16, 17, 64])
  func dampingMakesNearlySingularSystemsSolvable(_ size: Int) throws {
    let matrix = try Self.moments(size, of: 1, seed: UInt64(size))
    try check(matrix, damping: Damping(share: .double(0.01)), condition: 100 * Double(size))
  }

  @Test(arguments: [1, 2, 16, 17, 64])
  func zerosBecomeTheIdentity(_ size: Int) throws {
    try check(Matrix(rows: size, columns: size), damping: Damping(share: .float(1e-4)), condition: 1)
  }

  /// In double precision or in single: what bits depend on.
  @Test func dampingIsAShareOfTheMean() {
    let diagonal: [Float] = [1, 2, 0.3]
    let mean = (1 + 2 + Double(Float(0.3))) / 3
    #expect(Damping(share: .double(0.01)).amount(diagonal) == Float(0.01 * mean))
    #expect(Damping(share: .float(0.01)).amount(diagonal) == Float(0.01) * Float(mean))
    #expect(Damping(share: .double(0.01)).amount([0, 0]) == 1 && Damping(share: .float(0.01)).amount(mean: 0) == 1)
  }

  // MARK: What goes wrong

  @Test(arguments: [1, 2, 15, 16, 17, 64], [Float.nan, .infinity, -.infinity])
  func whatIsNotFiniteIsAnError(_ size: Int, _ value: Float) throws {
    let math = try CalibrationTests.math(threads: 2)
    func whole() throws -> Matrix {
      try Matrix(
        (0..<size * size).map { $0 % (size + 1) == 0 ? Float(size) : 0.5 }, rows: size, columns: size)
    }
    _ = try Cholesky(whole(), adding: 0, of: Self.subject, on: math)
    for place in [0, size / 2, size - 1] {
      let matrix = try whole()
      matrix[place, place] = value
      let error = #expect(throws: FurlError.self) {
        _ = try Cholesky(matrix, adding: 0, of: Self.subject, on: math)
      }
      #expect(error?.kind == .input && error?.problem == "these inputs are not finite numbers")
      #expect(error?.remedy == "mend the weights")
      guard place > 0 else { continue }
      let other = try whole()
      other[place, 0] = value
      #expect(throws: FurlError.self) { _ = try Cholesky(other, adding: 0, of: Self.subject, on: math) }
    }
  }

  @Test(arguments: [1, 2, 15, 16, 17, 64, 300])
  func whatIsNotPositiveDefiniteIsAnError(_ size: Int) throws {
    let math = try CalibrationTests.math(threads: 2)
    let matrix = try Matrix(rows: size, columns: size)
    for index in 0..<size { matrix[index, index] = index == size - 1 ? -1 : 1 }
    let error = #expect(throws: FurlError.self) {
      _ = try Cholesky(matrix, adding: 0, of: Self.subject, on: math)
    }
    #expect(error?.kind == .input && error?.remedy == "raise damping")
    #expect(error?.problem == "the second moments of these inputs are not positive definite")
  }

  @Test func threadsDoNotMatter() throws {
    let matrix = try Self.moments(400, of: 20, seed: 2)
    let factors = try [1, 2, 3].map {
      try Cholesky(
        Matrix(copying: matrix), adding: 0.5, of: Self.subject, on: CalibrationTests.math(threads: $0)
      ).lower.values
    }
    #expect(factors[0] == factors[1] && factors[0] == factors[2])
  }
}
