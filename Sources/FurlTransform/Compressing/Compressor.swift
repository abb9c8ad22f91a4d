import Foundation
import FurlArtifact
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTokenizer
import Synchronization

/// Runs a plan: tensors flow from the checkpoint through the transforms to the writer, a few at a time.
public struct Compressor: Sendable {
  /// How far a compression is.
  public struct Progress: Sendable {
    /// The last tensor that was written; empty before the first.
    public let tensor: String
    public let tensorsDone: Int
    public let tensors: Int
    /// Bytes of the checkpoint that have been hashed and encoded.
    public let bytesDone: Int
    public let bytes: Int
    /// Whether a step computes with the model, and blocks are counted and not bytes.
    public var countsBlocks = false
  }

  /// What came out.
  public struct Result: Sendable {
    public let artifactID: Digest
    public let diskBytes: Int
    /// Bytes of all streams, decoded.
    public let weightBytes: Int
    /// What a reader should know: where a calibration does not cover a layer's inputs.
    public let notes: [String]
    /// For every step that computed with the model: what it made of it.
    public let changes: [JSON]
  }

  public let checkpoint: Checkpoint
  public let plan: Plan
  /// What steps have done already.
  let changes: [JSON]
  private let sample: CalibrationSample?

  /// - Throws: ``FurlError`` of kind `input` when the recipe does not fit the checkpoint.
  public init(_ checkpoint: Checkpoint, recipe: Recipe) throws {
    self.checkpoint = checkpoint
    plan = try Plan(recipe, for: checkpoint.spec)
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
  ///   - progress: called on the calling thread after every tensor, and now and then in between.
  /// - Throws: ``FurlError``; nothing is left behind.
  public func write(to path: String, pool: WorkerPool, progress: (Progress) -> Void = { _ in }) throws -> Result {
    try refuseToReplaceSource(path)
    let storage: ArtifactStorage = plan.recipe.storage == .compact ? .compact : .mapped
    let writer = try ArtifactWriter(path: path, storage: storage)
    // What the tokenizer takes is not known yet; it is never much more than its file.
    try writer.require(bytes: fileUpperBound(tokenizer: 2 * checkpoint.sideFileBytes))
    if plan.recipe.changesModel {
      let rest = try changed(folder: URL(fileURLWithPath: path).deletingLastPathComponent().path, pool, progress)
      return try rest.write(writer, pool: pool, progress: progress)
    }
    return try write(writer, pool: pool, progress: progress)
  }

  /// Does the steps that change the model.
  ///
  /// - Returns: what is left to do, with what they have made.
  private func changed(folder: String, _ pool: WorkerPool, _ progress: (Progress) -> Void) throws -> Compressor {
    guard let settings = plan.recipe.calibration else { throw FurlError(.defect, "there is no calibration") }
    let sample = try CalibrationSample(settings, for: checkpoint, tokenizer: tokenizer())
    let steps = plan.recipe.steps
    let first = steps.firstIndex { if case .quantize = $0 { true } else { false } } ?? steps.count
    let (model, reports) = try withoutActuallyEscaping(progress) { progress in
      let changes = ModelChanges(sequences: sample.sequences, pool: pool, folder: folder) { activity, done, blocks in
        progress(
          .init(
            tensor: activity, tensorsDone: 0, tensors: plan.tensors.count, bytesDone: done, bytes: blocks,
            countsBlocks: true))
      }
      return try changes.apply(Array(steps[..<first]), to: checkpoint)
    }
    return Compressor(
      model, plan: try Plan(plan.recipe, steps: Array(steps[first...]), for: model.spec), changes: reports,
      sample: sample)
  }

  private func write(
    _ writer: sending ArtifactWriter, pool: WorkerPool, progress: (Progress) -> Void
  ) throws -> Result {
    if plan.choosesCodes { return try writeChosen(writer, pool: pool, progress: progress) }
    let run = try CompressionRun(self, writer: writer, threads: pool.threads)
    let (id, bytes) = try run.run(
      on: pool, tokenizer: { try tokenizer().serialized() }, description: { description($0) }, progress: progress)
    return Result(artifactID: id, diskBytes: bytes, weightBytes: plan.rawBytes, notes: [], changes: changes)
  }

  /// The same where codes are chosen by what they do.
  private func writeChosen(
    _ writer: ArtifactWriter, pool: WorkerPool, progress: (Progress) -> Void
  ) throws -> Result {
    let tokenizer = try tokenizer()
    let isCalibrated = plan.tensors.contains(where: plan.isCalibrated)
    let sample =
      try plan.recipe.calibration.flatMap { settings in
        guard isCalibrated else { return nil }
        return try self.sample ?? CalibrationSample(settings, for: checkpoint, tokenizer: tokenizer)
      } as CalibrationSample?
    let notes = try withoutActuallyEscaping(progress) { progress in
      let run = try CalibratedRun(self, writer: writer, pool: pool, progress: progress)
      try run.run(sample)
      return run.notes
    }
    let files = try checkpoint.files()
    let digests = Mutex<[Int: Digest]>([:])
    pool.forEachAsTaken(files.count) { index in
      let digest = Digest(of: files[index])
      digests.withLock { $0[index] = digest }
    }
    let sources = try files.enumerated().map { index, file in
      try file.checkUnchanged()
      guard let digest = digests.withLock({ $0[index] }) else { throw FurlError(.defect, "a file was not hashed") }
      return Checkpoint.SourceFile(file, digest: digest)
    }
    let id = try writer.finish(description(sources, sample: sample), tokenizer: tokenizer.serialized())
    return Result(
      artifactID: id, diskBytes: writer.bytesWritten, weightBytes: plan.rawBytes, notes: notes, changes: changes)
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
    var isFolder: ObjCBool = false
    // A folder is refused in the words for one.
    if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue { return }
    throw FurlError(
      .cannotCreate, file: path, "is a file of the checkpoint", remedy: "give a name that is not taken")
  }

  func description(_ files: [Checkpoint.SourceFile], sample: CalibrationSample? = nil) -> ArtifactDescription {
    let recipe = plan.recipe
    var details = (sample ?? self.sample).map { [JSON.Member("calibration", $0.json)] } ?? []
    if !changes.isEmpty { details.append(.init("changes", .array(changes))) }
    return ArtifactDescription(
      furl: furlVersion, architecture: plan.spec.architecture, spec: plan.spec.json, config: checkpoint.config,
      recipe: .init(name: recipe.name, text: recipe.json.canonicalText, details: .object(details)),
      lineage: files.map { .init(name: $0.name, bytes: $0.bytes, digest: $0.digest) })
  }
}
