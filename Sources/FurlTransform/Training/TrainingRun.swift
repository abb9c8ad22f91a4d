import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// A training as a step of a recipe: texts, teacher, losses before and after, and a checkpoint of what came out.
struct TrainingRun {
  let settings: TrainSettings
  let objective: Trainer.Objective
  var part = TrainedPart.all
  /// What is trained.
  let model: Checkpoint
  /// What it was made of: the teacher.
  let source: Checkpoint
  let pool: WorkerPool
  /// A folder to save the training to and to go on from; nil: neither.
  let stateFolder: String?
  let progress: (Trainer.TrainingProgress) -> Void

  /// What a training has done.
  struct Report: ChangeReport {
    let settings: TrainSettings
    let texts: JSON
    /// Mean of the last steps; nil: a state that was complete was read.
    let loss: Double?
    /// A text that is not trained on, and the losses on it; nil: there is none.
    var heldOut: (text: HeldOutText, before: Double, after: Double)?

    var json: JSON {
      var members: [JSON.Member] = [
        .init("steps", .integer(settings.steps)),
        .init("tokens", .integer(settings.steps * settings.batch * settings.length)), .init("texts", texts),
        .init("loss", loss.map(JSON.number) ?? .null),
      ]
      if let (held, before, after) = heldOut {
        members.append(
          .init(
            "held_out",
            [
              "name": .string(held.text.name), "sha256": .string(held.text.digest.hex),
              "sequences": .integer(held.sequences.count), "loss_before": .number(before), "loss_after": .number(after),
            ]))
      }
      return .object(members)
    }
  }

  /// Trains parameters in place.
  ///
  /// - Parameters:
  ///   - parameters: those of the model.
  ///   - constraint: made of them and their gradients.
  ///   - watch: called with the trainer before and after.
  /// - Throws: ``FurlError``: of kind `input` at the recipe's line where the training does not fit the model.
  func train(
    _ parameters: ModelParameters,
    constraint: (ModelParameters, ModelParameters, DenseMath) throws -> (any Trainer.Constraint)? = { _, _, _ in nil },
    watch: (Trainer, TrainingText, HeldOutText?) throws -> Void = { _, _, _ in }
  ) throws -> Report {
    guard settings.length <= model.spec.contextLength else {
      throw settings.location.error(
        "length", "\(settings.length) tokens are more than the model's context of \(model.spec.contextLength)")
    }
    let tokenizer = try ModelFile.checkpoint(model).tokenizer()
    let rows = model.spec.vocabularySize
    let text = try TrainingText(settings, checkpointFolder: source.folder, tokenizer: tokenizer, rows: rows)
    let heldOut = try HeldOutText(settings, checkpointFolder: source.folder, tokenizer: tokenizer, rows: rows)
    let math = DenseMath(pool: pool, kernels: try Kernels.forTransforms())
    let trainer = try Trainer(
      settings, objective, parameters: parameters, teacher: objective.needsTeacher ? ModelParameters(source) : nil,
      part: part, text: text, math: math)
    trainer.constraint = try constraint(parameters, trainer.gradients, math)
    let before = heldOut.map { trainer.loss(on: $0.sequences) }
    try watch(trainer, text, heldOut)
    let state = try stateFolder.map { try self.state(in: $0, parameters, text) }
    try trainer.run(state, progress: progress)
    let after = heldOut.map { trainer.loss(on: $0.sequences) }
    try watch(trainer, text, heldOut)
    state?.remove()
    var report = Report(settings: settings, texts: text.json, loss: trainer.losses.last)
    if let heldOut, let before, let after { report.heldOut = (heldOut, before, after) }
    return report
  }

  /// - Parameter folder: for what is written on the way.
  /// - Returns: the trained model, of the same shape, and what an artifact says about it.
  /// - Throws: as ``train(_:constraint:watch:)``.
  func run(
    in folder: String,
    constraint: (ModelParameters, ModelParameters, DenseMath) throws -> (any Trainer.Constraint)? = { _, _, _ in nil }
  ) throws -> (model: Checkpoint, report: Report) {
    let parameters = try ModelParameters(model)
    let report = try train(parameters, constraint: constraint)
    let draft = try ModelDraft(model, folder: folder)
    for tensor in parameters.tensors {
      try draft.set(tensor.name, parameters[tensor.name].values, shape: tensor.shape)
    }
    return (try draft.finish(model.spec), report)
  }

  /// What makes a training this one and no other.
  private func state(in folder: String, _ parameters: ModelParameters, _ text: TrainingText) throws -> TrainingState {
    var lines = [settings.declaredJSON.canonicalText, text.json.canonicalText, "\(objective)", "\(part.rank)"]
    parameters.all.forEachChunk { lines.append(Digest(of: $0).hex) }
    lines.append("\(settings.location.error(nil, "").place ?? "")")
    let identity = Digest(of: lines.joined(separator: "\n").utf8)
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw FurlError(.cannotCreate, file: folder, "cannot be created", remedy: "choose another folder")
    }
    return TrainingState(path: folder + "/\(identity.hex.prefix(16)).training", identity: identity)
  }
}
