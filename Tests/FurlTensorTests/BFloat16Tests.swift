import FurlBase
import FurlTensor
import FurlTestSupport
import Testing

/// BF16 weights: what rounding makes of numbers, and that they are computed with as the floats that they stand for.
@Suite struct BFloat16Tests {
  /// What PyTorch 2.15 makes of FP32 numbers: `torch.tensor(bits).view(torch.float32).bfloat16()`.
  private static let rounded: [(float: UInt32, half: UInt16)] = [
    (0x3F80_0000, 0x3F80), (0x3F80_8000, 0x3F80), (0x3F81_8000, 0x3F82), (0x3F80_8001, 0x3F81), (0x3F80_7FFF, 0x3F80),
    (0x8000_0000, 0x8000), (0x0000_0001, 0x0000), (0x0000_8000, 0x0000), (0x0001_8000, 0x0002), (0xBF81_8000, 0xBF82),
    (0x7F7F_0000, 0x7F7F), (0x7F7F_7FFF, 0x7F7F), (0x007F_FFFF, 0x0080), (0xC2C7_5C29, 0xC2C7), (0x3DCC_CCCD, 0x3DCD),
  ]

  private func matrix(_ values: [Float], columns: Int, _ scheme: Scheme = .bfloat16) throws -> PackedMatrix {
    try PackedMatrix.encode(
      TestData.source(values, rows: values.count / columns, columns: columns), scheme: scheme,
      pool: WorkerPool(threads: 1))
  }

  @Test func numbersAreRoundedAsPyTorchDoes() throws {
    let values = Self.rounded.map { Float(bitPattern: $0.float) }
    #expect(try matrix(values, columns: 5).allValues.map(\.bitPattern) == Self.rounded.map { UInt32($0.half) << 16 })
  }

  /// The nearer one of both neighbours, found out in double precision; ties go to the even one.
  @Test func numbersBecomeTheNearest() throws {
    var draws = SplitMix64(seed: 61)
    let values = (0..<4000).map { _ -> Float in
      let bits = UInt32(truncatingIfNeeded: draws.next())
      return Float(bitPattern: bits & 0x7F80_0000 >= 0x7F00_0000 ? bits & 0xBFFF_FFFF : bits)
    }
    for (value, found) in zip(values, try matrix(values, columns: 40).allValues) {
      let down = Float(bitPattern: value.bitPattern & 0xFFFF_0000)
      let up = Float(bitPattern: (value.bitPattern & 0xFFFF_0000) &+ 0x1_0000)
      let (below, above) = (abs(Double(value) - Double(down)), abs(Double(value) - Double(up)))
      let isEven = down.bitPattern >> 16 & 1 == 0
      #expect(found.bitPattern == (below < above || below == above && isEven ? down : up).bitPattern)
    }
  }

  @Test func whatHasNoFiniteFormIsNoWeight() {
    for bits in [0x7F7F_8000, 0x7F80_0000, 0xFF80_0000, 0x7FC0_0000, 0x7F80_0001, 0xFFFF_FFFF] as [UInt32] {
      #expect(throws: FurlError.self) { try matrix([1, Float(bitPattern: bits), 2, 3], columns: 2) }
    }
  }

  /// Sums run in the same order, so that not a bit differs.
  @Test(arguments: Kernels.supported)
  func productsAreThoseOfTheFloats(_ tier: String) throws {
    var draws = SplitMix64(seed: 62)
    for (rows, columns) in [(1, 1), (17, 33), (40, 100), (64, 320)] {
      let rounded = try matrix(draws.floats(rows * columns), columns: columns).allValues
      let inputs = (0..<9).map { _ in draws.floats(columns, scale: 2) }
      let context = try computing(tier, threads: 2)
      let floats = try product(matrix(rounded, columns: columns, .float32), inputs, on: context)
      #expect(try product(matrix(rounded, columns: columns), inputs, on: context) == floats)
    }
  }

  /// All tiers write the same bytes, from each type of a checkpoint.
  @Test(arguments: [SourceType.float32, .float16, .bfloat16])
  func everyTierWritesTheSame(_ type: SourceType) throws {
    var draws = SplitMix64(seed: 63)
    let values = draws.floats(33 * 70)
    let bytes: [UInt8] =
      switch type {
      case .float32: TestData.littleEndian(values)
      case .float16: TestData.littleEndian(values.map { Float16($0).bitPattern })
      default: TestData.littleEndian(values.map { UInt16(truncatingIfNeeded: $0.bitPattern >> 16) })
      }
    let source = try WeightSource(
      file: TestData.mapped(bytes), type: type, offset: 0, rows: 33, columns: 70, rowStride: 70)
    let own = try PackedMatrix.encode(source, scheme: .bfloat16, pool: WorkerPool(threads: 1)).allValues
    let read = try PackedMatrix.encode(source, scheme: .float32, pool: WorkerPool(threads: 1)).allValues
    if type == .bfloat16 { #expect(own == read) }
    #expect(zip(own, read).allSatisfy { abs($0 - $1) <= abs($1) / 256 })
  }
}

extension PackedMatrix {
  /// Row after row.
  fileprivate var allValues: [Float] { (0..<rows).flatMap(row) }
}
