import FurlBase
import FurlCheckpoint
import FurlSpec

/// Group lasso while the model is trained: groups shrink by its penalty until those that go are zero (see
/// ``GroupLassoConstraint``), and are then taken out.
struct TrainedPruning: ModelChange {
  let step: PruneStep
  let model: Checkpoint
  let context: ChangeContext

  struct TrainedReport: ChangeReport {
    let pruning: PruningReport
    let training: TrainingRun.Report

    var json: JSON { .object((pruning.json.members ?? []) + [.init("train", training.json)]) }
  }

  static func estimate(_ step: PruneStep, _ spec: ModelSpec) throws -> EstimatedShape {
    try GroupPruning.estimate(step, spec)
  }

  func run() throws -> Changed<TrainedReport> {
    guard let finetune = step.finetune else { throw FurlError(.defect, "there is no training") }
    var constraint: GroupLassoConstraint?
    let job = try context.training(finetune.train, .init(labels: finetune.labels), of: model)
    let (trained, training) = try job.run(in: context.folder) {
      constraint = try GroupLassoConstraint(step, finetune, $0, $1, $2)
      try constraint?.check()
      return constraint
    }
    guard let constraint else { throw FurlError(.defect, "nothing was trained") }
    let result = try GroupRemoval(model: trained).remove(keeping: constraint.kept, folder: context.folder)
    let pruning = PruningReport(before: model.spec, after: result.spec, removedWeights: constraint.removed)
    return Changed(model: result, report: TrainedReport(pruning: pruning, training: training))
  }
}
