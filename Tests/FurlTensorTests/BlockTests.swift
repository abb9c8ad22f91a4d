import FurlBase
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// The numbers of GGUF's blocks, against those of the `gguf` package (`Fixtures/gguf/make_gguf.py`).
@Suite struct BlockTests {
  struct Sample: Decodable, Sendable, CustomTestStringConvertible {
    let type: String
    let blocks: String
    let values: String

    var testDescription: String { type }
  }

  private struct Fixture: Decodable { let types: [Sample] }

  static func samples() throws -> [Sample] {
    let bytes = try TestData.bytes(TestData.root + "/Tests/Fixtures/gguf/blocks.json")
    return try JSONDecoder().decode(Fixture.self, from: Data(bytes)).types
  }

  static func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.utf8).map { UInt8($0 > 0x39 ? $0 - 0x57 : $0 - 0x30) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  static func floats(_ hex: String) -> [Float] {
    let bytes = bytes(hex)
    return stride(from: 0, to: bytes.count, by: 4).map { start in
      Float(bitPattern: bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
    }
  }

  @Test func everyTypeHasASample() throws {
    #expect(try Self.samples().map(\.type).sorted() == SourceType.allCases.map(\.rawValue).sorted())
  }

  @Test(arguments: try samples())
  func blocksStandForTheirNumbers(_ sample: Sample) throws {
    let type = try #require(SourceType(rawValue: sample.type))
    let blocks = Self.bytes(sample.blocks)
    let expected = Self.floats(sample.values)
    #expect(type.byteCount(expected.count) == blocks.count)
    // At an odd byte, too: files are not always aligned.
    for offset in [0, 1] {
      let file = try TestData.mapped([UInt8](repeating: 0xAB, count: offset) + blocks)
      let found = file.floats(type, at: offset, count: expected.count)
      let wrong = expected.indices.filter { index in
        expected[index].isNaN ? !found[index].isNaN : found[index].bitPattern != expected[index].bitPattern
      }
      #expect(wrong.isEmpty, "\(wrong.prefix(5)) of \(expected.count)")
    }
    #expect(expected.contains { $0.isFinite && $0 != 0 })
  }

  /// Rows of blocks, one by one and several at once, a part of the rows, and rows whose halves take turns.
  @Test(arguments: try samples().filter { SourceType(rawValue: $0.type).map { $0.blockSize > 1 } ?? false })
  func rowsOfBlocksAreRead(_ sample: Sample) throws {
    let type = try #require(SourceType(rawValue: sample.type))
    let values = Self.floats(sample.values).map(\.bitPattern)
    let file = try TestData.mapped(Self.bytes(sample.blocks))
    let rows = values.count / type.blockSize
    let columns = type.blockSize
    func row(_ index: Int) -> ArraySlice<UInt32> { values[index * columns..<(index + 1) * columns] }
    let plain = try WeightSource(file: file, type: type, offset: 0, rows: rows, columns: columns, rowStride: columns)
    #expect(plain.readAll().map(\.bitPattern) == values)
    #expect(plain.read(rows: 1..<3).map(\.bitPattern) == Array(row(1) + row(2)))
    #expect(plain.range == 0..<file.count)
    let part = try WeightSource(
      file: file, type: type, offset: type.blockBytes, rows: rows - 1, columns: columns, rowStride: columns)
    #expect(part.read(rows: 0..<1).map(\.bitPattern) == Array(row(1)))
    let turned = try WeightSource(
      file: file, type: type, offset: 0, rows: 4, columns: columns, rowStride: columns,
      rowOrder: .interleavedHalves(headSize: 4))
    #expect(turned.readAll().map(\.bitPattern) == Array(row(0) + row(2) + row(1) + row(3)))
    #expect(throws: FurlError.self) {
      try WeightSource(
        file: file, type: type, offset: 0, rows: 1, columns: columns / 2, rowStride: columns)
    }
    #expect(throws: FurlError.self) {
      try WeightSource(file: file, type: type, offset: 0, rows: 2, columns: columns, rowStride: columns + 1)
    }
  }

  /// Groups of rows that are stored the other way round: blocks lie across what is read as rows.
  @Test(arguments: try samples().filter { SourceType(rawValue: $0.type).map { $0.blockSize > 1 } ?? false })
  func groupsOfTurnedBlocksAreRead(_ sample: Sample) throws {
    let type = try #require(SourceType(rawValue: sample.type))
    let values = Self.floats(sample.values).map(\.bitPattern)
    let file = try TestData.mapped(Self.bytes(sample.blocks))
    let size = type.blockSize
    // Two groups of as many rows as a block has numbers, and two columns.
    let source = try WeightSource(
      file: file, type: type, offset: 0, rows: 2 * size, columns: 2, rowStride: 1, columnStride: size,
      rowOrder: .stored.grouped(rows: size, stride: 2 * size))
    let expected = (0..<2 * size).flatMap { row in
      [0, 1].map { values[(row / size * 2 + $0) * size + row % size] }
    }
    #expect(source.readAll().map(\.bitPattern) == expected)
    for rows in [5..<9, size - 3..<size + 4, size..<2 * size, 2 * size - 1..<2 * size] {
      #expect(source.read(rows: rows).map(\.bitPattern) == Array(expected[2 * rows.lowerBound..<2 * rows.upperBound]))
    }
    for (run, stride) in [(size / 2, 2 * size), (size, size + size / 2)] {
      #expect(throws: FurlError.self) {
        try WeightSource(
          file: file, type: type, offset: 0, rows: size, columns: 2, rowStride: 1, columnStride: size,
          rowOrder: .stored.grouped(rows: run, stride: stride))
      }
    }
  }

  /// What is turned comes first, wherever it lies in a head: here four of six numbers behind the first two, and two heads
  /// with a row between them.
  @Test func turnedRowsComeFirst() throws {
    let file = try TestData.mapped(TestData.littleEndian((0..<14).map(Float.init)))
    func read(_ start: Int) throws -> [Float] {
      try WeightSource(
        file: file, type: .float32, offset: 0, rows: 12, columns: 1, rowStride: 1,
        rowOrder: .interleavedHalves(headSize: 6, turned: 4, start: start).grouped(rows: 6, stride: 7)
      ).readAll()
    }
    #expect(try read(2) == [2, 4, 3, 5, 0, 1, 9, 11, 10, 12, 7, 8])
    #expect(try read(1) == [1, 3, 2, 4, 0, 5, 8, 10, 9, 11, 7, 12])
    #expect(try read(0) == [0, 2, 1, 3, 4, 5, 7, 9, 8, 10, 11, 12])
    #expect(throws: FurlError.self) { try read(3) }
    #expect(throws: FurlError.self) { try read(-1) }
  }

  /// A bias of heads whose halves take turns: its numbers are what rows are in a matrix.
  @Test func vectorsAreReordered() throws {
    let file = try TestData.mapped(TestData.littleEndian((0..<8).map(Float.init)))
    let source = try WeightSource.vector(
      file: file, type: .float32, offset: 0, count: 8, rowOrder: .interleavedHalves(headSize: 4))
    #expect(source.readAll() == [0, 2, 1, 3, 4, 6, 5, 7])
    #expect(try FloatVector(source).values == [0, 2, 1, 3, 4, 6, 5, 7])
    #expect(throws: FurlError.self) {
      try WeightSource.vector(
        file: file, type: .float32, offset: 0, count: 6, rowOrder: .interleavedHalves(headSize: 4))
    }
  }
}
