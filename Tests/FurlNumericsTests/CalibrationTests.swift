import FurlBase
@testable import FurlNumerics
@testable import FurlTensor
import FurlTestSupport
import Testing

/// Codes that are chosen by what they do: against numpy's GPTQ, and the laws that hold for any weights.
@Suite struct CalibrationTests {
  static let schemes: [Scheme] =
    [.int8(.row), .int8(.columns(32)), .int4(.columns(32)), .int4(.columns(128)), .int4(.row)]
    + [.int4Minimum(.columns(64)), .int4Minimum(.row), .int3(.columns(32)), .int3Minimum(.columns(64)), .int2(.row)]
    + [.int2Minimum(.columns(32)), .nf4(.columns(64)), .fp4(.columns(32)), .codebook4(.columns(64)), .codebook4(.row)]

  static let small: [Scheme] = [
    Scheme.int4(.columns(32)), .int3Minimum(.columns(64)), .int2(.columns(32)), .nf4(.columns(64)),
    .codebook4(.columns(32)),
  ].compactMap(\.withSmallScales)

  /// Inputs of a layer whose columns are alike and of different sizes: [count][columns].
  static func inputs(_ count: Int, _ columns: Int, seed: UInt64) throws -> Activations {
    var draws = SplitMix64(seed: seed)
    let activations = try Activations(columns: columns, capacity: count)
    let size = (0..<columns).map { _ in Float(0.05 + draws.unit() * draws.unit() * 3) }
    for row in 0..<count {
      let common = draws.floats(4)
      activations[row] = (0..<columns).map { (Float(draws.unit() - 0.5) + common[$0 % 4]) * size[$0] }
    }
    return activations
  }

  static func math(threads: Int) throws -> DenseMath {
    DenseMath(pool: WorkerPool(threads: threads), kernels: try Kernels.forTransforms())
  }

  static func moments(_ inputs: Activations, threads: Int = 1) throws -> SecondMoments {
    let moments = try SecondMoments(columns: inputs.columns, extent: .full)
    try moments.add(inputs, count: inputs.capacity, on: math(threads: threads))
    return moments
  }

  /// The squared error of a layer's outputs over some inputs.
  static func loss(_ matrix: PackedMatrix, _ weights: [Float], _ inputs: Activations) -> Double {
    var loss = 0.0
    let errors = (0..<matrix.rows).map { row in
      zip(matrix.row(row), weights[row * matrix.columns..<(row + 1) * matrix.columns]).map { Double($0) - Double($1) }
    }
    for position in 0..<inputs.capacity {
      let input = inputs[position].map(Double.init)
      for error in errors {
        let off = product(error, input)
        loss += off * off
      }
    }
    return loss
  }

  /// In eight sums, which take a fraction of the time of one.
  private static func product(_ a: [Double], _ b: [Double]) -> Double {
    var sums = SIMD8<Double>.zero
    let whole = a.count / 8 * 8
    a.withUnsafeBytes { a in
      b.withUnsafeBytes { b in
        for place in stride(from: 0, to: whole * 8, by: 64) {
          sums +=
            a.loadUnaligned(fromByteOffset: place, as: SIMD8<Double>.self)
            * b.loadUnaligned(fromByteOffset: place, as: SIMD8<Double>.self)
        }
      }
    }
    return zip(a[whole...], b[whole...]).reduce(sums.sum()) { $0 + $1.0 * $1.1 }
  }

  static func feedback(
    _ weights: [Float], _ inputs: Activations, _ scheme: Scheme, scales: ScaleChoice = .search,
    order: FeedbackOrder = .activation, damping: Double = 0.01, threads: Int = 1
  ) throws -> PackedMatrix {
    let math = try math(threads: threads)
    let factor = try FeedbackFactor(
      moments(inputs, threads: threads), order: order, block: scheme.block ?? .row, damping: damping, on: math)
    let source = try TestData.source(weights, rows: weights.count / inputs.columns, columns: inputs.columns)
    return try CalibratedEncoder(scheme: scheme, scales: scales, objective: .outputs(factor)).encode(source, on: math)
  }

  // MARK: Against numpy

  struct Reference {
    let rows: Int
    let inputs: Activations
    let weights: [Float]
    let cases: [JSON]
    let damping: Double
  }

  static func reference() throws -> Reference {
    let path = TestData.root + "/Tests/Fixtures/calibration/gptq.json"
    let json = try JSON.parse(TestData.bytes(path), file: path)
    func floats(_ key: String, by divisor: Float) -> [Float] {
      (json[key]?.array ?? []).map { Float($0.integer ?? 0) / divisor }
    }
    let (rows, columns) = (json["rows"]?.integer ?? 0, json["columns"]?.integer ?? 0)
    let numbers = floats("inputs_times_16", by: 16)
    let inputs = try Activations(columns: columns, capacity: json["positions"]?.integer ?? 0)
    for row in 0..<inputs.capacity { inputs[row] = Array(numbers[row * columns..<(row + 1) * columns]) }
    return Reference(
      rows: rows, inputs: inputs, weights: floats("weights_times_4096", by: 4096), cases: json["cases"]?.array ?? [],
      damping: json["damping"]?.number ?? 0)
  }

  /// The inverse's factor in double precision and the moments' factor in single precision give the same codes, but for
  /// ties and what follows from one.
  @Test func codesAreThoseOfGPTQ() throws {
    let reference = try Self.reference()
    #expect(reference.cases.count == 18)
    for sample in reference.cases {
      let scheme = try #require(Scheme(name: sample["scheme"]?.string ?? ""))
      let order = try #require(FeedbackOrder(rawValue: sample["order"]?.string ?? ""))
      let matrix = try Self.feedback(
        reference.weights, reference.inputs, scheme, scales: .extremes, order: order, damping: reference.damping)
      let layout = TileLayout(matrix)
      let offset = scheme.codingName == "int8" ? 128 : scheme.codingName == "int4" ? 8 : 0
      let codes = (sample["codes"]?.array ?? []).map { ($0.integer ?? 0) + offset }
      let columns = reference.inputs.columns
      try #require(codes.count == reference.rows * columns)
      let same = codes.indices.count { codes[$0] == layout.code($0 / columns, $0 % columns) }
      let (own, expected) = (
        Self.loss(matrix, reference.weights, reference.inputs), sample["loss"]?.number ?? 0
      )
      #expect(Double(same) >= 0.995 * Double(codes.count), "\(scheme) \(order): \(same) of \(codes.count)")
      #expect(abs(own - expected) <= 0.01 * expected, "\(scheme) \(order): \(own) instead of \(expected)")
    }
  }

  @Test func momentsAreMeansOfProducts() throws {
    let reference = try Self.reference()
    for threads in 1...3 {
      let moments = try Self.moments(reference.inputs, threads: threads)
      let means = try #require(moments.means)
      var worst = Worst()
      for row in 0..<reference.inputs.columns {
        for column in 0..<reference.inputs.columns {
          let products = (0..<reference.inputs.capacity).map {
            Double(reference.inputs[$0][row]) * Double(reference.inputs[$0][column])
          }
          let mean = products.reduce(0, +) / Double(products.count)
          let size = products.reduce(0) { $0 + abs($1) } / Double(products.count)
          worst.add(Double(means[row][column]), mean, bound: size * 1e-6, "\(row) \(column)")
        }
      }
      #expect(worst.share <= 1, "\(worst.place)")
      let diagonal = try SecondMoments(columns: reference.inputs.columns, extent: .diagonal)
      try diagonal.add(reference.inputs, count: reference.inputs.capacity, on: Self.math(threads: threads))
      for (own, full) in zip(diagonal.meanSquares, moments.meanSquares) { #expect(abs(own - full) <= 1e-5 * full) }
    }
  }

  // MARK: Laws

  /// Where inputs have nothing to do with each other there is nothing to feed back: codes are the nearest.
  @Test(arguments: schemes)
  func independentInputsGiveNearestCodes(_ scheme: Scheme) throws {
    for (rows, columns) in [(33, 100), (1, 1), (70, 32), (17, 300)] {
      let weights = TestData.weights(rows, columns, seed: 3)
      let inputs = try Activations(columns: columns, capacity: columns)
      for row in 0..<columns { inputs[row] = (0..<columns).map { $0 == row ? 2 : 0 } }
      let nearest = try PackedMatrix.encode(
        TestData.source(weights, rows: rows, columns: columns), scheme: scheme, pool: WorkerPool(threads: 1))
      for order in FeedbackOrder.allCases {
        let fed = try Self.feedback(weights, inputs, scheme, scales: .extremes, order: order)
        #expect(fed.streams.map(\.bytes) == nearest.streams.map(\.bytes), "\(rows) x \(columns) \(order)")
      }
    }
  }

  /// Any width and height: errors of outputs are smaller than with the nearest codes, and the threads do not matter.
  @Test(arguments: schemes + small, [(40, 576), (100, 1000), (5, 33), (65, 161)])
  func feedbackIsBetterThanNearest(_ scheme: Scheme, _ shape: (rows: Int, columns: Int)) throws {
    let weights = TestData.weights(shape.rows, shape.columns, seed: 7)
    let inputs = try Self.inputs(2 * shape.columns, shape.columns, seed: 8)
    let source = try TestData.source(weights, rows: shape.rows, columns: shape.columns)
    let nearest = try PackedMatrix.encode(source, scheme: scheme, pool: WorkerPool(threads: 1))
    let fed = try Self.feedback(weights, inputs, scheme)
    #expect(fed.layout == nearest.layout)
    let (before, after) = (Self.loss(nearest, weights, inputs), Self.loss(fed, weights, inputs))
    #expect(after < 0.7 * before, "\(after) instead of \(before)")
    for threads in 2...3 {
      let other = try Self.feedback(weights, inputs, scheme, threads: threads)
      #expect(other.streams.map(\.bytes) == fed.streams.map(\.bytes))
    }
  }

  /// The squared error that a search minimizes is never larger than without one, weighted or not.
  @Test(arguments: schemes, [true, false])
  func searchedScalesAreBetter(_ scheme: Scheme, _ isWeighted: Bool) throws {
    let (rows, columns) = (50, 300)
    let weights = TestData.weights(rows, columns, seed: 11)
    var draws = SplitMix64(seed: 12)
    let importance = isWeighted ? (0..<columns).map { _ in Float(draws.unit() * draws.unit()) } : nil
    let source = try TestData.source(weights, rows: rows, columns: columns)
    let encoder = try CalibratedEncoder(
      scheme: scheme, scales: .search, objective: .columns(weights: importance))
    let searched = try encoder.encode(source, on: Self.math(threads: 2))
    let nearest = try PackedMatrix.encode(source, scheme: scheme, pool: WorkerPool(threads: 1))
    func loss(_ matrix: PackedMatrix, _ row: Int) -> Double {
      zip(matrix.row(row), weights[row * columns..<(row + 1) * columns]).enumerated().reduce(0) { sum, pair in
        let error = Double(pair.element.0) - Double(pair.element.1)
        return sum + error * error * Double(importance?[pair.offset] ?? 1)
      }
    }
    // Importance makes another table, which is not better for each row.
    if !isWeighted || !scheme.hasOwnTable {
      for row in 0..<rows { #expect(loss(searched, row) <= loss(nearest, row) * 1.0001) }
    }
    #expect((0..<rows).reduce(0) { $0 + loss(searched, $1) } < (0..<rows).reduce(0) { $0 + loss(nearest, $1) })
  }

  // MARK: What goes wrong

  @Test func inputsThatSayNothingChangeNothing() throws {
    let weights = TestData.weights(16, 64, seed: 1)
    let zeros = try Activations(columns: 64, capacity: 10)
    let fed = try Self.feedback(weights, zeros, .int4(.columns(32)), scales: .extremes)
    let nearest = try PackedMatrix.encode(
      TestData.source(weights, rows: 16, columns: 64), scheme: .int4(.columns(32)), pool: WorkerPool(threads: 1))
    #expect(fed.streams.map(\.bytes) == nearest.streams.map(\.bytes))
    let coverage = try Self.moments(zeros).coverage
    #expect(coverage.deadColumns == 64 && coverage.rows == 10 && coverage.columns == 64 && coverage.isFinite)
  }

  @Test(arguments: [Float.nan, .infinity])
  func numbersThatAreNotFiniteAreNamed(_ value: Float) throws {
    let inputs = try Self.inputs(100, 64, seed: 2)
    var weights = TestData.weights(80, 64, seed: 1)
    weights[70 * 64 + 5] = value
    weights[71 * 64] = value
    let error = #expect(throws: FurlError.self) {
      _ = try Self.feedback(weights, inputs, .int4(.columns(32)), threads: 3)
    }
    #expect(
      error?.kind == .input && error?.description.contains("element [70, 5]") == true, "\(String(describing: error))")

    var row = inputs[3]
    row[9] = value
    inputs[3] = row
    #expect(try !Self.moments(inputs).coverage.isFinite)
    let other = #expect(throws: FurlError.self) {
      _ = try Self.feedback(TestData.weights(80, 64, seed: 1), inputs, .int4(.columns(32)))
    }
    #expect(other?.kind == .input)
  }

  @Test(arguments: [ScaleChoice.extremes, .search])
  func weightsTooLargeForAScaleAreNamed(_ scales: ScaleChoice) throws {
    var weights = TestData.weights(40, 64, seed: 1)
    weights[33 * 64] = 1e30
    let error = #expect(throws: FurlError.self) {
      _ = try Self.feedback(weights, Self.inputs(100, 64, seed: 2), .int4(.columns(32)), scales: scales)
    }
    #expect(error?.description.contains("rows 32 and following") == true, "\(String(describing: error))")
  }
}
