import FurlBase
@testable import FurlNumerics
@testable import FurlTensor
import FurlTestSupport
import Testing

/// Rows that make up for each other's errors: against numpy on the whole Kronecker product, and the laws that hold for any
/// weights.
@Suite struct TwoSidedTests {
  private static func factor(_ gradients: Activations, shrinkage: Double, threads: Int = 1) throws -> OutputFactor {
    try OutputFactor(
      CalibrationTests.moments(gradients, threads: threads), shrinkage: shrinkage,
      on: CalibrationTests.math(threads: threads))
  }

  private static func encode(
    _ weights: [Float], _ inputs: Activations, _ outputs: OutputFactor?, _ scheme: Scheme,
    scales: ScaleChoice = .search, order: FeedbackOrder = .activation, threads: Int = 1
  ) throws -> PackedMatrix {
    let math = try CalibrationTests.math(threads: threads)
    let factor = try FeedbackFactor(
      CalibrationTests.moments(inputs, threads: threads), order: order, block: scheme.choiceBlock ?? .row,
      damping: 0.01, on: math)
    let source = try TestData.source(weights, rows: weights.count / inputs.columns, columns: inputs.columns)
    var encoder = try CalibratedEncoder(scheme: scheme, scales: scales, objective: .outputs(factor))
    encoder.rowFeedback = outputs
    return try encoder.encode(source, on: math)
  }

  /// tr(H_O E H_I Eᵀ): the sum over all pairs of a gradient and an input of (gᵀ E x)².
  private static func loss(
    _ matrix: PackedMatrix, _ weights: [Float], _ inputs: Activations, _ gradients: Activations
  ) -> Double {
    let columns = matrix.columns
    let errors = (0..<matrix.rows).map { row in
      zip(matrix.row(row), weights[row * columns..<(row + 1) * columns]).map { Double($0) - Double($1) }
    }
    // [positions][rows]: what the inputs make of the errors.
    let products = (0..<inputs.capacity).map { position in
      let input = inputs[position].map(Double.init)
      return errors.map { zip($0, input).reduce(0) { $0 + $1.0 * $1.1 } }
    }
    var moments = [Double](repeating: 0, count: matrix.rows * matrix.rows)
    for product in products {
      for row in product.indices {
        for other in product.indices { moments[row * matrix.rows + other] += product[row] * product[other] }
      }
    }
    var loss = 0.0
    for position in 0..<gradients.capacity {
      let gradient = gradients[position].map(Double.init)
      for row in gradient.indices {
        var sum = 0.0
        for other in gradient.indices { sum += moments[row * matrix.rows + other] * gradient[other] }
        loss += gradient[row] * sum
      }
    }
    return loss
  }

  // MARK: Against numpy

  /// Both factors in single precision give the codes that the whole product gives in double, but for ties and what follows
  /// from one.
  @Test func codesAreThoseOfTheWholeProduct() throws {
    let path = TestData.root + "/Tests/Fixtures/calibration/two_sided.json"
    let json = try JSON.parse(TestData.bytes(path), file: path)
    let cases = json["cases"]?.array ?? []
    #expect(cases.count == 5)
    for sample in cases {
      let (rows, columns) = (sample["rows"]?.integer ?? 0, sample["columns"]?.integer ?? 0)
      func floats(_ key: String, by divisor: Float) -> [Float] {
        (sample[key]?.array ?? []).map { Float($0.integer ?? 0) / divisor }
      }
      func activations(_ key: String, _ width: Int) throws -> Activations {
        let numbers = floats(key, by: 16)
        let result = try Activations(columns: width, capacity: sample["positions"]?.integer ?? 0)
        for row in 0..<result.capacity { result[row] = Array(numbers[row * width..<(row + 1) * width]) }
        return result
      }
      let scheme = try #require(Scheme(name: sample["scheme"]?.string ?? ""))
      let order = try #require(FeedbackOrder(rawValue: sample["order"]?.string ?? ""))
      let gradients = try activations("gradients_times_16", rows)
      let matrix = try Self.encode(
        floats("weights_times_4096", by: 4096), activations("inputs_times_16", columns),
        Self.factor(gradients, shrinkage: sample["shrinkage"]?.number ?? 0), scheme, scales: .extremes, order: order)
      let layout = TileLayout(matrix)
      let offset = scheme.codingName == "int8" ? 128 : scheme.codingName == "int4" ? 8 : 0
      let codes = (sample["codes"]?.array ?? []).map { ($0.integer ?? 0) + offset }
      try #require(codes.count == rows * columns)
      let same = codes.indices.count { codes[$0] == layout.code($0 / columns, $0 % columns) }
      #expect(Double(same) >= 0.995 * Double(codes.count), "\(scheme) \(order): \(same) of \(codes.count)")
    }
  }

  // MARK: Laws

  static let schemes: [Scheme] =
    [
      .int8(.row), .int4(.columns(32)), .int4Minimum(.columns(64)), .int4(.row), .int3Minimum(.columns(32)),
      .int2(.columns(32)), .nf4(.columns(64)), .codebook4(.columns(64)),
    ]
    + [Scheme.int4(.columns(64)), .int3Minimum(.columns(32)), .codebook4(.columns(32))].compactMap(\.withSmallScales)
    + [.q4k, .q6k, .iq4xs, .mxfp4]

  /// Moments of outputs that are all identity are those of one side alone, byte by byte.
  @Test(arguments: schemes)
  func fullShrinkageIsFeedbackBetweenColumns(_ scheme: Scheme) throws {
    let (rows, columns) = (147, 512)
    let weights = TestData.weights(rows, columns, seed: 7)
    let inputs = try CalibrationTests.inputs(2 * columns, columns, seed: 8)
    let outputs = try Self.factor(CalibrationTests.inputs(300, rows, seed: 9), shrinkage: 1)
    let alone = try Self.encode(weights, inputs, nil, scheme)
    let both = try Self.encode(weights, inputs, outputs, scheme)
    #expect(both.streams.map(\.bytes) == alone.streams.map(\.bytes))
  }

  /// What both sides say of errors is less than with the nearest codes and with feedback between columns, and the threads do
  /// not matter.
  @Test(arguments: schemes, [(147, 512), (40, 256), (70, 768)])
  func rowsMakeUpForEachOther(_ scheme: Scheme, _ shape: (rows: Int, columns: Int)) throws {
    let weights = TestData.weights(shape.rows, shape.columns, seed: 7)
    let inputs = try CalibrationTests.inputs(2 * shape.columns, shape.columns, seed: 8)
    let gradients = try CalibrationTests.inputs(2 * shape.rows, shape.rows, seed: 9)
    let outputs = try Self.factor(gradients, shrinkage: 0.02)
    let nearest = try PackedMatrix.encode(
      TestData.source(weights, rows: shape.rows, columns: shape.columns), scheme: scheme, pool: WorkerPool(threads: 1))
    let alone = try Self.encode(weights, inputs, nil, scheme)
    let both = try Self.encode(weights, inputs, outputs, scheme)
    let losses = [nearest, alone, both].map { Self.loss($0, weights, inputs, gradients) }
    #expect(losses[2] < 0.5 * losses[0] && losses[2] < 0.9 * losses[1], "\(losses)")
    for threads in [2, 7] {
      let factor = try Self.factor(gradients, shrinkage: 0.02, threads: threads)
      let other = try Self.encode(weights, inputs, factor, scheme, threads: threads)
      #expect(other.streams.map(\.bytes) == both.streams.map(\.bytes))
    }
  }

  /// Whatever matrix it is made of, U D Uᵀ is that matrix, shrunk.
  @Test func factorsMultiplyToTheMoments() throws {
    let gradients = try CalibrationTests.inputs(400, 77, seed: 4)
    let factor = try Self.factor(gradients, shrinkage: 0.25)
    let means = try #require(CalibrationTests.moments(gradients).means)
    let mean = (0..<77).reduce(0) { $0 + Double(means[$1][$1]) } / 77
    var worst = Worst()
    for row in 0..<77 {
      for column in 0..<77 {
        var product = 0.0
        for index in max(row, column)..<77 {
          func part(_ place: Int) -> Double { place == index ? 1 : Double(factor.matrix[place, index]) }
          product += part(row) * part(column) * Double(factor.variances[index])
        }
        let expected = Double(means[row][column]) + (row == column ? mean / 3 : 0)
        worst.add(product / 400, expected, bound: 1e-4 * mean, "\(row) \(column)")
      }
    }
    #expect(worst.share <= 1, "\(worst.place)")
    // As the inverse root of what a row counts, up to a quarter of a power of 2.
    let logs = factor.variances.map { -0.5 * Elementary.log(Double($0)) / Elementary.log(Double(2)) }
    let middle = logs.reduce(0, +) / 77
    for (step, log) in zip(factor.stepFactors, logs) where abs(log - middle) < 2 {
      #expect(abs(Elementary.log(Double(step)) / Elementary.log(Double(2)) - (log - middle)) < 0.251)
    }
  }

  @Test func otherRowsAreRefused() throws {
    let weights = TestData.weights(40, 64, seed: 1)
    let inputs = try CalibrationTests.inputs(100, 64, seed: 2)
    let outputs = try Self.factor(CalibrationTests.inputs(100, 39, seed: 2), shrinkage: 0.1)
    let error = #expect(throws: FurlError.self) { _ = try Self.encode(weights, inputs, outputs, .int4(.columns(32))) }
    #expect(error?.kind == .defect)
  }

  @Test func numbersThatAreNotFiniteAreNamed() throws {
    var weights = TestData.weights(80, 64, seed: 1)
    weights[70 * 64 + 5] = .nan
    weights[71 * 64] = .nan
    let inputs = try CalibrationTests.inputs(100, 64, seed: 2)
    let outputs = try Self.factor(CalibrationTests.inputs(100, 80, seed: 2), shrinkage: 0.1)
    let error = #expect(throws: FurlError.self) {
      _ = try Self.encode(weights, inputs, outputs, .int4(.columns(32)), threads: 3)
    }
    #expect(error?.kind == .input && error?.description.contains("element [70, 5]") == true)
  }
}
