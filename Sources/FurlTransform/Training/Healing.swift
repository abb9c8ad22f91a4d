import FurlBase
import FurlCheckpoint
import FurlSpec

/// Trains what is left of a model to do what it did before the steps in front of it.
struct Healing: ModelChange {
  let step: HealStep
  let model: Checkpoint
  let context: ChangeContext

  struct HealReport: ChangeReport {
    let training: TrainingRun.Report

    var json: JSON { .object([.init("step", "heal")] + (training.json.members ?? [])) }
  }

  /// Weights change, and nothing else.
  static func estimate(_ step: HealStep, _ spec: ModelSpec) -> EstimatedShape { EstimatedShape(spec: spec) }

  func run() throws -> Changed<HealReport> {
    let objective = Trainer.Objective(labels: step.labels, hidden: step.hidden)
    if let source = context.source?.spec {
      guard step.hidden == 0 || model.spec.hiddenSize == source.hiddenSize else {
        throw step.location.error(
          "hidden",
          "the model's hidden states have \(model.spec.hiddenSize) numbers, the source's \(source.hiddenSize)",
          remedy: "leave it out")
      }
      guard model.spec.vocabularySize == source.vocabularySize || !objective.needsTeacher else {
        throw step.location.error(nil, HealStep.otherVocabulary, remedy: HealStep.otherVocabularyRemedy)
      }
    }
    let training = try context.training(step.train, objective, rank: step.rank, of: model)
    let (healed, report) = try training.run(in: context.folder)
    return Changed(model: healed, report: HealReport(training: report))
  }
}
