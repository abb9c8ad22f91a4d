import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// The steps of a recipe that change a model's shape or its FP32 weights, one after the other. What they make is a
/// checkpoint like any other to the steps behind them.
struct ModelChanges {
  /// What the recipe began with, which trainings imitate.
  let source: Checkpoint
  /// What models read, where they read anything.
  let sample: CalibrationSample?
  let pool: WorkerPool
  /// For what is written on the way: the folder of the output.
  let folder: String
  /// Where trainings save themselves to and go on from; nil: nowhere.
  let stateFolder: String?
  /// (what is done, blocks done, blocks).
  let progress: (String, Int, Int) -> Void

  /// What a list of steps has made.
  struct ChangedModel {
    var model: Checkpoint
    /// For each step what an artifact says about it.
    var reports: [JSON] = []
    /// The same text as before, in the tokens that the model has now.
    var sample: CalibrationSample?
  }

  func apply(_ steps: [Recipe.Step], to checkpoint: Checkpoint) throws -> ChangedModel {
    var model = checkpoint
    var reports: [JSON] = []
    var sample = sample
    guard !steps.isEmpty else { return ChangedModel(model: model, reports: reports, sample: sample) }
    let math = try DenseMath(pool: pool, kernels: Kernels.forTransforms())
    for step in steps {
      let report: JSON
      let context = context(sample, math)
      switch step {
      case .truncate(let step):
        (model, report) = try Truncation(step: step, model: model, context: context).run()
      case .prune(let step) where step.finetune != nil:
        (model, report) = try prune(step, model)
      case .heal(let step):
        (model, report) = try heal(step, model)
      case .prune(let step) where step.method != .groupLasso:
        (model, report) = try WeightPruning(step: step, model: model, context: context).run()
      case .prune(let step) where step.prunesVocabulary:
        (model, report) = try pruneVocabulary(step, model, &sample, math)
      case .prune(let step) where step.prunesExperts:
        (model, report) = try ExpertPruning(step: step, model: model, context: context).run()
      case .prune(let step) where step.hasChannels:
        (model, report) = try ChannelPruning(step: step, model: model, context: context).run()
      case .prune(let step):
        (model, report) = try GroupPruning(step: step, model: model, context: context).run()
      case .quantize: throw FurlError(.defect, "quantizing does not change a model's shape")
      }
      reports.append(report)
    }
    return ChangedModel(model: model, reports: reports, sample: sample)
  }

  private func context(_ sample: CalibrationSample?, _ math: DenseMath) -> ChangeContext {
    ChangeContext(
      sequences: sample?.sequences ?? [], probes: sample?.probes ?? [], math: math, folder: folder, progress: progress)
  }

  /// Rows of the vocabulary go first, so that everything after is calibrated in the tokens that are left.
  private func pruneVocabulary(
    _ step: PruneStep, _ model: Checkpoint, _ sample: inout CalibrationSample?, _ math: DenseMath
  ) throws -> (Checkpoint, JSON) {
    guard let settings = sample?.settings else { throw FurlError(.defect, "there is no text to count tokens in") }
    progress("counting tokens", 0, 1)
    let cut = try VocabularyPruning(step: step, model: model, settings: settings, folder: folder).run()
    sample = try CalibrationSample(
      settings, for: cut.model, tokenizer: ModelFile.checkpoint(cut.model).tokenizer())
    var (result, removed) = (cut.model, cut.removed)
    if let rest = cut.rest {
      let (pruned, report) = try GroupPruning(step: rest, model: cut.model, context: context(sample, math)).run()
      result = pruned
      removed += report["removed_weights"]?.integer ?? 0
    }
    let report = GroupRemoval(model: model).report(result.spec, removed: removed)
    return (result, .object((report.members ?? []) + [.init("vocabulary", cut.report)]))
  }

  private func heal(_ step: HealStep, _ model: Checkpoint) throws -> (Checkpoint, JSON) {
    let (healed, report) = try TrainingRun(
      step, model: model, source: source, pool: pool, folder: folder, stateFolder: stateFolder, progress: showTraining
    ).run()
    return (healed, .object([.init("step", "heal")] + (report.members ?? [])))
  }

  private func prune(_ step: PruneStep, _ model: Checkpoint) throws -> (Checkpoint, JSON) {
    guard let finetune = step.finetune else { throw FurlError(.defect, "there is no training") }
    let run = TrainingRun(
      settings: finetune.train, objective: .init(labels: finetune.labels), model: model, source: source, pool: pool,
      folder: folder, stateFolder: stateFolder, progress: showTraining)
    var constraint: GroupLassoConstraint?
    let (trained, report) = try run.run { parameters, gradients, math in
      constraint = try GroupLassoConstraint(step, finetune, parameters, gradients, math)
      try constraint?.check()
      return constraint
    }
    guard let constraint else { throw FurlError(.defect, "nothing was trained") }
    let result = try GroupRemoval(model: trained).remove(keeping: constraint.kept, folder: folder)
    let widths = GroupRemoval(model: model).report(result.spec, removed: constraint.removed)
    return (result, .object((widths.members ?? []) + [.init("train", report)]))
  }

  private func showTraining(_ state: Trainer.TrainingProgress) {
    let loss = (state.loss * 10000).rounded() / 10000
    progress("training, loss \(loss), \(Int(state.secondsLeft.rounded(.up))) s left,", state.step, state.steps)
  }
}
