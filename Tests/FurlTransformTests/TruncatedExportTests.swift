import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTransform
import Testing

/// Exports of models that transforms have changed say what the model is now.
@Suite struct TruncatedExportTests {
  @Test func configurationHasFewerLayers() throws {
    try TestData.withTemporaryFolder { folder in
      let pool = WorkerPool(threads: 2)
      let recipe = try Fixtures.recipe("  - truncate: {blocks: [0]}\n")
      _ = try Compressor(Checkpoint(folder: TestData.minipy), recipe: recipe).write(to: folder + "/m.furl", pool: pool)
      let model = ExportedModel(try ModelFile(path: folder + "/m.furl"))
      _ = try SafetensorsExport(numbers: .f32, shardBytes: .max).write(model, to: folder + "/x", pool: pool)
      let (copy, source) = (try Checkpoint(folder: folder + "/x"), try Checkpoint(folder: TestData.minipy))
      #expect(copy.config["n_layer"] == 5)
      #expect(copy.spec == model.spec)
      #expect(
        try copy.source("blocks.0.mlp.up").readAll() == source.source("blocks.1.mlp.up").readAll())
      for key in ["n_embd", "n_head", "n_inner", "vocab_size", "bos_token_id"] {
        #expect(copy.config[key] == source.config[key], "\(key)")
      }
    }
  }

  /// Which layers have a window is said layer by layer, and the first ones go.
  @Test func layerTypesAreCutAsWell() throws {
    try TestData.withTemporaryFolder { folder in
      let pool = WorkerPool(threads: 2)
      let checkpoint = try Checkpoint(folder: TestData.root + "/Tests/Fixtures/families/qwen2-some-windows")
      let windows = checkpoint.spec.blocks.map(\.widths.window)
      try #require(Set(windows).count == 2)
      let gone = 0
      var source = Truncated(checkpoint: checkpoint, spec: checkpoint.spec)
      source.spec.blocks.remove(at: gone)
      _ = try SafetensorsExport(numbers: .f32, shardBytes: .max).write(source, to: folder + "/x", pool: pool)
      let copy = try Checkpoint(folder: folder + "/x")
      #expect(copy.spec == source.spec)
      #expect(copy.config["num_hidden_layers"]?.integer == windows.count - 1)
      let words = windows.enumerated().filter { $0.offset != gone }.map {
        $0.element == nil ? "full_attention" : "sliding_attention"
      }
      #expect(copy.config["layer_types"]?.array?.compactMap(\.string) == words)
    }
  }

  /// The first blocks' weights serve for any: only the configuration is looked at.
  private struct Truncated: ExportSource {
    let checkpoint: Checkpoint
    var spec: ModelSpec
    var path: String { checkpoint.path }
    var name: String { "truncated" }
    var config: JSON { checkpoint.config }
    func numbers(of tensor: TensorSpec) throws -> StoredNumbers { .plain(.float32) }
    func fold(of tensor: TensorSpec) throws -> WeightSource.Fold { .none }
    func weights(of tensor: TensorSpec, pool: WorkerPool) throws -> ExportedWeights {
      .source(try checkpoint.source(tensor.name))
    }
    var files: [MappedFile] { [] }
    func dropPages() {}
    func sideFiles() throws -> [SideFile] { [] }
    func papers() throws -> ModelPapers { ModelPapers() }
    func vocabulary() throws -> ExportedVocabulary { throw FurlError(.defect, "is not asked for") }
  }

  @Test func widthsThatNoConfigurationHas() throws {
    try TestData.withTemporaryFolder { folder in
      let checkpoint = try Checkpoint(folder: Fixtures.gpt2)
      var source = Truncated(checkpoint: checkpoint, spec: checkpoint.spec)
      source.spec.blocks[1].widths.mlpSize += 16
      expectError(.input, "blocks of different widths") {
        _ = try SafetensorsExport(numbers: .f32, shardBytes: .max)
          .write(source, to: folder + "/x", pool: WorkerPool(threads: 1))
      }
      source.spec = checkpoint.spec
      for block in source.spec.blocks.indices {
        source.spec.blocks[block].widths.headSize *= 2
      }
      // GPT-2's heads are as wide as its hidden size divided by their number.
      expectError(.input, "gpt2 config.json can describe") {
        _ = try SafetensorsExport(numbers: .f32, shardBytes: .max)
          .write(source, to: folder + "/x", pool: WorkerPool(threads: 1))
      }
    }
  }
}
