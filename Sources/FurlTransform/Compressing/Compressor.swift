import FurlArtifact
package import FurlBase
package import FurlCheckpoint
import FurlModel
package import FurlSpec
package import FurlTensor
import FurlTokenizer
import Synchronization

/// Runs a plan: tensors flow from the checkpoint through the transforms to the writer, a few at a time.
package struct Compressor: Sendable {
  package let checkpoint: Checkpoint
  package let plan: Plan
  /// What steps have done already.
  let changes: [JSON]
  private let sample: CalibrationSample?
  /// Where digests of the source's files are remembered for the next time, and known from the last.
  package var digests: DigestMemory?

  /// - Throws: ``FurlError`` of kind `input` when the recipe does not fit the checkpoint, or codes that it keeps.
  package init(_ checkpoint: Checkpoint, recipe: Recipe) throws {
    self.checkpoint = checkpoint
    let plan = try Plan(recipe, for: checkpoint.spec)
    // What a step makes of a model that it computes with is looked at when it is done.
    self.plan = recipe.keepsCodes && !recipe.changesModel ? try plan.keepingCodes(of: checkpoint) : plan
    changes = []
    sample = nil
  }

  /// The rest of a job whose first steps are done.
  init(_ changed: Checkpoint, plan: Plan, changes: [JSON], sample: CalibrationSample?) {
    checkpoint = changed
    self.plan = plan
    self.changes = changes
    self.sample = sample
  }

  /// Writes the artifact; the same input gives the same bytes, whatever the number of threads.
  ///
  /// - Parameters:
  ///   - path: of the artifact. It appears when it is complete; an earlier file of that name is replaced.
  ///   - stateFolder: where trainings save themselves to, so that a run that was stopped goes on where it was; nil:
  ///     nowhere.
  ///   - progress: called on the calling thread after every tensor, and now and then in between.
  /// - Throws: ``FurlError``; nothing is left behind but what is in `stateFolder`.
  package func write(
    to path: String, pool: WorkerPool, stateFolder: String? = nil, progress: (CompressionProgress) -> Void = { _ in }
  ) throws -> CompressionResult {
    try refuseToReplaceSource(path)
    if plan.recipe.changesModel {
      // Whether there is room is better known before hours of work.
      _ = try writer(to: path)
      let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
      let rest = try changed(folder: folder, stateFolder: stateFolder, pool, progress)
      return try rest.writeModel(to: path, pool: pool, stateFolder: stateFolder, progress: progress)
    }
    return try writeModel(to: path, pool: pool, stateFolder: stateFolder, progress: progress)
  }

  /// Does the steps that change the model.
  ///
  /// - Returns: what is left to do, with what they have made.
  private func changed(
    folder: String, stateFolder: String?, _ pool: WorkerPool, _ progress: (CompressionProgress) -> Void
  ) throws -> Compressor {
    let sample = try plan.recipe.calibration.map {
      try CalibrationSample($0, for: checkpoint, tokenizer: tokenizer())
    }
    let steps = plan.recipe.steps
    let first = steps.firstIndex { if case .quantize = $0 { true } else { false } } ?? steps.count
    let changed = try withoutActuallyEscaping(progress) { progress in
      let changes = ModelChanges(
        source: checkpoint, sample: sample, pool: pool, folder: folder, stateFolder: stateFolder
      ) { activity, done, blocks in
        progress(
          .init(
            tensor: activity, tensorsDone: 0, tensors: plan.tensors.count, bytesDone: done, bytes: blocks,
            countsBlocks: true))
      }
      return try changes.apply(Array(steps[..<first]), to: checkpoint)
    }
    var remaining = try Plan(plan.recipe, steps: Array(steps[first...]), for: changed.model.spec)
    if plan.recipe.keepsCodes { remaining = try remaining.keepingCodes(of: changed.model) }
    var rest = Compressor(changed.model, plan: remaining, changes: changed.reports, sample: changed.sample)
    rest.digests = digests
    return rest
  }

  /// Writes a model that no step changes any more.
  private func writeModel(
    to path: String, pool: WorkerPool, stateFolder: String?, progress: (CompressionProgress) -> Void
  ) throws -> CompressionResult {
    if let budget = plan.recipe.budget { return try write(to: path, within: budget, pool: pool, progress: progress) }
    let writer = try writer(to: path)
    if plan.choosesCodes || plan.recipe.tuning != nil {
      return try writeChosen(writer, pool: pool, stateFolder: stateFolder, progress: progress)
    }
    let run = try CompressionRun(self, writer: writer, threads: pool.threads)
    let read = Mutex<Tokenizer?>(nil)
    let (id, bytes) = try run.run(
      on: pool,
      tokenizer: {
        let tokenizer = try tokenizer()
        read.withLock { $0 = tokenizer }
        return tokenizer.serialized()
      }, description: { try description($0, tokenizer: read.withLock { $0 }) }, progress: progress)
    return CompressionResult(
      artifactID: id, diskBytes: bytes, weightBytes: plan.rawBytes, notes: plan.keptCodes?.notes ?? [], changes: changes
    )
  }

  /// The same where a budget chooses what every tensor gets.
  private func write(
    to path: String, within budget: Budget, pool: WorkerPool, progress: (CompressionProgress) -> Void
  ) throws -> CompressionResult {
    guard let settings = plan.recipe.calibration else { throw FurlError(.defect, "a budget has no calibration") }
    let sample = try self.sample ?? CalibrationSample(settings, for: checkpoint, tokenizer: tokenizer())
    let choice = try shrinkage(on: sample, pool: pool, progress)
    return try withoutActuallyEscaping(progress) { progress in
      try BudgetedCompression(
        compressor: self, budget: budget, sample: sample, pool: pool, choice: choice, progress: progress
      ).write(to: path)
    }
  }

  /// How rows make up for each other's errors; nil where none do.
  private func shrinkage(
    on sample: CalibrationSample, pool: WorkerPool, state: CodesState? = nil, _ progress: (CompressionProgress) -> Void
  ) throws -> ShrinkageChoice? {
    try plan.rowFeedback.map { rows in
      try ShrinkageChoice(self, rows, on: sample, pool: pool, state: state) { activity, done, all in
        progress(
          .init(
            tensor: activity, tensorsDone: 0, tensors: plan.tensors.count, bytesDone: done, bytes: all,
            countsBlocks: true))
      }
    }
  }

  /// An artifact that is begun, for whose bytes there is room.
  func writer(to path: String) throws -> ArtifactWriter {
    let writer = try ArtifactWriter(
      path: path, storage: plan.recipe.storage == .compact ? .compact : .mapped, formatVersion: plan.spec.formVersion)
    // What the tokenizer takes is not known yet; it is never much more than its file.
    try writer.require(bytes: fileUpperBound(tokenizer: 2 * checkpoint.sideFileBytes))
    return writer
  }

  /// The same with what a budget has chosen.
  func choosing(_ mix: [String: Plan.PlannedChoice]) throws -> Compressor {
    var result = Compressor(checkpoint, plan: try plan.choosing(mix), changes: changes, sample: sample)
    result.digests = digests
    return result
  }

  /// The same where codes are chosen by what they do, or scales are tuned.
  private func writeChosen(
    _ writer: ArtifactWriter, pool: WorkerPool, stateFolder: String?, progress: (CompressionProgress) -> Void
  ) throws -> CompressionResult {
    let tokenizer = try tokenizer()
    let isCalibrated = plan.tensors.contains(where: plan.isCalibrated)
    let sample =
      try plan.recipe.calibration.flatMap { settings in
        guard isCalibrated else { return nil }
        return try self.sample ?? CalibrationSample(settings, for: checkpoint, tokenizer: tokenizer)
      } as CalibrationSample?
    let sources = try sourceFiles(pool: pool)
    let state = try stateFolder.flatMap { folder in
      try sample.map { try CodesState(folder: folder, identity: identity(sources, $0)) }
    }
    let choice = try sample.map { try shrinkage(on: $0, pool: pool, state: state, progress) } ?? nil
    let tuning = plan.recipe.tuning
    var details = Details(outputs: choice?.json)
    let (notes, weightBytes) = try withoutActuallyEscaping(progress) { progress in
      let run =
        try choice?.best
        ?? CalibratedRun(
          self, writer: tuning == nil ? writer : nil, pool: pool, outputs: choice?.outputs, keepsTensors: tuning != nil,
          progress: progress)
      if choice?.best == nil {
        run.state = state
        try run.run(sample)
      }
      details.experts = run.experts.json
      var tensors = run.kept
      var notes = run.notes
      if let tuning {
        let tuned = try tune(tuning, run.kept ?? [:], pool: pool, stateFolder: stateFolder, progress)
        details.tuning = tuned.json
        notes += tuned.notes
        tensors = tuned.tensors
      }
      // What was not written while it was made; and of what was tried nothing was said yet.
      if let tensors {
        try write(tensors, to: writer, pool: pool) { if choice?.best != nil { progress($0) } }
      }
      return (notes, run.weightBytes)
    }
    let description = try self.description(sources, tokenizer: tokenizer, sample: sample, details: details)
    let id = try writer.finish(description, tokenizer: tokenizer.serialized())
    state?.remove()
    return CompressionResult(
      artifactID: id, diskBytes: writer.bytesWritten, weightBytes: weightBytes,
      notes: (plan.keptCodes?.notes ?? []) + notes, changes: changes)
  }

  private func write(
    _ tensors: [String: EncodedTensor], to writer: ArtifactWriter, pool: WorkerPool,
    progress: (CompressionProgress) -> Void
  ) throws {
    let bytes = try checkpoint.files().reduce(0) { $0 + $1.count }
    let all = plan.tensors.reduce(0) { $0 + $1.spec.elementCount }
    var done = 0
    for (index, tensor) in plan.tensors.enumerated() {
      guard let encoded = tensors[tensor.spec.name] else { throw FurlError(.defect, "a tensor is missing") }
      try writer.append(encoded, of: tensor, parallelFor: pool.forEach)
      done += tensor.spec.elementCount
      progress(
        .init(
          tensor: tensor.spec.name, tensorsDone: index + 1, tensors: plan.tensors.count,
          bytesDone: Int(Double(done) / Double(max(1, all)) * Double(bytes)), bytes: bytes))
    }
  }

  /// What makes a calibrated compression this one and no other.
  private func identity(_ sources: [Checkpoint.SourceFile], _ sample: CalibrationSample) -> Digest {
    var lines = [furlVersion, plan.recipe.json.canonicalText, plan.spec.json.canonicalText, sample.json.canonicalText]
    lines += sources.map { "\($0.name) \($0.digest)" }
    lines.append("\(sample.sequences)")
    return Digest(of: lines.joined(separator: "\n").utf8)
  }

  private func tune(
    _ step: TuneStep, _ rounded: [String: EncodedTensor], pool: WorkerPool, stateFolder: String?,
    _ progress: @escaping (CompressionProgress) -> Void
  ) throws -> Tuning.TunedModel {
    try Tuning(step: step, source: checkpoint, tensors: plan.tensors, pool: pool, stateFolder: stateFolder) { state in
      let loss = (state.loss * 100000).rounded() / 100000
      progress(
        .init(
          tensor: "tuning, loss \(loss), \(Int(state.secondsLeft.rounded(.up))) s left,",
          tensorsDone: plan.tensors.count, tensors: plan.tensors.count, bytesDone: state.step, bytes: state.steps,
          countsBlocks: true))
    }.run(rounded)
  }

  /// The checkpoint's files with their digests.
  func sourceFiles(pool: WorkerPool) throws -> [Checkpoint.SourceFile] {
    let known = SourceDigests(try checkpoint.files(), memory: digests)
    let (files, open) = (known.files, known.open)
    let found = Mutex<[Int: Digest]>([:])
    pool.forEachAsTaken(open.count) { index in
      let digest = Digest(of: files[open[index]])
      found.withLock { $0[open[index]] = digest }
    }
    return try known.complete { index in
      guard let digest = found.withLock({ $0[index] }) else { throw FurlError(.defect, "a file was not hashed") }
      return digest
    }
  }

  /// The checkpoint's tokenizer, which must fit the model: an artifact that cannot be run is not written.
  func tokenizer() throws -> Tokenizer { try ModelFile.checkpoint(checkpoint).tokenizer() }

  /// An artifact may lie in the checkpoint's folder, but not in the place of anything else that lies there.
  private func refuseToReplaceSource(_ path: String) throws {
    let output = URL(fileURLWithPath: path)
    let folder = URL(fileURLWithPath: checkpoint.folder).resolvingSymlinksInPath()
    guard output.deletingLastPathComponent().resolvingSymlinksInPath() == folder,
      FileManager.default.fileExists(atPath: path), !Artifact.isArtifact(path: path)
    else { return }
    // A folder is refused in the words for one.
    if FileNames.isFolder(path) == true { return }
    throw FurlError(
      .cannotCreate, file: path, "is a file of the checkpoint", remedy: "give a name that is not taken")
  }

  /// What an artifact says of how its codes were chosen.
  struct Details {
    /// Of the mix that a budget has chosen.
    var budget: JSON?
    /// Of what experts have seen of the calibration.
    var experts: JSON?
    /// Of how far the moments of outputs were believed.
    var outputs: JSON?
    /// Of the training of scales.
    var tuning: JSON?
  }

  /// - Parameter tokenizer: its tokens that end a text are said by the artifact where they are others than it says without.
  func description(
    _ files: [Checkpoint.SourceFile], tokenizer: Tokenizer?, sample: CalibrationSample? = nil,
    details found: Details = Details()
  ) throws -> ArtifactDescription {
    let recipe = plan.recipe
    var details: [JSON.Member] = []
    if let budget = found.budget { details.append(.init("budget", budget)) }
    if let sample = sample ?? self.sample { details.append(.init("calibration", sample.json)) }
    if let outputs = found.outputs { details.append(.init("outputs", outputs)) }
    if let tuning = found.tuning { details.append(.init("tuning", tuning)) }
    if let experts = found.experts { details.append(.init("experts", experts)) }
    if let kept = plan.keptCodes { details.append(.init("kept_codes", kept.json)) }
    if !changes.isEmpty { details.append(.init("changes", .array(changes))) }
    let ends = tokenizer.flatMap { tokenizer in
      // What opens the artifact asks the same.
      tokenizer.ends.ids(beyond: checkpoint.config, below: max(plan.spec.vocabularySize, tokenizer.vocabularySize))
    }
    return ArtifactDescription(
      furl: furlVersion, architecture: plan.spec.architecture, spec: plan.spec.json, config: checkpoint.config,
      recipe: .init(name: recipe.name, text: recipe.json.canonicalText, details: .object(details)),
      lineage: files.map { .init(name: $0.name, bytes: $0.bytes, digest: $0.digest) },
      endTokens: ends, papers: try checkpoint.papers())
  }
}
