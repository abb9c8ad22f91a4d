@testable import FurlArtifact
@testable import FurlBase
@testable import FurlCheckpoint
@testable import FurlSpec
@testable import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Foundation
import Testing

/// What a sample says of a file, held against the file.
@Suite struct SizePredictionTests {
  /// The largest share of its true size that a prediction is off: of the file, and of a matrix.
  static func check(_ compressor: Compressor, _ sample: SizeSample, in folder: String) throws -> (Double, Double) {
    let prediction = try compressor.predictSize(sample, pool: WorkerPool(threads: 2))
    let path = folder + "/a.furl"
    let result = try compressor.write(to: path, pool: WorkerPool(threads: 2))
    let artifact = try Artifact(path: path)
    #expect(prediction.tensorBytes.count == artifact.tensors.count)
    let off = zip(prediction.tensorBytes, artifact.tensors).filter { $1.shape.count == 2 }.map {
      abs(Double($0 - $1.diskBytes)) / Double($1.diskBytes)
    }
    return (abs(Double(prediction.fileBytes - result.diskBytes)) / Double(result.diskBytes), off.max() ?? 0)
  }

  @Test(arguments: ["int8", "int4", "int4, zero: minimum"], Recipe.Storage.allCases)
  func minipyIsPredicted(_ weights: String, _ storage: Recipe.Storage) throws {
    let recipe = try Fixtures.recipe(
      "  - quantize: {weights: \(weights), embeddings: int8}", more: "storage: \(storage.rawValue)")
    let compressor = try Compressor(Checkpoint(folder: TestData.minipy), recipe: recipe)
    try TestData.withTemporaryFolder { folder in
      // As the command does it: so small a model is read as a whole.
      let (file, tensor) = try Self.check(compressor, SizeSample(), in: folder)
      #expect(file < 0.001 && tensor == 0)
      // About half of its weights: small square matrices are read as a whole.
      let sample = SizeSample(runWeights: 1 << 14, budget: 1, runs: 2...2)
      let weights = try sample.parts(of: compressor.plan, compressor.checkpoint).reduce(0) { $0 + $1.weights }
      #expect(weights < compressor.plan.spec.parameterCount * 3 / 5)
      let small = try Self.check(compressor, sample, in: folder)
      print("minipy \(recipe.storage) \(weights): file off by \(small.0), a tensor by \(small.1)")
      #expect(small.0 < 0.01 && (storage == .compact || small.0 < 0.001))
    }
  }

  /// Models of other families and layouts, with weights whose size changes from row to row.
  @Test(arguments: ["starcoder2-3b", "codegpt", "phi-2"], ["int4", "int8, block: row"])
  func largerModelsArePredicted(_ name: String, _ weights: String) throws {
    let published = try #require(PublishedModel(name: name))
    let sizes: [String: JSON] = [
      "hidden_size": 640, "n_embd": 640, "intermediate_size": 2048, "num_attention_heads": 8, "n_head": 8,
      "num_key_value_heads": 8, "vocab_size": 4000, "num_hidden_layers": 1, "n_layer": 1,
    ]
    let config = try JSON.parse(published.config, file: nil).members ?? []
    let model = PublishedModel(
      name, name, tokenizerCount: 400, special: [0: "<s>"], begin: "<s>", end: "<s>", shards: 1,
      config: Array(JSON.object(config.map { JSON.Member($0.key, sizes[$0.key] ?? $0.value) }).compactText.utf8))
    try TestData.withTemporaryFolder { folder in
      try SyntheticCheckpoint(model).write(to: folder + "/made", pool: WorkerPool(threads: 2))
      let recipe = try Fixtures.recipe("  - quantize: {weights: \(weights)}")
      let compressor = try Compressor(Checkpoint(folder: folder + "/made"), recipe: recipe)
      let sample = SizeSample(runWeights: 1 << 16, budget: 1, runs: 2...2)
      let parts = try sample.parts(of: compressor.plan, compressor.checkpoint)
      // What is stored the other way round is read in columns, unless a row has one scale.
      #expect(parts.contains { $0.columns != nil } == (name == "codegpt" && weights == "int4"))
      #expect(parts.contains { $0.rows != nil })
      let (file, tensor) = try Self.check(compressor, sample, in: folder)
      print("\(name) \(weights): file off by \(file), a tensor by \(tensor)")
      #expect(file < 0.01 && tensor < 0.02)
    }
  }

  @Test func thePredictionIsAlwaysTheSame() throws {
    let compressor = try Compressor(
      Checkpoint(folder: TestData.minipy), recipe: Fixtures.recipe("  - quantize: {weights: int4}"))
    let sample = SizeSample(runWeights: 1 << 13, budget: 1 << 18, runs: 2...8)
    let predictions = try [1, 2, 5].map { try compressor.predictSize(sample, pool: WorkerPool(threads: $0)) }
    #expect(Set(predictions.map(\.fileBytes)).count == 1 && Set(predictions.map(\.tensorBytes)).count == 1)
  }

  @Test func weightsThatCannotBeEncodedAreNamed() throws {
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.tensors["transformer.h.2.mlp.c_fc.weight"]?.values[5] = .nan
      try sample.write(to: folder + "/source")
      let compressor = try Compressor(
        Checkpoint(folder: folder + "/source"), recipe: Fixtures.recipe("  - quantize: {weights: int8}"))
      expectError(.input, "blocks.2.mlp.up", "nan") { _ = try compressor.predictSize(pool: WorkerPool(threads: 2)) }
    }
  }
}
