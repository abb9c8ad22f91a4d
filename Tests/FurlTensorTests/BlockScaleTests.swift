import FurlBase
import FurlTensor
import FurlTestSupport
import Testing

/// Blocks of 4-bit numbers whose scales lie in a tensor of their own.
@Suite struct BlockScaleTests {
  /// By the table of E2M1 in OCP's specification (version 1.0, section 5.3.3).
  private static let table: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]

  /// Every code under every scale, in rows that take turns with others: as the tables say, bit for bit.
  @Test func numbersAreCodesTimesTheirBlocksScales() throws {
    // 512 rows of one block; row r has the scale r / 2, codes in their order in even rows and backwards in odd ones.
    var codes: [UInt8] = []
    for row in 0..<512 {
      codes += (0..<16).map { index -> UInt8 in
        let (low, high) = (UInt8(2 * index % 16), UInt8((2 * index + 1) % 16))
        return row % 2 == 0 ? low | high << 4 : (15 - low) | (15 - high) << 4
      }
    }
    let scales = (0..<512).map { UInt8($0 / 2) }
    let file = try TestData.mapped([7] + codes + [9, 9] + scales)
    for turn in [0, 1] {
      let matrix = try MXFP4Codes(codes: (file, 1), scales: (file, 1 + codes.count + 2), shape: (512, 32))
      let source = try WeightSource(
        coded: matrix, firstRow: turn, rows: 256, columns: 32, rowOrder: .stored.grouped(rows: 1, stride: 2))
      let values = source.readAll()
      let loaded = try source.loadFloats(rows: 3..<200, with: ReadBuffer())
      #expect(loaded.map(\.bitPattern) == values[3 * 32..<200 * 32].map(\.bitPattern))
      for row in 0..<256 {
        for column in 0..<32 {
          let number = Double(Self.table[turn == 0 ? column % 16 : 15 - column % 16])
          let value = values[row * 32 + column]
          guard row < 255 else {
            #expect(value.isNaN)
            continue
          }
          // The largest codes under the largest scales are beyond single precision.
          let expected = Float(number * Double(sign: .plus, exponent: row - 127, significand: 1))
          #expect(value.bitPattern == expected.bitPattern)
        }
      }
    }
  }

  @Test func scalesThatLieOutsideOfTheFileAreRefused() throws {
    let file = try TestData.mapped([UInt8](repeating: 0, count: 64 + 4))
    func matrix(_ offset: Int) throws -> MXFP4Codes {
      try MXFP4Codes(codes: (file, 0), scales: (file, offset), shape: (4, 32))
    }
    #expect(throws: Never.self) { try matrix(64) }
    for offset in [65, 1 << 40, -1, Int.max] {
      #expect(throws: FurlError.self) { try matrix(offset) }
    }
    for (first, rows, columns) in [(1, 4, 32), (0, 5, 32), (-1, 4, 32), (0, 4, 33), (4, 1, 32), (Int.max, 1, 32)] {
      #expect(throws: FurlError.self) {
        try WeightSource(coded: matrix(64), firstRow: first, rows: rows, columns: columns)
      }
    }
  }
}
