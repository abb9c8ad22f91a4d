import FurlBase
@testable import FurlNumerics
@testable import FurlTensor
import FurlTestSupport
import Testing

/// Minimums that are multiples of their scales: the laws that hold for any weights, in halves as Swift has them.
@Suite struct ZeroPointTests {
  private static let columns = 160

  /// Rows of all kinds, of either sign, of one sign, of one value, of nothing, of the smallest and the largest that there are:
  /// [rows][columns].
  private static func weights(_ draws: inout SplitMix64) -> [Float] {
    let kinds: [(Float) -> Float] = [
      { $0 }, { abs($0) + 0.5 }, { -abs($0) - 0.5 }, { _ in 0.3 }, { _ in -0.7 }, { _ in 0 }, { $0 * 0x1p-22 },
      { $0 * 0x1p-26 }, { $0 * 4000 }, { abs($0) }, { $0 > 0 ? $0 : 0.01 * $0 }, { $0 * $0 * $0 },
    ]
    return (0..<36).flatMap { row in draws.floats(columns).map { kinds[row % kinds.count]($0 * 2 - 1) } }
  }

  /// The zero point of every block; nil where there is none.
  private static func zeros(_ matrix: PackedMatrix) -> [[Int?]] {
    let layout = TileLayout(matrix)
    return (0..<matrix.rows).map { row in
      layout.blockStarts.map { column in
        let scale = Float16(bitPattern: layout.half(0, row, column: column))
        let bits = layout.half(1, row, column: column)
        // Of nothing: any would do, and zero has one sign.
        if scale == 0 { return bits == 0 ? 8 : nil }
        return (1...15).first { Double(Float16(bitPattern: bits)) == -Double($0) * Double(scale) }
      }
    }
  }

  private static func encode(
    _ weights: [Float], _ scheme: Scheme, _ scales: ScaleChoice, inputs: Activations? = nil,
    outputs: Activations? = nil,
    columnWeights: [Float]? = nil, threads: Int = 1, hasZeroPoints: Bool = true
  ) throws -> PackedMatrix {
    let math = try CalibrationTests.math(threads: threads)
    var objective = CodeObjective.columns(weights: columnWeights)
    if let inputs {
      let factor = try FeedbackFactor(
        CalibrationTests.moments(inputs), order: .activation, block: scheme.block ?? .row, damping: 0.01, on: math)
      objective = .outputs(factor)
    }
    let source = try TestData.source(weights, rows: weights.count / columns, columns: columns)
    var encoder = try CalibratedEncoder(scheme: scheme, scales: scales, objective: objective)
    encoder.hasZeroPoints = hasZeroPoints
    if let outputs {
      encoder.rowFeedback = try OutputFactor(CalibrationTests.moments(outputs), shrinkage: 0.5, on: math)
    }
    return try encoder.encode(source, on: math)
  }

  private static let schemes: [Scheme] = [
    .int4Minimum(.columns(32)), .int4Minimum(.columns(64)), .int4Minimum(.columns(128)), .int4Minimum(.row),
  ]

  @Test(arguments: schemes, [ScaleChoice.extremes, .search])
  func everyMinimumIsAMultipleWhateverChoosesTheCodes(_ scheme: Scheme, _ scales: ScaleChoice) throws {
    var draws = SplitMix64(seed: 5)
    let weights = Self.weights(&draws)
    let inputs = try CalibrationTests.inputs(90, Self.columns, seed: 6)
    let outputs = try CalibrationTests.inputs(70, weights.count / Self.columns, seed: 7)
    let columnWeights = (0..<Self.columns).map { _ in Float(draws.unit() * 4) }
    let made = [
      try Self.encode(weights, scheme, scales), try Self.encode(weights, scheme, scales, columnWeights: columnWeights),
      try Self.encode(weights, scheme, scales, inputs: inputs),
      try Self.encode(weights, scheme, scales, inputs: inputs, outputs: outputs),
    ]
    for (method, matrix) in made.enumerated() {
      #expect(!Self.zeros(matrix).joined().contains(nil), "\(scheme), \(scales), method \(method)")
      // What is looked up by the export is what there is.
      for row in 0..<matrix.rows {
        #expect(try matrix.integers(row: row).zeros?.map { Int($0) + 8 } == Self.zeros(matrix)[row].map { $0 ?? -1 })
      }
    }
    // Without the key they are not.
    let free = try Self.encode(weights, scheme, scales, hasZeroPoints: false)
    #expect(Self.zeros(free).joined().contains(nil))
  }

  /// Of nearest codes no weight is further off than a step: half of one for its code, half of one for the zero point.
  @Test func nearestCodesAreNear() throws {
    var draws = SplitMix64(seed: 8)
    let weights = Self.weights(&draws)
    let matrix = try Self.encode(weights, .int4Minimum(.columns(32)), .extremes)
    let layout = TileLayout(matrix)
    for row in 0..<matrix.rows {
      for (column, value) in matrix.row(row).enumerated() {
        let off = abs(value - weights[row * Self.columns + column])
        #expect(off <= 1.08 * layout.scale(row, column: column) + 0x1p-21, "row \(row), column \(column)")
      }
    }
  }

  /// Squares of errors, columns weighted: no worse than the ends, and hardly worse than minimums that are free.
  @Test func searchingIsBetterThanTheEnds() throws {
    var draws = SplitMix64(seed: 9)
    let weights = (0..<64).flatMap { _ in draws.floats(Self.columns).map { $0 * $0 * 3 - 1 } }
    func loss(_ matrix: PackedMatrix) -> Double {
      (0..<matrix.rows).reduce(0) { sum, row in
        zip(matrix.row(row), weights[row * Self.columns..<(row + 1) * Self.columns]).reduce(sum) {
          $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1)
        }
      }
    }
    let scheme = Scheme.int4Minimum(.columns(32))
    let searched = loss(try Self.encode(weights, scheme, .search))
    #expect(searched < loss(try Self.encode(weights, scheme, .extremes)))
    #expect(searched < 1.25 * loss(try Self.encode(weights, scheme, .search, hasZeroPoints: false)))
  }

  @Test func bytesDoNotDependOnThreads() throws {
    var draws = SplitMix64(seed: 10)
    let weights = (0..<3).flatMap { _ in Self.weights(&draws) }
    let inputs = try CalibrationTests.inputs(90, Self.columns, seed: 6)
    let scheme = Scheme.int4Minimum(.columns(32))
    let one = try Self.encode(weights, scheme, .search, inputs: inputs)
    let three = try Self.encode(weights, scheme, .search, inputs: inputs, threads: 3)
    #expect(zip(one.streams, three.streams).allSatisfy { $0.bytes == $1.bytes })
  }

  /// A scale's product with each zero point is a half where it is not beyond them, and as many bits are kept as that lets be.
  @Test func scalesHaveHalvesAsProducts() {
    for bits in stride(from: UInt16(1), to: 0x7C00, by: 7) {
      let wanted = Float(Float16(bitPattern: bits)) * 1.0003
      for zero in 1...15 {
        let scale = ZeroPoints.rounded(wanted, zero: zero)
        let product = Float(zero) * scale
        #expect(Float(Float16(scale)) == scale && (product > 65504 || Float(Float16(product)) == product))
        let share: Float = [1, 2, 4, 8].contains(zero) ? 0x1p-11 : 0x1p-7
        #expect(abs(scale - wanted) <= wanted * share + 0x1p-25 || wanted > 65000, "\(wanted), \(zero)")
      }
    }
    #expect(ZeroPoints.rounded(0, zero: 3) == 0 && ZeroPoints.rounded(.infinity, zero: 3) == .infinity)
  }

  @Test func valuesTooLargeAndOtherSchemesAreRefused() throws {
    var weights = [Float](repeating: 0.5, count: 16 * Self.columns)
    for large in [Float(1.2e6), 3e38, -3e38] {
      weights[5 * Self.columns + 3] = large
      // A search may cut the largest off.
      for scales in [ScaleChoice.extremes, .search] where scales == .extremes || abs(large) > 1e30 {
        let error = #expect(throws: FurlError.self) {
          try Self.encode(weights, .int4Minimum(.columns(32)), scales)
        }
        #expect(error?.kind == .input && error?.problem.contains("too large") == true, "\(large) \(scales)")
      }
    }
    let small = try #require(Scheme.int4Minimum(.columns(32)).withSmallScales)
    for scheme in [small, .int4(.columns(32)), .int8(.row), .q4k] {
      let error = #expect(throws: FurlError.self) {
        try Self.encode([Float](repeating: 0.5, count: 16 * Self.columns), scheme, .search)
      }
      #expect(error?.kind == .defect || scheme == .q4k, "\(scheme)")
    }
  }
}
