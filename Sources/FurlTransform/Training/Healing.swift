import FurlBase
import FurlCheckpoint
import FurlSpec
import FurlTensor

extension TrainingRun {
  /// The training of a `heal` step.
  init(
    _ step: HealStep, model: Checkpoint, source: Checkpoint, pool: WorkerPool, folder: String, stateFolder: String?,
    progress: @escaping (Trainer.TrainingProgress) -> Void
  ) throws {
    let objective = Trainer.Objective(labels: step.labels, hidden: step.hidden)
    guard step.hidden == 0 || model.spec.hiddenSize == source.spec.hiddenSize else {
      throw step.location.error(
        "hidden",
        "the model's hidden states have \(model.spec.hiddenSize) numbers, the source's \(source.spec.hiddenSize)",
        remedy: "leave it out")
    }
    guard model.spec.vocabularySize == source.spec.vocabularySize || !objective.needsTeacher else {
      throw step.location.error(nil, HealStep.otherVocabulary, remedy: HealStep.otherVocabularyRemedy)
    }
    self.init(
      settings: step.train, objective: objective, rank: step.rank, model: model,
      source: source, pool: pool, folder: folder, stateFolder: stateFolder, progress: progress)
  }
}
