import FurlArtifact
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTokenizer

/// Runs a plan: tensors flow one at a time from the mapped checkpoint through the transforms to the writer.
public struct Compressor: Sendable {
  /// How far a compression is.
  public struct Progress: Sendable {
    public let tensor: String
    /// Weights done, this tensor included.
    public let done: Int
    public let total: Int
  }

  /// What came out.
  public struct Result: Sendable {
    public let artifactID: Digest
    public let diskBytes: Int
    /// Bytes of all streams, decoded.
    public let weightBytes: Int
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
  ///   - progress: called before every tensor.
  /// - Throws: ``FurlError``; nothing is left behind.
  public func write(to path: String, pool: WorkerPool, progress: (Progress) -> Void = { _ in }) throws -> Result {
    let tokenizer = try tokenizer().serialized()
    let storage: ArtifactStorage = plan.recipe.storage == .compact ? .compact : .mapped
    let writer = try ArtifactWriter(path: path, storage: storage)
    var done = 0
    for tensor in plan.tensors {
      done += tensor.spec.elementCount
      progress(Progress(tensor: tensor.spec.name, done: done, total: plan.spec.parameterCount))
      try writer.append(
        name: tensor.spec.name, role: tensor.spec.role.rawValue, shape: tensor.spec.shape, scheme: tensor.scheme,
        streams: try streams(of: tensor, pool: pool), parallelFor: pool.forEach)
    }
    let id = try writer.finish(try description(), tokenizer: tokenizer)
    return Result(artifactID: id, diskBytes: writer.bytesWritten, weightBytes: plan.rawBytes)
  }

  /// The checkpoint's tokenizer, which must fit the model: an artifact that cannot be run is not written.
  func tokenizer() throws -> Tokenizer { try ModelFile.checkpoint(checkpoint).tokenizer() }

  private func streams(
    of tensor: Plan.PlannedTensor, pool: WorkerPool
  ) throws -> [PackedLayout.StreamKind: ByteStorage] {
    do {
      let source = try checkpoint.source(tensor.sourceName)
      guard tensor.spec.shape.count == 2 else { return [.values: try FloatVector(source).storage] }
      let matrix = try PackedMatrix.encode(source, scheme: tensor.scheme, pool: pool)
      return Dictionary(uniqueKeysWithValues: zip(matrix.layout.streams.map(\.kind), matrix.streams))
    } catch var error as FurlError {
      error.place = error.place ?? tensor.sourceName
      throw error
    }
  }

  private func description() throws -> ArtifactDescription {
    let recipe = plan.recipe
    return ArtifactDescription(
      furl: furlVersion, architecture: plan.spec.architecture, spec: plan.spec.json, config: checkpoint.config,
      recipe: .init(name: recipe.name, text: recipe.json.canonicalText),
      lineage: try checkpoint.sourceFiles().map { .init(name: $0.name, bytes: $0.bytes, digest: $0.digest) })
  }
}
