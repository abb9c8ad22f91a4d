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
  }

  /// What came out.
  public struct Result: Sendable {
    public let artifactID: Digest
    public let diskBytes: Int
    /// Bytes of all streams, decoded.
    public let weightBytes: Int
    /// What a reader should know: where a calibration does not cover a layer's inputs.
    public let notes: [String]
  }

  public let checkpoint: Checkpoint
  public let plan: Plan

  /// - Throws: ``FurlError`` of kind `input` when the recipe does not fit the checkpoint.
  public init(_ checkpoint: Checkpoint, recipe: Recipe) throws {
    self.checkpoint = checkpoint
    plan = try Plan(recipe, for: checkpoint.spec)
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
    if plan.choosesCodes { return try writeChosen(writer, pool: pool, progress: progress) }
    let run = try CompressionRun(self, writer: writer, threads: pool.threads)
    let (id, bytes) = try run.run(
      on: pool, tokenizer: { try tokenizer().serialized() }, description: { description($0) }, progress: progress)
    return Result(artifactID: id, diskBytes: bytes, weightBytes: plan.rawBytes, notes: [])
  }

  /// The same where codes are chosen by what they do.
  private func writeChosen(
    _ writer: ArtifactWriter, pool: WorkerPool, progress: (Progress) -> Void
  ) throws -> Result {
    let tokenizer = try tokenizer()
    let isCalibrated = plan.tensors.contains(where: plan.isCalibrated)
    let sample = try plan.recipe.calibration.flatMap { settings in
      isCalibrated ? try CalibrationSample(settings, for: checkpoint, tokenizer: tokenizer) : nil
    }
    let (notes, weightBytes) = try withoutActuallyEscaping(progress) { progress in
      let run = try CalibratedRun(self, writer: writer, pool: pool, progress: progress)
      try run.run(sample)
      return (run.notes, run.weightBytes)
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
    return Result(artifactID: id, diskBytes: writer.bytesWritten, weightBytes: weightBytes, notes: notes)
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
    let details: JSON = sample.map { ["calibration": $0.json] } ?? .object([])
    return ArtifactDescription(
      furl: furlVersion, architecture: plan.spec.architecture, spec: plan.spec.json, config: checkpoint.config,
      recipe: .init(name: recipe.name, text: recipe.json.canonicalText, details: details),
      lineage: files.map { .init(name: $0.name, bytes: $0.bytes, digest: $0.digest) })
  }
}
