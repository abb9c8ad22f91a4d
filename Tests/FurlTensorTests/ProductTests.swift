import FurlBase
import FurlTensor
import FurlTestSupport
import Testing

/// Every tier of kernels against a double-precision product of the decoded weights.
@Suite struct ProductTests {
  /// Weights and activations of all tests: slices of these.
  static let inputs: [[Float]] = {
    var draws = SplitMix64(seed: 12)
    return (0..<9).map { draws.floats(400, scale: $0 == 3 ? 1e-3 : 4) }
  }()
  static let file = Result {
    var draws = SplitMix64(seed: 11)
    return try TestData.mapped(TestData.littleEndian(draws.floats(1 << 16)))
  }

  static func matrix(_ rows: Int, _ columns: Int, _ scheme: Scheme) throws -> PackedMatrix {
    let source = try WeightSource(
      file: file.get(), type: .float32, offset: (rows * 64 + columns) * 4, rows: rows, columns: columns,
      rowStride: columns)
    return try PackedMatrix.encode(source, scheme: scheme, pool: WorkerPool(threads: 1))
  }

  static func inputs(columns: Int) -> [[Float]] { inputs.map { Array($0[0..<columns]) } }

  /// Rows 1...40, columns 1...100, one to nine rows of activations, which must not see each other. Weights are encoded
  /// once for all tiers.
  @Test(arguments: Scheme.every)
  func isTheProductForEverySmallShape(_ scheme: Scheme) throws {
    let contexts = try Kernels.supported.flatMap { tier in
      try ActivationForm.allCases.map { try computing(tier, $0) }
    }
    var worst = Worst()
    var different = 0
    for rows in 1...40 {
      for columns in [1 + rows % 3, 8, 16 + rows % 7, 31, 32, 33, 47, 63, 64, 65 + rows % 13, 95, 96, 97, 100] {
        let matrix = try Self.matrix(rows, columns, scheme)
        let inputs = Self.inputs(columns: columns)
        let naive = NaiveProduct(matrix, inputs)
        for context in contexts {
          let nine = try product(matrix, inputs, on: context)
          naive.compare(nine, scheme.hasCodes ? context.activations : .fp32, to: &worst)
          let count = 1 + (rows + columns) % 8
          if try product(matrix, inputs.suffix(count), on: context) != nine.suffix(count) { different += 1 }
        }
      }
    }
    #expect(worst.share <= 1, "\(worst.place)")
    #expect(different == 0, "a row's result depends on the rows beside it")
  }

  /// Several row tiles and blocks, the last ones ragged.
  @Test(arguments: Kernels.supported, Scheme.every)
  func isTheProductForLargerShapes(_ tier: String, _ scheme: Scheme) throws {
    var worst = Worst()
    for (rows, columns) in [(130, 390), (16, 256), (17, 257), (64, 128), (3, 400)] {
      let matrix = try Self.matrix(rows, columns, scheme)
      let inputs = Self.inputs(columns: columns)
      let naive = NaiveProduct(matrix, inputs)
      for form in ActivationForm.allCases {
        let result = try product(matrix, inputs, on: computing(tier, threads: 2, form))
        naive.compare(result, scheme.hasCodes ? form : .fp32, to: &worst)
      }
    }
    #expect(worst.share <= 1, "\(worst.place)")
  }

  @Test(arguments: Kernels.supported.filter { $0 != "scalar" }, Scheme.every)
  func tiersAgreeWithTheScalarOne(_ tier: String, _ scheme: Scheme) throws {
    var worst = Worst()
    for (rows, columns) in [(33, 389), (16, 32), (1, 1), (40, 100)] {
      let matrix = try Self.matrix(rows, columns, scheme)
      let inputs = Self.inputs(columns: columns)
      let naive = NaiveProduct(matrix, inputs)
      for form in ActivationForm.allCases {
        let result = try product(matrix, inputs, on: computing(tier, form))
        let scalar = try product(matrix, inputs, on: computing("scalar", form))
        for index in inputs.indices {
          for row in 0..<rows {
            worst.add(
              Double(result[index][row]), Double(scalar[index][row]),
              bound: 1e-5 * naive.magnitudes[index][row] + 1e-30, "\(rows) x \(columns)")
          }
        }
      }
    }
    #expect(worst.share <= 1, "\(worst.place)")
  }

  /// With activations in BF16 a tier with tiles adds in another way than the rest, and in the same order.
  @Test(arguments: Scheme.every.filter(\.hasCodes))
  func bfloatsGiveTheSameBitsOnEveryTier(_ scheme: Scheme) throws {
    let matrix = try Self.matrix(130, 390, scheme)
    let inputs = (0..<4).flatMap { _ in Self.inputs(columns: 390) }
    let tiers = Kernels.supported.filter { $0 != "scalar" }
    let expected = try product(matrix, inputs, on: computing("portable", .bf16))
    for tier in tiers {
      #expect(try product(matrix, inputs, on: computing(tier, threads: 3, .bf16)) == expected, "\(tier)")
    }
    #expect(try product(matrix, inputs, on: computing("portable", .fp32)) != expected)
  }

  @Test(arguments: Kernels.supported, Scheme.every)
  func anyNumberOfThreadsGivesTheSameBytes(_ tier: String, _ scheme: Scheme) throws {
    let matrix = try Self.matrix(150, 200, scheme)
    let inputs = Self.inputs(columns: 200)
    let results = try (1...8).map { try product(matrix, inputs, on: computing(tier, threads: $0)) }
    for result in results { #expect(result == results[0]) }
  }

  /// A bias, a residual and both; bit for bit the plain product plus one rounding each.
  @Test(arguments: Kernels.supported, Scheme.every)
  func addsBiasAndResidual(_ tier: String, _ scheme: Scheme) throws {
    var draws = SplitMix64(seed: 5)
    let context = try computing(tier, threads: 2)
    for rows in [1, 15, 16, 17, 40] {
      let matrix = try Self.matrix(rows, 70, scheme)
      let inputs = Self.inputs(columns: 70)
      let bias = draws.floats(rows)
      let residual = inputs.map { _ in draws.floats(rows) }
      let plain = try product(matrix, inputs, on: context)
      let biased = plain.map { zip($0, bias).map(+) }
      #expect(try product(matrix, inputs, bias: bias, on: context) == biased)
      let added = zip(residual, plain).map { zip($0, $1).map(+) }
      #expect(try product(matrix, inputs, adding: residual, on: context) == added)
      let both = zip(residual, biased).map { zip($0, $1).map(+) }
      #expect(try product(matrix, inputs, bias: bias, adding: residual, on: context) == both)
    }
  }

  /// One set in turn with more and fewer rows than whole panels have: each row is what it is alone.
  @Test(arguments: Kernels.supported, [Scheme.int8(.columns(32)), .nested8(.row), .int4Minimum(.columns(64))])
  func aSetTakesAnyNumberOfRows(_ tier: String, _ scheme: Scheme) throws {
    let context = try computing(tier, threads: 2)
    var draws = SplitMix64(seed: 14)
    for columns in [128, 90] {
      let matrix = try Self.matrix(40, columns, scheme)
      let inputs = (0..<50).map { _ in draws.floats(columns, scale: 4) }
      let alone = try inputs.map { try product(matrix, [$0], on: context)[0] }
      let set = try activations(inputs)
      let output = try Activations(columns: 40, capacity: inputs.count)
      let group = LinearGroup([.init(matrix, bias: nil)])
      for count in [17, 48, 33, 16, 50, 3] {
        set.quantize(count: count, on: context)
        group(set, count: count, into: [output], on: context)
        #expect((0..<count).allSatisfy { output[$0] == alone[$0] })
      }
    }
  }

  /// Query, key and value in one go are what each is alone, whatever the threads cut the tiles into.
  @Test(arguments: Kernels.supported)
  func aGroupIsItsLayers(_ tier: String) throws {
    let layers = try [(40, Scheme.int4(.columns(32))), (17, .float32), (70, .int8(.row))].map {
      LinearGroup.GroupedLayer(try Self.matrix($0, 90, $1), bias: nil)
    }
    let inputs = Self.inputs(columns: 90)
    for threads in 1...4 {
      let context = try computing(tier, threads: threads)
      let input = try activations(inputs)
      input.quantize(count: inputs.count, on: context)
      let outputs = try layers.map { try Activations(columns: $0.weight.rows, capacity: inputs.count) }
      LinearGroup(layers)(input, count: inputs.count, into: outputs, on: context)
      for (layer, output) in zip(layers, outputs) {
        #expect(try product(layer.weight, inputs, on: context) == inputs.indices.map { output[$0] })
      }
    }
  }
}
