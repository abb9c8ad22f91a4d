import FurlBase
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// Codes and scales: against numpy, and the laws that they obey.
@Suite struct SchemeTests {
  static func encode(_ values: [Float], rows: Int, _ scheme: Scheme, threads: Int = 1) throws -> PackedMatrix {
    try PackedMatrix.encode(
      TestData.source(values, rows: rows, columns: values.count / rows), scheme: scheme,
      pool: WorkerPool(threads: threads))
  }

  static let quantized = Scheme.every.filter(\.hasCodes)

  /// Exactly the codes and scales that `make_quantized.py` computes, ties, tiny and huge values included.
  @Test func codesAndScalesAreThoseOfNumpy() throws {
    let path = TestData.root + "/Tests/Fixtures/quantized/quantized.json"
    let matrices = try #require(try JSON.parse(TestData.bytes(path), file: path)["matrices"]?.array)
    #expect(matrices.count == 3)
    for entry in matrices {
      func integers(_ json: JSON, _ key: String) throws -> [Int] {
        try #require(json[key]?.array).compactMap(\.integer)
      }
      let weights = try integers(entry, "weights").map { Float(bitPattern: UInt32($0)) }
      let rows = try #require(entry["rows"]?.integer)
      let columns = try #require(entry["columns"]?.integer)
      for item in try #require(entry["cases"]?.array) {
        let name = try #require(item["scheme"]?.string)
        let layout = TileLayout(try Self.encode(weights, rows: rows, #require(Scheme(name: name))))
        let codes = (0..<rows).flatMap { row in (0..<columns).map { layout.code(row, $0) } }
        #expect(try codes == integers(item, "codes"), "\(name)")
        for (stream, key) in ["scales", "minimums"].enumerated() where item[key] != [] {
          let halves = (0..<rows).flatMap { row in layout.blockStarts.map { Int(layout.half(stream, row, column: $0)) }
          }
          #expect(try halves == integers(item, key), "\(name) \(key)")
        }
        for (stream, key) in ["factors", "minimum_factors"].enumerated() where item[key] != nil && item[key] != [] {
          let factors = (0..<rows).map { Int(layout.factor(stream, $0).bitPattern) }
          #expect(try factors == integers(item, key), "\(name) \(key)")
        }
      }
    }
  }

  /// |w - decoded| is at most half a step, plus what rounding the scale and the minimum to halves adds.
  @Test(arguments: quantized, [1, 31, 32, 33, 64, 100, 128, 130, 300])
  func whatIsDecodedIsNear(_ scheme: Scheme, _ columns: Int) throws {
    var draws = SplitMix64(seed: UInt64(columns))
    var worst = Worst()
    for magnitude: Float in [1e-7, 3e-5, 1e-3, 1, 50_000] {
      let rows = 18
      let weights = draws.floats(rows * columns, scale: magnitude)
      let matrix = try Self.encode(weights, rows: rows, scheme)
      let layout = TileLayout(matrix)
      for row in 0..<rows {
        let decoded = matrix.row(row)
        for column in 0..<columns {
          let scale = Double(abs(layout.scale(row, column: column)))
          // How far a half may be from the number: 2^-11 of it, or half of the smallest step. In 8 bits: a multiple.
          let isSmall = scheme.scales == .u8
          let rounding = { (value: Double, stream: Int) in
            isSmall ? Double(layout.factor(stream, row)) : max(abs(value) * 0x1p-11, 0x1p-25)
          }
          let expected = Double(weights[row * columns + column])
          let steps = Double(1 << layout.bits)
          let bound =
            switch scheme.codingName {
            case "int8": max(scale / 2, 127 * rounding(scale, 0)) + (isSmall ? scale / 2 : 0)
            case "nested8": scale / 20 + 9 * rounding(scale, 0)
            // A code of one more than the last is clamped to that.
            case "int6", "int5", "int4", "int3", "int2": scale + steps / 2 * rounding(scale, 0)
            case "nf4": 0.1520 * scale + rounding(scale, 0)
            case "fp4": scale / 6 + rounding(scale, 0)
            case "codebook4": self.widest(layout.levels) * scale + rounding(scale, 0)
            default: scale / 2 + (steps - 1) * rounding(scale, 0) + rounding(Double(magnitude), 1)
            }
          worst.add(Double(decoded[column]), expected, bound: bound * 1.000001, "\(magnitude) at [\(row), \(column)]")
        }
      }
    }
    #expect(worst.share <= 1, "\(worst.place)")
  }

  /// How far a value from -1 to 1 may be from the nearest level.
  private func widest(_ levels: [Int]) -> Double {
    let values = levels.map { Double($0) / 127 }.sorted()
    let gaps = zip(values, values.dropFirst()).map { ($1 - $0) / 2 }
    return max(gaps.max() ?? 2, values[0] + 1, 1 - values[values.count - 1])
  }

  /// Q4_0: the value of the largest magnitude is code 0, whatever its sign; its opposite is clamped to 15.
  @Test func theLargestValueGetsTheEndOfTheRange() throws {
    for sign: Float in [1, -1] {
      let layout = TileLayout(try Self.encode([8, 1, -1, -7.9, 3.5, 2.5, 0].map { $0 * sign }, rows: 1, .int4(.row)))
      #expect(Float(Float16(bitPattern: layout.half(0, 0, column: 0))) == -sign)
      // 3.5 and 2.5 steps are ties: to the even neighbour.
      #expect((0..<7).map { layout.code(0, $0) } == [0, 7, 9, 15, 4, 6, 8])
    }
  }

  @Test(arguments: quantized)
  func codesAreInRangeAndPaddingIsZeroWeights(_ scheme: Scheme) throws {
    var draws = SplitMix64(seed: 2)
    let (rows, columns) = (21, 75)
    let layout = TileLayout(try Self.encode(draws.floats(rows * columns), rows: rows, scheme))
    let range = scheme.codingName == "int8" ? 1...255 : 0...(1 << layout.bits) - 1
    let zero = layout.zero
    for row in 0..<32 {
      for column in 0..<96 {
        let code = layout.code(row, column)
        #expect(row < rows && column < columns ? range.contains(code) : code == zero)
      }
    }
    for row in rows..<32 {
      for start in layout.blockStarts { #expect(layout.scale(row, column: start) == 0) }
    }
  }

  @Test(arguments: quantized)
  func blocksOfZerosAndOfTinyValuesDecodeToZeros(_ scheme: Scheme) throws {
    // In 8 bits there is nothing that is too small for a scale.
    for value: Float in scheme.scales == .u8 ? [0, -0.0] : [0, 1e-9, -1e-9, .leastNonzeroMagnitude] {
      let matrix = try Self.encode([Float](repeating: value, count: 3 * 70), rows: 3, scheme)
      for row in 0..<3 { #expect(matrix.row(row) == [Float](repeating: 0, count: 70)) }
      let layout = TileLayout(matrix)
      #expect(layout.scale(2, column: 69) == 0)
    }
  }

  /// A ragged last block has a scale of its own.
  @Test(arguments: quantized.filter { $0.block != .row && $0.scales == .f16 })
  func theLastBlockMayBeShorter(_ scheme: Scheme) throws {
    guard case .columns(let size) = scheme.block else { return }
    let weights = (0..<size + 3).map { $0 < size ? Float($0 % 2) * 100 : Float($0 % 2) * 0.01 }
    let matrix = try Self.encode(weights, rows: 1, scheme)
    for (value, weight) in zip(matrix.row(0).suffix(3), weights.suffix(3)) { #expect(abs(value - weight) < 0.001) }
  }

  @Test(arguments: quantized.filter { $0.scales == .f16 })
  func valuesThatDoNotFitAHalfAreRefusedByPlace(_ scheme: Scheme) throws {
    var weights = [Float](repeating: 1, count: 40 * 150)
    weights[33 * 150 + 140] = 1e9
    weights[35 * 150 + 3] = 3e38
    let error = try #require(throws: FurlError.self) { try Self.encode(weights, rows: 40, scheme, threads: 2) }
    #expect(error.kind == .input && error.problem.hasPrefix("row 33, columns "))
    #expect(error.problem.contains("too large for \(scheme)"))
    // The difference of the largest and the least overflows.
    #expect(throws: FurlError.self) { try Self.encode([3e38, -3e38], rows: 1, scheme) }
  }

  @Test(arguments: Scheme.every, [Float.nan, .infinity, -.infinity])
  func notANumberIsRefusedByIndex(_ scheme: Scheme, _ bad: Float) throws {
    var weights = [Float](repeating: 1, count: 40 * 70)
    weights[20 * 70 + 69] = bad
    weights[39 * 70] = bad
    for threads in [1, 3] {
      let error = try #require(throws: FurlError.self) { try Self.encode(weights, rows: 40, scheme, threads: threads) }
      #expect(error.kind == .input && error.problem.contains("element [20, 69]"))
    }
  }

  @Test func vectorsRefuseWhatIsNotANumber() throws {
    let file = try TestData.mapped(TestData.littleEndian([1, 2, .nan] as [Float]))
    let good = try FloatVector(.vector(file: file, type: .float32, offset: 0, count: 2))
    #expect(good.values == [1, 2] && good.count == 2)
    let error = try #require(throws: FurlError.self) {
      try FloatVector(.vector(file: file, type: .float32, offset: 0, count: 3))
    }
    #expect(error.problem.contains("element [2]"))
    #expect(throws: FurlError.self) { try FloatVector(count: 3, storage: ByteStorage(zeroed: 8)) }
  }

  @Test func floatsStayAsTheyAre() throws {
    var draws = SplitMix64(seed: 1)
    let weights = draws.floats(35 * 67) + [-0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude] + draws.floats(64)
    let matrix = try Self.encode(weights, rows: 36, .float32)
    #expect((0..<36).flatMap { matrix.row($0).map(\.bitPattern) } == weights.map(\.bitPattern))
  }

  @Test(arguments: Scheme.every)
  func bytesDoNotDependOnThreads(_ scheme: Scheme) throws {
    var draws = SplitMix64(seed: 77)
    let weights = draws.floats(100 * 90)
    let single = try Self.encode(weights, rows: 100, scheme).streams.map(\.bytes)
    for threads in 2...8 {
      #expect(try Self.encode(weights, rows: 100, scheme, threads: threads).streams.map(\.bytes) == single)
    }
  }

  @Test func streamsOfWrongSizesAreRefused() throws {
    let layout = try PackedLayout(scheme: .int4(.columns(32)), shape: [16, 64])
    #expect(throws: FurlError.self) { try PackedMatrix(layout: layout, streams: [ByteStorage(zeroed: 512)]) }
    #expect(throws: FurlError.self) {
      try PackedMatrix(layout: layout, streams: [ByteStorage(zeroed: 512), ByteStorage(zeroed: 66)])
    }
    let vector = try PackedLayout(scheme: .float32, shape: [4])
    #expect(throws: FurlError.self) { try PackedMatrix(layout: vector, streams: [ByteStorage(zeroed: 16)]) }
  }
}
