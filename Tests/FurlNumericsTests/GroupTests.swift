import FurlBase
@testable import FurlNumerics
import FurlTensor
import FurlTestSupport
import Testing

/// Numbers that groups of columns share, against loops in double precision.
@Suite struct GroupTests {
  @Test(arguments: [1, 7, 32, 40, 100], [1, 3])
  func groups(_ size: Int, _ threads: Int) throws {
    let math = DenseMath(pool: WorkerPool(threads: threads), kernels: try Kernels())
    let (rows, columns) = (37, 70)
    let count = (columns + size - 1) / size
    func matrix(_ columns: Int, _ seed: UInt64) throws -> Matrix {
      try Matrix(TestData.weights(rows, columns, seed: seed), rows: rows, columns: columns)
    }
    let (a, b, changes) = (try matrix(columns, 1), try matrix(columns, 2), try matrix(count, 3))
    let sums = try matrix(count, 4)
    math.groupProducts(a, b, columns: size, into: sums)
    let (set, added) = (try matrix(columns, 5), try Matrix(copying: b))
    math.scaleGroups(a, by: changes, columns: size, into: set)
    math.scaleGroups(a, by: changes, columns: size, into: added, adds: true)
    for row in 0..<rows {
      var expected = [Double](repeating: 0, count: count)
      for column in 0..<columns {
        expected[column / size] += Double(a[row, column]) * Double(b[row, column])
        let scaled = (1 + Double(changes[row, column / size])) * Double(a[row, column])
        #expect(abs(Double(set[row, column]) - scaled) <= 1e-6)
        #expect(abs(Double(added[row, column]) - scaled - Double(b[row, column])) <= 1e-6)
      }
      for group in 0..<count { #expect(abs(Double(sums[row, group]) - expected[group]) <= 1e-5) }
    }
  }
}
