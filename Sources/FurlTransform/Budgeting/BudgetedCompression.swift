import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTokenizer

/// A compression whose recipe has a budget: sensitivities are measured, forms are chosen, and the artifact is written;
/// again with a corrected aim if it came out too large or needlessly small.
struct BudgetedCompression {
  let compressor: Compressor
  let budget: Budget
  let sample: CalibrationSample
  let pool: WorkerPool
  /// How rows make up for each other's errors; nil where none do.
  let choice: ShrinkageChoice?
  let progress: (CompressionProgress) -> Void

  /// A budget is met when it is used up to this share.
  static let share = 0.99
  private static let tries = 6

  private var plan: Plan { compressor.plan }

  /// What all tries have in common.
  private struct Surveyed {
    let survey: SensitivitySurvey
    let forms: [[Sensitivity.Form]]
    let files: [Checkpoint.SourceFile]
    let tokenizer: Tokenizer
    let packed: [UInt8]
    /// What the goal bounds.
    let limit: Double
    /// What the forms have no part in.
    let overhead: Int
  }

  /// - Returns: nothing of a file is left when this throws.
  func write(to path: String) throws -> CompressionResult {
    let surveyed = try surveyed()
    let limit = surveyed.limit
    // Steps meet their bits a little above or below; predictions add up roughly.
    var aim = isMemory ? limit : limit * 0.997
    var (below, above): (BudgetOutcome?, BudgetOutcome?) = (nil, nil)
    let report = writing(bytes: surveyed.files.reduce(0) { $0 + $1.bytes })
    for attempt in 1...BudgetedCompression.tries {
      let isLast = attempt == BudgetedCompression.tries
      // The best so far, for good, rather than another try.
      if isLast, let below { aim = below.aim }
      let allocation = allocate(surveyed.forms, aim: aim, overhead: surveyed.overhead)
      if attempt == 1 { try checkReach(allocation, surveyed.forms, limit: limit, overhead: surveyed.overhead) }
      let (result, actual) = try attempted(allocation, surveyed, to: path, isLast: isLast, report)
      if let result { return result }
      if actual <= limit, actual > below?.actual ?? 0 { below = BudgetOutcome(aim: aim, actual: actual) }
      if actual > limit, actual < above?.actual ?? .infinity { above = BudgetOutcome(aim: aim, actual: actual) }
      aim = BudgetedCompression.next(goal: limit * 0.995, below: below, above: above)
    }
    throw budget.location.error(
      nil, "was not met in \(BudgetedCompression.tries) tries", remedy: "give the steps more to choose from")
  }

  /// Measures what every tensor is worth in every form, which is one half of the work.
  private func surveyed() throws -> Surveyed {
    let tokenizer = try compressor.tokenizer()
    let files = try compressor.sourceFiles(pool: pool)
    let (count, bytes) = (plan.tensors.count, files.reduce(0) { $0 + $1.bytes })
    let survey = try SensitivitySurvey(
      plan, of: compressor.checkpoint, on: sample, outputs: choice?.outputs, pool: pool
    ) { name, done in
      progress(
        .init(
          tensor: "measuring " + name, tensorsDone: 0, tensors: count, bytesDone: bytes / 2 / count * done, bytes: bytes
        ))
    }
    let forms = survey.tensors.map(\.forms)
    let limit: Double =
      switch budget.goal {
      case .disk(let bytes), .memory(let bytes): Double(bytes)
      case .bitsPerWeight(let bits): bits * Double(plan.spec.parameterCount) / 8
      case .divergence(let nats): nats
      }
    return Surveyed(
      survey: survey, forms: forms, files: files, tokenizer: tokenizer, packed: tokenizer.serialized(), limit: limit,
      overhead: try overhead(survey, forms, files, tokenizer))
  }

  /// Progress of writing, the other half; whoever does it again does not go back.
  private func writing(bytes: Int) -> (CompressionProgress) -> Void {
    var written = 0
    return { step in
      written = max(written, step.bytesDone)
      progress(
        .init(
          tensor: step.tensor, tensorsDone: step.tensorsDone, tensors: step.tensors,
          bytesDone: bytes / 2 + (written + 1) / 2, bytes: bytes))
    }
  }

  /// Writes a file with an allocation.
  ///
  /// - Returns: nil with what it has come out as, where that does not meet the budget; the file is gone then.
  private func attempted(
    _ allocation: Allocation, _ surveyed: Surveyed, to path: String, isLast: Bool,
    _ report: @escaping (CompressionProgress) -> Void
  ) throws -> (CompressionResult?, actual: Double) {
    let limit = surveyed.limit
    let mix = zip(allocation.chosen, surveyed.forms).map { $1[$0] }
    let choices = zip(plan.tensors, mix).filter { $0.0.freedom != nil }.map { ($0.0.spec.name, $0.1.choice) }
    let chosen = try compressor.choosing(Dictionary(uniqueKeysWithValues: choices))
    let writer = try chosen.writer(to: path)
    let run = try CalibratedRun(
      chosen, writer: writer, pool: pool, outputs: choice?.outputs, keepsTensors: isDivergence, progress: report)
    try run.run(chosen.plan.tensors.contains(where: chosen.plan.isCalibrated) ? sample : nil)
    var actual = Double(chosen.plan.rawBytes)
    if isDivergence {
      actual = try surveyed.survey.probe.divergence(replacing: (run.kept ?? [:]).compactMapValues(\.matrix))
    }
    let most = allocate(surveyed.forms, aim: .infinity, overhead: surveyed.overhead)
    let settles = isLast || isMemory || allocation.chosen == most.chosen
    let details = details(surveyed.survey, mix, predicted: allocation.harm)
    let id = try writer.finish(
      try chosen.description(
        surveyed.files, tokenizer: surveyed.tokenizer, sample: sample,
        details: .init(budget: details, experts: run.experts.json, outputs: choice?.json)),
      tokenizer: writer.packer.tokenizer(surveyed.packed)
    ) { bytes in
      if !isDivergence && !isMemory { actual = Double(bytes) }
      return actual <= limit && (settles || actual >= limit * BudgetedCompression.share)
    }
    guard let id else { return (nil, actual) }
    let known = surveyed.survey.notes
    var notes = (plan.keptCodes?.notes ?? []) + known + run.notes.filter { !known.contains($0) }
    if actual < limit * BudgetedCompression.share {
      notes.append("the budget is used to \(Int(100 * actual / limit)) % only: there is no choice that fits better")
    }
    let result = CompressionResult(
      artifactID: id, diskBytes: writer.bytesWritten, weightBytes: chosen.plan.rawBytes, notes: notes,
      changes: chosen.changes)
    return (result, actual)
  }

  private var isMemory: Bool { if case .memory = budget.goal { true } else { false } }
  private var isDivergence: Bool { if case .divergence = budget.goal { true } else { false } }

  /// What an aim has come out as.
  struct BudgetOutcome {
    let aim: Double
    let actual: Double
  }

  /// What to aim at next: between an aim that was too low and one that was too high, in proportion before there are both.
  static func next(goal: Double, below: BudgetOutcome?, above: BudgetOutcome?) -> Double {
    switch (below, above) {
    case (let below?, let above?):
      let share = (goal - below.actual) / max(above.actual - below.actual, .leastNormalMagnitude)
      // Not too near to either: what comes out is not quite smooth.
      return below.aim + min(max(share, 0.1), 0.9) * (above.aim - below.aim)
    case (let one?, nil), (nil, let one?): return one.aim * min(max(goal / max(one.actual, 1e-12), 0.25), 4)
    case (nil, nil): return goal
    }
  }

  private func allocate(_ forms: [[Sensitivity.Form]], aim: Double, overhead: Int) -> Allocation {
    let options = forms.map { list in
      list.map { form in
        Allocation.Option(cost: isMemory ? form.memory : form.stored.reduce(0, +), harm: form.divergence)
      }
    }
    if isDivergence { return Allocation(options, within: .harm(aim.isInfinite ? -1 : aim)) }
    let cost = aim < 1e18 ? Int(aim) : Int.max / 2
    return Allocation(options, within: .cost(cost - (isMemory ? 0 : overhead)))
  }

  /// Whether the smallest choice is small enough.
  private func checkReach(
    _ allocation: Allocation, _ forms: [[Sensitivity.Form]], limit: Double, overhead: Int
  ) throws {
    if isDivergence {
      guard allocation.harm > limit else { return }
      throw budget.location.error(
        "kl_divergence", "about \(Sensitivity.rounded(allocation.harm)) is the least that the steps allow",
        remedy: "give them more bits")
    }
    let bytes = allocation.cost + (isMemory ? 0 : overhead)
    guard Double(bytes) > limit else { return }
    throw budget.location.error(
      nil, "about \(bytes) bytes are the least that the steps allow", remedy: "give them fewer bits")
  }

  /// Bytes of the file that are no streams.
  private func overhead(
    _ survey: SensitivitySurvey, _ forms: [[Sensitivity.Form]], _ files: [Checkpoint.SourceFile], _ tokenizer: Tokenizer
  ) throws -> Int {
    let mix = forms.map { $0[$0.count / 2] }
    let tensors = try zip(plan.tensors, mix).map { tensor, form in
      ArtifactSize.TensorSize(
        name: tensor.spec.name, role: tensor.spec.role.rawValue, layout: try tensor.choosing(form.choice).layout,
        storedBytes: zip(form.stored, try tensor.choosing(form.choice).layout.streams).map { min($0, $1.byteCount) })
    }
    let description = try compressor.description(
      files, tokenizer: tokenizer, sample: sample,
      details: .init(
        budget: details(survey, mix, predicted: mix.reduce(0) { $0 + $1.divergence }), experts: survey.experts.json,
        outputs: choice?.json))
    let bytes = try ArtifactSize.bytes(
      of: tensors, storage: plan.recipe.storage == .mapped ? .mapped : .compact, description: description,
      tokenizer: tokenizer.serialized())
    return bytes - tensors.reduce(0) { $0 + $1.storedBytes.reduce(0, +) }
  }

  /// What the artifact says of its mix.
  private func details(_ survey: SensitivitySurvey, _ mix: [Sensitivity.Form], predicted: Double) -> JSON {
    var chosen: [JSON] = []
    for (tensor, form) in zip(survey.tensors, mix) where tensor.points.count > 1 {
      let bits = 8 * Double(form.stored.reduce(0, +)) / Double(tensor.weights)
      chosen.append([
        "name": .string(tensor.name), "scheme": .string(form.choice.scheme.name),
        "bits": .number(Sensitivity.rounded(bits)), "kl_divergence": .number(Sensitivity.rounded(form.divergence)),
        "measured": tensor.json,
      ])
    }
    return [
      "goal": budget.json, "kl_divergence_predicted": .number(Sensitivity.rounded(predicted)),
      "tensors": .array(chosen),
    ]
  }
}
