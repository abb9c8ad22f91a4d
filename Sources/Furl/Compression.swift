import FurlBase
import FurlCheckpoint
import FurlSpec
import FurlTensor
public import FurlTransform

/// A recipe that is to be run on a checkpoint.
///
/// ```swift
/// let compression = try Compression(checkpoint: "checkpoints/minipy", recipe: "int8")
/// let result = try await compression.write(to: "minipy-int8.furl")
/// print(result.identifier, result.diskBytes)
/// ```
///
/// The same checkpoint and recipe give the same bytes, whatever the number of threads. Values may be used from any task, and
/// several may be written at the same time.
public struct Compression: Sendable {
  private let compressor: Compressor

  /// Opens a checkpoint and reads a recipe; weights are not read.
  ///
  /// - Parameters:
  ///   - path: of a checkpoint's folder, a GGUF file or one of PyTorch's files.
  ///   - recipe: the path of a recipe, or the name of one that ships: `int8`.
  /// - Throws: ``FurlError`` with file, line and key of what is wrong, or why the recipe does not fit the checkpoint.
  public init(checkpoint path: String, recipe: String) throws {
    try self.init(path, recipe: Recipe(named: recipe))
  }

  /// The same with a recipe that is given as text.
  ///
  /// - Throws: ``FurlError``.
  public init(checkpoint path: String, recipeText: String) throws {
    try self.init(path, recipe: Recipe(YAML.read(Array(recipeText.utf8), file: nil)))
  }

  private init(_ path: String, recipe: Recipe) throws {
    compressor = try Compressor(Checkpoint(path: path), recipe: recipe)
  }

  /// The name that the recipe gives itself.
  public var recipeName: String { compressor.plan.recipe.name }

  /// Parameters of the model that comes out; before channels or tokens are chosen that a step removes, about these.
  public var parameterCount: Int { compressor.plan.spec.parameterCount }

  /// Bytes that the weights take in memory.
  public var weightBytes: Int { compressor.plan.rawBytes }

  /// The most bytes that the file can have.
  ///
  /// - Throws: ``FurlError`` where the checkpoint's tokenizer cannot be read.
  public func largestFileBytes() throws -> Int { try compressor.fileUpperBound() }

  /// Runs the recipe and writes the artifact.
  ///
  /// - Parameters:
  ///   - path: of the artifact. It appears when it is complete; an earlier file of that name is replaced.
  ///   - threads: that compute; nil: one for each core that the process may use.
  ///   - stateFolder: where training saves itself to, so that a run that was ended goes on where it was; nil: nowhere.
  ///   - progress: called after every tensor, and now and then in between, on the thread that computes.
  /// - Returns: what was written.
  /// - Throws: ``FurlError``; nothing is left behind but what is in `stateFolder`.
  public func write(
    to path: String, threads: Int? = nil, stateFolder: String? = nil,
    progress: @escaping @Sendable (CompressionProgress) -> Void = { _ in }
  ) async throws -> CompressionResult {
    let compressor = compressor
    return try await withCheckedThrowingContinuation { continuation in
      let begun = beginThread {
        continuation.resume(
          with: Result {
            try compressor.write(
              to: path, pool: CommandProcess.pool(chosen: threads), stateFolder: stateFolder,
              progress: progress)
          })
      }
      if !begun { continuation.resume(throwing: FurlError(.unavailable, "the system has no thread left")) }
    }
  }
}
