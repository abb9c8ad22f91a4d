import Furl
import FurlBase
import FurlTestSupport
import Synchronization
import Testing

/// A program that compresses with nothing but the public face.
@Suite struct CompressionTests {
  private static let recipe = "furl: 1\nrecipe: small\nsteps: [{quantize: {weights: int8}}]\n"

  @Test func aCheckpointBecomesAnArtifactThatRuns() async throws {
    let compression = try Compression(checkpoint: TestData.minipy, recipeText: Self.recipe)
    #expect(compression.recipeName == "small")
    try await TestData.withTemporaryFolder { folder in
      let path = folder + "/minipy.furl"
      let told = ToldTensors()
      let result = try await compression.write(to: path, threads: 2) { told.tell($0.tensorsDone, of: $0.tensors) }
      #expect(told.sawTheLast)
      #expect(result.weightBytes == compression.weightBytes)
      #expect(result.diskBytes <= (try compression.largestFileBytes()))
      let artifact = try Artifact(contentsOf: path)
      try artifact.checkWhole()
      #expect(artifact.identifier == result.identifier)
      #expect(artifact.diskBytes == result.diskBytes)
      // The recipe with all that it leaves to defaults: whoever runs it gets the same bytes.
      let again = try Compression(checkpoint: TestData.minipy, recipeText: artifact.recipeText)
      #expect(try await again.write(to: folder + "/again.furl").identifier == artifact.identifier)
      let model = try Model(contentsOf: path)
      #expect(model.parameterCount == compression.parameterCount)
      #expect(try await model.complete("def add(a, b):\n", maxTokens: 8).tokenCount > 0)
    }
  }

  /// The recipe of the repository, by its path; another number of threads; the same bytes.
  @Test func threadsChangeNothing() async throws {
    let compression = try Compression(checkpoint: TestData.minipy, recipe: TestData.root + "/recipes/int4.yaml")
    try await TestData.withTemporaryFolder { folder in
      let one = try await compression.write(to: folder + "/1.furl", threads: 1)
      let three = try await compression.write(to: folder + "/3.furl", threads: 3)
      #expect(one.identifier == three.identifier)
      #expect(try TestData.bytes(folder + "/1.furl") == TestData.bytes(folder + "/3.furl"))
    }
  }

  @Test func mistakesSayWhereTheyAre() async throws {
    let error = #expect(throws: FurlError.self) {
      try Compression(
        checkpoint: TestData.minipy, recipeText: "furl: 1\nrecipe: r\nsteps: [{quantize: {weights: int9}}]\n")
    }
    #expect(error?.kind == .input)
    #expect(error?.place?.contains("weights") == true)
    let compression = try Compression(checkpoint: TestData.minipy, recipeText: Self.recipe)
    await #expect(throws: FurlError.self) { try await compression.write(to: TestData.root + "/no/such/folder/a.furl") }
    await #expect(throws: FurlError.self) { try await compression.write(to: "a.furl", threads: -1) }
  }
}

/// Whether a progress closure, on whichever thread, was told of the last tensor.
private final class ToldTensors: Sendable {
  private let isLast = Mutex(false)
  func tell(_ done: Int, of all: Int) { isLast.withLock { $0 = done == all } }
  var sawTheLast: Bool { isLast.withLock { $0 } }
}
