import FurlCheckpoint
import FurlSpec
import FurlTensor

/// The steps of a recipe that change a model's shape or its FP32 weights, one after the other. What they make is a
/// checkpoint like any other to the steps behind them.
struct ModelChanges {
  /// What the recipe began with, which trainings imitate.
  let source: Checkpoint
  /// What models read: [sequences][tokens].
  let sequences: [[Int]]
  /// Other texts, to measure on.
  let probes: [[Int]]
  let pool: WorkerPool
  /// For what is written on the way: the folder of the output.
  let folder: String
  /// Where trainings save themselves to and go on from; nil: nowhere.
  let stateFolder: String?
  /// (what is done, blocks done, blocks).
  let progress: (String, Int, Int) -> Void

  /// - Returns: the model, and for each step what an artifact says about it.
  func apply(_ steps: [Recipe.Step], to checkpoint: Checkpoint) throws -> (model: Checkpoint, reports: [JSON]) {
    var model = checkpoint
    var reports: [JSON] = []
    let context = ChangeContext(
      sequences: sequences, probes: probes, pool: pool, folder: folder, progress: progress)
    for step in steps {
      let report: JSON
      switch step {
      case .truncate(let step):
        (model, report) = try Truncation(step: step, model: model, context: context).run()
      case .prune(let step) where step.finetune != nil:
        (model, report) = try prune(step, model)
      case .heal(let step):
        (model, report) = try heal(step, model)
      case .prune(let step) where step.method != .groupLasso:
        (model, report) = try WeightPruning(step: step, model: model, context: context).run()
      case .prune(let step) where step.hasChannels:
        (model, report) = try ChannelPruning(step: step, model: model, context: context).run()
      case .prune(let step):
        (model, report) = try GroupPruning(step: step, model: model, context: context).run()
      case .quantize: throw FurlError(.defect, "quantizing does not change a model's shape")
      }
      reports.append(report)
    }
    return (model, reports)
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

  private func showTraining(_ state: Trainer.Progress) {
    let loss = (state.loss * 10000).rounded() / 10000
    progress("training, loss \(loss), \(Int(state.secondsLeft.rounded(.up))) s left,", state.step, state.steps)
  }
}
