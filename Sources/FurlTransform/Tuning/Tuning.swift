import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// Tunes a rounded model towards the one that it was made of.
struct Tuning {
  let step: TuneStep
  /// What was rounded: the teacher.
  let source: Checkpoint
  /// In the order of the file.
  let tensors: [Plan.PlannedTensor]
  let pool: WorkerPool
  /// Where the training saves itself to; nil: nowhere.
  let stateFolder: String?
  let progress: (Trainer.TrainingProgress) -> Void

  /// What came of it.
  struct TunedModel {
    let tensors: [String: EncodedTensor]
    /// What the artifact says.
    let json: JSON
    let notes: [String]
  }

  /// Sequences that a divergence is measured on where no held-out text is given.
  private static let probes = 16

  /// - Parameter rounded: by name.
  /// - Returns: the tuned model, or the rounded one where tuning has made it worse on what was held out.
  func run(_ rounded: [String: EncodedTensor]) throws -> TunedModel {
    let objective = Trainer.Objective(labels: step.labels, hidden: 0)
    let training = TrainingRun(
      settings: step.train, objective: objective, part: .scales(rounded), model: source, source: source, pool: pool,
      stateFolder: stateFolder, progress: progress)
    let parameters = try ModelParameters(zeros: source.spec)
    try load(rounded, into: parameters)
    var divergences: [Double] = []
    var tuned: [String: EncodedTensor] = [:]
    let report = try training.train(
      parameters,
      watch: { trainer, text, heldOut in
        let sequences = heldOut?.sequences ?? Tuning.sequences(text, beyond: step.train)
        if !divergences.isEmpty {
          tuned = try trainer.tunedTensors() ?? rounded
          // What is written down has scales that are rounded themselves.
          try load(tuned, into: parameters)
        }
        divergences.append(objective.needsTeacher ? trainer.divergence(on: sequences) : trainer.loss(on: sequences))
      })
    let isBetter = divergences[1] < divergences[0]
    var members = report.json.members ?? []
    let measured = JSON.array(divergences.map { .number(Sensitivity.rounded($0)) })
    members.append(.init(objective.needsTeacher ? "kl_divergence" : "loss", measured))
    members.append(.init("taken", .bool(isBetter)))
    let note =
      "tuning made it worse on what was held out (\(Sensitivity.rounded(divergences[0])) nats before, "
      + "\(Sensitivity.rounded(divergences[1])) after), so the scales stay as they were; try a lower rate"
    return TunedModel(
      tensors: isBetter ? tuned : rounded, json: .object(members), notes: isBetter ? [] : [note])
  }

  private func load(_ rounded: [String: EncodedTensor], into parameters: ModelParameters) throws {
    for tensor in tensors {
      let target = parameters[tensor.spec.name]
      switch rounded[tensor.spec.name] {
      case .vector(let vector): target.values = vector.values
      case .matrix(let matrix): pool.forEachAsTaken(matrix.rows) { target[$0] = matrix.row($0) }
      case nil: throw FurlError(.defect, place: tensor.spec.name, "was not rounded")
      }
    }
  }

  /// Of the text itself, as no step reads them.
  private static func sequences(_ text: TrainingText, beyond settings: TrainSettings) -> [[Int]] {
    Array((0..<probes).flatMap { text.batch(step: settings.steps + $0) }.prefix(probes))
  }
}

extension Trainer {
  /// What scales that were trained have made of a rounded model; nil where something else was trained.
  func tunedTensors() throws -> [String: EncodedTensor]? { try (trained as? TunedScales)?.tuned() }
}
