import FurlBase
import FurlCheckpoint
import FurlModel
@testable import FurlNumerics
import FurlSpec
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Testing

/// What errors of outputs do to predictions, and how far that is believed.
@Suite struct OutputSketchTests {
  private static func compressor(_ calibration: String, quantize: String = "weights: int4, method: two-sided") throws
    -> (Compressor, CalibrationSample)
  {
    let recipe = try Fixtures.recipe(
      "  - quantize: {\(quantize)}", more: "calibration: {text: 'checkpoint:calibration.txt', \(calibration)}\n")
    let checkpoint = try Checkpoint(folder: TestData.minipy)
    let compressor = try Compressor(checkpoint, recipe: recipe)
    let settings = try #require(recipe.calibration)
    return (compressor, try CalibrationSample(settings, for: checkpoint, tokenizer: compressor.tokenizer()))
  }

  private static func sketch(_ compressor: Compressor, _ sample: CalibrationSample, threads: Int = 2) throws
    -> OutputSketch
  {
    let math = DenseMath(pool: WorkerPool(threads: threads), kernels: try Kernels.forTransforms())
    return try OutputSketch(compressor.plan, of: compressor.checkpoint, on: sample, math: math)
  }

  /// Labels drawn with the same numbers, and gradients in double precision, by transformers.
  @Test func momentsAreThoseOfPyTorch() throws {
    let path = TestData.root + "/Tests/Fixtures/calibration/sketch.json"
    let json = try JSON.parse(TestData.bytes(path), file: path)
    let (compressor, sample) = try Self.compressor("samples: 3, length: 24, seed: 5")
    #expect(sample.sequences == json["sequences"]?.array?.map { ($0.array ?? []).map { $0.integer ?? -1 } })
    let sketch = try Self.sketch(compressor, sample)
    func compare(_ moments: SecondMoments?, _ expected: JSON?, _ name: String) throws {
      let means = try #require(moments?.means)
      let count = Double(try #require(moments).count)
      let trace = try #require(expected?["trace"]?.number)
      let own = means.indices.reduce(0) { $0 + Double(means[$1][$1]) * count }
      #expect(abs(own - trace) <= 1e-3 * trace, "\(name): \(own) instead of \(trace)")
      let corner = (expected?["corner"]?.array ?? []).map { $0.number ?? .nan }
      try #require(corner.count == 36)
      let size = (0..<6).reduce(0) { max($0, corner[$1 * 7]) }
      for (index, value) in corner.enumerated() {
        let own = Double(means[index / 6][index % 6]) * count
        #expect(abs(own - value) <= 1e-3 * size, "\(name) \(index): \(own) instead of \(value)")
      }
    }
    for name in ["blocks.0.attention.value", "blocks.2.mlp.up", "blocks.5.mlp.down"] {
      try compare(sketch.outputs[name], json["outputs"]?[name], name)
    }
    // Two sets of rows are counted: those of the head and those of the embedding.
    try compare(sketch.embedding, json["embedding"], "embedding")
    for member in json["shares"]?.members ?? [] {
      let (token, share) = (Int(member.key) ?? 0, member.value.number ?? 0)
      #expect(abs(sketch.rowShares[token] - share) <= 1e-3 * share, "\(token): \(sketch.rowShares[token])")
    }
  }

  @Test func threadsDoNotMatter() throws {
    let (compressor, sample) = try Self.compressor("samples: 4, length: 32")
    let sketches = try [1, 2, 7].map { try Self.sketch(compressor, sample, threads: $0) }
    for other in sketches.dropFirst() {
      #expect(other.rowShares == sketches[0].rowShares && other.embedding?.means == sketches[0].embedding?.means)
      for name in ["blocks.0.mlp.up", "blocks.3.attention.query"] {
        #expect(other.outputs[name]?.means == sketches[0].outputs[name]?.means)
      }
    }
  }

  /// The same bytes for any number of threads, and of a shrinkage of 1 in the blocks those of `method: gptq`.
  @Test func artifactsDoNotDependOnThreads() throws {
    let (compressor, _) = try Self.compressor("samples: 6, length: 32", quantize: "weights: int3, method: two-sided")
    let (columns, _) = try Self.compressor("samples: 6, length: 32", quantize: "weights: int3, method: gptq")
    let (alone, _) = try Self.compressor(
      "samples: 6, length: 32", quantize: "weights: int3, method: two-sided, shrinkage: 1")
    try TestData.withTemporaryFolder { folder in
      var ids: Set<String> = []
      for threads in [1, 2, 7] {
        let result = try compressor.write(to: folder + "/\(threads).furl", pool: WorkerPool(threads: threads))
        ids.insert(result.identifier)
      }
      #expect(ids.count == 1)
      let pool = WorkerPool(threads: 2)
      _ = try columns.write(to: folder + "/gptq.furl", pool: pool)
      _ = try alone.write(to: folder + "/alone.furl", pool: pool)
      let (gptq, one) = (try Fixtures.decoded(folder + "/gptq.furl"), try Fixtures.decoded(folder + "/alone.furl"))
      #expect(gptq == one)
    }
  }
}
