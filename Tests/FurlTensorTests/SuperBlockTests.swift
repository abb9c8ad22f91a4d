import FurlBase
@testable import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// Schemes that are GGUF's blocks: the same bits as the `gguf` package has (`Fixtures/gguf/make_gguf.py`), and scales as good
/// as llama.cpp's (`Fixtures/kquants/make_kquants.py`).
@Suite struct SuperBlockTests {
  static let schemes = Scheme.inBlocks

  private static func type(_ scheme: Scheme) throws -> SourceType {
    try #require(scheme.blockType(columns: scheme.columnUnit))
  }

  private static func sample(_ scheme: Scheme) throws -> BlockTests.Sample {
    let name = try type(scheme).rawValue
    return try #require(BlockTests.samples().first { $0.type == name })
  }

  /// Random blocks, infinite scales among them: taken over, decoded and written again. In rows of one block and of several,
  /// in row tiles that are not full.
  @Test(arguments: schemes)
  func blocksAreTakenOverAsTheyAre(_ scheme: Scheme) throws {
    let (sample, type) = (try Self.sample(scheme), try Self.type(scheme))
    let (bytes, values) = (BlockTests.bytes(sample.blocks), BlockTests.floats(sample.values))
    let count = values.count / type.blockSize
    for (repeats, rows) in [(1, count), (1, count / 2), (6, count * 6), (4, 2)] {
      let blocks = Array(repeatElement(bytes, count: repeats).joined())
      let expected = Array(repeatElement(values, count: repeats).joined())
      let columns = expected.count / rows
      let matrix = try PackedMatrix.taking(blocks, scheme: scheme, rows: rows, columns: columns)
      for row in 0..<rows {
        let wrong = zip(matrix.row(row), expected[row * columns..<(row + 1) * columns]).filter {
          $0.isNaN != $1.isNaN || !$0.isNaN && $0 != $1
        }
        #expect(wrong.isEmpty, "row \(row): \(wrong.prefix(3))")
      }
      #expect(matrix.scheme.blockType(columns: columns) == type)
      #expect(matrix.blocks(rows: Array(0..<rows), pool: WorkerPool(threads: 2)) == blocks)
      #expect(matrix.blocks(rows: [rows - 1, 0], pool: WorkerPool(threads: 1))?.count == 2 * type.byteCount(columns))
    }
    #expect(throws: FurlError.self) {
      try PackedMatrix.taking(Array(bytes.dropLast()), scheme: scheme, rows: 1, columns: values.count)
    }
  }

  /// What a matrix gives with activations in 32 and in 8 bits, against its decoded weights; rows do not see each other.
  @Test(arguments: schemes, ["scalar"] + Kernels.supported)
  func productsAreThoseOfTheWeights(_ scheme: Scheme, _ tier: String) throws {
    var draws = SplitMix64(seed: 5)
    let (rows, columns) = (37, 512)
    let matrix = try SchemeTests.encode(draws.floats(rows * columns), rows: rows, scheme)
    let inputs = (0..<11).map { _ in draws.floats(columns) }
    let naive = NaiveProduct(matrix, inputs)
    var worst = Worst()
    for form in ActivationForm.allCases {
      let context = try computing(tier, threads: 2, form)
      let all = try product(matrix, inputs, on: context)
      naive.compare(all, form, to: &worst)
      #expect(try product(matrix, inputs.suffix(3), on: context) == Array(all.suffix(3)))
    }
    #expect(worst.share <= 1, "\(worst.place)")
  }

  private struct Reference: Decodable {
    let rows: Int
    let columns: Int
    let weights: [Int]
    /// Of each type: the squared error of every row.
    let errors: [String: [Double]]

    static func load() throws -> (reference: Reference, weights: [Float]) {
      let bytes = try TestData.bytes(TestData.root + "/Tests/Fixtures/kquants/kquants.json")
      let reference = try JSONDecoder().decode(Reference.self, from: Data(bytes))
      return (reference, reference.weights.map { Float($0) / 1024 })
    }
  }

  /// The squared error is never above llama.cpp's by more than a quarter in a row, and not above it in all rows together.
  @Test(arguments: schemes)
  func scalesAreAsGoodAsThoseOfLlama(_ scheme: Scheme) throws {
    let (reference, weights) = try Reference.load()
    let name = try Self.type(scheme).rawValue
    let expected = try #require(reference.errors[name])
    let matrix = try SchemeTests.encode(weights, rows: reference.rows, scheme, threads: 2)
    var (own, others) = (0.0, 0.0)
    for row in 0..<reference.rows {
      let values = weights[row * reference.columns..<(row + 1) * reference.columns]
      let error = zip(matrix.row(row), values).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
      #expect(error <= expected[row] * 1.25 + 1e-9, "row \(row)")
      (own, others) = (own + error, others + expected[row])
    }
    #expect(own <= others, "\(own) and \(others)")
  }

  /// Any threads give the same bits, and so do all tiers of kernels: encoding has one arithmetic.
  @Test(arguments: schemes)
  func bitsDoNotDependOnThreads(_ scheme: Scheme) throws {
    let (reference, weights) = try Reference.load()
    let one = try SchemeTests.encode(weights, rows: reference.rows, scheme)
    let three = try SchemeTests.encode(weights, rows: reference.rows, scheme, threads: 3)
    for (left, right) in zip(one.streams, three.streams) {
      #expect(left.bytes == right.bytes)
    }
  }

  @Test(arguments: schemes)
  func whatIsNotANumberIsNamed(_ scheme: Scheme) throws {
    var draws = SplitMix64(seed: 7)
    for (value, words) in [(Float.nan, "element [17, 300] is nan"), (.infinity, "element [17, 300]")] {
      var weights = draws.floats(20 * 512)
      weights[17 * 512 + 300] = value
      let error = #expect(throws: FurlError.self) { try SchemeTests.encode(weights, rows: 20, scheme) }
      #expect(error?.problem.contains(words) == true, "\(String(describing: error))")
    }
    guard scheme != .mxfp4 else { return }
    var weights = draws.floats(20 * 512)
    weights[17 * 512 + 300] = 3e38
    let error = #expect(throws: FurlError.self) { try SchemeTests.encode(weights, rows: 20, scheme) }
    #expect(error?.problem.contains("row 17") == true, "\(String(describing: error))")
  }

  @Test func namesAndSizesAreThoseOfTheBlocks() throws {
    for scheme in Self.schemes {
      #expect(Scheme(name: scheme.name) == scheme && scheme.withSmallScales == nil && scheme.keepingApart(1) == nil)
      for ending in [":32", ":row", ":u8", "+1", ":"] { #expect(Scheme(name: scheme.name + ending) == nil) }
      for columns in [scheme.columnUnit - 1, scheme.columnUnit * 3 / 2, 1] {
        #expect(throws: FurlError.self) { try PackedLayout(scheme: scheme, shape: [16, columns]) }
      }
    }
    #expect(
      Set(Self.schemes.map(\.name)) == ["q3_k", "q4_k", "q5_k", "q6_k", "iq4_xs", "iq4_nl", "q5_0", "q5_1", "mxfp4"])
    func streams(_ scheme: Scheme) throws -> [String: Int] {
      let layout = try PackedLayout(scheme: scheme, shape: [33, 512])
      return Dictionary(uniqueKeysWithValues: layout.streams.map { ($0.kind.rawValue, $0.byteCount) })
    }
    // 3 row tiles, 16 tiles of 32 columns, 2 super-blocks.
    #expect(
      try streams(.q4k) == [
        "codes": 48 * 256, "scales": 48 * 16, "minimums": 48 * 16, "factors": 6 * 32, "minimum_factors": 6 * 32,
      ])
    #expect(try streams(.q6k) == ["codes": 48 * 512, "scales": 96 * 16, "factors": 6 * 32])
    #expect(try streams(.q3k) == ["codes": 48 * 192, "scales": 96 * 16, "factors": 6 * 32])
    #expect(try streams(.iq4xs) == ["codes": 48 * 256, "scales": 48 * 16, "factors": 6 * 32])
    #expect(try streams(.iq4nl) == ["codes": 48 * 256, "scales": 48 * 32])
    #expect(try streams(.mxfp4) == ["codes": 48 * 256, "scales": 48 * 16])
    #expect(try streams(.q51) == ["codes": 48 * 512, "scales": 48 * 32, "minimums": 48 * 32])
  }
}
