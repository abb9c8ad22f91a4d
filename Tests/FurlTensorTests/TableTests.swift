import FurlBase
@testable import FurlTensor
import FurlTestSupport
import Testing

/// Codes of tables: against bitsandbytes, and what makes a learned table the best one.
@Suite struct TableTests {
  private static func fixture() throws -> JSON {
    let path = TestData.root + "/Tests/Fixtures/quantized/tables.json"
    return try JSON.parse(TestData.bytes(path), file: path)
  }

  private static func floats(_ json: JSON?) throws -> [Float] {
    try #require(json?.array).compactMap(\.integer).map { Float(bitPattern: UInt32($0)) }
  }

  /// The codes, scales and values of bitsandbytes, blocks of 64.
  @Test(arguments: ["nf4", "fp4"])
  func codesAreThoseOfBitsandbytes(_ name: String) throws {
    let fixture = try Self.fixture()
    let (rows, columns) = try (#require(fixture["rows"]?.integer), #require(fixture["columns"]?.integer))
    let kind = try #require(fixture["kinds"]?[name])
    let scheme = try #require(Scheme(name: name + ":64"))
    let matrix = try SchemeTests.encode(Self.floats(fixture["weights"]), rows: rows, scheme)
    let layout = TileLayout(matrix)
    let codes = (0..<rows).flatMap { row in (0..<columns).map { layout.code(row, $0) } }
    // FP4 has two zeros, which mean the same.
    let zeros: Set<Int> = name == "fp4" ? [0, 8] : []
    let expected = try #require(kind["codes"]?.array).compactMap(\.integer)
    #expect(codes.map { zeros.contains($0) ? 0 : $0 } == expected.map { zeros.contains($0) ? 0 : $0 })
    let scales = (0..<rows).flatMap { row in layout.blockStarts.map { layout.scale(row, column: $0) } }
    #expect(try scales == Self.floats(kind["absmax"]))
    let decoded = (0..<rows).flatMap { matrix.row($0) }
    #expect(try decoded == Self.floats(kind["decoded"]))
    // The table: a row of which each value is one, and the largest is 1.
    let table = try Self.floats(kind["table"])
    let own = try SchemeTests.encode(table, rows: 1, #require(Scheme(name: name + ":row")))
    #expect(own.row(0) == table)
  }

  /// Scales in 8 bits cost as little as those of bitsandbytes, which quantizes them a second time in its own way.
  @Test(arguments: ["nf4", "fp4"])
  func smallScalesAreAsGoodAsDoubleQuantization(_ name: String) throws {
    let fixture = try Self.fixture()
    let large = try #require(fixture["large"])
    let weights = try #require(large["weights"]?.array).compactMap(\.integer).map { Float($0) / 4096 }
    let rows = try #require(large["rows"]?.integer)
    let matrix = try SchemeTests.encode(weights, rows: rows, #require(Scheme(name: name + ":64:u8")))
    let errors = zip((0..<rows).flatMap { matrix.row($0) }, weights).map { Double($0 - $1) * Double($0 - $1) }
    let error = errors.reduce(0, +) / Double(weights.count)
    guard case .number(let theirs)? = fixture["kinds"]?[name]?["double_error"] else {
      Issue.record("no error of bitsandbytes")
      return
    }
    #expect(error <= 1.01 * theirs, "\(error) instead of \(theirs)")
  }

  // MARK: Learned tables

  /// The squared error of weights under a table, whatever its order, with the scales of the learned ones.
  private func loss(_ weights: [Float], columns: Int, block: Int, levels: [Int]) -> Double {
    var loss = 0.0
    for row in stride(from: 0, to: weights.count, by: columns) {
      for start in stride(from: 0, to: columns, by: block) {
        let values = weights[row + start..<row + min(start + block, columns)].map(Double.init)
        let largest = values.max { abs($0) < abs($1) } ?? 0
        for value in values {
          let steps = value / largest * 127
          let nearest = levels.map { abs(steps - Double($0)) }.min() ?? 0
          loss += nearest * nearest * largest * largest / (127 * 127)
        }
      }
    }
    return loss
  }

  /// No level can be moved by a step, and neither the published tables nor even steps do better.
  @Test(arguments: [32, 128], [UInt64(1), 2])
  func theLearnedTableIsTheBest(_ block: Int, _ seed: UInt64) throws {
    let (rows, columns) = (40, 200)
    let weights = TestData.weights(rows, columns, seed: seed)
    let layout = TileLayout(try SchemeTests.encode(weights, rows: rows, .codebook4(.columns(block))))
    let levels = layout.levels
    #expect(levels == levels.sorted() && Set(levels).count == 16)
    let best = loss(weights, columns: columns, block: block, levels: levels)
    for index in levels.indices {
      for step in [-1, 1] where (-127...127).contains(levels[index] + step) {
        var other = levels
        other[index] += step
        #expect(best <= loss(weights, columns: columns, block: block, levels: other) * (1 + 1e-9))
      }
    }
    let nf4 = [-127, -88, -67, -50, -36, -23, -12, 0, 10, 20, 31, 43, 56, 71, 92, 127]
    #expect(best < loss(weights, columns: columns, block: block, levels: nf4))
    #expect(best < loss(weights, columns: columns, block: block, levels: (0..<16).map { 17 * $0 - 127 }))
  }

  /// Sixteen different values get a level each.
  @Test func fewValuesAreKept() throws {
    var draws = SplitMix64(seed: 3)
    let values = [127, -127, 0, 1, 2, 3, 64, -64, 100, -100, 50, -50, 20, -20, 5, -5]
    let weights = (0..<16 * 64).map { index in
      Float(index % 64 == 0 ? 127 : values[Int(draws.next() % 16)]) / 64
    }
    let matrix = try SchemeTests.encode(weights, rows: 16, .codebook4(.columns(64)))
    for (row, decoded) in (0..<16).map({ ($0, matrix.row($0)) }) {
      // The scale is a half, which 127 / 64 is.
      for (own, weight) in zip(decoded, weights[row * 64..<(row + 1) * 64]) { #expect(abs(own - weight) < 1e-6) }
    }
  }
}
