import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Foundation
import Testing

/// Group lasso while a model is trained.
@Suite struct FinetuneTests {
  private static func prune(_ keys: String = "", groups: String = "[heads, neurons]", multiple: Int = 8) -> String {
    """
      - prune:
          sparsity: 0.4
          groups: \(groups)
          fit: finetune
          multiple: \(multiple)
          train: {text: train.txt, held_out: held-out.txt, steps: 40, batch: 4, length: 24, rate: 0.005}
          \(keys)
    """
  }

  static let families = ["gpt2", "families/llama-scaled", "families/phi-quarter", "families/llama-linear"]

  /// What the target says is gone, widths are multiples, and the artifact runs in its own widths.
  @Test(arguments: families)
  func groupsGo(_ family: String) throws {
    try TestData.withTemporaryFolder { folder in
      // The tiny families know 32 tokens only: their text is made of as many.
      let source = TestData.root + "/Tests/Fixtures/" + family
      try TrainingFixtures.write(to: folder, source: source)
      let spec = try Checkpoint(folder: source).spec
      guard spec.vocabularySize >= 400 else { return try self.groupsGoWithoutText(source, folder) }
      let result = try TrainingFixtures.artifact(Self.prune(), in: folder)
      let pruned = try ArtifactWeights(Artifact(path: folder + "/a.furl")).spec
      let share = 1 - Double(pruned.blockLinearCount) / Double(spec.blockLinearCount)
      #expect(share >= 0.4 && share < 0.5, "\(share)")
      #expect(pruned.blocks.allSatisfy { $0.widths.mlpSize % 8 == 0 })
      let report = try #require(result.changes.first)
      #expect(report["step"]?.string == "prune" && report["train"]?["steps"]?.integer == 40)
      let sparsity = try #require(report["sparsity"]?["blocks"]?.number)
      #expect(abs(sparsity - share) < 1e-9)
      let context = ComputeContext(pool: WorkerPool(threads: 2), kernels: try Kernels())
      let session = try LoadedModel(path: folder + "/a.furl", context: context).session()
      let rows = try session.forward([.init(slot: 0, ids: [5, 9, 3, 7], logits: .all)])
      #expect(rows[0].allSatisfy { session.logits[$0].allSatisfy(\.isFinite) })
    }
  }

  /// The constraint by itself: groups that are gone are zero in every matrix, others are not.
  private func groupsGoWithoutText(_ source: String, _ folder: String) throws {
    let checkpoint = try Checkpoint(folder: source)
    let recipe = try Fixtures.recipe(Self.prune(multiple: 4))
    guard case .prune(let step)? = recipe.steps.first, let finetune = step.finetune else {
      throw FurlError(.defect, "no step")
    }
    let math = DenseMath(pool: WorkerPool(threads: 2), kernels: try Kernels())
    let parameters = try ModelParameters(checkpoint)
    let gradients = try ModelParameters(zeros: checkpoint.spec)
    var draws = SplitMix64(seed: 3)
    let constraint = try GroupLassoConstraint(step, finetune, parameters, gradients, math)
    try constraint.check()
    for index in 0..<finetune.ramp {
      gradients.all.values = (0..<gradients.all.count).map { _ in Float(draws.unit() - 0.5) }
      constraint.apply(step: index, rate: 0.001)
    }
    let kept = constraint.kept
    for (index, block) in checkpoint.spec.blocks.enumerated() {
      for kind in [GroupKind.heads, .neurons] {
        let removable = RemovableGroups(block, of: checkpoint.spec)
        let stay = Set(try #require(kept[index][kind]?.first))
        let reader = parameters["blocks.\(index)." + GroupRemoval.reader(of: kind.group).rawValue]
        let sums = math.columnProducts(reader, reader)
        for (number, columns) in removable.columns(kind).enumerated() {
          let size = columns.reduce(0) { $0 + sums[$1] }
          #expect((size == 0) == !stay.contains(number), "block \(index), group \(number)")
        }
      }
    }
    let removed = try GroupRemoval(model: checkpoint).remove(keeping: kept, folder: folder).spec
    let target = 0.4 * Double(checkpoint.spec.blockLinearCount)
    #expect(Double(checkpoint.spec.blockLinearCount - removed.blockLinearCount) >= target.rounded())
    #expect(constraint.removed == checkpoint.spec.blockLinearCount - removed.blockLinearCount)
  }

  /// A group shrinks by the closed form of the penalty's proximal operator.
  @Test func shrinkingIsTheProximalOperator() throws {
    let checkpoint = try Checkpoint(folder: TestData.root + "/Tests/Fixtures/families/llama-linear")
    let recipe = try Fixtures.recipe(Self.prune("penalty: 2", groups: "[neurons]"))
    guard case .prune(let step)? = recipe.steps.first, let finetune = step.finetune else {
      throw FurlError(.defect, "no step")
    }
    let math = DenseMath(pool: WorkerPool(threads: 1), kernels: try Kernels())
    let (before, parameters) = (try ModelParameters(checkpoint), try ModelParameters(checkpoint))
    let constraint = try GroupLassoConstraint(
      step, finetune, parameters, try ModelParameters(zeros: checkpoint.spec), math)
    constraint.apply(step: 0, rate: 0.01)
    let names = ["gate", "up", "down"].map { "blocks.0.mlp." + $0 }
    for neuron in 0..<checkpoint.spec.blocks[0].widths.mlpSize {
      func numbers(_ model: ModelParameters) -> [Double] {
        (model[names[0]][neuron] + model[names[1]][neuron]
          + (0..<model[names[2]].rows).map { model[names[2]][$0][neuron] }).map(Double.init)
      }
      let old = numbers(before)
      let norm = old.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let factor = max(0, 1 - 0.01 * 2 * Double(old.count).squareRoot() / norm)
      for (a, b) in zip(numbers(parameters), old) { #expect(abs(a - factor * b) <= 1e-6) }
    }
  }

  @Test func bytesDoNotDependOnThreads() throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      let one = try TrainingFixtures.artifact(Self.prune("labels: 0.5"), in: folder, threads: 1).bytes
      #expect(try TrainingFixtures.artifact(Self.prune("labels: 0.5"), in: folder, threads: 2).bytes == one)
    }
  }

  @Test func whatCannotGoIsSaid() throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      var message = ""
      do {
        _ = try TrainingFixtures.artifact(
          Self.prune("limit: 0.1"), in: folder)
      } catch { message = "\(error)" }
      #expect(message.contains("sparsity: 0.4 cannot be reached") && message.contains("raise limit"), "\(message)")
    }
  }
}
