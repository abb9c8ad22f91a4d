import FurlSpec
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlTensor
import FurlTestSupport
import Testing

/// Artifacts in schemes that other runtimes have no form for.
@Suite struct LowBitExportTests {
  static let schemes = ["nf4:64:u8", "fp4:64", "int3-minimum:32:u8", "int2:row", "codebook4:128"]

  private func withArtifact(_ name: String, _ body: (String, ExportedModel, ArtifactWeights) throws -> Void) throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/m.furl"
      try Fixtures.writeArtifact(TestData.minipy, to: path, .init(scheme: #require(Scheme(name: name))))
      let model = try ModelFile(path: path)
      guard case .artifact(let artifact) = model else { return }
      try body(folder, ExportedModel(model), artifact)
    }
  }

  private func rows(_ name: String, of artifact: ArtifactWeights) throws -> [Float] {
    let tensor = try #require(artifact.spec.tensors.first { $0.name == name })
    let matrix = try artifact.matrix(tensor, pool: ExportFixtures.pool)
    #expect(matrix.scheme != .float32)
    return (0..<matrix.rows).flatMap { matrix.row($0) }
  }

  /// GGUF: refused with what to do; with a form that is asked for, the decoded weights.
  @Test(arguments: schemes)
  func isDecodedForGGUF(_ scheme: String) throws {
    try withArtifact(scheme) { folder, model, artifact in
      let error = #expect(throws: FurlError.self) { try ExportFixtures.gguf(model, in: folder) }
      for word in ["GGUF has no form for weights in \(scheme)", "--dtype f16"] {
        #expect(error?.description.contains(word) == true, "\(String(describing: error))")
      }
      let (file, result) = try ExportFixtures.gguf(model, .f16, in: folder)
      #expect(result.encodedAnew[scheme] ?? 0 > 0)
      let weights = try rows("blocks.3.mlp.down", of: artifact)
      #expect(try #require(file.tensors["blk.3.ffn_down.weight"]).weights == weights.map { Float(Float16($0)) })
      let (exact, _) = try ExportFixtures.gguf(model, .f32, in: folder)
      #expect(try #require(exact.tensors["blk.3.ffn_down.weight"]).weights == weights)
    }
  }

  /// safetensors: the decoded weights.
  @Test(arguments: schemes)
  func isDecodedForSafetensors(_ scheme: String) throws {
    try withArtifact(scheme) { folder, model, artifact in
      var source = try SampleSource(folder + "/m.furl")
      source.tokens = nil
      source.config = try Checkpoint(folder: TestData.minipy).config
      let export = try SafetensorsExport(numbers: .f32, shardBytes: .max)
      _ = try export.write(source, to: folder + "/x", pool: ExportFixtures.pool)
      let copy = try Checkpoint(folder: folder + "/x")
      for name in ["embedding", "blocks.0.attention.query", "blocks.5.mlp.up"] {
        let expected = try rows(name, of: artifact)
        let read = try copy.source(name).readAll()
        #expect(read == expected)
      }
    }
  }
}
