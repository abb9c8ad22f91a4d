@testable import FurlArtifact
import FurlBase
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// Files of format version 1 that every later Furl must open. The figures beside them are those of read_furl.py,
/// which shares no code with Furl.
@Suite struct GoldenTests {
  static let folder = TestData.root + "/artifacts/golden/v1"

  @Test(arguments: ArtifactStorage.allCases)
  func goldenFilesOpen(_ storage: ArtifactStorage) throws {
    let expected = try JSON.parse(TestData.bytes("\(Self.folder)/\(storage).json"), file: nil)
    let artifact = try Artifact(path: "\(Self.folder)/\(storage).furl")
    try artifact.check()
    #expect(artifact.storage == storage && expected["storage"]?.string == storage.rawValue)
    #expect(artifact.diskBytes == expected["bytes"]?.integer)
    #expect(artifact.id.hex == expected["artifact_id"]?.string)
    #expect(Digest(of: try artifact.tokenizerBytes()).hex == expected["tokenizer"]?.string)
    let tensors = try #require(expected["tensors"]?.array)
    #expect(tensors.count == artifact.tensors.count)
    for (tensor, known) in zip(artifact.tensors, tensors) {
      #expect(tensor.name == known["name"]?.string && tensor.role == known["role"]?.string)
      #expect(tensor.shape == known["shape"]?.array?.compactMap(\.integer))
      #expect(tensor.scheme.name == known["scheme"]?.string)
      #expect(tensor.digest.hex == known["sha256"]?.string)
      let loaded = try artifact.load(tensor)
      #expect(loaded.count == known["streams"]?.members?.count)
      for (kind, bytes) in loaded {
        #expect(Digest(of: bytes).hex == known["streams"]?[kind.rawValue]?.string)
      }
    }
  }

  /// A file with the schemes that came after the first files of this version.
  @Test func laterSchemesOpen() throws {
    let expected = try JSON.parse(TestData.bytes("\(Self.folder)/schemes.json"), file: nil)
    let artifact = try Artifact(path: "\(Self.folder)/schemes.furl")
    try artifact.check()
    #expect(artifact.id.hex == expected["artifact_id"]?.string && artifact.diskBytes == expected["bytes"]?.integer)
    let tensors = try #require(expected["tensors"]?.array)
    #expect(artifact.tensors.map(\.scheme.name) == Self.laterSchemes && tensors.count == artifact.tensors.count)
    for (tensor, known) in zip(artifact.tensors, tensors) {
      #expect(tensor.scheme.name == known["scheme"]?.string && tensor.digest.hex == known["sha256"]?.string)
      let loaded = try artifact.load(tensor)
      for (kind, bytes) in loaded { #expect(Digest(of: bytes).hex == known["streams"]?[kind.rawValue]?.string) }
      let matrix = try PackedMatrix(
        layout: tensor.layout, streams: tensor.layout.streams.compactMap { loaded[$0.kind] })
      // Weights between -1 and 1, in two bits or more.
      for row in 0..<matrix.rows { #expect(matrix.row(row).allSatisfy { abs($0) <= 1.01 }) }
    }
  }

  /// A file with GGUF's blocks, whose weights are those drawn, within what their bits allow.
  @Test func blocksOpen() throws {
    let expected = try JSON.parse(TestData.bytes("\(Self.folder)/blocks.json"), file: nil)
    let artifact = try Artifact(path: "\(Self.folder)/blocks.furl")
    try artifact.check()
    #expect(artifact.id.hex == expected["artifact_id"]?.string && artifact.diskBytes == expected["bytes"]?.integer)
    let tensors = try #require(expected["tensors"]?.array)
    #expect(artifact.tensors.map(\.scheme) == Scheme.inBlocks && tensors.count == artifact.tensors.count)
    let weights = try Self.blockWeights()
    for (tensor, known) in zip(artifact.tensors, tensors) {
      #expect(tensor.scheme.name == known["scheme"]?.string && tensor.digest.hex == known["sha256"]?.string)
      let loaded = try artifact.load(tensor)
      for (kind, bytes) in loaded { #expect(Digest(of: bytes).hex == known["streams"]?[kind.rawValue]?.string) }
      let matrix = try PackedMatrix(
        layout: tensor.layout, streams: tensor.layout.streams.compactMap { loaded[$0.kind] })
      for row in 0..<matrix.rows {
        let exact = weights[row * 512..<(row + 1) * 512]
        let error = zip(matrix.row(row), exact).reduce(Float(0)) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        #expect(error <= 0.04 * exact.reduce(0) { $0 + $1 * $1 })
      }
    }
  }

  private static func blockWeights() throws -> [Float] {
    var draws = SplitMix64(seed: 44)
    return draws.floats(20 * 512)
  }

  @Test(.enabled(if: ProcessInfo.processInfo.environment["FURL_WRITE_GOLDEN_BLOCKS"] != nil, "writes a golden file"))
  func writeBlocks() throws {
    let tensors = try Scheme.inBlocks.map { scheme in
      let matrix = try PackedMatrix.encode(
        TestData.source(Self.blockWeights(), rows: 20, columns: 512), scheme: scheme, pool: WorkerPool(threads: 1))
      var sample = try SampleTensor(scheme.name, "mlp.up", [20, 512], scheme)
      sample.streams = Dictionary(uniqueKeysWithValues: zip(matrix.layout.streams.map(\.kind), matrix.streams))
      return sample
    }
    try Samples.write(tensors, to: "\(Self.folder)/blocks.furl", .compact)
  }

  /// A file with matrices most of whose weights are zero, which are kept as bitmaps.
  @Test func bitmapsOpen() throws {
    let expected = try JSON.parse(TestData.bytes("\(Self.folder)/bitmaps.json"), file: nil)
    let artifact = try Artifact(path: "\(Self.folder)/bitmaps.furl")
    try artifact.check()
    #expect(artifact.id.hex == expected["artifact_id"]?.string && artifact.diskBytes == expected["bytes"]?.integer)
    let tensors = try #require(expected["tensors"]?.array)
    #expect(artifact.tensors.map(\.scheme.name) == Self.sparse.map(\.scheme) && tensors.count == Self.sparse.count)
    for (index, (tensor, known)) in zip(artifact.tensors, tensors).enumerated() {
      #expect(tensor.streams[0].codec == .zstdBitmap && tensor.digest.hex == known["sha256"]?.string)
      let loaded = try artifact.load(tensor)
      for (kind, bytes) in loaded { #expect(Digest(of: bytes).hex == known["streams"]?[kind.rawValue]?.string) }
      let matrix = try PackedMatrix(
        layout: tensor.layout, streams: tensor.layout.streams.compactMap { loaded[$0.kind] })
      let weights = try Self.sparseWeights(index)
      for row in 0..<matrix.rows {
        let exact = weights[row * 700..<(row + 1) * 700]
        #expect(zip(matrix.row(row), exact).allSatisfy { abs($0 - $1) <= 0.005 && ($0 == 0) == ($1 == 0) })
      }
    }
  }

  /// Schemes, and hundredths of weights that are zero.
  static let sparse: [(scheme: String, zeros: Int)] = [
    ("float32", 50), ("float32", 95), ("int8:row", 90), ("int8:64", 70),
  ]

  /// 40 rows of 700: two chunks of numbers, and one of codes that does not end with a whole byte of bits.
  private static func sparseWeights(_ index: Int) throws -> [Float] {
    var draws = SplitMix64(seed: 43 + UInt64(index))
    return draws.floats(40 * 700).map {
      // What is left must not round to a code of zero.
      Int(draws.next() % 100) < sparse[index].zeros ? 0 : ($0 < 0 ? $0 - 0.2 : $0 + 0.2) / 2
    }
  }

  @Test(.enabled(if: ProcessInfo.processInfo.environment["FURL_WRITE_GOLDEN_BITMAPS"] != nil, "writes a golden file"))
  func writeBitmaps() throws {
    let tensors = try Self.sparse.enumerated().map { index, sparse in
      let scheme = try #require(Scheme(name: sparse.scheme))
      let matrix = try PackedMatrix.encode(
        TestData.source(Self.sparseWeights(index), rows: 40, columns: 700), scheme: scheme,
        pool: WorkerPool(threads: 1))
      var sample = try SampleTensor("sparse.\(index)", "head", [40, 700], scheme)
      for (stream, bytes) in zip(matrix.layout.streams, matrix.streams) { sample.streams[stream.kind] = bytes }
      return sample
    }
    try Samples.write(tensors, to: "\(Self.folder)/bitmaps.furl", .compact)
  }

  static let laterSchemes = [
    "int3:64", "int3-minimum:32:u8", "int2:row", "int2-minimum:128:u8", "nf4:64:u8", "fp4:64", "codebook4:32",
    "int4:32:u8", "int8:row+3",
  ]

  @Test(.enabled(if: ProcessInfo.processInfo.environment["FURL_WRITE_GOLDEN_SCHEMES"] != nil, "writes a golden file"))
  func writeLaterSchemes() throws {
    var draws = SplitMix64(seed: 41)
    let tensors = try Self.laterSchemes.map { name in
      let scheme = try #require(Scheme(name: name))
      let source = try TestData.source(draws.floats(20 * 150), rows: 20, columns: 150)
      let columns = Array([9, 80, 149].prefix(scheme.outliers))
      let matrix = try PackedMatrix.encode(
        source.leavingOut(columns), scheme: scheme, pool: WorkerPool(threads: 1))
      var sample = try SampleTensor(name, "mlp.up", [20, 150], scheme)
      sample.streams = Dictionary(uniqueKeysWithValues: zip(matrix.layout.streams.map(\.kind), matrix.streams))
      return sample
    }
    try Samples.write(tensors, to: "\(Self.folder)/schemes.furl", .compact)
  }

  /// The golden files hold what the seeded samples hold, so they can be told from files that were made later.
  @Test(arguments: ArtifactStorage.allCases)
  func goldenFilesHoldTheSamples(_ storage: ArtifactStorage) throws {
    let artifact = try Artifact(path: "\(Self.folder)/\(storage).furl")
    #expect(artifact.description == Samples.description)
    for (tensor, sample) in zip(artifact.tensors, try Self.tensors(storage)) {
      for (kind, bytes) in try artifact.load(tensor) { #expect(bytes.bytes == sample.streams[kind]?.bytes) }
    }
    // Whoever writes the same tensors today says that they are the same.
    try TestData.withTemporaryFolder { (folder: String) throws in
      #expect(try Samples.write(Self.tensors(storage), to: folder + "/a.furl", storage) == artifact.id)
    }
  }

  /// How the files were made. A version that has been released is never written again.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["FURL_WRITE_GOLDEN"] != nil, "writes the golden files"))
  func writeGoldenFiles() throws {
    for storage in ArtifactStorage.allCases {
      try Samples.write(Self.tensors(storage), to: "\(Self.folder)/\(storage).furl", storage)
    }
  }

  static func tensors(_ storage: ArtifactStorage) throws -> [SampleTensor] {
    var tensors = try Samples.tensors()
    guard storage == .compact else { return tensors }
    // A stream of two chunks that still fits into a small file: nearly all of its codes are the same.
    var sparse = try SampleTensor("sparse", "head", [600, 512], .int8(.columns(128)), seed: 7)
    var draws = SplitMix64(seed: 8)
    let count = try PackedLayout(scheme: sparse.scheme, shape: sparse.shape).streams[0].byteCount
    sparse.streams[.codes] = try FurlArtifactTests.storage(
      (0..<count).map { _ in draws.next() % 1024 == 0 ? UInt8(truncatingIfNeeded: draws.next()) : 128 })
    tensors.append(sparse)
    return tensors
  }
}
