import FurlBase
import FurlCheckpoint
import FurlNumerics
import FurlSpec
import FurlTensor

/// What a step that changes a model works with, beside the model.
struct ChangeContext {
  /// What the model reads: [sequences][tokens].
  var sequences: [[Int]]
  /// Other texts, to measure on.
  var probes: [[Int]]
  /// What is computed with, and by which threads.
  let math: DenseMath
  /// For what is written on the way.
  let folder: String
  /// What the recipe began with, which trainings imitate; nil: nothing is trained.
  var source: Checkpoint?
  /// Where the sequences come from; nil: from nowhere.
  var calibration: CalibrationSettings?
  /// Where trainings save themselves to and go on from; nil: nowhere.
  var stateFolder: String?
  /// (what is done, blocks done, blocks).
  let progress: (String, Int, Int) -> Void

  var pool: WorkerPool { math.pool }

  /// The same with a text in other tokens.
  func reading(_ sample: CalibrationSample) -> ChangeContext {
    var context = self
    (context.sequences, context.probes) = (sample.sequences, sample.probes)
    return context
  }

  /// A training with what is at hand.
  func training(
    _ settings: TrainSettings, _ objective: Trainer.Objective, rank: Int? = nil, of model: Checkpoint
  ) throws -> TrainingRun {
    guard let source else { throw FurlError(.defect, "there is nothing to imitate") }
    return TrainingRun(
      settings: settings, objective: objective, part: TrainedPart(rank: rank), model: model, source: source, pool: pool,
      stateFolder: stateFolder
    ) { state in
      let loss = (state.loss * 10000).rounded() / 10000
      progress("training, loss \(loss), \(Int(state.secondsLeft.rounded(.up))) s left,", state.step, state.steps)
    }
  }
}
