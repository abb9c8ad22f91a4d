import FurlArtifact
@testable import FurlBase
import FurlCheckpoint
@testable import FurlTensor
import FurlTestSupport
import FurlTransform
import Foundation
import Testing

/// Compressions that know their source from an earlier time.
@Suite struct SourceDigestTests {
  /// What is remembered is used, with one thread and with two, by plain and by chosen codes, and changes nothing.
  @Test(arguments: ["{weights: int8}", "{weights: int4, search: true}"], [1, 2])
  func knownFilesAreNotHashed(_ step: String, threads: Int) throws {
    try TestData.withTemporaryFolder { folder in
      let rules = DigestMemory.Rules(leastBytes: 1, settleTime: 0)
      let memory = try #require(DigestMemory(root: folder + "/cache", rules: rules))
      let checkpoint = try Checkpoint(folder: TestData.minipy)
      let recipe = try Fixtures.recipe("  - quantize: \(step)")
      func write(_ name: String, _ memory: DigestMemory?) throws -> (Artifact, [UInt8]) {
        let path = folder + "/" + name
        var compressor = try Compressor(checkpoint, recipe: recipe)
        compressor.digests = memory
        _ = try compressor.write(to: path, pool: WorkerPool(threads: threads))
        return (try Artifact(path: path), try TestData.bytes(path))
      }
      let plain = try write("plain", nil).1
      #expect(try write("first", memory).1 == plain)
      #expect(try write("second", memory).1 == plain)
      // A digest that is not the file's own shows that it was taken from memory.
      let weights = try checkpoint.files()[0]
      let other = Digest(of: [1])
      memory.remember(weights, other)
      #expect(try write("third", memory).0.description.lineage[0].digest == other)
      let fresh = try #require(DigestMemory(root: folder + "/cache", recalls: false, rules: rules))
      #expect(try write("fourth", fresh).1 == plain)
      #expect(memory.recall(weights) == Digest(of: weights))
    }
  }
}
