import FurlArtifact
import FurlCheckpoint
import FurlSpec
import FurlTensor
import FurlTokenizer

/// A checkpoint or an artifact as exports see it.
public struct ExportedModel: ExportSource {
  public let file: ModelFile
  private let tokenizer: Tokenizer

  /// - Throws: ``FurlError`` when the tokenizer cannot be read or does not fit the model.
  public init(_ file: ModelFile) throws {
    self.file = file
    tokenizer = try file.tokenizer()
  }

  public var path: String { file.path }
  public var spec: ModelSpec { file.spec }

  public var name: String {
    let name = file.name
    return name.hasSuffix(".furl") && name.count > 5 ? String(name.dropLast(5)) : name
  }

  public var config: JSON {
    switch file {
    case .checkpoint(let checkpoint): checkpoint.config
    case .artifact(let weights): weights.artifact.description.config
    }
  }

  public func numbers(of tensor: TensorSpec) throws -> StoredNumbers {
    switch file {
    case .checkpoint(let checkpoint): return .plain(try checkpoint.source(tensor.name).type)
    case .artifact(let weights):
      guard let found = weights.artifact.tensor(named: tensor.name) else {
        throw FurlError.input(path, tensor.name, "is missing")
      }
      return .packed(found.scheme)
    }
  }

  public func weights(of tensor: TensorSpec, pool: WorkerPool) throws -> ExportedWeights {
    switch file {
    case .checkpoint(let checkpoint): return .source(try checkpoint.source(tensor.name))
    case .artifact(let weights):
      return tensor.shape.count == 1
        ? .vector(try weights.vector(tensor)) : .matrix(try weights.matrix(tensor, pool: pool))
    }
  }

  public func dropPages() {
    switch file {
    case .checkpoint(let checkpoint): checkpoint.dropPages()
    case .artifact(let weights): weights.artifact.dropPages()
    }
  }

  public func sideFiles() throws -> [SideFile] {
    switch file {
    case .checkpoint(let checkpoint) where checkpoint.gguf == nil:
      return try ExportedModel.copiedFiles.compactMap { name in
        let path = checkpoint.folder + "/" + name
        guard access(path, F_OK) == 0 else { return nil }
        return SideFile(name: name, content: .file(try MappedFile(path: path)))
      }
    // A GGUF file and an artifact hold their tokenizers in forms of their own.
    case .checkpoint, .artifact:
      func text(_ json: JSON) -> SideFile.Content { .bytes(Array((json.prettyText + "\n").utf8)) }
      return [
        SideFile(name: "tokenizer.json", content: text(try naming { try tokenizer.tokenizerJSON() })),
        SideFile(
          name: "tokenizer_config.json",
          content: text(tokenizer.configurationJSON(contextLength: spec.contextLength))),
      ]
    }
  }

  /// What a checkpoint has beside its weights and `config.json`.
  private static let copiedFiles = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model",
    "vocab.json", "merges.txt", "chat_template.jinja", "generation_config.json",
  ]

  public func vocabulary() throws -> GGUFVocabulary {
    try naming { try tokenizer.ggufVocabulary(architecture: spec.architecture) }
  }

  private func naming<Value>(_ body: () throws -> Value) throws -> Value {
    do {
      return try body()
    } catch var error as FurlError {
      error.file = error.file ?? path
      throw error
    }
  }
}
