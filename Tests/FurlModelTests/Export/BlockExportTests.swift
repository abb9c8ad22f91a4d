import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// Artifacts whose weights are GGUF's blocks: what a GGUF file holds is what the artifact computes with.
@Suite struct BlockExportTests {
  /// Every weight comes back, decoded by the reader that is held to the `gguf` package.
  @Test(arguments: Scheme.inBlocks)
  func blocksAreTakenOver(_ scheme: Scheme) throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/m.furl"
      try Fixtures.writeArtifact(TestData.minipy, to: path, .init(scheme: scheme))
      let model = try ModelFile(path: path)
      guard case .artifact(let artifact) = model else { return }
      let (_, result) = try ExportFixtures.gguf(ExportedModel(model), in: folder)
      #expect(result.encodedAnew.isEmpty && result.forms[scheme.name] ?? 0 >= 24)
      let copy = try Checkpoint(path: folder + "/x.gguf")
      for name in ["embedding", "blocks.0.attention.query", "blocks.0.attention.value", "blocks.5.mlp.down"] {
        let tensor = try #require(artifact.spec.tensors.first { $0.name == name })
        let matrix = try artifact.matrix(tensor, pool: ExportFixtures.pool)
        #expect(matrix.scheme == scheme)
        let values = try copy.source(name).readAll()
        #expect((0..<matrix.rows).flatMap { matrix.row($0) } == values)
      }
    }
  }
}
