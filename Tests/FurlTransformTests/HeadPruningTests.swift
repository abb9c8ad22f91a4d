import FurlBase
import FurlCheckpoint
@testable import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Testing

/// Heads that are removed for good from attention that is more than queries, keys and values: of latent attention, of slopes
/// and gates, with norms of their own.
@Suite struct HeadPruningTests {
  /// One for each user: a pool has one caller at a time, and tests run side by side.
  private static var pool: WorkerPool { WorkerPool(threads: 2) }
  private static let rms = NormSpec(.rmsNorm, epsilon: 1e-5)

  /// The attention of a block of a small model.
  enum Kind: String, CaseIterable, Sendable { case latent, plainLatent, slopes, gates, elements, ownNorms }

  private static func mixer(_ kind: Kind) -> MixerSpec {
    let rotary = ModelSpec.Rotary(theta: 1e4, dimensions: 4)
    if kind == .latent || kind == .plainLatent {
      var latent = LatentAttentionSpec(
        heads: 5, turnedSize: 4, plainSize: 3, valueSize: kind == .latent ? 6 : 9,
        queryRank: kind == .latent ? 8 : nil, rank: 7, rotary: rotary, norm: rms)
      if kind == .latent { latent.biases = [.queryLatent, .latent, .sharedKey, .attentionOutput] }
      return .latentAttention(latent)
    }
    var attention = AttentionSpec(heads: 6, kvHeads: kind == .slopes ? 6 : 3, headSize: 4, rotary: rotary)
    switch kind {
    case .slopes: (attention.slopeLimit, attention.rotary) = (8, nil)
    case .gates: attention.outputGate = .ofHead
    case .elements: (attention.outputGate, attention.biases) = (.ofElement, [.attentionGate])
    default:
      (attention.queryNorm, attention.keyNorm) = (NormSpec(.layerNorm, epsilon: 1e-5), rms)
      attention.headNorms = .ofEachHead
    }
    return .attention(attention)
  }

  private static func spec(_ kind: Kind) -> ModelSpec {
    let mlp = FeedForwardSpec(size: 12, isGated: true, activation: .silu)
    let block = BlockSpec([mixer(kind), .feedForward(mlp)].map { StageSpec(norm: rms, parts: [PartSpec($0)]) })
    return ModelSpec(
      architecture: "test", vocabularySize: 32, hiddenSize: 16, contextLength: 64, norm: rms, tiedEmbeddings: true,
      blocks: [block, block])
  }

  /// Seeded weights, which lie in a scratch file.
  private static func checkpoint(_ spec: ModelSpec, in folder: String) throws -> Checkpoint {
    var draws = SplitMix64(seed: 5)
    let draft = try ModelDraft(Checkpoint(folder: Fixtures.gpt2), folder: folder)
    for tensor in spec.tensors {
      let middle = tensor.role == .norm ? 1.0 : 0
      let width = tensor.shape.count == 2 ? (3 / Double(tensor.shape[1])).squareRoot() : 0.3
      let values = (0..<tensor.elementCount).map { _ in Float(middle + width * (2 * draws.unit() - 1)) }
      try draft.set(tensor.name, values, shape: tensor.shape)
    }
    return try draft.finish(spec)
  }

  private static func logits(_ model: Checkpoint, _ ids: [Int]) throws -> [Float] {
    let session = try Session(
      LanguageModel(model, pool: pool), context: ComputeContext(pool: pool, kernels: try Kernels()))
    let rows = try session.forward([.init(slot: 0, ids: ids, logits: .all)])
    return rows[0].flatMap { session.logits[$0] }
  }

  /// What reads the heads that go is set to zero; then they go, and every logit stays what it was. Two removals, one after the
  /// other, are as one.
  @Test(arguments: Kind.allCases)
  func removingZerosChangesNothing(_ kind: Kind) throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Self.checkpoint(Self.spec(kind), in: folder)
      let removable = RemovableGroups(source.spec.blocks[0], of: source.spec)
      let all = Array(0..<removable.count(.heads))
      #expect(all.count == [.latent: 5, .plainLatent: 5, .slopes: 6][kind, default: 3])
      // Others of each block.
      let gone = [1, all.count - 2]
      let draft = try ModelDraft(source, folder: folder)
      for (block, head) in gone.enumerated() {
        let stay = removable.columns(.heads, kept: all.filter { $0 != head })
        let name = "blocks.\(block).attention.output"
        let weight = try source.floats(name)
        try draft.set(name, weight.gather(columns: stay).scattered(to: stay, of: weight.columns))
      }
      let zeroed = try draft.finish(source.spec)
      func removed(_ model: Checkpoint, _ heads: [Int?]) throws -> Checkpoint {
        try GroupRemoval(model: model).remove(
          keeping: heads.map { head in KeptGroups(heads: head.map { gone in all.filter { $0 != gone } }) },
          folder: folder)
      }
      let narrow = try removed(zeroed, gone.map { $0 })
      try narrow.spec.validate(file: nil)
      let lost = PruneExtent.matrixWeights(source.spec) - PruneExtent.matrixWeights(narrow.spec)
      #expect(lost == 2 * removable.weights(.heads))
      let ids = (0..<24).map { $0 * 7 % 32 }
      let (own, expected) = (try Self.logits(narrow, ids), try Self.logits(zeroed, ids))
      let size = expected.map { abs($0) }.max() ?? 0
      #expect(own.count == expected.count && zip(own, expected).allSatisfy { abs($0 - $1) <= 2e-5 * size })
      #expect(try zip(own, Self.logits(source, ids)).contains { abs($0 - $1) > 1e-2 * size })
      let steps = try removed(removed(zeroed, [gone[0], nil]), [nil, gone[1]])
      #expect(steps.spec == narrow.spec)
      #expect(try Self.logits(steps, ids) == own)
      // It trains as it is.
      let parameters = try ModelParameters(narrow)
      let pass = try TrainingPass(
        narrow.spec, sequences: 1, length: 24, isTrained: false,
        math: DenseMath(pool: Self.pool, kernels: try Kernels()))
      pass.forward(parameters, ids: ids)
      let embedding = parameters.head.weight
      let trained = (0..<24).flatMap { row in
        (0..<32).map { token in zip(pass.output[row], embedding[token]).reduce(0) { $0 + $1.0 * $1.1 } }
      }
      #expect(zip(trained, own).allSatisfy { abs($0 - $1) <= 2e-5 * size })
    }
  }

  /// A third of the heads by reconstruction: as many as the plan says.
  @Test(arguments: Kind.allCases)
  func reconstruction(_ kind: Kind) throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Self.checkpoint(Self.spec(kind), in: folder)
      let recipe = try Fixtures.recipe(
        "  - prune: {groups: [heads], of: groups, sparsity: 0.34, multiple: 1, allocation: uniform}\n",
        more: "calibration: {samples: 4, length: 64}\n")
      guard case .prune(let step)? = recipe.steps.first else { return }
      let context = ChangeContext(
        sequences: (0..<20).map { row in (0..<40).map { ($0 * $0 + row * 3) % 32 } }, probes: [],
        math: DenseMath(pool: Self.pool, kernels: try Kernels.forTransforms()), folder: folder
      ) { _, _, _ in }
      let changed = try GroupPruning(step: step, model: source, context: context).run()
      let (pruned, report) = (changed.model, changed.report.json)
      try pruned.spec.validate(file: nil)
      let planned = try step.change.estimate(source.spec).spec
      func heads(_ spec: ModelSpec) -> [Int] { spec.blocks.map { $0.latentAttention?.heads ?? $0.widths.heads } }
      #expect(heads(pruned.spec) == heads(planned) && pruned.spec.blockLinearCount == planned.blockLinearCount)
      #expect(heads(pruned.spec).allSatisfy { $0 < heads(source.spec)[0] })
      let latent = report["widths"]?.array?.compactMap { $0["latent_heads"]?.integer } ?? []
      #expect(latent == (source.spec.blocks[0].latentAttention == nil ? [] : heads(pruned.spec)))
      if kind == .slopes {
        let left = pruned.spec.blocks.compactMap(\.attention?.slopeHeads)
        #expect(left.count == 2 && left.allSatisfy { $0.all == 6 && $0.kept.count == 4 })
        #expect(pruned.spec.blocks[0].attention?.slopes?.count == 4)
      }
    }
  }

  /// Six heads have the slopes of every other one of eight first; those that are left keep theirs.
  @Test func headsKeepTheirSlopes() {
    var attention = AttentionSpec(heads: 6, kvHeads: 6, headSize: 4)
    attention.slopeLimit = 8
    let slopes: [Float] = [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125]
    #expect(attention.slopes == slopes)
    attention.heads = 3
    attention.slopeHeads = .init(all: 6, kept: [0, 2, 5])
    #expect(attention.slopes == [slopes[0], slopes[2], slopes[5]])
  }
}
