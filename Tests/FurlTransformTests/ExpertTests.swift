import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlEvaluate
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTokenizer
import Testing

@testable import FurlTransform

/// Experts: how they are calibrated, and which of them go.
@Suite(.serialized) struct ExpertTests {
  /// One for each user: a pool has one caller at a time, and tests run side by side.
  private static var pool: WorkerPool { WorkerPool(threads: 2) }

  private static func write(_ recipe: Recipe, to path: String) throws -> CompressionResult {
    try Compressor(Checkpoint(folder: TestData.minimoe), recipe: recipe).write(to: path, pool: pool)
  }

  private static func details(_ path: String) throws -> JSON {
    guard case .artifact(let weights) = try ModelFile(path: path) else { throw FurlError(.defect, "no artifact") }
    return weights.artifact.description.recipe.details
  }

  /// The KL divergence from minimoe on the beginning of the held-out text.
  private static func divergence(_ path: String) async throws -> Double {
    try await TestData.withTemporaryFolder { folder in
      try TestData.write(
        Array(TestData.bytes(TestData.minimoe + "/validation.txt").prefix(20_000)), to: folder + "/text.txt")
      var suite = try Suite(path: folder + "/text.txt")
      suite.protocol.context = 256
      let context = ComputeContext(pool: pool, kernels: try Kernels())
      let report = try await Evaluator().run(
        suite, on: LoadedModel(path: path, context: context),
        baseline: LoadedModel(path: TestData.minimoe, context: context)
      ).report
      return report.value(.klDivergence) ?? .nan
    }
  }

  // MARK: Calibration

  @Test func othersFillUpWhatAnExpertHasNotSeen() {
    let wanted = ExpertCoverage.rowsPerColumn * 100
    #expect(ExpertCoverage.others(own: wanted, columns: 100, positions: 9999).isEmpty)
    let some = ExpertCoverage.others(own: 0, columns: 100, positions: 9999)
    #expect(some.count == wanted && some.first == 0 && zip(some, some.dropFirst()).allSatisfy { $0 < $1 })
    #expect(some.last.map { $0 < 9999 && $0 > 9900 } == true)
    // There are no more than all.
    #expect(ExpertCoverage.others(own: 3, columns: 100, positions: 40) == Array(0..<40))
  }

  /// So few positions that some experts see none: the artifact is written, the same with every number of threads, and says so.
  @Test(arguments: ["int4, method: gptq", "int4, method: awq"])
  func expertsThatSawNothingAreCalibratedAllTheSame(_ weights: String) throws {
    try TestData.withTemporaryFolder { folder in
      let recipe = try Fixtures.recipe(
        "  - quantize: {weights: \(weights)}\n",
        more: "calibration: {text: \"checkpoint:calibration.txt\", samples: 1, length: 12}\n")
      let result = try Self.write(recipe, to: folder + "/a.furl")
      let seen = try #require(Self.details(folder + "/a.furl")["experts"])
      #expect(seen["positions"]?.integer == 12 && seen["experts"]?.integer == 48 && seen["least_tokens"]?.integer == 0)
      #expect(seen["few"]?.array?.count == 48 && seen["tokens"]?.array?.count == 48)
      let tokens = seen["tokens"]?.array?.compactMap { $0["tokens"]?.integer } ?? []
      #expect(tokens.reduce(0, +) == 6 * 12 * 2)
      #expect(result.notes.contains { $0.contains("48 of 48 experts saw few of the 12 positions") })
      // Routers are as they were.
      guard case .artifact(let weights) = try ModelFile(path: folder + "/a.furl") else { return }
      let routers = weights.artifact.tensors.filter { $0.role == TensorRole.router.rawValue }
      #expect(routers.count == 6 && routers.allSatisfy { $0.scheme == .float32 })
    }
  }

  // MARK: Removal

  private static func pruning(_ settings: String, samples: Int = 40) throws -> Recipe {
    try Fixtures.recipe(
      "  - prune: {groups: [experts], of: groups, sparsity: 0.25\(settings)}\n",
      more: "calibration: {text: \"checkpoint:calibration.txt\", samples: \(samples), length: 256}\n")
  }

  /// Tokens of each expert on the text of the reference, which PyTorch counted, and its scores.
  @Test func scoresEqualTheReference() throws {
    let reference = try JSON.parse(TestData.bytes(TestData.root + "/Tests/Fixtures/minimoe/experts.json"), file: nil)
    let text = String(decoding: try TestData.bytes(TestData.minimoe + "/calibration.txt"), as: UTF8.self)
    let checkpoint = try Checkpoint(folder: TestData.minimoe)
    let ids = try ModelFile.checkpoint(checkpoint).tokenizer().encode(text, bos: .never)
    let sequences = (0..<64).map { Array(ids[$0 * 256..<($0 + 1) * 256]) }
    try TestData.withTemporaryFolder { folder in
      guard case .prune(let step) = try Self.pruning(", choose: frequency").steps[0] else { return }
      let context = ChangeContext(
        sequences: sequences, probes: [], math: DenseMath(pool: Self.pool, kernels: try Kernels.forTransforms()),
        folder: folder
      ) { _, _, _ in }
      let scores = try ExpertPruning(step: step, model: checkpoint, context: context).judge(removing: 2)
      #expect(scores.count == 6)
      for (block, own) in scores.enumerated() {
        let own = try #require(own)
        let counts = reference["counts"]?.array?[block].array?.compactMap(\.integer) ?? []
        let reap = reference["reap"]?.array?[block].array?.compactMap(\.number) ?? []
        #expect(own.tokens.count == 8 && counts.count == 8 && reap.count == 8)
        #expect(zip(own.tokens, counts).allSatisfy { abs($0 - $1) <= max(2, $1 / 500) })
        #expect(zip(own.reap, reap).allSatisfy { abs($0 / $1 - 1) < 0.005 })
        let fewest = counts.indices.sorted { (counts[$0], $0) < (counts[$1], $1) }.prefix(2)
        #expect(own.removed == Array(fewest))
        #expect(own.measured.allSatisfy { $0 > 0 && $0 < 10 })
      }
    }
  }

  /// Two of eight go: at most half of the harm when the others are refitted; chosen by predictions, less than by chance.
  @Test func refittingHalvesTheHarm() async throws {
    try await TestData.withTemporaryFolder { folder in
      var found: [String: Double] = [:]
      for (name, settings) in [
        ("frequency", ", refit: none"), ("refitted", ""), ("predictions", ", choose: predictions, refit: none"),
      ] {
        let path = "\(folder)/\(name).furl"
        let result = try Self.write(Self.pruning(settings), to: path)
        let spec = try ModelFile(path: path).spec
        #expect(spec.blocks.allSatisfy { $0.experts?.count == 6 && $0.experts?.active == 2 })
        #expect(spec.parameterCount == 10_368_000)
        let report = try #require(result.changes.first?["experts"])
        let blocks = report["blocks"]?.array ?? []
        #expect(report["removed_each"]?.integer == 2 && blocks.count == 6)
        let measured = blocks.flatMap { $0["kl_divergence"]?.array?.compactMap(\.number) ?? [] }
        #expect(measured.count == (name == "predictions" ? 48 : 0) && measured.allSatisfy { $0 >= 0 })
        found[name] = try await Self.divergence(path)
      }
      let frequency = try #require(found["frequency"])
      #expect(frequency > 0.05 && frequency < 0.12)
      #expect((found["refitted"] ?? .nan) <= 0.5 * frequency, "\(found)")
      // Two at random: 0.21 (README.md of the reference).
      #expect((found["predictions"] ?? .nan) < 0.2, "\(found)")
    }
  }

  @Test(arguments: [
    ("groups: [experts, heads], sparsity: 0.25", "groups"),
    ("groups: [experts], sparsity: 0.25, choose: lasso", "choose"),
    ("groups: [heads], sparsity: 0.25, choose: reap", "choose"),
    ("groups: [experts], sparsity: 0.25, multiple: 4", "multiple"),
    ("groups: [experts], sparsity: 0.25, refit: bias", "refit"),
    ("groups: [experts], sparsity: 0.25, fit: finetune, train: {text: t, steps: 1}", "fit"),
  ])
  func mistakesAreNamed(_ sample: (settings: String, key: String)) {
    let error = #expect(throws: FurlError.self) {
      _ = try Fixtures.recipe("  - prune: {\(sample.settings)}\n", more: "calibration: {samples: 4, length: 64}\n")
    }
    #expect(error?.description.contains("prune.\(sample.key)") == true, "\(String(describing: error))")
  }

  @Test(arguments: [
    (TestData.minipy, "of: groups, sparsity: 0.25", "has no experts"),
    (TestData.minimoe, "of: groups, sparsity: 0.9", "at most 6 may"),
  ])
  func whatCannotGoIsRefused(_ sample: (folder: String, settings: String, words: String)) throws {
    let recipe = try Fixtures.recipe(
      "  - prune: {groups: [experts], \(sample.settings)}\n", more: "calibration: {samples: 4, length: 64}\n")
    let error = #expect(throws: FurlError.self) {
      _ = try Compressor(Checkpoint(folder: sample.folder), recipe: recipe)
    }
    #expect(error?.description.contains(sample.words) == true, "\(String(describing: error))")
  }
}
