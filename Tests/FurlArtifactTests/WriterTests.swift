@testable import FurlArtifact
@testable import FurlBase
@testable import FurlTensor
import FurlTestSupport
import Foundation
import Testing

@Suite struct WriterTests {
  private func names(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }

  @Test func nothingAppearsUnderTheNameBeforeTheEnd() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      let writer = try ArtifactWriter(path: path, storage: .compact)
      let tensor = try Samples.tiny()[0]
      try writer.append(
        name: "w", role: "head", shape: tensor.shape, scheme: tensor.scheme, streams: tensor.streams)
      #expect(!FileManager.default.fileExists(atPath: path))
      // Where there are files without a name, nothing is there that a kill could leave behind.
      let during = try names(folder)
      #expect(during == [] || hasNoUnnamedFiles(folder))
      try writer.finish(Samples.description, tokenizer: [])
      #expect(try names(folder) == ["a.furl"])
      #expect(damage(of: path) == nil)
    }
  }

  private func hasNoUnnamedFiles(_ folder: String) -> Bool {
    #if os(Linux)
    let descriptor = open(folder, 0o20000000 | O_DIRECTORY | O_WRONLY | O_CLOEXEC, 0o600)
    if descriptor >= 0 { close(descriptor) }
    return descriptor < 0
    #else
    return true
    #endif
  }

  @Test func bothWaysOfWritingGiveTheSameFile() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      for unnamed in [true, false, true] {
        let bytes: [UInt8] = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) } + [unnamed ? 1 : 0]
        let output = try OutputFile(path: path, unnamed: unnamed)
        try output.write(bytes)
        if !unnamed { #expect(try names(folder).contains { $0.hasPrefix(".a.furl.furl-") }) }
        try output.commit()
        #expect(try Array(Data(contentsOf: URL(fileURLWithPath: path))) == bytes)
        #expect(try names(folder) == ["a.furl"])
      }
    }
  }

  @Test func aWriterThatIsLetGoLeavesNothing() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      do {
        let writer = try ArtifactWriter(path: folder + "/a.furl", storage: .compact)
        #expect(writer.bytesWritten == 64)
      }
      #expect(try names(folder).isEmpty)
    }
  }

  @Test func aWriterThatHasThrownLeavesNothing() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let writer = try ArtifactWriter(path: folder + "/a.furl", storage: .compact)
      let short = try storage([1, 2, 3])
      let error = #expect(throws: FurlError.self) {
        try writer.append(name: "w", role: "norm", shape: [4], scheme: .float32, streams: [.values: short])
      }
      #expect(error?.kind == .defect && error?.place == "w")
      #expect(try names(folder).isEmpty)
      #expect(throws: FurlError.self) { try writer.finish(Samples.description, tokenizer: []) }
      #expect(try names(folder).isEmpty)
    }
  }

  @Test func wrongTensorsAreDefects() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let values = try storage([0, 0, 0, 0])
      func append(_ names: [String], _ streams: [PackedLayout.StreamKind: ByteStorage]) throws {
        let writer = try ArtifactWriter(path: folder + "/a.furl", storage: .compact)
        for name in names {
          try writer.append(name: name, role: "norm", shape: [1], scheme: .float32, streams: streams)
        }
      }
      try append(["a", "b"], [.values: values])
      #expect(throws: FurlError.self) { try append(["a", "a"], [.values: values]) }
      #expect(throws: FurlError.self) { try append([""], [.values: values]) }
      #expect(throws: FurlError.self) { try append(["a"], [.codes: values]) }
      #expect(throws: FurlError.self) { try append(["a"], [.values: values, .codes: values]) }
      #expect(throws: FurlError.self) { try append(["a"], [:]) }
      #expect(try names(folder).isEmpty)
    }
  }

  @Test func aFolderInTheLineageIsADefect() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      var description = Samples.description
      description.lineage[0].name = "/home/me/model.safetensors"
      let writer = try ArtifactWriter(path: folder + "/a.furl", storage: .compact)
      #expect(throws: FurlError.self) { try writer.finish(description, tokenizer: []) }
      #expect(try names(folder).isEmpty)
    }
  }

  @Test func anExistingFileIsReplacedAtOnce() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      let old = try Samples.tiny()
      try Samples.write(old, to: path, .mapped)
      let before = try Artifact(path: path)
      try Samples.write(Samples.tensors(), to: path, .compact)
      // Who has opened the old file goes on reading it.
      #expect(try before.load(before.tensors[0])[.codes]?.bytes == old[0].streams[.codes]?.bytes)
      try before.check()
      #expect(try Artifact(path: path).tensors.count == 6)
      #expect(try names(folder) == ["a.furl"])
    }
  }

  @Test func modeFollowsTheMask() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      try Samples.write(Samples.tiny(), to: folder + "/a.furl", .compact)
      let mask = umask(0)
      umask(mask)
      var status = stat()
      #expect(stat(folder + "/a.furl", &status) == 0)
      #expect(status.st_mode & 0o7777 == 0o644 & ~mask)
    }
  }

  @Test func leftoversOfDeadWritersAreRemoved() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      for name in [".a.furl.furl-abc123", ".a.furl.furl-abc12", ".a.furl.furl-ABC123", ".b.furl.furl-abc123"] {
        try TestData.write([1], to: folder + "/" + name)
      }
      let living = try ArtifactWriter(output: OutputFile(path: path, unnamed: false), storage: .compact)
      try Samples.write(Samples.tiny(), to: path, .compact)
      #expect(!(try names(folder).contains(".a.furl.furl-abc123")))
      // What is not such a leftover stays, and so does the file of the writer that lives.
      #expect(try names(folder).count == 5)
      try living.finish(Samples.description, tokenizer: [])
      #expect(try Artifact(path: path).tensors.isEmpty)
      #expect(try names(folder).count == 4)
    }
  }

  // MARK: Places that cannot be written to

  @Test func placesThatCannotBeWrittenTo() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      try TestData.write([1], to: folder + "/file")
      try FileManager.default.createDirectory(atPath: folder + "/sub", withIntermediateDirectories: false)
      for path in [
        folder, folder + "/", folder + "/sub", folder + "/absent/a.furl", folder + "/file/a.furl", "", "..",
        folder + "/" + String(repeating: "x", count: 300), "/dev/null",
      ] {
        let error = #expect(throws: FurlError.self) { try ArtifactWriter(path: path, storage: .compact) }
        #expect(error?.kind == .cannotCreate, "\(path): \(String(describing: error))")
        #expect(error?.file == path)
      }
      #expect(try names(folder) == ["file", "sub"])
    }
  }

  @Test(.enabled(if: geteuid() != 0, "needs a user whom permissions bind"))
  func aFolderThatIsReadOnly() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      #expect(chmod(folder, 0o555) == 0)
      defer { chmod(folder, 0o755) }
      let error = #expect(throws: FurlError.self) {
        try ArtifactWriter(path: folder + "/a.furl", storage: .compact)
      }
      #expect(error?.kind == .cannotCreate)
    }
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "needs /dev/full"))
  func aFullDisk() throws {
    let descriptor = open("/dev/full", O_WRONLY)
    let writer = try ArtifactWriter(
      output: OutputFile(descriptor: descriptor, path: "a.furl"), storage: .compact)
    let error = #expect(throws: FurlError.self) {
      try writer.finish(Samples.description, tokenizer: Samples.tokenizer)
    }
    #expect(error?.kind == .cannotWrite && error?.file == "a.furl")
  }

  @Test func moreThanTheDiskHoldsIsRefusedBeforehand() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let writer = try ArtifactWriter(path: folder + "/a.furl", storage: .compact)
      try writer.require(bytes: 1)
      let error = #expect(throws: FurlError.self) { try writer.require(bytes: 1 << 60) }
      #expect(error?.kind == .cannotWrite && error?.file == folder + "/a.furl")
      #expect(error?.problem.contains("needs up to \(1 << 60) bytes") == true)
      #expect(try names(folder).isEmpty)
    }
  }

  // MARK: Tensors that are packed by many threads

  /// Whatever order the jobs of all tensors are done in, the file is the same.
  @Test(arguments: [ArtifactStorage.compact, .mapped])
  func jobsMayBeDoneInAnyOrder(_ storage: ArtifactStorage) throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let tensors = try Samples.tensors() + [SampleTensor("large", "head", [600, 1000], .int4(.columns(32)), seed: 9)]
      try Samples.write(tensors, to: folder + "/a.furl", storage)
      let writer = try ArtifactWriter(path: folder + "/b.furl", storage: storage)
      let packed = try tensors.map {
        try writer.packer.tensor(name: $0.name, role: $0.role, shape: $0.shape, scheme: $0.scheme, streams: $0.streams)
      }
      var jobs = packed.indices.flatMap { tensor in (0..<packed[tensor].jobCount).map { (tensor, $0) } }
      var draws = SplitMix64(seed: 3)
      while !jobs.isEmpty {
        let (tensor, job) = jobs.remove(at: Int(draws.next() % UInt64(jobs.count)))
        try packed[tensor].run(job)
      }
      for tensor in packed {
        for digest in try tensor.digests().shuffled(using: &draws) { digest.advance(by: .max) }
        try writer.append(tensor)
      }
      try writer.finish(Samples.description, tokenizer: Samples.tokenizer)
      #expect(try TestData.bytes(folder + "/a.furl") == TestData.bytes(folder + "/b.furl"))
    }
  }

  @Test(arguments: [ArtifactStorage.compact, .mapped])
  func aJobThatWasForgottenIsADefect(_ storage: ArtifactStorage) throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let sample = try SampleTensor("w", "head", [600, 1000], .int4(.columns(32)))
      func packed(by writer: ArtifactWriter) throws -> PackedTensor {
        try writer.packer.tensor(
          name: "w", role: "head", shape: sample.shape, scheme: sample.scheme, streams: sample.streams)
      }
      let whole = try packed(by: ArtifactWriter(path: folder + "/a.furl", storage: storage))
      for job in 0..<whole.jobCount { try whole.run(job) }
      #expect(whole.jobCount > 0 || storage == .mapped)
      let digests = try whole.digests().count
      #expect(digests > 0)
      for forgotten in 0..<whole.jobCount + digests {
        let writer = try ArtifactWriter(path: folder + "/a.furl", storage: storage)
        let tensor = try packed(by: writer)
        for job in 0..<tensor.jobCount where job != forgotten { try tensor.run(job) }
        let error = #expect(throws: FurlError.self) {
          for (index, digest) in try tensor.digests().enumerated() where whole.jobCount + index != forgotten {
            digest.advance(by: .max)
          }
          try writer.append(tensor)
        }
        #expect(error?.kind == .defect)
      }
      #expect(try names(folder).isEmpty)
    }
  }

  @Test func aFolderThatTakesTheNameMeanwhile() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      let writer = try ArtifactWriter(path: path, storage: .compact)
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
      let error = #expect(throws: FurlError.self) { try writer.finish(Samples.description, tokenizer: []) }
      #expect(error?.kind == .cannotWrite)
      #expect(try names(folder) == ["a.furl"])
    }
  }

  @Test func aNameWithoutAFolderIsOfTheWorkingFolder() throws {
    let name = "furl-test-\(UUID().uuidString).furl"
    defer { unlink(name) }
    try Samples.write(Samples.tiny(), to: name, .compact)
    #expect(damage(of: name) == nil)
  }
}
