import FurlBase
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// Reading weights from files stripe by stripe, and hashing files piece by piece.
@Suite struct MatrixEncoderTests {
  static let schemes: [Scheme] = [
    .float32, .int8(.row), .int4(.columns(32)), .int4Minimum(.columns(64)), .int3Minimum(.columns(32)),
    .codebook4(.columns(64)),
  ]

  private func bytes(_ encoder: MatrixEncoder, order: [Int]) throws -> [[UInt8]] {
    let buffer = ReadBuffer()
    for stripe in order { try encoder.encode(stripe: stripe, with: buffer) }
    return encoder.matrix.streams.map(\.bytes)
  }

  /// Every way in which weights lie in files gives what the same weights give that lie row by row in FP32.
  @Test(arguments: schemes, [SourceType.float32, .float16, .bfloat16])
  func howWeightsLieDoesNotMatter(_ scheme: Scheme, _ type: SourceType) throws {
    let (rows, columns, total) = (52, 70, 110)
    let (file, _) = try StorageTests.stored(type, count: total * total * 2, offset: 3)
    for (rowStride, columnStride, order) in [
      (columns, 1, WeightSource.RowOrder.stored), (total, 1, .stored), (1, rows, .stored), (1, total, .stored),
      (2, 110, .stored), (200, 2, .stored), (columns, 1, .interleavedHalves(headSize: 26)),
      (1, total, .interleavedHalves(headSize: 4)),
    ] {
      let source = try WeightSource(
        file: file, type: type, offset: 3 + 5 * type.blockBytes, rows: rows, columns: columns, rowStride: rowStride,
        columnStride: columnStride, rowOrder: order)
      let plain = try TestData.source(source.readAll(), rows: rows, columns: columns)
      let expected = try bytes(MatrixEncoder(plain, scheme: scheme), order: [0])
      let encoder = try MatrixEncoder(source, scheme: scheme)
      #expect(try bytes(encoder, order: Array(0..<encoder.stripeCount)) == expected, "\(rowStride) \(columnStride)")
      #expect(try source.loadFloats(rows: 3..<9, with: ReadBuffer()) == source.read(rows: 3..<9))
    }
  }

  /// Enough rows for several stripes, encoded backwards into memory that something else was in.
  @Test(arguments: schemes, [true, false])
  func stripesAreIndependent(_ scheme: Scheme, _ isTransposed: Bool) throws {
    let (rows, columns) = (1030, 3100)
    var draws = SplitMix64(seed: 4)
    let file = try TestData.mapped(TestData.littleEndian(draws.floats(rows * columns)))
    let source = try WeightSource(
      file: file, type: .float32, offset: 0, rows: rows, columns: columns, rowStride: isTransposed ? 1 : columns,
      columnStride: isTransposed ? rows : 1)
    let expected = try PackedMatrix.encode(source, scheme: scheme, pool: WorkerPool(threads: 2)).streams.map(\.bytes)
    let memory = StoragePool()
    var used: [[UInt8]] = []
    for _ in 0..<2 {
      let encoder = try MatrixEncoder(source, scheme: scheme, memory: memory)
      #expect(isTransposed || encoder.stripeCount > 3)
      let covered = (0..<encoder.stripeCount).reduce(0) { $0 + encoder.sourceBytes(stripe: $1) }
      #expect(covered == rows * columns * 4)
      used = try bytes(encoder, order: (0..<encoder.stripeCount).reversed())
      #expect(used == expected)
      for storage in encoder.matrix.streams {
        storage.withMutableBytes(0..<storage.count) { $0.copyBytes(from: repeatElement(0xAB, count: $0.count)) }
      }
    }
  }

  @Test func memoryIsUsedAgain() throws {
    let layout = try PackedLayout(scheme: .int8(.row), shape: [300, 300])
    #expect(layout.streams[0].byteCount > 64 << 10)
    let (memory, source) = (
      StoragePool(), try TestData.source([Float](repeating: 1, count: 90_000), rows: 300, columns: 300)
    )
    var addresses: Set<UnsafeRawPointer> = []
    for _ in 0..<5 {
      let matrix = try MatrixEncoder(source, scheme: .int8(.row), memory: memory).matrix
      matrix.streams[0].withBytes { _ = addresses.insert($0.baseAddress!) }
    }
    #expect(addresses.count == 1)
    // What is in use is not given out twice.
    let both = try (0..<2).map { _ in try MatrixEncoder(source, scheme: .int8(.row), memory: memory).matrix }
    #expect(both[0].streams[0].withBytes(\.baseAddress) != both[1].streams[0].withBytes(\.baseAddress))
  }

  // MARK: Files that change

  private func withFile(_ bytes: [UInt8], _ body: (String, MappedFile) throws -> Void) throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/weights"
      try TestData.write(bytes, to: path)
      try body(path, MappedFile(path: path))
    }
  }

  @Test(arguments: [1, 1000, 4096, 65_536, 1 << 20])
  func aFileIsHashedPieceByPiece(_ step: Int) throws {
    let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 * $0 >> 3) }
    try withFile(bytes) { path, file in
      let hasher = FileHasher(file)
      var taken = 0
      // One byte at a time only for the first thousand.
      while !hasher.isDone { taken += try hasher.advance(by: taken < 1000 ? step : max(step, 1000)) }
      #expect(taken == bytes.count && hasher.digest == Digest(of: bytes))
      #expect(try hasher.advance(by: step) == 0)
      try file.checkUnchanged()
    }
    let empty = FileHasher(try TestData.mapped([]))
    #expect(empty.isDone && empty.digest == Digest(of: [UInt8]()))
  }

  /// Two files of any sizes, in steps that are no whole blocks of either.
  @Test(arguments: [(0, 0), (0, 5), (100, 100), (64_000, 129), (77_777, 100_000), (300_001, 300_000)])
  func twoFilesAreHashedAtOnce(_ first: Int, _ second: Int) throws {
    let bytes = [first, second].map { count in (0..<count).map { UInt8(truncatingIfNeeded: $0 * $0 >> 5 ^ count) } }
    for step in [1000, 4096, 1 << 20] {
      let hashers = try bytes.map { FileHasher(try TestData.mapped($0)) }
      var taken = 0
      while hashers.contains(where: { !$0.isDone }) {
        taken += try FileHasher.advance(hashers[0], hashers[1], by: step)
      }
      #expect(taken == first + second)
      #expect(hashers.map(\.digest) == bytes.map { Digest(of: $0) })
    }
  }

  @Test func aFileThatBecomesShorterIsAnError() throws {
    let columns = 3000
    try withFile([UInt8](repeating: 0, count: 64 * columns * 4)) { path, file in
      let source = try WeightSource(
        file: file, type: .float32, offset: 0, rows: 64, columns: columns, rowStride: columns)
      let turned = try WeightSource(
        file: file, type: .float32, offset: 0, rows: columns, columns: 64, rowStride: 1, columnStride: columns)
      let hasher = FileHasher(file)
      #expect(try hasher.advance(by: 1000) == 1000)
      #expect(truncate(path, off_t(columns * 4 * 40)) == 0)
      for source in [source, turned] {
        let error = #expect(throws: FurlError.self) {
          _ = try PackedMatrix.encode(source, scheme: .int8(.row), pool: WorkerPool(threads: 2))
        }
        #expect(error?.kind == .input && error?.file == path)
        #expect(error?.problem.contains("has become shorter") == true)
      }
      let vector = try WeightSource.vector(file: file, type: .float32, offset: columns * 4 * 39, count: 2 * columns)
      #expect(throws: FurlError.self) { try FloatVector(vector) }
      let error = #expect(throws: FurlError.self) { while !hasher.isDone { _ = try hasher.advance(by: 100_000) } }
      #expect(error?.kind == .input && error?.problem.contains("has become shorter") == true)
      #expect(throws: FurlError.self) { try file.checkUnchanged() }
    }
  }

  @Test func aFileThatWasWrittenToIsAnError() throws {
    try withFile([1, 2, 3, 4]) { path, file in
      try file.checkUnchanged()
      try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSince1970: 1e6)], ofItemAtPath: path)
      let error = #expect(throws: FurlError.self) { try file.checkUnchanged() }
      #expect(error?.kind == .input && error?.problem.contains("has changed") == true)
    }
    // A file that loses its name is still there for who has opened it.
    try withFile([1, 2, 3, 4]) { path, file in
      #expect(unlink(path) == 0)
      try file.checkUnchanged()
      #expect(try FileHasher(file).advance(by: 10) == 4)
    }
  }
}
