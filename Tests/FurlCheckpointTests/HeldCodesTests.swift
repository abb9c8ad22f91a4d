import FurlBase
import FurlCheckpoint
import FurlTensor
import FurlTestSupport
import Testing

/// Which stored codes Furl's layouts hold, and that they stand for the same weights there. What weights the forms have is what
/// `PackedFormTests` hold to the forms' own packages.
@Suite struct HeldCodesTests {
  static let held: [(form: String, query: String, down: String)] = [
    ("ct-int8-channel", "int8:row", "int8:row"), ("ct-bytes", "int8:row", "int8:row"),
    ("ct-int3-group", "int3:row", "int3:32"), ("mlx2", "int2-minimum:row", "int2-minimum:32"),
    ("mlx3", "int3-minimum:row", "int3-minimum:32"), ("mlx4", "int4-minimum:row", "int4-minimum:32"),
    ("mlx6", "int6-minimum:row", "int6-minimum:32"),
  ]

  @Test(arguments: held)
  func codesStandForTheSameWeights(_ sample: (form: String, query: String, down: String)) throws {
    let checkpoint = try Checkpoint(path: PackedFormTests.root + "/" + sample.form)
    for (name, scheme) in [("blocks.0.attention.query", sample.query), ("blocks.0.mlp.down", sample.down)] {
      let source = try checkpoint.source(name)
      let expected = try #require(Scheme(name: scheme))
      #expect(source.holding() == .held(expected), "\(sample.form) \(name)")
      try Self.check(source, expected)
    }
  }

  static func check(_ source: WeightSource, _ scheme: Scheme) throws {
    let matrix = try PackedMatrix.encode(source, scheme: scheme, takesCodes: true, pool: WorkerPool(threads: 2))
    let values = source.readAll()
    for row in 0..<source.rows {
      let expected = values[row * source.columns..<(row + 1) * source.columns]
      #expect(matrix.row(row).elementsEqual(expected) { $0.bitPattern == $1.bitPattern || $0 == $1 }, "row \(row)")
    }
  }

  @Test(arguments: [
    ("gptq4", "no block of Furl's has 16 columns"), ("gptq4-order", "in an order of their own"),
    ("gptq8", "8 bits that are not symmetric"), ("gptq3", "zeros times scales are no halves"),
    ("ct-fp8", "no layout has FP8"), ("bnb-nf4", "scales are FP32"), ("bnb-nf4-double", "scales are FP32"),
    ("bnb-int8", "scales are FP32"), ("mlx8", "8 bits that are not symmetric"),
  ])
  func whyTheyAreNotHeld(_ form: String, _ words: String) throws {
    let source = try Checkpoint(path: PackedFormTests.root + "/" + form).source("blocks.0.mlp.down")
    guard case .unheld(let reason) = source.holding() else {
      Issue.record("\(form) is held")
      return
    }
    #expect(reason.contains(words), "\(form): \(reason)")
  }

  /// gpt-oss's blocks: codes and exponents in two tensors.
  @Test func blocksOfExponentsAreHeld() throws {
    var draws = SplitMix64(seed: 3)
    let (rows, columns) = (19, 96)
    let codes = (0..<rows * columns / 2).map { _ in UInt8(truncatingIfNeeded: draws.next()) }
    var exponents = (0..<rows * columns / 32).map { _ in UInt8(truncatingIfNeeded: draws.next()) % 255 }
    func source() throws -> WeightSource {
      let file = try TestData.mapped(codes + exponents)
      let matrix = try MXFP4Codes(codes: (file, 0), scales: (file, codes.count), shape: (rows, columns))
      return try WeightSource(coded: matrix, rows: rows, columns: columns)
    }
    #expect(try source().holding() == .held(.mxfp4))
    try Self.check(source(), .mxfp4)
    exponents[5] = 255
    guard case .unheld = try source().holding() else {
      Issue.record("a scale that is no number is held")
      return
    }
  }

  /// NF4 of weights in half precision, whose largest magnitudes are halves.
  @Test func tablesWithHalvesAsScalesAreHeld() throws {
    var draws = SplitMix64(seed: 4)
    let (rows, columns) = (18, 128)
    let codes = (0..<rows * columns / 2).map { _ in UInt8(truncatingIfNeeded: draws.next()) }
    let scales = (0..<rows * 2).map { Float(Float16($0 + 1) / 300) }
    let file = try TestData.mapped(codes + TestData.littleEndian(scales))
    let grid = try StoredGrid(file, offset: codes.count, rows: 1, columns: scales.count, numbers: .floats(.float32))
    let matrix = try FlatBlocks(
      form: "NF4", codes: (file, 0), shape: (rows, columns), table: Self.nf4, scales: .floats(grid), block: 64)
    let source = try WeightSource(coded: matrix, rows: rows, columns: columns)
    #expect(source.holding() == .held(.nf4(.columns(64))))
    try Self.check(source, .nf4(.columns(64)))
    let other = try FlatBlocks(
      form: "NF4", codes: (file, 0), shape: (rows, columns), table: Self.nf4.map { $0 / 2 }, scales: .floats(grid),
      block: 64)
    #expect(
      try WeightSource(coded: other, rows: rows, columns: columns).holding() == .unheld("no layout has this table"))
  }

  /// Dettmers et al. 2023, "QLoRA", appendix E.
  private static let nf4: [Float] = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
  ]
}
