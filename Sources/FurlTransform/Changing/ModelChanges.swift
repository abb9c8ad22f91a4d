import FurlCheckpoint
import FurlSpec
import FurlTensor

/// The steps of a recipe that change a model's shape or its FP32 weights, one after the other. What they make is a
/// checkpoint like any other to the steps behind them.
struct ModelChanges {
  let sequences: [[Int]]
  let pool: WorkerPool
  /// For what is written on the way: the folder of the output.
  let folder: String
  /// (what is done, blocks done, blocks).
  let progress: (String, Int, Int) -> Void

  /// - Returns: the model, and for each step what an artifact says about it.
  func apply(_ steps: [Recipe.Step], to checkpoint: Checkpoint) throws -> (model: Checkpoint, reports: [JSON]) {
    var model = checkpoint
    var reports: [JSON] = []
    for step in steps {
      let report: JSON
      switch step {
      case .truncate(let step):
        (model, report) = try Truncation(
          step: step, model: model, sequences: sequences, pool: pool, folder: folder, progress: progress
        ).run()
      case .prune(let step) where step.method != .groupLasso:
        (model, report) = try WeightPruning(
          step: step, model: model, sequences: sequences, pool: pool, folder: folder, progress: progress
        ).run()
      case .prune(let step):
        (model, report) = try GroupPruning(
          step: step, model: model, sequences: sequences, pool: pool, folder: folder, progress: progress
        ).run()
      case .quantize: throw FurlError(.defect, "quantizing does not change a model's shape")
      }
      reports.append(report)
    }
    return (model, reports)
  }
}
