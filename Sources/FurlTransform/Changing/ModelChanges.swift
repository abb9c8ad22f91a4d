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
    var result = ChangedModel(model: checkpoint, sample: sample)
    guard !steps.isEmpty else { return result }
    var context = ChangeContext(
      sequences: sample?.sequences ?? [], probes: sample?.probes ?? [],
      math: DenseMath(pool: pool, kernels: try Kernels.forTransforms()), folder: folder, source: source,
      calibration: sample?.settings, stateFolder: stateFolder, progress: progress)
    for step in steps {
      guard let job = step.change else { throw FurlError(.defect, "quantizing does not change a model's shape") }
      let changed = try job.run(result.model, context)
      result.model = changed.model
      result.reports.append(changed.report.json)
      if let sample = changed.sample {
        result.sample = sample
        context = context.reading(sample)
      }
    }
    return result
  }
}
