@testable import FurlArtifact
import FurlBase
import FurlTensor
import FurlTestSupport
import Synchronization
import Testing

@Suite struct RoundTripTests {
  @Test(arguments: ArtifactStorage.allCases)
  func everythingComesBack(_ storage: ArtifactStorage) throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      let tensors = try Samples.tensors()
      let id = try Samples.write(tensors, to: path, storage)
      let artifact = try Artifact(path: path)
      #expect(Artifact.isArtifact(path: path))
      #expect(artifact.id == id)
      #expect(artifact.storage == storage)
      #expect(artifact.description == Samples.description)
      #expect(artifact.formatVersion == 1)
      #expect(try artifact.tokenizerBytes() == Samples.tokenizer)
      #expect(artifact.tensors.map(\.name) == tensors.map(\.name))
      #expect(artifact.parameters == tensors.reduce(0) { $0 + $1.shape.reduce(1, *) })
      for tensor in tensors {
        let read = try #require(artifact.tensor(named: tensor.name))
        #expect(read.role == tensor.role && read.shape == tensor.shape && read.scheme == tensor.scheme)
        let loaded = try artifact.load(read)
        #expect(Set(loaded.keys) == Set(tensor.streams.keys))
        for (kind, bytes) in tensor.streams { #expect(loaded[kind]?.bytes == bytes.bytes) }
        #expect(read.weightBytes == tensor.streams.values.reduce(0) { $0 + $1.count })
        if storage == .mapped { #expect(read.streams.allSatisfy { $0.codec == .raw && $0.offset % 64 == 0 }) }
      }
      #expect(artifact.tensor(named: "absent") == nil)
      var reported: [Int] = []
      try artifact.check(progress: { done, total in
        #expect(total == artifact.diskBytes)
        reported.append(done)
      })
      #expect(reported == reported.sorted() && reported.last == artifact.diskBytes)
    }
  }

  /// All at once as one by one: many chunks in many streams, small ones, raw ones, any number of threads.
  @Test(arguments: ArtifactStorage.allCases)
  func everythingDecodedAtOnceIsTheSame(_ storage: ArtifactStorage) throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      let large = try SampleTensor("large", "head", [5000, 4000], .int8(.row), seed: 9)
      let tensors = try Samples.tensors() + [large, SampleTensor("last", "norm", [9], .float32)]
      try Samples.write(tensors, to: path, storage)
      let artifact = try Artifact(path: path)
      for threads in [1, 2, 3] {
        let pool = WorkerPool(threads: threads)
        let calls = Atomic(0)
        let decoded = try artifact.decodeAll(
          beside: { calls.add(1, ordering: .relaxed) }, parallelFor: pool.forEachAsTaken)
        #expect(calls.load(ordering: .relaxed) == 1)
        #expect(decoded.streams.isEmpty == (storage == .mapped))
        for tensor in tensors {
          let loaded = try artifact.load(#require(artifact.tensor(named: tensor.name)), decoded: decoded)
          #expect(Set(loaded.keys) == Set(tensor.streams.keys))
          for (kind, bytes) in tensor.streams { #expect(loaded[kind]?.bytes == bytes.bytes) }
        }
      }
    }
  }

  @Test func anArtifactWithoutTensorsOrTokenizer() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      try ArtifactWriter(path: path, storage: .compact).finish(Samples.description, tokenizer: [])
      let artifact = try Artifact(path: path)
      try artifact.check()
      #expect(artifact.tensors.isEmpty)
      #expect(artifact.bitsPerWeight == nil)
      #expect(try artifact.tokenizerBytes().isEmpty)
    }
  }

  @Test func compactIsSmallerAndHasTheSameId() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let tensors = [try SampleTensor("w", "head", [256, 256], .int8(.columns(32)))]
      let compact = try Samples.write(tensors, to: folder + "/c.furl", .compact)
      let mapped = try Samples.write(tensors, to: folder + "/m.furl", .mapped)
      #expect(compact == mapped)
      let small = try Artifact(path: folder + "/c.furl")
      let large = try Artifact(path: folder + "/m.furl")
      #expect(small.diskBytes < large.diskBytes * 3 / 4)
      #expect(small.tensors[0].digest == large.tensors[0].digest)
      #expect(small.tensors[0].bitsPerWeight < large.tensors[0].bitsPerWeight)
      #expect(large.tensors[0].bitsPerWeight == 8.5)
    }
  }

  @Test func theIdIsOfWhatTheArtifactHolds() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let tensors = try Samples.tiny()
      func id(_ tensors: [SampleTensor], _ change: (inout ArtifactDescription) -> Void = { _ in }) throws -> Digest {
        var description = Samples.description
        change(&description)
        return try Samples.write(tensors, to: folder + "/a.furl", .compact, description: description)
      }
      let first = try id(tensors)
      #expect(try id(tensors) { $0.lineage[0].name = "other.bin" } == first)
      #expect(try id(tensors) { $0.furl = "9.9.9" } == first)
      #expect(try id(tensors) { $0.recipe.text += "#" } != first)
      #expect(try id(tensors) { $0.config = [:] } != first)
      #expect(try id(tensors) { $0.spec = [:] } != first)
      #expect(try id(Array(tensors.reversed())) != first)
      #expect(try id([tensors[0], try SampleTensor("norm", "norm", [13], .float32, seed: 99)]) != first)
      #expect(try id([tensors[0], try SampleTensor("norm", "bias", [13], .float32, seed: 5)]) != first)
    }
  }

  @Test(arguments: ArtifactStorage.allCases)
  func bytesDoNotDependOnThreads(_ storage: ArtifactStorage) throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      // Several chunks of every form.
      let tensors = [
        try SampleTensor("bytes", "head", [700, 1000], .int8(.columns(32)), seed: 1),
        try SampleTensor("nibbles", "head", [700, 1000], .int4Minimum(.columns(32)), seed: 2),
        try SampleTensor("floats", "head", [700, 1000], .float32, seed: 3),
      ]
      var digests: Set<Digest> = []
      for threads in [1, 2, 3, 7] {
        let path = "\(folder)/\(threads).furl"
        let pool = WorkerPool(threads: threads)
        try Samples.write(tensors, to: path, storage, parallelFor: { pool.forEach($0, $1) })
        digests.insert(Digest(of: try MappedFile(path: path)))
        let artifact = try Artifact(path: path)
        try artifact.check(parallelFor: { pool.forEach($0, $1) })
        for (tensor, sample) in zip(artifact.tensors, tensors) {
          let loaded = try artifact.load(tensor, parallelFor: { pool.forEach($0, $1) })
          for (kind, bytes) in sample.streams {
            #expect(try #require(loaded[kind]).withBytes { one in bytes.withBytes { one.elementsEqual($0) } })
          }
        }
      }
      let backwards = folder + "/backwards.furl"
      try Samples.write(tensors, to: backwards, storage) { count, body in (0..<count).reversed().forEach(body) }
      digests.insert(Digest(of: try MappedFile(path: backwards)))
      #expect(digests.count == 1)
    }
  }

  @Test func aRawStreamOutlivesTheArtifact() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      let tensors = try Samples.tiny()
      try Samples.write(tensors, to: path, .mapped)
      let loaded = try { () throws -> ByteStorage? in
        let artifact = try Artifact(path: path)
        return try artifact.load(artifact.tensors[0])[.codes]
      }()
      #expect(loaded?.bytes == tensors[0].streams[.codes]?.bytes)
    }
  }

  @Test func constantStreamsComeBack() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      var zeros = try SampleTensor("zeros", "head", [1024, 1024], .int8(.row))
      for (kind, bytes) in zeros.streams { zeros.streams[kind] = try ByteStorage(zeroed: bytes.count) }
      try Samples.write([zeros], to: path, .compact)
      let artifact = try Artifact(path: path)
      try artifact.check()
      let loaded = try artifact.load(artifact.tensors[0])
      #expect(loaded[.codes]?.withBytes { $0.allSatisfy { $0 == 0 } } == true)
    }
  }
}
