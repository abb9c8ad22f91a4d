import FurlBase
import FurlTensor
import FurlTestSupport
import Testing

/// Columns that are kept apart in floating point: their weights, the codes of the others, and products.
@Suite struct OutlierTests {
  private static let (rows, columns) = (37, 150)
  private static let apart = [3, 64, 149]

  /// Weights whose columns that are kept apart are large, and inputs whose are, too.
  private static func source(seed: UInt64 = 1) throws -> (source: WeightSource, weights: [Float]) {
    var draws = SplitMix64(seed: seed)
    var weights = draws.floats(rows * columns, scale: 0.1)
    for row in 0..<rows { for column in apart { weights[row * columns + column] *= 30 } }
    return (try TestData.source(weights, rows: rows, columns: columns), weights)
  }

  private static func scheme(_ block: Scheme.Block) throws -> Scheme {
    try #require(Scheme.int8(block).keepingApart(apart.count))
  }

  /// A stream of a mapped artifact can be overwritten after it was checked: columns stay those that were.
  @Test(arguments: [UInt8(0x7F), 0xFF, 0x80])
  func columnsStayThoseThatWereChecked(_ byte: UInt8) throws {
    let (source, _) = try Self.source()
    let matrix = try PackedMatrix.encode(
      source.leavingOut(Self.apart), scheme: Self.scheme(.columns(32)), pool: WorkerPool(threads: 1))
    let place = try #require(matrix.layout.streams.firstIndex { $0.kind == .outlierColumns })
    let row = matrix.row(5)
    let input = [Float](repeating: 1, count: Self.columns)
    func product() throws -> [[Float]] {
      try Kernels.supported.flatMap { tier -> [[Float]] in
        let context = try computing(tier)
        let group = LinearGroup([.init(matrix, bias: nil)])
        let inputs = try activations([input])
        let output = try Activations(columns: matrix.rows, capacity: 1)
        inputs.quantize(count: 1, leavingOut: group.outlierColumns, on: context)
        group(inputs, count: 1, into: [output], on: context)
        return [output[0]]
      }
    }
    let before = try product()
    matrix.streams[place].withMutableBytes(0..<matrix.streams[place].count) { bytes in
      for index in bytes.indices { bytes[index] = byte }
    }
    #expect(matrix.row(5) == row)
    #expect(try product() == before)
  }

  /// Halves in the columns that are kept apart, and the codes of a matrix that has zeros there.
  @Test(arguments: [Scheme.Block.row, .columns(32)])
  func weightsAreKeptApart(_ block: Scheme.Block) throws {
    let (source, weights) = try Self.source()
    let pool = WorkerPool(threads: 2)
    let matrix = try PackedMatrix.encode(source.leavingOut([149, 3, 64]), scheme: Self.scheme(block), pool: pool)
    #expect(matrix.outlierColumns == Self.apart)
    var rest = weights
    for row in 0..<Self.rows { for column in Self.apart { rest[row * Self.columns + column] = 0 } }
    let plain = try SchemeTests.encode(rest, rows: Self.rows, .int8(block))
    #expect(matrix.streams[0].bytes == plain.streams[0].bytes && matrix.streams[1].bytes == plain.streams[1].bytes)
    for row in 0..<Self.rows {
      var expected = plain.row(row)
      for column in Self.apart { expected[column] = Float(Float16(weights[row * Self.columns + column])) }
      #expect(matrix.row(row) == expected)
    }
    for threads in 1...3 {
      let other = try PackedMatrix.encode(
        source.leavingOut(Self.apart), scheme: Self.scheme(block), pool: WorkerPool(threads: threads))
      #expect(other.streams.map(\.bytes) == matrix.streams.map(\.bytes))
    }
  }

  /// With large inputs in the columns that are kept apart, the others' 8-bit form is as fine as without them.
  @Test(arguments: Kernels.supported)
  func productsAreFine(_ tier: String) throws {
    let (source, weights) = try Self.source()
    let matrix = try PackedMatrix.encode(
      source.leavingOut(Self.apart), scheme: Self.scheme(.row), pool: WorkerPool(threads: 1))
    let plain = try SchemeTests.encode(weights, rows: Self.rows, .int8(.row))
    var draws = SplitMix64(seed: 5)
    let inputs = (0..<9).map { _ in
      var input = draws.floats(Self.columns)
      for column in Self.apart { input[column] *= 60 }
      return input
    }
    func product(_ matrix: PackedMatrix, _ inputs: [[Float]], _ form: ActivationForm = .int8) throws -> [[Float]] {
      let context = try computing(tier, threads: 2, form)
      let input = try activations(inputs)
      let output = try Activations(columns: matrix.rows, capacity: inputs.count)
      let group = LinearGroup([.init(matrix, bias: nil)])
      #expect(group.outlierColumns == matrix.outlierColumns)
      if group.readsRounded(context) {
        input.quantize(count: inputs.count, leavingOut: group.outlierColumns, on: context)
        // The numbers themselves are what they were.
        for (index, row) in inputs.enumerated() { #expect(input[index] == row) }
      }
      group(input, count: inputs.count, into: [output], on: context)
      return inputs.indices.map { output[$0] }
    }
    func error(_ results: [[Float]]) -> Double {
      var sum = 0.0
      for (result, input) in zip(results, inputs) {
        for (row, value) in result.enumerated() {
          let terms = zip(weights[row * Self.columns..<(row + 1) * Self.columns], input)
          let off = Double(value) - terms.reduce(0) { $0 + Double($1.0) * Double($1.1) }
          sum += off * off
        }
      }
      return sum
    }
    let results = try product(matrix, inputs)
    #expect(error(results) < 0.02 * error(try product(plain, inputs)))
    for index in inputs.indices { #expect(try product(matrix, [inputs[index]]) == [results[index]]) }
    // With FP32 activations it is the product of what is decoded.
    for (result, input) in zip(try product(matrix, inputs, .fp32), inputs) {
      for (row, value) in result.enumerated() {
        let terms = zip(matrix.row(row), input).map { Double($0) * Double($1) }
        #expect(abs(Double(value) - terms.reduce(0, +)) <= 2e-5 * terms.reduce(0) { $0 + abs($1) })
      }
    }
  }

  /// Layers that keep other columns apart leave out what they have in common only.
  @Test func aGroupLeavesOutWhatAllKeepApart() throws {
    let (source, _) = try Self.source()
    func layer(_ columns: [Int]) throws -> LinearGroup.GroupedLayer {
      let scheme = try #require(Scheme.int8(.row).keepingApart(columns.count))
      let source = source.leavingOut(columns)
      return .init(try PackedMatrix.encode(source, scheme: scheme, pool: WorkerPool(threads: 1)), bias: nil)
    }
    #expect(try LinearGroup([layer([1, 5, 9]), layer([0, 5, 9])]).outlierColumns == [5, 9])
    #expect(try LinearGroup([layer([1]), layer([])]).outlierColumns == [])
    let float = LinearGroup.GroupedLayer(
      try PackedMatrix.encode(source, scheme: .float32, pool: WorkerPool(threads: 1)), bias: nil)
    #expect(try LinearGroup([float, layer([7])]).outlierColumns == [7])
  }

  @Test func columnsAreChosenByTheLargest() throws {
    let (source, _) = try Self.source()
    #expect(try OutlierColumns.ofWeights(source, count: 3) == Self.apart)
    #expect(OutlierColumns.ofInputs([1, 7, 6, 5.9, 8], count: 9, atLeast: 6) == [1, 2, 4])
    #expect(OutlierColumns.ofInputs([1, 7, 6, 5.9, 8], count: 2, atLeast: 6) == [1, 4])
    #expect(OutlierColumns.ofInputs([1, 2], count: 2, atLeast: 6) == [])
  }

  @Test func namesSayHowManyThereAre() {
    let scheme = Scheme.int8(.row).keepingApart(12)
    #expect(scheme?.name == "int8:row+12" && Scheme(name: "int8:row+12") == scheme)
    #expect(Scheme(name: "int8:32:u8+1")?.name == "int8:32:u8+1")
    for name in ["int8:row+", "int8:row+0", "int8:row+-1", "int8:row+01", "int8+3", "int4:32+3", "int8:row+3+3"] {
      #expect(Scheme(name: name) == nil, "\(name)")
    }
    #expect(Scheme.nf4(.row).keepingApart(1) == nil && Scheme.int8(.row).keepingApart(-1) == nil)
    #expect(throws: FurlError.self) { try PackedLayout(scheme: #require(scheme), shape: [4, 11]) }
  }

  /// A file cannot name columns that there are not, nor one twice.
  @Test(arguments: [[0, 0, 1], [2, 1, 0], [-1, 0, 1], [0, 1, 150]] as [[Int32]])
  func columnsThatAreNoneAreRefused(_ list: [Int32]) throws {
    let (source, _) = try Self.source()
    let matrix = try PackedMatrix.encode(
      source.leavingOut(Self.apart), scheme: Self.scheme(.row), pool: WorkerPool(threads: 1))
    let last = matrix.streams[matrix.streams.count - 1]
    last.withMutableBytes(0..<last.count) { bytes in list.withUnsafeBytes { bytes.copyMemory(from: $0) } }
    let error = #expect(throws: FurlError.self) { try PackedMatrix(layout: matrix.layout, streams: matrix.streams) }
    #expect(error?.kind == .input)
  }

  @Test func weightsThatNoHalfHoldsAreNamed() throws {
    var weights = [Float](repeating: 0.5, count: 40 * 8)
    weights[33 * 8 + 2] = 70_000
    let source = try TestData.source(weights, rows: 40, columns: 8).leavingOut([2])
    let error = try #require(throws: FurlError.self) {
      try PackedMatrix.encode(source, scheme: #require(Scheme.int8(.row).keepingApart(1)), pool: WorkerPool(threads: 1))
    }
    #expect(error.kind == .input && error.problem.contains("element [33, 2]"))
  }
}
