import FurlArtifact
package import FurlBase
package import FurlCheckpoint
package import FurlSpec
package import FurlTensor
package import FurlTokenizer
import Synchronization

/// A model on disk: a checkpoint (a folder or a GGUF file) or an artifact.
package enum ModelFile: Sendable {
  case checkpoint(Checkpoint)
  case artifact(ArtifactWeights)

  /// Opens what is at a path; headers and index are checked, weights are not read.
  ///
  /// - Throws: ``FurlError`` of kind `input`.
  package init(path: String) throws {
    if Artifact.isArtifact(path: path) || path.hasSuffix(".furl") {
      self = .artifact(try ArtifactWeights(Artifact(path: path)))
    } else if let format = ModelFile.foreignFormats.first(where: { path.hasSuffix($0.key) })?.value {
      throw FurlError.input(
        path, "\(format) are not supported yet", remedy: "name a checkpoint's folder or a .furl artifact")
    } else {
      self = .checkpoint(try Checkpoint(path: path))
    }
  }

  /// The files that opening a model at a path reads, and its tokenizer: ``Checkpoint/filesRead(at:)``; of an artifact,
  /// the file itself.
  package static func filesRead(at path: String) -> [String] { Checkpoint.filesRead(at: path) }

  private static let foreignFormats: KeyValuePairs = [
    ".onnx": "ONNX files"
  ]

  package var path: String {
    switch self {
    case .checkpoint(let checkpoint): checkpoint.path
    case .artifact(let weights): weights.artifact.path
    }
  }

  /// The folder that a checkpoint lies in, with what lies beside it; of an artifact, its path.
  package var folder: String {
    switch self {
    case .checkpoint(let checkpoint): checkpoint.folder
    case .artifact(let weights): weights.artifact.path
    }
  }

  /// The last part of the path.
  package var name: String { path.lastName }

  package var spec: ModelSpec {
    switch self {
    case .checkpoint(let checkpoint): checkpoint.spec
    case .artifact(let weights): weights.spec
    }
  }

  /// Loads the weights.
  package func load(pool: WorkerPool) throws -> LanguageModel {
    switch self {
    case .checkpoint(let checkpoint): try LanguageModel(checkpoint, pool: pool)
    case .artifact(let weights): try LanguageModel(weights.decoding(pool: pool), pool: pool)
    }
  }

  /// Loads weights and tokenizer; an artifact's at the same time.
  ///
  /// - Throws: ``FurlError``; the tokenizer's where both are damaged.
  package func loadAll(pool: WorkerPool) throws -> (model: LanguageModel, tokenizer: Tokenizer) {
    guard case .artifact(let weights) = self else {
      // The tokenizer first: loading the weights ends with giving free memory back.
      let tokenizer = try tokenizer()
      return (try load(pool: pool), tokenizer)
    }
    let tokenizer = Mutex<Result<Tokenizer, any Error>?>(nil)
    let decoded = Result {
      try weights.decoding(
        beside: {
          let result = Result { try self.tokenizer() }
          tokenizer.withLock { $0 = result }
        }, pool: pool)
    }
    let result = try tokenizer.withLock { $0 }?.get()
    let model = try LanguageModel(decoded.get(), pool: pool)
    guard let result else { throw FurlError(.defect, file: path, "the tokenizer was not read") }
    return (model, result)
  }

  /// Loads the tokenizer, with all tokens at which the model ends its texts (``EndTokens``). It may have more tokens than
  /// the model has rows: those are refused where a text needs them.
  ///
  /// - Throws: ``FurlError`` of kind `input`.
  package func tokenizer() throws -> Tokenizer {
    let tokenizer: Tokenizer
    switch self {
    case .checkpoint(let checkpoint):
      if let bytes = checkpoint.tokenizerBytes {
        tokenizer = try Tokenizer(serialized: bytes, file: checkpoint.path)
      } else if let gguf = checkpoint.gguf {
        tokenizer = try Tokenizer(GGUFTokenizer(gguf.metadata), file: gguf.path)
      } else {
        tokenizer = try Tokenizer(checkpoint: checkpoint.tokenizerFolder)
      }
    case .artifact(let weights):
      tokenizer = try Tokenizer(serialized: weights.artifact.tokenizerBytes(), file: weights.artifact.path)
    }
    return tokenizer.ending(at: try ends(with: tokenizer))
  }

  private func ends(with tokenizer: Tokenizer) throws -> EndTokens {
    let limit = max(spec.vocabularySize, tokenizer.vocabularySize)
    switch self {
    case .checkpoint(let checkpoint):
      return try checkpoint.endTokens(below: limit).union(tokenizer.ends)
    case .artifact(let weights):
      let description = weights.artifact.description
      guard let ids = description.endTokens else {
        // What an artifact says that does not carry them.
        let named = EndTokens.plainIDs(in: description.config).filter { $0 < limit }
        return EndTokens(named, from: "config.json").union(tokenizer.ends)
      }
      if let id = ids.first(where: { $0 >= limit }) {
        throw FurlError.input(path, "end_tokens", "\(id) is not the id of a token", remedy: "compress again")
      }
      return EndTokens(ids, from: "end_tokens").union(tokenizer.ends)
    }
  }

  /// Bytes of everything that belongs to the model on disk.
  package var diskBytes: Int {
    switch self {
    case .checkpoint(let checkpoint): checkpoint.diskBytes
    case .artifact(let weights): weights.artifact.diskBytes
    }
  }

  /// Bytes of the weights when they are loaded.
  package var weightBytes: Int {
    get throws {
      switch self {
      case .checkpoint(let checkpoint):
        try checkpoint.spec.tensors.reduce(0) { try $0 + PackedLayout(scheme: .float32, shape: $1.shape).byteCount }
      case .artifact(let weights): weights.artifact.weightBytes
      }
    }
  }

  /// Bits on disk for each weight: a checkpoint's weight files, an artifact as a whole.
  package var bitsPerWeight: Double {
    let bytes =
      switch self {
      case .checkpoint(let checkpoint): checkpoint.weightFileBytes
      case .artifact(let weights): weights.artifact.diskBytes
      }
    return 8 * Double(bytes) / Double(max(1, spec.parameterCount))
  }

  /// Checks that what was opened still is what the path leads to: figures of a file that somebody changes while it is used
  /// are those of no file.
  ///
  /// - Throws: ``FurlError`` of kind `input`.
  package func checkUnchanged(pool: WorkerPool) throws {
    switch self {
    case .checkpoint(let checkpoint):
      for file in checkpoint.weightFiles { _ = try file.checkUnchangedAndInPlace() }
    case .artifact(let weights):
      // Times can be set back, but not without a trace; then the digests decide.
      guard try weights.artifact.hasNewRecord() else { return }
      try weights.artifact.check(parallelFor: pool.forEach)
    }
  }

  // MARK: Identity

  /// What identifies the model: an artifact's id, or a digest over a checkpoint's files.
  package func digest() throws -> Digest {
    switch self {
    case .checkpoint: try sourceDigest()
    case .artifact(let weights): weights.artifact.id
    }
  }

  /// The identity of the checkpoint that the model is or was made from.
  package func sourceDigest() throws -> Digest {
    let files: [(name: String, digest: Digest)] =
      switch self {
      case .checkpoint(let checkpoint): try checkpoint.sourceFiles().map { ($0.name, $0.digest) }
      case .artifact(let weights): weights.artifact.description.lineage.map { ($0.name, $0.digest) }
      }
    let lines = files.map { "\($0.digest.hex) \($0.name)\n" }.sorted().joined()
    return Digest(of: lines.utf8)
  }
}
