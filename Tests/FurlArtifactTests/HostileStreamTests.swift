@testable import FurlArtifact
import FurlBase
import FurlTensor
import FurlTestSupport
import Testing

/// Artifacts whose index is true of the file and whose streams do not decode to what it says.
@Suite struct HostileStreamTests {
  /// Writes an artifact of one vector of 256 numbers whose four frames are given.
  private func write(_ frames: [[UInt8]], decoded: [UInt8], to path: String) throws {
    let layout = try PackedLayout(scheme: .float32, shape: [256])
    let stored = frames.flatMap { $0 }
    let stream = ArtifactStream(
      kind: .values, codec: .zstdHuffman, symbols: .floats, offset: 64, length: stored.count, decodedLength: 1024,
      digest: Digest(of: stored), decodedDigest: Digest(of: decoded), frames: frames.map(\.count))
    let tensor = ArtifactTensor(name: "norm", role: "norm", layout: layout, streams: [stream])
    try Forge.write([tensor], [stored], to: path)
  }

  private let values = [UInt8](0...255)

  @Test func framesOfTheRightSizeAreRead() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      let frame = try Zstd.compress(values)
      let decoded = values.flatMap { [$0, $0, $0, $0] }
      try write([frame, frame, frame, frame], decoded: decoded, to: path)
      let artifact = try Artifact(path: path)
      try artifact.check()
      #expect(try artifact.load(artifact.tensors[0])[.values]?.bytes == decoded)

      // All is as said, save the digest of the decoded bytes.
      try write([frame, frame, frame, frame], decoded: values, to: path)
      #expect(damage(of: path)?.contains("norm: values: bytes from 64 on do not decode to") == true)
    }
  }

  @Test func framesOfOtherSizesAreRefused() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      let frame = try Zstd.compress(values)
      for size in [0, 1, 255, 257, 100_000] {
        let wrong = try Zstd.compress([UInt8](repeating: 3, count: size))
        try write([frame, frame, wrong, frame], decoded: [], to: path)
        let artifact = try Artifact(path: path)
        let error = #expect(throws: FurlError.self) { try artifact.load(artifact.tensors[0]) }
        #expect(error?.kind == .input)
        #expect(error?.description.contains("norm: values: frame 2 at byte \(64 + 2 * frame.count) does not") == true)
        #expect(damage(of: path) != nil)
      }
    }
  }

  @Test func aBitmapWhereNoByteIsZeroIsRefused() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      let layout = try PackedLayout(scheme: .float32, shape: [256])
      let pieces = [[UInt8](repeating: 255, count: 32), values, values, values, values]
      let frames = try pieces.map { try Zstd.compress($0) }
      let stored = frames.flatMap { $0 }
      let stream = ArtifactStream(
        kind: .values, codec: .zstdBitmap, symbols: .floats, offset: 64, length: stored.count, decodedLength: 1024,
        digest: Digest(of: stored), decodedDigest: Digest(of: []), frames: frames.map(\.count))
      let tensor = ArtifactTensor(name: "norm", role: "norm", layout: layout, streams: [stream])
      try Forge.write([tensor], [stored], to: path)
      let problem = "norm: values: has a bitmap of zeros, which its elements have no bytes for"
      #expect(damage(of: path)?.contains(problem) == true)
    }
  }

  @Test func aStreamThatDecodesToFarMoreThanItsSizeIsRefused() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      let layout = try PackedLayout(scheme: .int8(.row), shape: [16, 1 << 20])
      let codes = layout.streams[0].byteCount
      let frame = try Zstd.compress([UInt8](repeating: 0, count: 1 << 18))
      let frames = [[UInt8]](repeating: frame, count: codes >> 18)
      let stored = frames.flatMap { $0 }
      let stream = ArtifactStream(
        kind: .codes, codec: .zstdHuffman, symbols: .bytes, offset: 64, length: stored.count, decodedLength: codes,
        digest: Digest(of: stored), decodedDigest: Digest(of: []), frames: frames.map(\.count))
      let scales = [UInt8](repeating: 0, count: layout.streams[1].byteCount)
      let raw = ArtifactStream(
        kind: .scales, codec: .raw, symbols: .halves, offset: Container.aligned(64 + stored.count),
        length: scales.count, decodedLength: scales.count, digest: Digest(of: scales),
        decodedDigest: Digest(of: scales), frames: [])
      let tensor = ArtifactTensor(name: "w", role: "head", layout: layout, streams: [stream, raw])
      try Forge.write([tensor], [stored, scales], to: path)
      #expect(damage(of: path)?.contains("w: codes: decodes to more than 1024 times its size") == true)
    }
  }

  @Test func aTokenizerThatIsNotWhatItsDigestSaysIsRefused() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      try Forge.write([], [], to: path, tokenizer: Array("abc".utf8), said: Array("abd".utf8))
      #expect(damage(of: path)?.contains("tokenizer: section at byte 64 is not what its digest says") == true)
      try Forge.write([], [], to: path, tokenizer: Array("abc".utf8), said: Array("abcd".utf8))
      #expect(damage(of: path)?.contains("tokenizer: section at byte 64 does not decode to the size") == true)
    }
  }
}
