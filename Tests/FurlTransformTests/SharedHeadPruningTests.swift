import FurlBase
import FurlCheckpoint
@testable import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Testing

/// Heads of blocks that see the same keys and values, which they lose together.
@Suite struct SharedHeadPruningTests {
  private static let sharers = [[2, 4], [3, 5]]

  private static func source() throws -> Checkpoint {
    try Checkpoint(folder: TestData.root + "/Tests/Fixtures/families/gemma4-shared")
  }

  private static func math() throws -> DenseMath {
    DenseMath(pool: WorkerPool(threads: 2), kernels: try Kernels.forTransforms())
  }

  private static let ids = (0..<24).map { $0 * 7 % 32 }

  private static func logits(_ model: Checkpoint) throws -> [Float] {
    let pool = WorkerPool(threads: 2)
    let session = try Session(
      LanguageModel(model, pool: pool), context: ComputeContext(pool: pool, kernels: try Kernels()), format: .float32)
    let rows = try session.forward([.init(slot: 0, ids: ids, logits: .all)])
    return rows[0].flatMap { session.logits[$0] }
  }

  /// What reads a head that goes is zero in all blocks that see its keys; then it goes, and every logit stays what it was.
  @Test(arguments: [0, 1]) func removingZerosChangesNothing(_ gone: Int) throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Self.source()
      #expect(source.spec.keySharers == Self.sharers)
      #expect(try RemovableGroups.sharedHeads(of: source.spec) == Self.sharers)
      let stays = [1 - gone]
      let draft = try ModelDraft(source, folder: folder)
      for block in Self.sharers.joined() {
        let columns = RemovableGroups(source.spec.blocks[block], of: source.spec).columns(.heads, kept: stays)
        let name = "blocks.\(block).attention.output"
        let weight = try source.floats(name)
        try draft.set(name, weight.gather(columns: columns).scattered(to: columns, of: weight.columns))
      }
      let zeroed = try draft.finish(source.spec)
      let kept = (0..<6).map { $0 < 2 ? KeptGroups() : KeptGroups(heads: stays) }
      let narrow = try GroupRemoval(model: zeroed).remove(keeping: kept, folder: folder)
      try narrow.spec.validate(file: nil)
      #expect(narrow.spec.keyBlocks == source.spec.keyBlocks)
      #expect(narrow.spec.blocks.map { $0.widths.kvHeads } == [2, 2, 1, 1, 1, 1])
      let weights = (2..<6).map { RemovableGroups(source.spec.blocks[$0], of: source.spec).weights(.heads) }
      #expect(
        PruneExtent.matrixWeights(source.spec) - PruneExtent.matrixWeights(narrow.spec) == weights.reduce(0, +))
      let (own, expected) = (try Self.logits(narrow), try Self.logits(zeroed))
      let size = expected.map { abs($0) }.max() ?? 0
      #expect(own.count == expected.count && zip(own, expected).allSatisfy { abs($0 - $1) <= 2e-5 * size })
      #expect(try zip(own, Self.logits(source)).contains { abs($0 - $1) > 1e-2 * size })
    }
  }

  /// By reconstruction and while it is trained: as many as the plan says, the same of all that see them.
  @Test(arguments: ["reconstruct", "finetune"]) func blocksLoseTheSameHeads(_ fit: String) throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Self.source()
      let train =
        fit == "finetune"
        ? ", fit: finetune, train: {text: t.txt, steps: 12, batch: 2, length: 16, rate: 1.0e-3}" : ""
      let recipe = try Fixtures.recipe(
        "  - prune: {groups: [heads], of: groups, sparsity: 0.5, multiple: 1\(train)}\n",
        more: fit == "finetune" ? "" : "calibration: {samples: 4, length: 24}\n")
      guard case .prune(let step)? = recipe.steps.first else { return }
      let math = try Self.math()
      let kept: ModelSpec
      if fit == "reconstruct" {
        let context = ChangeContext(
          sequences: (0..<12).map { row in (0..<24).map { ($0 * $0 + row * 3) % 32 } }, probes: [], math: math,
          folder: folder
        ) { _, _, _ in }
        kept = try GroupPruning(step: step, model: source, context: context).prune().model.spec
      } else {
        let (parameters, gradients) = (try ModelParameters(source), try ModelParameters(zeros: source.spec))
        let schedule = try #require(step.finetune)
        let constraint = try GroupLassoConstraint(step, schedule, parameters, gradients, math)
        let pass = try TrainingPass(source.spec, sequences: 1, length: 24, isTrained: true, math: math)
        for index in 0..<schedule.ramp {
          pass.forward(parameters, ids: Self.ids)
          try pass.backward(parameters, gradients: gradients, from: Matrix(copying: pass.output), ids: Self.ids)
          constraint.apply(step: index, rate: 1e-3)
        }
        var spec = source.spec
        for (index, groups) in constraint.kept.enumerated() {
          RemovableGroups(spec.blocks[index], of: spec).remove(keeping: groups, from: &spec.blocks[index])
        }
        kept = spec
      }
      try kept.validate(file: nil)
      #expect(kept.keyBlocks == source.spec.keyBlocks && kept.blockLinearCount < source.spec.blockLinearCount)
      for sharers in Self.sharers {
        let heads = Set(sharers.map { kept.blocks[$0].widths.kvHeads })
        #expect(heads.count == 1, "\(kept.blocks.map { $0.widths.kvHeads })")
      }
    }
  }
}
