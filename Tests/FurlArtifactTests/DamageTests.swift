@testable import FurlArtifact
import FurlBase
import FurlTensor
import FurlTestSupport
import Testing

/// Files that a disk or a copy has changed.
@Suite struct DamageTests {
  @Test(arguments: ArtifactStorage.allCases)
  func everyFlippedByteOfASmallFileIsFound(_ storage: ArtifactStorage) throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      try Samples.write(Samples.tiny(), to: path, storage)
      let whole = try TestData.bytes(path)
      #expect(damage(of: path) == nil)
      var draws = SplitMix64(seed: 11)
      for offset in whole.indices {
        var bytes = whole
        bytes[offset] ^= UInt8(truncatingIfNeeded: draws.next() % 255 + 1)
        try TestData.write(bytes, to: path)
        #expect(damage(of: path) != nil, "byte \(offset)")
      }
    }
  }

  @Test(arguments: ArtifactStorage.allCases)
  func flippedBitsOfALargerFileAreFound(_ storage: ArtifactStorage) throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      try Samples.write(
        Samples.tensors() + [SampleTensor("large", "head", [300, 1000], .int8(.columns(128)))], to: path, storage)
      let whole = try TestData.bytes(path)
      var draws = SplitMix64(seed: 12)
      for _ in 0..<200 {
        var bytes = whole
        let offset = Int(draws.next() % UInt64(whole.count))
        bytes[offset] ^= 1 << UInt8(draws.next() % 8)
        try TestData.write(bytes, to: path)
        #expect(damage(of: path) != nil, "byte \(offset)")
      }
    }
  }

  @Test(arguments: ArtifactStorage.allCases)
  func aFileCutAtAnyLengthIsRefusedWhenOpened(_ storage: ArtifactStorage) throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      try Samples.write(Samples.tiny(), to: path, storage)
      let whole = try TestData.bytes(path)
      for length in 0..<whole.count {
        try TestData.write(Array(whole.prefix(length)), to: path)
        let error = #expect(throws: FurlError.self) { try Artifact(path: path) }
        #expect(error?.kind == .input && error?.file == path)
        #expect(error.map { !$0.description.contains("\n") } == true)
      }
      for more in [1, 64, 128] {
        try TestData.write(whole + [UInt8](repeating: 0, count: more), to: path)
        #expect(throws: FurlError.self) { try Artifact(path: path) }
      }
      // An artifact inside of another file's end is not that file.
      try TestData.write(Array(whole.prefix(64)) + whole, to: path)
      #expect(throws: FurlError.self) { try Artifact(path: path) }
    }
  }

  @Test func damageIsNamedBySectionAndOffset() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      try Samples.write([SampleTensor("large", "head", [1000, 1000], .int8(.row))], to: path, .compact)
      let whole = try TestData.bytes(path)
      let artifact = try Artifact(path: path)
      let stream = artifact.tensors[0].streams[0]
      let second = stream.offset + stream.frames[0]

      func message(_ offset: Int) throws -> String {
        var bytes = whole
        bytes[offset] ^= 0x55
        try TestData.write(bytes, to: path)
        return damage(of: path) ?? ""
      }
      #expect(try message(second + 1000).contains("large: codes: frame 1 at byte \(second) "))
      #expect(try message(stream.offset + stream.length).contains("not zero at byte \(stream.offset + stream.length)"))
      #expect(try message(artifact.tokenizer.offset + 9).contains("tokenizer"))
      #expect(try message(artifact.footer.indexOffset).contains("damaged index"))
      #expect(try message(20).contains("damaged header"))
      #expect(try message(whole.count - 100).contains("damaged footer"))
    }
  }

  @Test func loadingFindsADamagedFrame() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      try Samples.write([SampleTensor("w", "head", [100, 1000], .int8(.row))], to: path, .compact)
      var bytes = try TestData.bytes(path)
      bytes[64 + 5000] ^= 4
      try TestData.write(bytes, to: path)
      let artifact = try Artifact(path: path)
      let error = #expect(throws: FurlError.self) { try artifact.load(artifact.tensors[0]) }
      #expect(error?.place == "w: codes")
      let all = #expect(throws: FurlError.self) { try artifact.decodeAll() }
      #expect(all == error)
    }
  }

  @Test func filesOfOtherKindsAreRefused() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      func message(_ bytes: [UInt8]) throws -> String {
        try TestData.write(bytes, to: path)
        return damage(of: path) ?? ""
      }
      #expect(try message([]).contains("is not a Furl artifact"))
      #expect(try message(Array("GGUF".utf8) + [UInt8](repeating: 0, count: 4000)).contains("is not a Furl artifact"))
      #expect(try message(Container.header).contains("is cut off"))
      #expect(!Artifact.isArtifact(path: folder))
      #expect(!Artifact.isArtifact(path: folder + "/absent"))
      #expect(throws: FurlError.self) { try Artifact(path: folder) }
      #expect(throws: FurlError.self) { try Artifact(path: folder + "/absent") }
    }
  }

  @Test func aNewerFormatIsNamedAsSuch() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      try Samples.write(Samples.tiny(), to: path, .compact)
      var bytes = try TestData.bytes(path)
      bytes[8] = 3
      try TestData.write(bytes, to: path)
      #expect(damage(of: path)?.contains("was made by a newer Furl (format 3; this one reads up to 2)") == true)
      bytes[8] = 0
      try TestData.write(bytes, to: path)
      #expect(damage(of: path)?.contains("damaged header") == true)
    }
  }
}
