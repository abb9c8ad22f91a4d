import FurlBase
@testable import FurlNumerics
import FurlTensor
import FurlTestSupport
import Testing

/// Matrices, views of parts of them and their products, against loops in double precision.
@Suite struct MatrixTests {
  private static func matrix(_ rows: Int, _ columns: Int, seed: UInt64) throws -> Matrix {
    try Matrix(TestData.weights(rows, columns, seed: seed), rows: rows, columns: columns)
  }

  // MARK: Views

  @Test func viewsAreTheMatrixItself() throws {
    let matrix = try Matrix((0..<35).map(Float.init), rows: 5, columns: 7)
    let part = matrix[1..<4, 2..<6]
    #expect(part.rows == 3 && part.columns == 4 && part.stride == 7)
    for row in 0..<3 { for column in 0..<4 { #expect(part[row, column] == matrix[row + 1, column + 2]) } }
    let inner = part.rows(1..<3).columns(3..<4)
    #expect(inner.rows == 2 && inner.columns == 1 && inner[1, 0] == matrix[3, 5])
    inner[1, 0] = -1
    #expect(matrix[3, 5] == -1)
    matrix[2, 2] = -2
    #expect(part[1, 0] == -2 && part.row(1)[0] == -2 && matrix[2][2] == -2)
  }

  @Test func clearingAViewLeavesTheRest() throws {
    let matrix = try Matrix(Array(repeating: 1, count: 30), rows: 5, columns: 6)
    matrix[1..<3, 2..<5].clear()
    for row in 0..<5 {
      for column in 0..<6 {
        #expect(matrix[row, column] == ((1..<3).contains(row) && (2..<5).contains(column) ? 0 : 1))
      }
    }
    matrix.view.rows(3..<5).clear()
    #expect(matrix[3] == Array(repeating: 0, count: 6) && matrix[0] == Array(repeating: 1, count: 6))
  }

  @Test func emptyViews() throws {
    let matrix = try Matrix(rows: 4, columns: 3)
    for view in [matrix[4..<4, 0..<3], matrix[0..<4, 3..<3], matrix[0..<0, 0..<0]] {
      #expect(view.rows * view.columns == 0)
      view.clear()
    }
    let none = try Matrix(rows: 0, columns: 3)
    #expect(none.values.isEmpty && none.view.rows == 0)
  }

  @Test func matricesShareMemory() throws {
    let (all, parts) = try Matrix.row(of: [(2, 3), (1, 4)])
    #expect(all.count == 10 && parts.map(\.count) == [6, 4])
    parts[1][0] = [1, 2, 3, 4]
    #expect(all.values == [0, 0, 0, 0, 0, 0, 1, 2, 3, 4])
    all.values = (0..<10).map(Float.init)
    #expect(parts[0][1] == [3, 4, 5])
    let rows = parts[0].rows(1..<2)
    rows[0, 2] = 9
    #expect(all.values[5] == 9 && parts[0].shaped(columns: 2, rows: 3)[2] == [4, 9])
  }

  @Test(arguments: [(1 << 40, 1 << 40), (1 << 30, 1 << 20)])
  func whatIsTooLargeIsAnError(_ shape: (rows: Int, columns: Int)) {
    let error = #expect(throws: FurlError.self) { _ = try Matrix(rows: shape.rows, columns: shape.columns) }
    #expect(error?.kind == .unavailable)
    #expect(error?.problem == "\(shape.rows) x \(shape.columns) numbers do not fit in this machine's memory")
  }

  @Test func permutedAndMirrored() throws {
    let math = try CalibrationTests.math(threads: 2)
    let matrix = try Self.matrix(270, 270, seed: 3)
    let lower = matrix.values
    matrix.mirror(on: math.pool)
    let places = (0..<270).flatMap { row in (0..<270).map { (row, $0) } }
    let before = matrix.values
    #expect(before == places.map { lower[max($0, $1) * 270 + min($0, $1)] })
    var draws = SplitMix64(seed: 4)
    let order = (0..<270).map { (draws.next(), $0) }.sorted { $0.0 < $1.0 }.map(\.1)
    matrix.permute(order)
    #expect(matrix.values == places.map { before[order[$0] * 270 + order[$1]] })
  }

  // MARK: Products

  /// All three ways round, of parts that lie in wider matrices, set, added and subtracted.
  @Test(arguments: [(1, 1, 1), (3, 5, 7), (16, 17, 15), (20, 18, 300), (1, 130, 2)])
  func productsOfViews(_ shape: (rows: Int, columns: Int, depth: Int)) throws {
    let math = try CalibrationTests.math(threads: 1)
    let (rows, columns, depth) = shape
    func part(_ rows: Int, _ columns: Int, seed: UInt64) throws -> (matrix: Matrix, view: MatrixView) {
      let matrix = try Self.matrix(rows + 3, columns + 5, seed: seed)
      return (matrix, matrix[2..<rows + 2, 4..<columns + 4])
    }
    func check(
      _ a: @escaping (Int, Int) -> Float, _ b: @escaping (Int, Int) -> Float,
      _ multiply: (MatrixView, DenseMath.ProductMode) -> Void
    ) throws {
      for (mode, kept, sign) in [(DenseMath.ProductMode.set, 0.0, 1.0), (.add, 1, 1), (.subtract, 1, -1)] {
        let (matrix, view) = try part(rows, columns, seed: 9)
        let before = try Matrix(copying: matrix)
        multiply(view, mode)
        var worst = Worst()
        for row in 0..<matrix.rows {
          for column in 0..<matrix.columns {
            let old = Double(before[row, column])
            guard (2..<rows + 2).contains(row), (4..<columns + 4).contains(column) else {
              #expect(Double(matrix[row, column]) == old)
              continue
            }
            let terms = (0..<depth).map { Double(a(row - 2, $0)) * Double(b($0, column - 4)) }
            let expected = kept * old + sign * terms.reduce(0, +)
            let size = abs(old) + terms.reduce(0) { $0 + abs($1) }
            // Each addition rounds to half a place.
            let bound = size * Double(depth + 2) * 0x1p-24
            worst.add(Double(matrix[row, column]), expected, bound: bound, "\(mode) \(row) \(column)")
          }
        }
        #expect(worst.share <= 1, "\(worst.place)")
      }
    }
    let (a, aView) = try part(rows, depth, seed: 1)
    let (b, bView) = try part(depth, columns, seed: 2)
    let (at, atView) = try part(depth, rows, seed: 3)
    let (bt, btView) = try part(columns, depth, seed: 4)
    try withExtendedLifetime((a, b, at, bt)) {
      try check({ aView[$0, $1] }, { bView[$0, $1] }) { math.multiply(aView, bView, into: $0, $1) }
      try check({ atView[$1, $0] }, { bView[$0, $1] }) { math.multiplyTransposed(atView, bView, into: $0, $1) }
      try check({ aView[$0, $1] }, { btView[$1, $0] }) { math.multiplyOuter(aView, btView, into: $0, $1) }
    }
  }
}
