import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Testing

/// Neurons of experts that are removed for good: each expert loses its own, and all of a block as many.
@Suite struct ExpertNeuronTests {
  /// One for each user: a pool has one caller at a time, and tests run side by side.
  private static var pool: WorkerPool { WorkerPool(threads: 2) }

  private static func fixture(_ family: String) throws -> Checkpoint {
    try Checkpoint(folder: TestData.root + "/Tests/Fixtures/families/" + family)
  }

  private static func logits(_ model: Checkpoint, _ ids: [Int]) throws -> [Float] {
    let session = try Session(
      LanguageModel(model, pool: pool), context: ComputeContext(pool: pool, kernels: try Kernels()))
    let rows = try session.forward([.init(slot: 0, ids: ids, logits: .all)])
    return rows[0].flatMap { session.logits[$0] }
  }

  /// Some of every MLP, others of each expert.
  private static func kept(_ spec: ModelSpec) -> [KeptGroups] {
    spec.blocks.enumerated().map { index, block in
      var kept = KeptGroups()
      let removable = RemovableGroups(block, of: spec)
      for kind in [GroupKind.neurons, .expertNeurons, .sharedNeurons] where removable.count(kind) > 0 {
        kept[kind] = (0..<removable.pools(kind)).map { pool in
          (0..<removable.count(kind)).filter { $0 != (pool + index) % removable.count(kind) }
        }
      }
      return kept
    }
  }

  /// What reads the neurons that go is set to zero; then they go, and every logit stays what it was: with biases, gates that
  /// are cut off, shared experts, dense blocks beside sparse ones.
  @Test(arguments: ["gpt_oss", "granitemoe", "qwen3_moe", "deepseek-v2-groups", "deepseek-v3", "laguna"])
  func removingZerosChangesNothing(_ family: String) throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Self.fixture(family)
      let kept = Self.kept(source.spec)
      let draft = try ModelDraft(source, folder: folder)
      for (index, block) in source.spec.blocks.enumerated() {
        for layers in GroupKind.allCases.flatMap({ block.groupLayers($0, hidden: source.spec.hiddenSize) }) {
          guard let stay = kept[index][layers] else { continue }
          let name = "blocks.\(index)." + layers.reader.name
          let weight = try source.floats(name)
          try draft.set(name, weight.gather(columns: stay).scattered(to: stay, of: weight.columns))
        }
      }
      let zeroed = try draft.finish(source.spec)
      let removed = try GroupRemoval(model: zeroed).remove(keeping: kept, folder: folder)
      try removed.spec.validate(file: nil)
      for (before, after) in zip(source.spec.blocks, removed.spec.blocks) {
        #expect(after.experts?.expert.size == before.experts.map { $0.expert.size - 1 })
        #expect(after.experts?.shared?.size == before.experts?.shared.map { $0.size - 1 })
        #expect(after.feedForward?.size == before.feedForward.map { $0.size - 1 })
      }
      let gone = PruneExtent.matrixWeights(source.spec) - PruneExtent.matrixWeights(removed.spec)
      let counted = source.spec.blocks.reduce(0) { sum, block in
        let removable = RemovableGroups(block, of: source.spec)
        let kinds = [GroupKind.neurons, .expertNeurons, .sharedNeurons].filter { removable.count($0) > 0 }
        return sum + kinds.reduce(0) { $0 + removable.weights($1) }
      }
      #expect(gone == counted)
      let ids = (0..<24).map { $0 * 7 % source.spec.vocabularySize }
      let (own, expected) = (try Self.logits(removed, ids), try Self.logits(zeroed, ids))
      let size = expected.map { abs($0) }.max() ?? 0
      #expect(own.count == expected.count && zip(own, expected).allSatisfy { abs($0 - $1) <= 1e-4 * size })
      // Their outputs are felt.
      #expect(try zip(own, Self.logits(source, ids)).contains { abs($0 - $1) > 1e-3 * size })
    }
  }

  // MARK: By reconstruction

  private static func step(_ settings: String) throws -> PruneStep {
    let recipe = try Fixtures.recipe(
      "  - prune: {groups: [neurons], of: groups, multiple: 1, \(settings)}\n",
      more: "calibration: {samples: 4, length: 64}\n")
    guard case .prune(let step)? = recipe.steps.first else { throw FurlError(.defect, "no step") }
    return step
  }

  private static func context(_ spec: ModelSpec, sequences: Int, length: Int, folder: String) throws -> ChangeContext {
    var draws = SplitMix64(seed: 11)
    let ids = (0..<2 * sequences).map { _ in
      (0..<length).map { _ in Int(draws.next() % UInt64(spec.vocabularySize)) }
    }
    return ChangeContext(
      sequences: Array(ids.prefix(sequences)), probes: Array(ids.suffix(sequences)),
      math: DenseMath(pool: pool, kernels: try Kernels.forTransforms()), folder: folder
    ) { _, _, _ in }
  }

  /// All ways to choose, on experts with a shared one, a dense block and latent attention: as many neurons of each expert go
  /// as the plan says, each expert its own, and what reads them gets a bias that makes up for their mean.
  @Test(arguments: [
    "choose: lasso", "choose: variance", "choose: wanda", "choose: magnitude", "choose: random, seed: 3",
    "allocation: measured", "refit: bias",
  ])
  func everyChoiceTakesAsManyOfEachExpert(_ settings: String) throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Self.fixture("deepseek-v3")
      let step = try Self.step(
        "sparsity: 0.3, \(settings)" + (settings.contains("allocation") ? "" : ", allocation: uniform"))
      let context = try Self.context(source.spec, sequences: 12, length: 40, folder: folder)
      let changed = try GroupPruning(step: step, model: source, context: context).run()
      let (pruned, report) = (changed.model, changed.report.json)
      let spec = pruned.spec
      try spec.validate(file: nil)
      let widths = try #require(report["widths"]?.array)
      #expect(widths.count == 2 && widths[0]["expert_size"] == nil)
      let experts = try #require(spec.blocks[1].experts)
      #expect(widths[1]["expert_size"]?.integer == experts.expert.size)
      #expect(widths[1]["shared_size"]?.integer == experts.shared?.size)
      #expect(experts.count == 6 && experts.expert.biases == [.down] && experts.shared?.biases == [.down])
      if !settings.contains("allocation") {
        #expect(try spec == step.change.estimate(source.spec).spec)
        #expect(experts.expert.size == 6 && experts.shared?.size == 6 && spec.blocks[0].feedForward?.size == 14)
      }
      // What experts have seen.
      let seen = try #require(report["experts"])
      #expect(seen["experts"]?.integer == 6 && seen["positions"]?.integer == 480)
      let tokens = seen["tokens"]?.array?.compactMap { $0["tokens"]?.integer } ?? []
      #expect(tokens.count == 6 && tokens.reduce(0, +) == 960)
      for tensor in spec.tensors where tensor.name.hasSuffix("down.bias") {
        #expect(try pruned.source(tensor.name).readAll().contains { $0 != 0 }, "\(tensor.name)")
      }
    }
  }

  /// Least squares over the rows of each expert make up for most of what a bias alone leaves.
  @Test func refittingMakesUpForWhatGoes() throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Self.fixture("deepseek-v3")
      let context = try Self.context(source.spec, sequences: 60, length: 40, folder: folder)
      let ids = context.probes[0]
      let expected = try Self.logits(source, ids)
      func error(_ settings: String) throws -> Double {
        let step = try Self.step("sparsity: 0.4, allocation: uniform, choose: magnitude, " + settings)
        let pruned = try GroupPruning(step: step, model: source, context: context).run().model
        return try zip(Self.logits(pruned, ids), expected).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
      }
      let (squares, none) = (try error("refit: squares"), try error("refit: none"))
      #expect(squares < 0.6 * none, "\(squares), \(none)")
    }
  }

  // MARK: From a recipe

  /// Prune and quantize a mixture: widths are multiples, the share is what was asked for, the plan knows it, and threads
  /// change no byte.
  @Test func pruneThenQuantize() throws {
    try TestData.withTemporaryFolder { folder in
      let checkpoint = try Checkpoint(folder: TestData.minimoe)
      let recipe = try Fixtures.recipe(
        "  - prune: {groups: [neurons], of: groups, sparsity: 0.25}\n  - quantize: {weights: int4, method: gptq}\n",
        more: "calibration: {text: \"checkpoint:calibration.txt\", samples: 4, length: 64}\n")
      var bytes: [[UInt8]] = []
      for threads in [1, 2] {
        let path = folder + "/\(threads).furl"
        let result = try Compressor(checkpoint, recipe: recipe).write(to: path, pool: WorkerPool(threads: threads))
        bytes.append(try MappedFile(path: path).readAll(limit: 1 << 26))
        #expect(result.changes.first?["experts"]?["experts"]?.integer == 48)
      }
      #expect(bytes[0] == bytes[1])
      let spec = try ModelFile(path: folder + "/1.furl").spec
      let sizes = spec.blocks.compactMap(\.experts?.expert.size)
      #expect(sizes.count == 6 && sizes.reduce(0, +) == 6 * 192 && sizes.allSatisfy { $0 % 16 == 0 })
      guard case .prune(let step)? = recipe.steps.first else { return }
      let planned = try step.change.estimate(checkpoint.spec).spec
      #expect(planned.blocks.map(\.experts?.expert.size) == Array(repeating: 192, count: 6))
      #expect(planned.blockLinearCount == checkpoint.spec.blockLinearCount - 6 * 8 * 64 * 3 * 256)
    }
  }
}
