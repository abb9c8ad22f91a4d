import FurlArtifact
import FurlBase
@testable import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

@Suite struct SensitivityProbeTests {
  /// A probe with the model's own vectors.
  private static func probe(_ model: NaiveModel) throws -> SensitivityProbe {
    let vectors = model.spec.tensors.filter { $0.shape.count == 1 }.map(\.name)
    return try SensitivityProbe(
      model.spec, matrices: model.matrices,
      vectors: Dictionary(uniqueKeysWithValues: vectors.map { ($0, try #require(try model.vector($0))) }),
      sequences: [[3, 1, 4, 1, 5, 9, 2, 6], [5, 3, 5, 8]],
      context: ComputeContext(pool: WorkerPool(threads: 1), kernels: Kernels.forTransforms()))
  }

  /// What was replaced once is back afterwards, also where blocks look tokens up in the embedding, and whatever is asked next.
  @Test(arguments: ["gemma4", "gemma4_experts", "qwen3", "mixed"])
  func replacementsLast(_ name: String) throws {
    let model = try NaiveModel(#require(StageSpecs.named(name)), seed: 3)
    let other = try NaiveModel(model.spec, seed: 4)
    let probe = try Self.probe(model)
    #expect(try probe.divergence(replacing: model.matrices) == 0)
    for tensor in model.spec.tensors {
      let moved: Double
      if let matrix = other.matrices[tensor.name] {
        moved = try probe.divergence(replacing: [tensor.name: matrix])
      } else {
        moved = try probe.divergence(replacing: [:], vectors: [tensor.name: #require(try other.vector(tensor.name))])
      }
      // A choice that stays the same moves nothing.
      #expect(moved > 0 || tensor.role == .routerChoice, "\(tensor.name)")
      let last = try #require(model.matrices["blocks.1.attention.output"])
      #expect(try probe.divergence(replacing: ["blocks.1.attention.output": last]) == 0, "behind \(tensor.name)")
    }
  }

  /// Factors of experts were said to be of another role once.
  @Test func rolesOfBeforeAreKnown() throws {
    try TestData.withTemporaryFolder { folder in
      let model = try NaiveModel(#require(StageSpecs.named("gemma4_experts")), seed: 1)
      try model.write(to: folder + "/a.furl") { $0 == .routerFactors ? "mlp.router.choice" : $0.rawValue }
      let weights = try ArtifactWeights(Artifact(path: folder + "/a.furl"))
      #expect(weights.spec.tensors.contains { $0.role == .routerFactors })
      try model.write(to: folder + "/b.furl") { $0 == .routerFactors ? "mlp.router" : $0.rawValue }
      let error = #expect(throws: FurlError.self) { try ArtifactWeights(Artifact(path: folder + "/b.furl")) }
      #expect(error?.problem.contains("the model needs a mlp.router.factors") == true)
    }
  }
}
