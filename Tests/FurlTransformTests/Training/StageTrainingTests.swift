import FurlBase
import FurlCheckpoint
@testable import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Testing

/// Training of models whose blocks are more than attention and an MLP of one kind.
@Suite struct StageTrainingTests {
  // MARK: Models

  private static let rms = NormSpec(.rmsNorm, epsilon: 0.01)

  /// A block with norms over whole rows and behind parts, and one with sinks and experts.
  private static func spec(vocabulary: Int, wholeRows norm: NormSpec = rms) -> ModelSpec {
    var first = AttentionSpec(heads: 4, kvHeads: 4, headSize: 4, rotary: .init(theta: 1e4, dimensions: 4))
    (first.queryNorm, first.keyNorm, first.headNorms) = (norm, norm, .ofRow)
    var second = AttentionSpec(heads: 4, kvHeads: 2, headSize: 4, window: 9)
    second.hasSinks = true
    second.softCap = 5
    let mlp = FeedForwardSpec(size: 24, isGated: true, activation: .silu)
    var experts = ExpertsSpec(
      count: 4, active: 2, expert: FeedForwardSpec(size: 8, isGated: true, activation: .silu), shared: mlp,
      scoring: .sigmoid)
    experts.routerHasChoiceBias = true
    var spec = ModelSpec(
      architecture: "test", vocabularySize: vocabulary, hiddenSize: 16, contextLength: 64, norm: rms,
      tiedEmbeddings: true,
      blocks: [
        BlockSpec([
          StageSpec(norm: nil, parts: [PartSpec(.attention(first), outputNorm: rms)]),
          StageSpec(norm: rms, parts: [PartSpec(.feedForward(mlp), factor: 0.5)]),
        ]),
        BlockSpec([
          StageSpec(norm: rms, parts: [PartSpec(.attention(second))]),
          StageSpec(norm: rms, parts: [PartSpec(.experts(experts))], isBeside: true),
        ]),
      ])
    spec.logitSoftCap = 20
    return spec
  }

  /// A block of latent attention, and one of slopes, gates and norms of each head with experts that SparseMixer chooses behind
  /// a cap.
  private static func specOfMore(vocabulary: Int) -> ModelSpec {
    let latent = LatentAttentionSpec(
      heads: 3, turnedSize: 4, plainSize: 3, valueSize: 5, queryRank: 7, rank: 6,
      rotary: .init(theta: 1e4, dimensions: 4), norm: rms)
    var second = AttentionSpec(heads: 4, kvHeads: 2, headSize: 4)
    (second.slopeLimit, second.outputGate, second.headNorms) = (8, .ofElement, .ofEachHead)
    (second.queryNorm, second.keyNorm) = (rms, rms)
    let mlp = FeedForwardSpec(size: 24, isGated: true, activation: .silu)
    var experts = ExpertsSpec(
      count: 4, active: 2, expert: FeedForwardSpec(size: 8, isGated: true, activation: .silu), scoring: .sparseMixer)
    (experts.jitter, experts.routerSoftCap) = (0.4, 2)
    return ModelSpec(
      architecture: "test", vocabularySize: vocabulary, hiddenSize: 16, contextLength: 64, norm: rms,
      tiedEmbeddings: true,
      blocks: [
        [MixerSpec.latentAttention(latent), .feedForward(mlp)], [.attention(second), .experts(experts)],
      ].map { BlockSpec($0.map { StageSpec(norm: rms, parts: [PartSpec($0)]) }) })
  }

  /// A checkpoint of seeded weights, which lies in a scratch file.
  private static func checkpoint(_ spec: ModelSpec, seed: UInt64 = 1, in folder: String) throws -> Checkpoint {
    var draws = SplitMix64(seed: seed)
    let parameters = try ModelParameters(zeros: spec)
    for tensor in spec.tensors {
      let middle = tensor.role == .norm ? 1.0 : 0
      let width = tensor.shape.count == 2 ? (3 / Double(tensor.shape[1])).squareRoot() : 0.3
      parameters[tensor.name].values = (0..<tensor.elementCount).map { _ in
        Float(middle + width * (2 * draws.unit() - 1))
      }
    }
    return try checkpoint(parameters, in: folder)
  }

  private static func checkpoint(_ parameters: ModelParameters, in folder: String) throws -> Checkpoint {
    let draft = try ModelDraft(Checkpoint(folder: Fixtures.gpt2), folder: folder)
    for tensor in parameters.tensors {
      try draft.set(tensor.name, parameters[tensor.name].values, shape: tensor.shape)
    }
    return try draft.finish(parameters.spec)
  }

  private static func math(threads: Int = 2) throws -> DenseMath {
    DenseMath(pool: WorkerPool(threads: threads), kernels: try Kernels())
  }

  // MARK: Steps

  /// Experts, sinks and norms of queries and keys learn, and the bias of the choice of experts stays; with a low rank the
  /// linear layers alone change, those of experts among them.
  @Test(arguments: [nil, 2] as [Int?], [false, true])
  func everythingThatHasAGradientLearns(rank: Int?, ofMore: Bool) throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      let source = try Checkpoint(folder: folder + "/model")
      let recipe = try TrainingFixtures.recipe(
        "  - heal: {labels: 0.5, train: {text: train.txt, steps: 25, batch: 4, length: 24, rate: 0.01}}", in: folder)
      let settings = try #require(TrainingFixtures.healStep(recipe)).train
      let text = try TrainingText(
        settings, checkpointFolder: source.folder, tokenizer: ModelFile.checkpoint(source).tokenizer(),
        rows: source.spec.vocabularySize)
      let rows = source.spec.vocabularySize
      let spec = ofMore ? Self.specOfMore(vocabulary: rows) : Self.spec(vocabulary: rows)
      let model = try Self.checkpoint(spec, in: folder)
      let teacher = try Self.checkpoint(spec, seed: 2, in: folder)
      func trained(threads: Int) throws -> Trainer {
        let trainer = try Trainer(
          settings, .init(labels: 0.5, hidden: 0.1), parameters: ModelParameters(model),
          teacher: ModelParameters(teacher), part: TrainedPart(rank: rank), text: text,
          math: Self.math(threads: threads))
        try trainer.run()
        return trainer
      }
      let trainer = try trained(threads: 1)
      let losses = trainer.losses
      // Batches differ: the last of them together say where the loss has come to.
      #expect(losses.suffix(5).reduce(0, +) / 5 < 0.9 * losses[0], "\(losses)")
      let before = try ModelParameters(model)
      for tensor in spec.tensors {
        let isSame = trainer.parameters[tensor.name].values == before[tensor.name].values
        let learns = rank == nil ? tensor.role != .routerChoice : tensor.role.isBlockLinear
        #expect(isSame == !learns, "\(tensor.name)")
      }
      #expect(try trained(threads: 2).parameters.all.values == trainer.parameters.all.values)
    }
  }

  private static func pruneStep(_ groups: String, multiple: Int) throws -> (PruneStep, PruneStep.Finetune) {
    let recipe = try Fixtures.recipe(
      """
        - prune:
            sparsity: 0.45
            limit: 0.5
            of: groups
            groups: \(groups)
            fit: finetune
            multiple: \(multiple)
            train: {text: train.txt, steps: 40, batch: 4, length: 24, rate: 0.005}
      """)
    guard case .prune(let step)? = recipe.steps.first, let finetune = step.finetune else {
      throw FurlError(.defect, "no step")
    }
    return (step, finetune)
  }

  /// Where groups are zero, the model without them computes what it did: sinks go with their heads, norms over whole rows
  /// count fewer numbers, and neurons of experts go from each of them, as many from all.
  @Test func groupsThatAreZeroGoWithoutATrace() throws {
    try TestData.withTemporaryFolder { folder in
      let model = try Self.checkpoint(Self.spec(vocabulary: 32), in: folder)
      let math = try Self.math()
      let (step, finetune) = try Self.pruneStep("[heads, neurons]", multiple: 4)
      let parameters = try ModelParameters(model)
      let gradients = try ModelParameters(zeros: model.spec)
      let constraint = try GroupLassoConstraint(step, finetune, parameters, gradients, math)
      try constraint.check()
      var draws = SplitMix64(seed: 3)
      for index in 0..<finetune.ramp {
        gradients.all.values = (0..<gradients.all.count).map { _ in Float(draws.unit() - 0.5) }
        constraint.apply(step: index, rate: 0.001)
      }
      let kept = constraint.kept
      #expect(kept.count == 2 && kept[1].neurons == nil && kept[0].experts == nil)
      // A head of each block is gone, and neurons of all MLPs, of experts others of each.
      #expect(try #require(kept[0].heads).count < 4 && #require(kept[1].heads).count < 2)
      #expect(try #require(kept[0].neurons).count < 24 && #require(kept[1].shared).count < 24)
      let experts = try #require(kept[1].experts)
      #expect(experts.count == 4 && experts.allSatisfy { $0.count == 4 } && Set(experts).count > 1)
      let trained = try Self.checkpoint(parameters, in: folder)
      let pruned = try GroupRemoval(model: trained).remove(keeping: kept, folder: folder)
      #expect(pruned.spec.blockLinearCount == model.spec.blockLinearCount - constraint.removed)
      try pruned.spec.validate(file: nil)
      #expect(pruned.spec.blocks[1].experts?.expert.size == 4)
      let ids = (0..<24).map { $0 * 7 % 32 }
      func output(_ parameters: ModelParameters) throws -> [Float] {
        let pass = try TrainingPass(parameters.spec, sequences: 1, length: 24, isTrained: false, math: math)
        pass.forward(parameters, ids: ids)
        return pass.output.values
      }
      let (before, after) = (try output(parameters), try output(ModelParameters(pruned)))
      let size = before.map { abs($0) }.max() ?? 0
      for (a, b) in zip(before, after) { #expect(abs(a - b) <= 1e-5 * size, "\(a), \(b)") }
    }
  }

  /// The mean of a LayerNorm over all heads would be another one without some.
  @Test func headsOfSharedLayerNormsAreRefused() throws {
    let spec = Self.spec(vocabulary: 32, wholeRows: NormSpec(.layerNorm, epsilon: 0.01))
    let (parameters, gradients) = (try ModelParameters(zeros: spec), try ModelParameters(zeros: spec))
    let (step, finetune) = try Self.pruneStep("[heads]", multiple: 4)
    let error = #expect(throws: FurlError.self) {
      try GroupLassoConstraint(step, finetune, parameters, gradients, Self.math())
    }
    #expect("\(try #require(error))".contains("name neurons alone"))
    let (other, schedule) = try Self.pruneStep("[neurons]", multiple: 4)
    _ = try GroupLassoConstraint(other, schedule, parameters, gradients, Self.math())
  }
}
