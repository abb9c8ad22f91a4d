import FurlBase
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// Files, memory and weights that lie in files.
@Suite struct StorageTests {
  /// A matrix of weights in a file after some bytes, as `type` stores it, with the values that it stands for.
  static func stored(_ type: SourceType, count: Int, offset: Int) throws -> (file: MappedFile, values: [Float]) {
    var draws = SplitMix64(seed: UInt64(count))
    let floats = draws.floats(count)
    let padding = [UInt8](repeating: 0xFF, count: offset)
    switch type {
    case .float32: return (try TestData.mapped(padding + TestData.littleEndian(floats)), floats)
    case .float16:
      let halves = floats.map { Float16($0) }
      return (try TestData.mapped(padding + TestData.littleEndian(halves.map(\.bitPattern))), halves.map { Float($0) })
    case .bfloat16:
      let patterns = floats.map { UInt16($0.bitPattern >> 16) }
      return (
        try TestData.mapped(padding + TestData.littleEndian(patterns)),
        patterns.map { Float(bitPattern: UInt32($0) << 16) }
      )
    case .float64:
      let doubles = floats.map { Double($0) * 1.000_000_01 }
      let bytes = doubles.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
      return (try TestData.mapped(padding + bytes), doubles.map { Float($0) })
    default: throw FurlError(.defect, "types with blocks have tests of their own")
    }
  }

  /// As it lies, transposed, a slice of a fused matrix either way, and strides of neither kind; at any byte.
  @Test(arguments: SourceType.allCases.filter { $0.blockSize == 1 }, [0, 1, 2, 3, 8])
  func weightsAreReadWithAnyStrides(_ type: SourceType, _ offset: Int) throws {
    let (rows, columns, total) = (13, 21, 40)
    let (file, values) = try Self.stored(type, count: rows * columns * total, offset: offset)
    for (rowStride, columnStride, first) in [
      (columns, 1, 0), (total, 1, 0), (total, 1, 7), (1, rows, 0), (1, total, 5), (50, 2, 3), (2, 30, 1), (1, 1, 0),
    ] {
      let source = try WeightSource(
        file: file, type: type, offset: offset + first * type.blockBytes, rows: rows, columns: columns,
        rowStride: rowStride,
        columnStride: columnStride)
      for range in [0..<rows, 0..<1, 5..<9, 12..<13, 4..<4] {
        let expected = range.flatMap { row in
          (0..<columns).map { values[first + row * rowStride + $0 * columnStride] }
        }
        #expect(source.read(rows: range) == expected, "\(rowStride) \(columnStride) \(range)")
      }
      source.drop()
      #expect(source.readAll().count == rows * columns)
    }
  }

  @Test func everyHalfAndBfloatIsConverted() throws {
    let patterns = (0...UInt16.max).map { $0 }
    let file = try TestData.mapped(TestData.littleEndian(patterns))
    for (type, value) in [
      (SourceType.float16, { (bits: UInt16) in Float(Float16(bitPattern: bits)) }),
      (.bfloat16, { (bits: UInt16) in Float(bitPattern: UInt32(bits) << 16) }),
    ] {
      let floats = file.floats(type, at: 0, count: patterns.count)
      let wrong = zip(floats, patterns).filter { float, bits in
        let expected = value(bits)
        return expected.isNaN ? !float.isNaN : float.bitPattern != expected.bitPattern
      }
      #expect(wrong.isEmpty)
    }
  }

  @Test func aTensorOutsideOfItsFileIsRefused() throws {
    let file = try TestData.mapped([UInt8](repeating: 0, count: 400))
    func source(_ offset: Int, _ rows: Int, _ columns: Int, _ rowStride: Int, _ columnStride: Int = 1) throws {
      _ = try WeightSource(
        file: file, type: .float32, offset: offset, rows: rows, columns: columns, rowStride: rowStride,
        columnStride: columnStride)
    }
    try source(0, 10, 10, 10)
    for (offset, rows, columns, rowStride, columnStride) in [
      (4, 10, 10, 10, 1), (0, 11, 10, 10, 1), (0, 10, 11, 10, 1), (-4, 1, 1, 1, 1), (0, 0, 5, 5, 1), (0, 5, 0, 5, 1),
      (0, 5, 5, 0, 1), (0, 5, 5, -5, 1), (0, 5, 5, 5, 0), (0, Int.max, Int.max, Int.max, Int.max),
      (Int.max, 1, 1, 1, 1),
      (0, 1 << 62, 4, 4, 1), (0, Int.min, 1, 1, 1),
    ] {
      #expect(throws: FurlError.self) { try source(offset, rows, columns, rowStride, columnStride) }
    }
    #expect(throws: FurlError.self) { try WeightSource.vector(file: file, type: .float16, offset: 0, count: 201) }
  }

  @Test func filesThatAreNotFilesAreRefused() throws {
    try TestData.withTemporaryFolder { folder in
      for path in [folder, folder + "/absent", folder + "/absent/file", "", "/dev/null", "/dev/zero"] {
        let error = try #require(throws: FurlError.self) { try MappedFile(path: path) }
        #expect(error.kind == .input && error.file == path)
      }
      #expect(mkfifo(folder + "/pipe", 0o600) == 0)
      #expect(throws: FurlError.self) { try MappedFile(path: folder + "/pipe") }
      try TestData.write([], to: folder + "/empty")
      let empty = try MappedFile(path: folder + "/empty")
      #expect(empty.count == 0 && empty.read(0..<0) == [] && empty.isZero(0..<0))
      #expect(try empty.readAll(limit: 0) == [])
      #expect(Digest(of: empty).hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }
  }

  @Test func rangesOfAFileAreItsBytes() throws {
    let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
    let file = try TestData.mapped(bytes)
    for range in [0..<0, 0..<1, 4095..<4097, 9999..<10_000, 10_000..<10_000, 0..<10_000] {
      #expect(file.read(range) == Array(bytes[range]))
      file.drop(range)
      #expect(file.read(range) == Array(bytes[range]))
    }
    #expect(file.integer(at: 1, as: UInt32.self) == 0x1C15_0E07)
    #expect(file.integer(at: 3, as: UInt64.self) == 0x463F_3831_2A23_1C15)
    #expect(!file.isZero(0..<2) && file.isZero(0..<1))
    let error = try #require(throws: FurlError.self) { try file.readAll(limit: 9999) }
    #expect(error.problem.contains("10000 bytes"))
  }

  @Test(arguments: [0, 1, 63, 64, 65, 16_383, 16_384, 100_000])
  func memoryIsZeroedAlignedAndWritable(_ count: Int) throws {
    let storage = try ByteStorage(zeroed: count)
    #expect(storage.count == count && storage.bytes == [UInt8](repeating: 0, count: count))
    storage.withBytes { #expect(Int(bitPattern: $0.baseAddress) % 64 == 0) }
    let middle = count / 3..<count / 2
    storage.withMutableBytes(middle) { bytes in for index in bytes.indices { bytes[index] = 7 } }
    #expect(storage.bytes == (0..<count).map { middle.contains($0) ? 7 : 0 })
    #expect(storage.read(middle) == [UInt8](repeating: 7, count: middle.count))
  }

  @Test func memoryThatThereIsNotIsRefused() throws {
    let error = try #require(throws: FurlError.self) { try ByteStorage(zeroed: 1 << 60) }
    #expect(error.kind == .unavailable)
  }

  @Test func aPartOfAFileIsUsedAsItLies() throws {
    let bytes = (0..<500).map { UInt8(truncatingIfNeeded: $0) }
    let file = try TestData.mapped(bytes)
    #expect(ByteStorage(file, 128..<300).bytes == Array(bytes[128..<300]))
    #expect(ByteStorage(file, 448..<500).read(10..<20) == Array(bytes[458..<468]))
    #expect(ByteStorage(file, 64..<64).bytes == [])
  }
}
