import FurlBase
import FurlNumerics
import FurlTensor
import FurlTestSupport
import Testing

/// Group lasso, refit and linear map against numpy, and the laws that hold for any weights.
@Suite struct PruningTests {
  private static let fixture = Result { try Fixture() }
  private let math: DenseMath
  private var pool: WorkerPool { math.pool }

  init() throws { math = try CalibrationTests.math(threads: 2) }

  private struct Fixture: Sendable {
    let json: JSON
    let outputs: Int
    let columns: Int

    init() throws {
      let path = TestData.root + "/Tests/Fixtures/pruning/pruning.json"
      json = try JSON.parse(MappedFile(path: path).readAll(limit: 1 << 22), file: path)
      outputs = try #require(json["outputs"]?.integer)
      columns = try #require(json["columns"]?.integer)
    }

    func numbers(_ key: String) throws -> [Double] {
      try #require(json[key]?.array).map { try #require($0.number) }
    }

    func weight() throws -> Matrix {
      try Matrix(numbers("weight").map(Float.init), rows: outputs, columns: columns)
    }

    func moments(threads: Int, rows: Int = 37) throws -> InputMoments {
      let inputs = try numbers("inputs").map(Float.init)
      let moments = try InputMoments(columns: columns)
      let piece = try Activations(columns: columns, capacity: rows)
      let math = try CalibrationTests.math(threads: threads)
      for start in stride(from: 0, to: inputs.count / columns, by: rows) {
        let count = min(rows, inputs.count / columns - start)
        for row in 0..<count { piece[row] = Array(inputs[(start + row) * columns..<(start + row + 1) * columns]) }
        try moments.add(piece, count: count, on: math)
      }
      return moments
    }
  }

  @Test func momentsAreThoseOfNumpy() throws {
    let fixture = try PruningTests.fixture.get()
    let moments = try fixture.moments(threads: 2)
    let (means, expected) = (try fixture.numbers("means"), try fixture.numbers("covariance"))
    for (own, other) in zip(moments.means, means) { #expect(abs(own - other) < 1e-5) }
    let covariance = moments.covariance(on: pool)
    var worst = Worst()
    for row in 0..<fixture.columns {
      for column in 0..<fixture.columns {
        let bound = 1e-5 * (covariance.variances[row] * covariance.variances[column]).squareRoot()
        worst.add(
          Double(covariance[row, column]), expected[row * fixture.columns + column], bound: bound, "\(row), \(column)")
      }
    }
    #expect(worst.share <= 1, "\(worst.place)")
  }

  /// The minimum is where proximal gradient steps in double precision end: what each group adds, and the objective.
  @Test func groupLassoFindsTheMinimum() throws {
    let fixture = try PruningTests.fixture.get()
    let covariance = try fixture.moments(threads: 1).covariance(on: pool)
    for reference in try #require(fixture.json["lasso"]?.array) {
      let size = try #require(reference["size"]?.integer)
      let penalty = try #require(reference["penalty"]?.number)
      let lengths = try #require(reference["lengths"]?.array).map { try #require($0.number) }
      let objective = try #require(reference["objective"]?.number)
      let groups = stride(from: 0, to: fixture.columns, by: size).map { $0..<$0 + size }
      let lasso = try GroupLasso(fixture.weight(), covariance, groups: groups, on: math)
      lasso.solve(penalty: penalty, sweeps: 2000, tolerance: 1e-7)
      #expect(abs(lasso.objective(penalty: penalty) - objective) < 1e-4 * objective)
      for (own, other) in zip(lasso.contributions, lengths) { #expect(abs(own - other) < 2e-3 * (1 + other)) }
      // What is clearly gone is gone exactly.
      #expect(lasso.removed == lengths.map { $0 < 1e-6 }, "size \(size), penalty \(penalty)")
    }
  }

  @Test func everySweepLowersTheObjective() throws {
    let fixture = try PruningTests.fixture.get()
    let covariance = try fixture.moments(threads: 1).covariance(on: pool)
    let groups = stride(from: 0, to: fixture.columns, by: 2).map { $0..<$0 + 2 }
    let lasso = try GroupLasso(fixture.weight(), covariance, groups: groups, on: math)
    var last = lasso.objective(penalty: 3)
    for _ in 0..<12 {
      lasso.solve(penalty: 3, sweeps: 1)
      let next = lasso.objective(penalty: 3)
      #expect(next <= last * (1 + 1e-6))
      last = next
    }
    // Without a penalty the weights themselves are the minimum.
    let free = try GroupLasso(fixture.weight(), covariance, groups: groups, on: math)
    free.solve(penalty: 0)
    #expect(free.objective(penalty: 0) < 1e-9)
    #expect(!free.removed.contains(true))
  }

  @Test func importancesOrderGroupsByWhenTheyVanish() throws {
    let fixture = try PruningTests.fixture.get()
    let covariance = try fixture.moments(threads: 1).covariance(on: pool)
    let groups = (0..<fixture.columns).map { $0..<$0 + 1 }
    let importances = try GroupLasso(fixture.weight(), covariance, groups: groups, on: math)
      .importances(limit: fixture.columns)
    let order = importances.indices.sorted { importances[$0] < importances[$1] }
    for penalty in [0.5, 2.0, 6.0] {
      let lasso = try GroupLasso(fixture.weight(), covariance, groups: groups, on: math)
      lasso.solve(penalty: penalty, sweeps: 500, tolerance: 1e-6)
      let gone = lasso.removed.count(where: { $0 })
      // Groups that vanish within one step of the path may change places.
      let first = Set(order.prefix(gone))
      let agreeing = groups.indices.count { lasso.removed[$0] && first.contains($0) }
      #expect(agreeing >= gone - 2, "penalty \(penalty): \(agreeing) of \(gone)")
    }
  }

  @Test func refitIsLeastSquares() throws {
    let fixture = try PruningTests.fixture.get()
    let moments = try fixture.moments(threads: 2)
    let means = moments.means
    let kept = try #require(fixture.json["kept"]?.array).map { try #require($0.integer) }
    let weight = try fixture.weight()
    let refitted = try ColumnRefit.leastSquares(
      weight, moments.covariance(on: pool), kept: kept, damping: 0, on: math)
    let (expected, bias) = (try fixture.numbers("refitted"), try fixture.numbers("bias"))
    for (own, other) in zip(refitted.values, expected) { #expect(abs(Double(own) - other) < 1e-3) }
    let own = ColumnRefit.biasChange(weight, refitted: refitted, means: means, kept: kept)
    for (own, other) in zip(own, bias) { #expect(abs(own - other) < 1e-2) }
  }

  /// Much of what columns have in common in few rows is chance: on rows that were not seen, outputs are nearer with the
  /// ridge than without it, and nearer than without a refit.
  @Test(arguments: [240, 400, 1_600]) func ridgeHelpsWhereRowsAreFew(rows: Int) throws {
    let (columns, unseen) = (256, 500)
    let inputs = try CalibrationTests.inputs(rows + unseen, columns, seed: 21)
    let weight = try Matrix(TestData.weights(24, columns, seed: 13), rows: 24, columns: columns)
    let kept = (0..<columns).filter { $0 % 5 != 0 }
    func error(_ refitted: Matrix, _ bias: [Double]) -> Double {
      (rows..<rows + unseen).reduce(0.0) { sum, row in
        let numbers = inputs[row].map(Double.init)
        let pairs = zip(weight.times(numbers), zip(refitted.times(kept.map { numbers[$0] }), bias))
        return sum + pairs.reduce(0) { $0 + ($1.0 - $1.1.0 - $1.1.1) * ($1.0 - $1.1.0 - $1.1.1) }
      }
    }
    func refit(ridge: Double?) throws -> Double {
      let moments = try InputMoments(columns: columns)
      try moments.add(inputs, count: rows, on: math)
      let means = moments.means
      let refitted = try ColumnRefit.leastSquares(
        weight, moments.covariance(ridge: ridge ?? moments.ridge, on: pool), kept: kept, on: math)
      return error(refitted, ColumnRefit.biasChange(weight, refitted: refitted, means: means, kept: kept))
    }
    let (own, plain) = (try refit(ridge: nil), try refit(ridge: 0))
    let none = error(try weight.gather(columns: kept), Array(repeating: 0, count: 24))
    #expect(own < plain && own < none, "\(own) with, \(plain) without, \(none) not refitted")
  }

  @Test func linearMapIsLeastSquares() throws {
    let fixture = try PruningTests.fixture.get()
    let (inputs, later) = (try fixture.numbers("inputs").map(Float.init), try fixture.numbers("later").map(Float.init))
    let states = (0..<inputs.count / fixture.columns).flatMap { row in
      inputs[row * fixture.columns..<row * fixture.columns + 8]
    }
    let map = try LinearMap(columns: 8)
    for start in stride(from: 0, to: states.count / 8, by: 50) {
      let range = start * 8..<min((start + 50) * 8, states.count)
      try map.add(Array(states[range]), Array(later[range]), on: math)
    }
    let (weight, bias, unexplained) = try map.solve(damping: 0, on: math)
    for (own, other) in zip(weight.values, try fixture.numbers("map")) { #expect(abs(Double(own) - other) < 5e-4) }
    for (own, other) in zip(bias, try fixture.numbers("map_bias")) { #expect(abs(Double(own) - other) < 5e-3) }
    let rest = try #require(fixture.json["unexplained"]?.number)
    #expect(abs(unexplained - rest) < 1e-4)
  }

  @Test func sparseGPTIsThePublishedAlgorithm() throws {
    let fixture = try PruningTests.fixture.get()
    let inputs = try fixture.numbers("inputs").map(Float.init)
    let moments = try SecondMoments(columns: fixture.columns, extent: .full)
    let rows = try Activations(columns: fixture.columns, capacity: inputs.count / fixture.columns)
    for row in 0..<rows.capacity { rows[row] = Array(inputs[row * fixture.columns..<(row + 1) * fixture.columns]) }
    moments.add(rows, count: rows.capacity, on: math)
    let factor = try FeedbackFactor(moments, order: .natural, block: .row, damping: 0.01, on: math)
    let weight = try fixture.weight()
    SparseWeights.sparseGPT(weight, factor, sparsity: 0.5, on: math)
    let expected = try fixture.numbers("sparse")
    #expect(weight.values.map { $0 == 0 } == expected.map { $0 == 0 })
    for (own, other) in zip(weight.values, expected) { #expect(abs(Double(own) - other) < 5e-3) }
  }

  @Test func wandaTakesTheLeastOfEachRow() throws {
    let weight = try Matrix(TestData.weights(9, 40, seed: 2), rows: 9, columns: 40)
    let before = weight.values
    let squares = (0..<40).map { Float($0 % 7 + 1) }
    SparseWeights.wanda(weight, meanSquares: squares, sparsity: 0.6, on: pool)
    for row in 0..<9 {
      let own = Array(weight.values[row * 40..<(row + 1) * 40])
      let scores = (0..<40).map { before[row * 40 + $0] * before[row * 40 + $0] * squares[$0] }
      let least = Set((0..<40).sorted { scores[$0] < scores[$1] }.prefix(24))
      for column in 0..<40 { #expect(own[column] == (least.contains(column) ? 0 : before[row * 40 + column])) }
    }
  }

  /// Bits, not just digits, whatever the threads: through tiles and panels, with groups of one and of several.
  @Test func threadsChangeNothing() throws {
    func results(threads: Int) throws -> [[Double]] {
      let math = try CalibrationTests.math(threads: threads)
      let inputs = try CalibrationTests.inputs(400, 300, seed: 8)
      let moments = try InputMoments(columns: 300)
      try moments.add(inputs, count: 400, on: math)
      let covariance = moments.covariance(on: pool)
      let weight = try Matrix(TestData.weights(90, 300, seed: 4), rows: 90, columns: 300)
      let single = try GroupLasso(weight, covariance, groups: (0..<300).map { $0..<$0 + 1 }, on: math)
      let wide = try GroupLasso(weight, covariance, groups: (0..<2).map { $0 * 150..<($0 + 1) * 150 }, on: math)
      let refitted = try ColumnRefit.leastSquares(weight, covariance, kept: Array(20..<200), on: math)
      return [single.importances(limit: 200, steps: 6), wide.importances(limit: 1, steps: 6)]
        + [refitted.values.map(Double.init)]
    }
    #expect(try results(threads: 1) == results(threads: 2))
  }

  /// A group of inputs that are always zero is the first to go, and nothing is divided by it.
  @Test func deadInputs() throws {
    var rows = (0..<6).map { row in (0..<6).map { Float($0 == row ? 1 : 0.3) } }
    for index in 0..<6 { (rows[2][index], rows[index][2]) = (0, 0) }
    let covariance = try Covariance(rows: rows)
    let weight = try Matrix(TestData.weights(4, 6, seed: 1), rows: 4, columns: 6)
    let groups = (0..<6).map { $0..<$0 + 1 }
    let importances = try GroupLasso(weight, covariance, groups: groups, on: math).importances(limit: 5)
    let first = importances.indices.min { importances[$0] < importances[$1] }
    #expect(first == 2)
    #expect(importances.allSatisfy { $0.isFinite })
    let refitted = try ColumnRefit.leastSquares(weight, covariance, kept: [0, 1, 2, 4, 5], on: math)
    #expect(refitted.values.allSatisfy { $0.isFinite })
  }

  /// Scales and shifts of a head that is an embedding: no small change of any of them lowers the error of the outputs, what
  /// all outputs have in common left out.
  @Test func scalesAreLeastSquares() throws {
    let (vocabulary, width, positions) = (40, 9, 160)
    let kept = [0, 1, 3, 4, 6, 8]
    var draws = SplitMix64(seed: 11)
    func draw() -> Double { Double(draws.next() >> 11) * 0x1p-52 - 1 }
    let head = (0..<vocabulary).map { _ in (0..<width).map { _ in draw() + 0.3 } }
    let rows = (0..<positions).map { _ -> (full: [Double], left: [Double]) in
      let common = draw()
      let full = (0..<width).map { draw() + common + Double($0) / 4 }
      let size = 1.2 + 0.3 * common
      return (full, kept.map { full[$0] * size })
    }
    let inputs = try InputMoments(columns: width + kept.count)
    let piece = try Activations(columns: width + kept.count, capacity: positions)
    for (index, row) in rows.enumerated() {
      var numbers = row.full
      for (place, column) in kept.enumerated() { numbers[column] -= row.left[place] }
      piece[index] = (numbers + row.left).map { Float($0) }
    }
    try inputs.add(piece, count: positions, on: math)
    let products = try InputMoments(columns: width)
    try products.add(
      rowsOf: Matrix(head.joined().map { Float($0) }, rows: vocabulary, columns: width), on: math)
    let gram = products.covariance(on: pool)
    let scales = try ScaleRefit.scales(rows: gram, inputs: inputs.covariance(on: pool), kept: kept, on: math)
    var means = [Double](repeating: 0, count: width)
    for row in rows {
      for column in 0..<width { means[column] += row.full[column] / Double(positions) }
      for (place, column) in kept.enumerated() {
        means[column] -= scales[place] * row.left[place] / Double(positions)
      }
    }
    let shift = try ScaleRefit.shift(rows: gram, difference: means, kept: kept, on: math)

    func error(_ scales: [Double], _ shift: [Double]) -> Double {
      var sum = 0.0
      for row in rows {
        var short = row.full
        for (place, column) in kept.enumerated() { short[column] -= scales[place] * row.left[place] + shift[place] }
        let outputs = head.map { zip($0, short).reduce(0) { $0 + $1.0 * $1.1 } }
        let mean = outputs.reduce(0, +) / Double(vocabulary)
        sum += outputs.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      }
      return sum
    }
    let least = error(scales, shift)
    #expect(least < 0.9 * error(Array(repeating: 1, count: kept.count), Array(repeating: 0, count: kept.count)))
    for place in kept.indices {
      for step in [-0.03, 0.03] {
        var (changed, moved) = (scales, shift)
        changed[place] += step
        moved[place] += step
        // A scale moves the mean as well, which the shift would follow.
        let mean = rows.reduce(0) { $0 + $1.left[place] } / Double(positions)
        var followed = shift
        followed[place] -= step * mean
        #expect(error(changed, followed) > least && error(scales, moved) > least)
      }
    }
  }

  @Test func transposedAndGathered() throws {
    let matrix = try Matrix((0..<12).map(Float.init), rows: 3, columns: 4)
    #expect(try matrix.transposed(on: pool).values == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])
    let some = try matrix.gather(columns: [1, 3])
    #expect(some.values == [1, 3, 5, 7, 9, 11])
    #expect(try some.scattered(to: [1, 3], of: 4).values == [0, 1, 0, 3, 0, 5, 0, 7, 0, 9, 0, 11])
    let packed = try matrix.packed(on: pool)
    #expect((0..<3).flatMap { packed.row($0) } == matrix.values)
    let square = try Matrix((0..<16).map { Float($0) / 8 }, rows: 4, columns: 4)
    let moved = try matrix.adding(productWithTransposed: square, bias: [1, 2, 3, 4], on: math).values
    for row in 0..<3 {
      for column in 0..<4 {
        var expected = Float(row * 4 + column + column + 1)
        for inner in 0..<4 { expected += Float((row * 4 + inner) * (column * 4 + inner)) / 8 }
        #expect(abs(moved[row * 4 + column] - expected) < 1e-4)
      }
    }
  }
}
