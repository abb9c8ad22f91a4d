import FurlBase
import FurlTensor
import FurlTestSupport
import COpenBLAS
import Foundation
import Testing

/// What the kernels do beside products, and the FP32 product against a library.
@Suite struct ElementwiseTests {
  @Test(arguments: Kernels.supported)
  func floatProductIsThatOfOpenBLAS(_ tier: String) throws {
    let context = try computing(tier, threads: 2)
    var draws = SplitMix64(seed: 3)
    var worst = Worst()
    for (rows, columns, count) in [(1, 1, 1), (48, 64, 5), (100, 333, 9), (257, 129, 17), (31, 500, 2)] {
      let weights = draws.floats(rows * columns)
      let inputs = (0..<count).map { _ in draws.floats(columns) }
      let matrix = try PackedMatrix.encode(
        TestData.source(weights, rows: rows, columns: columns), scheme: .float32, pool: context.pool)
      var expected = [Float](repeating: 0, count: count * rows)
      cblas_sgemm(
        CblasRowMajor, CblasNoTrans, CblasTrans, blasint(count), blasint(rows), blasint(columns), 1,
        inputs.flatMap { $0 }, blasint(columns), weights, blasint(columns), 0, &expected, blasint(rows))
      let naive = NaiveProduct(matrix, inputs)
      let result = try product(matrix, inputs, on: context)
      for index in 0..<count {
        for row in 0..<rows {
          worst.add(
            Double(result[index][row]), Double(expected[index * rows + row]),
            bound: 1e-5 * naive.magnitudes[index][row], "\(rows) x \(columns)")
        }
      }
    }
    #expect(worst.share <= 1, "\(worst.place)")
  }

  @Test(arguments: Kernels.supported, [1, 8, 15, 16, 17, 48, 100, 768])
  func aNormIsItsFormula(_ tier: String, _ columns: Int) throws {
    var draws = SplitMix64(seed: UInt64(columns))
    let weight = draws.floats(columns, scale: 2)
    let bias = draws.floats(columns)
    let rows = [draws.floats(columns), draws.floats(columns).map { $0 + 30 }, [Float](repeating: 0.25, count: columns)]
    let epsilon = 1e-5
    var worst = Worst()
    for (norm, isBiased, threads) in [
      (Activations.RowNorm.layerNorm, true, 1), (.layerNorm, false, 2), (.rmsNorm, false, 1), (.rmsNorm, true, 2),
    ] {
      let output = try Activations(columns: columns, capacity: rows.count)
      try output.normalize(
        activations(rows), count: rows.count, by: norm, weight: FloatVector(weight),
        bias: isBiased ? FloatVector(bias) : nil, epsilon: Float(epsilon), quantizing: true,
        on: computing(tier, threads: threads))
      for (index, row) in rows.enumerated() {
        let x = row.map(Double.init)
        let mean = norm == .layerNorm ? x.reduce(0, +) / Double(columns) : 0
        let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(columns)
        let deviation = (variance + epsilon).squareRoot()
        for (column, value) in output[index].enumerated() {
          let addend = isBiased ? Double(bias[column]) : 0
          let expected = (x[column] - mean) / deviation * Double(weight[column]) + addend
          // The mean of numbers around 30 is off by parts of their last digit.
          worst.add(
            Double(value), expected, bound: 2e-6 * (abs(mean) / deviation + 4), "\(norm), row \(index), \(column)")
        }
      }
    }
    #expect(worst.share <= 1, "\(worst.place)")
  }

  @Test(arguments: Kernels.supported)
  func argmaxIsTheFirstOfTheLargest(_ tier: String) throws {
    let kernels = try Kernels(named: tier)
    func argmax(_ values: [Float]) throws -> Int? { try activations([values]).argmax(row: 0, kernels) }
    var draws = SplitMix64(seed: 8)
    for count in Array(1...70) + [1000] {
      let values = draws.floats(count)
      let best = try #require(values.indices.max { (values[$0], -$0) < (values[$1], -$1) })
      #expect(try argmax(values) == best)
      // Equal ones: the first. Zeros of both signs are equal.
      #expect(try argmax([Float](repeating: -1, count: count)) == 0)
      var tied = [Float](repeating: -2, count: count)
      let first = Int.random(in: 0..<count, using: &draws)
      tied[first] = -1
      tied[Int.random(in: first..<count, using: &draws)] = -1
      #expect(try argmax(tied) == first)
      var zeros = [Float](repeating: -0.0, count: count)
      zeros[count - 1] = 0
      #expect(try argmax(zeros) == 0)
      for bad in [Float.nan, .infinity, -.infinity] {
        var broken = values
        broken[Int.random(in: 0..<count, using: &draws)] = bad
        #expect(try argmax(broken) == nil, "\(bad) among \(count)")
      }
    }
  }

  /// Hidden states that are not finite must show in the result, never pass as numbers.
  @Test(arguments: Kernels.supported, Scheme.every)
  func brokenActivationsAreSeen(_ tier: String, _ scheme: Scheme) throws {
    let context = try computing(tier)
    let weights = (0..<20 * 70).map { Float($0 % 7) - 2.5 }
    let matrix = try PackedMatrix.encode(
      TestData.source(weights, rows: 20, columns: 70), scheme: scheme, pool: context.pool)
    let ones = [Float](repeating: 1, count: 70)
    for bad in [Float.nan, .infinity, -.infinity] {
      for column in [0, 31, 40, 69] {
        var input = ones
        input[column] = bad
        let result = try product(matrix, [input, ones], on: context)
        #expect(result[0].allSatisfy { !$0.isFinite })
        #expect(result[1].allSatisfy { $0.isFinite })
      }
    }
  }

  @Test func rowsOfEmbeddingsAreAddedAndCopied() throws {
    var draws = SplitMix64(seed: 4)
    let pool = WorkerPool(threads: 1)
    let (words, places) = (draws.floats(10 * 50), draws.floats(6 * 50))
    let embedding = try PackedMatrix.encode(
      TestData.source(words, rows: 10, columns: 50), scheme: .float32, pool: pool)
    let positions = try PackedMatrix.encode(
      TestData.source(places, rows: 6, columns: 50), scheme: .float32, pool: pool)
    let states = try Activations(columns: 50, capacity: 4)
    states.setRow(2, to: embedding, 9)
    #expect(states[2] == Array(words[450..<500]))
    states.setRow(1, to: embedding, 3, plus: (positions, 5))
    let sum: [Float] = zip(words[150..<200], places[250..<300]).map { $0 + $1 }
    #expect(states[1] == sum)
    #expect(states.withRow(1) { $0[49] } == states[1][49])
    states.gatherRows([1, 2])
    #expect(states[0] == sum && states[1] == Array(words[450..<500]))
    states.gatherRows([0, 1])
    states.gatherRows([])
    #expect(states[0] == sum && states[1] == Array(words[450..<500]))

    let context = try computing("scalar", threads: 3)
    let (ids, at) = ([3, 9, 0, 3, 1, 7, 9], [5, 0, 1, 1, 4, 2, 3])
    let (many, single) = try (Activations(columns: 50, capacity: 8), Activations(columns: 50, capacity: 1))
    many.setRows(to: embedding, ids, plus: (positions, at), on: context)
    for row in ids.indices {
      single.setRow(0, to: embedding, ids[row], plus: (positions, at[row]))
      #expect(many[row] == single[0])
    }
    let largest = ids.indices.map { many.argmax(row: $0, context.kernels) }
    #expect(many.argmax(count: ids.count, on: context) == largest && !largest.contains(nil))
    many[4] = [.nan] + many[4].dropFirst()
    #expect(many.argmax(count: ids.count, on: context).enumerated().allSatisfy { $1 == ($0 == 4 ? nil : largest[$0]) })
    #expect(many.argmax(count: 1, on: context) == [largest[0]] && many.argmax(count: 0, on: context).isEmpty)
  }

  @Test func anUnknownTierIsRefused() throws {
    #expect(throws: FurlError.self) { try Kernels(named: "mmx") }
    #expect(Kernels.supported.contains("scalar"))
    #expect(try Kernels().name == Kernels.supported[0])
  }
}
