import FurlBase
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// Trains a model's weights in steps: batches of sequences, AdamW, clipping, a rate that rises and falls.
///
/// What a step does depends on the settings, the texts and the number of the step alone, so that a run that goes on from
/// a saved state ends with the bytes of one that was never stopped.
final class Trainer {
  /// What is minimised.
  struct Objective: Sendable, Hashable {
    /// What the next tokens count, against the teacher's probabilities; 1 without a teacher.
    var labels = 1.0
    /// What the last hidden states' distance from the teacher's counts.
    var hidden = 0.0

    /// Whether anything of a teacher is needed.
    var needsTeacher: Bool { labels < 1 || hidden > 0 }
  }

  /// Something that changes weights after each step.
  protocol Constraint {
    func apply(step: Int, rate: Double)
    /// What has to be kept so that a run can go on, in matrices that do not change places.
    var state: [Matrix] { get }
  }

  /// How far a training is.
  struct TrainingProgress: Sendable {
    let step: Int
    let steps: Int
    /// Mean of the last steps.
    let loss: Double
    let secondsLeft: Double
  }

  let settings: TrainSettings
  let parameters: ModelParameters
  private let objective: Objective
  private let teacher: ModelParameters?
  private let text: TrainingText
  private let math: DenseMath
  let gradients: ModelParameters
  let trained: any TrainableWeights
  private let optimizer: AdamW
  private let pass: TrainingPass
  private let taughtPass: TrainingPass?
  private let head: HeadLoss
  private let outputGradient: Matrix
  var constraint: (any Constraint)?
  /// Mean losses of the steps that this run has made.
  private(set) var losses: [Double] = []

  /// - Parameters:
  ///   - parameters: what is trained, in place.
  ///   - part: what of them is.
  /// - Throws: ``FurlError`` of kind `unavailable` without memory.
  init(
    _ settings: TrainSettings, _ objective: Objective, parameters: ModelParameters, teacher: ModelParameters?,
    part: TrainedPart = .all, text: TrainingText, math: DenseMath
  ) throws {
    precondition(objective.needsTeacher == (teacher != nil))
    self.settings = settings
    self.objective = objective
    self.parameters = parameters
    self.teacher = teacher
    self.text = text
    self.math = math
    let spec = parameters.spec
    gradients = try ModelParameters(zeros: spec)
    trained = try part.weights(of: parameters, gradients, seed: settings.seed, math: math)
    optimizer = try AdamW(count: trained.weights.count)
    let sequences = settings.batch / settings.accumulate
    pass = try TrainingPass(spec, sequences: sequences, length: settings.length, isTrained: true, math: math)
    taughtPass = try teacher.map {
      try TrainingPass($0.spec, sequences: sequences, length: settings.length, isTrained: false, math: math)
    }
    let rows = sequences * settings.length
    head = try HeadLoss(rows: rows, vocabulary: spec.vocabularySize, hasTeacher: objective.labels < 1, math: math)
    outputGradient = try Matrix(rows: rows, columns: spec.hiddenSize)
  }

  /// Makes all steps that are left.
  ///
  /// - Parameters:
  ///   - state: where to go on from and to save to; nil: neither.
  /// - Throws: ``FurlError`` of kind `input` at the recipe's line when the loss is not finite any more.
  func run(_ state: TrainingState? = nil, progress: (TrainingProgress) -> Void = { _ in }) throws {
    let first = try state?.load(into: self) ?? 0
    trained.apply()
    let start = ContinuousClock.now
    for step in first..<settings.steps {
      let loss = try makeStep(step)
      losses.append(loss)
      if let state, (step + 1) % state.interval == 0, step + 1 < settings.steps {
        try state.save(self, steps: step + 1)
      }
      let elapsed = ContinuousClock.now - start
      let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
      let recent = losses.suffix(50)
      progress(
        TrainingProgress(
          step: step + 1, steps: settings.steps, loss: recent.reduce(0, +) / Double(recent.count),
          secondsLeft: seconds / Double(step + 1 - first) * Double(settings.steps - step - 1)))
    }
  }

  /// Makes a step and returns its loss.
  private func makeStep(_ step: Int) throws -> Double {
    gradients.all.clear()
    let batch = text.batch(step: step)
    var loss = 0.0
    for start in stride(from: 0, to: batch.count, by: pass.sequences) {
      loss += try addGradients(Array(batch[start..<start + pass.sequences]))
    }
    trained.collectGradients()
    let norm = math.squares(trained.gradients).squareRoot()
    guard loss.isFinite, norm.isFinite else {
      throw settings.location.error(
        "rate", "after \(step) steps the loss is not a finite number any more", remedy: "train with a lower rate")
    }
    let rate = settings.rate(at: step)
    optimizer.step(
      trained.weights, trained.gradients,
      gradientScale: settings.clip > 0 && norm > settings.clip ? Float(settings.clip / norm) : 1, rate: Float(rate),
      parts: trained.parts.map { .init(range: $0.range, decay: $0.decays ? Float(settings.decay) : 0) }, with: math)
    constraint?.apply(step: step, rate: rate)
    trained.apply()
    return loss
  }

  /// Adds the gradients of a part of the batch and returns its part of the loss.
  private func addGradients(_ sequences: [[Int]]) throws -> Double {
    let ids = sequences.flatMap { $0.dropLast() }
    let targets = sequences.flatMap { $0.dropFirst() }
    let share = Float(1 / Double(settings.batch * settings.length))
    if let taughtPass, let teacher { taughtPass.forward(teacher, ids: ids) }
    pass.forward(parameters, ids: ids)
    let taught = taughtPass.flatMap { pass in teacher.map { TaughtHead(hidden: pass.output, head: $0.head) } }
    let labels = Float(objective.labels)
    let sums = head(
      hidden: pass.output, head: parameters.head, targets: targets, teacher: objective.labels < 1 ? taught : nil,
      weights: .init(entropy: labels * share, divergence: (1 - labels) * share),
      gradients: .init(hidden: outputGradient, head: gradients.head))
    var loss = (objective.labels * sums.entropy + (1 - objective.labels) * sums.divergence) * Double(share)
    if objective.hidden > 0, let taught {
      let size = math.squares(taught.hidden)
      let weight = objective.hidden / Double(settings.accumulate) / max(size, 1e-30)
      loss +=
        weight
        * math.squaredDistance(
          pass.output, taught.hidden, adding: Float(2 * weight), to: outputGradient)
    }
    try pass.backward(parameters, gradients: gradients, from: outputGradient, ids: ids)
    return loss
  }

  /// The mean cross entropy of some sequences, nats.
  func loss(on sequences: [[Int]]) -> Double { means(on: sequences, teacher: nil).entropy }

  /// The mean KL divergence from the teacher on some sequences, nats; 0 without a teacher.
  func divergence(on sequences: [[Int]]) -> Double { means(on: sequences, teacher: teacher).divergence }

  private func means(on sequences: [[Int]], teacher: ModelParameters?) -> (entropy: Double, divergence: Double) {
    var sums = (entropy: 0.0, divergence: 0.0)
    var count = 0
    for start in stride(from: 0, to: sequences.count, by: pass.sequences) {
      let some = Array(sequences[start..<min(start + pass.sequences, sequences.count)])
      // The pass has room for so many sequences exactly: what is missing is there, and counts nothing.
      let filling = Array(repeating: some[0], count: pass.sequences - some.count)
      let ids = (some + filling).flatMap { $0.dropLast() }
      if let taughtPass, let teacher { taughtPass.forward(teacher, ids: ids) }
      pass.forward(parameters, ids: ids)
      let taught = taughtPass.flatMap { pass in teacher.map { TaughtHead(hidden: pass.output, head: $0.head) } }
      let targets = some.flatMap { $0.dropFirst() } + filling.flatMap { $0.dropFirst().map { _ in -1 } }
      let sum = head(
        hidden: pass.output, head: parameters.head, targets: targets, teacher: taught,
        weights: .init(entropy: 0, divergence: 0), gradients: nil)
      sums = (sums.entropy + sum.entropy, sums.divergence + sum.divergence)
      count += sum.targets
    }
    let share = 1 / Double(max(1, count))
    return (sums.entropy * share, sums.divergence * share)
  }

  /// What a run goes on from: the numbers that are trained, the optimizer's means and what a constraint keeps.
  var stateMatrices: [Matrix] {
    [trained.weights, optimizer.first, optimizer.second] + (constraint?.state ?? [])
  }

  /// Says that so many steps have been made already.
  func resume(steps: Int) { optimizer.steps = steps }
}
