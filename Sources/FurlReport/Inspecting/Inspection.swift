import FurlArtifact
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor

/// What `inspect` says about a model.
public struct Inspection: Sendable {
  /// One tensor.
  public struct Tensor: Sendable, Hashable {
    public let name: String
    public let role: String
    public let shape: [Int]
    public let scheme: String
    public let bitsPerWeight: Double
    public let diskBytes: Int
    /// Of the decoded streams of an artifact; of the FP32 values of a checkpoint.
    public let digest: Digest
  }

  public let file: ModelFile
  public let parameters: ParameterCount
  public let tensors: [Tensor]?
  /// How a checkpoint stores its weights; empty for an artifact.
  public let storedTypes: [StoredType]

  /// - Parameter listingTensors: reads and hashes every tensor of a checkpoint.
  public init(_ file: ModelFile, listingTensors: Bool, pool: WorkerPool) throws {
    self.file = file
    parameters = try ParameterCount(file, pool: pool)
    tensors = listingTensors ? try Inspection.list(file, pool: pool) : nil
    if case .checkpoint(let checkpoint) = file {
      storedTypes = try StoredType.list(of: checkpoint)
    } else {
      storedTypes = []
    }
  }

  private static func list(_ file: ModelFile, pool: WorkerPool) throws -> [Tensor] {
    switch file {
    case .checkpoint(let checkpoint):
      try checkpoint.spec.tensors.map { tensor in
        let source = try checkpoint.source(tensor.name)
        return Tensor(
          name: tensor.name, role: tensor.role.rawValue, shape: tensor.shape, scheme: source.type.rawValue,
          bitsPerWeight: 8 * Double(source.type.blockBytes) / Double(source.type.blockSize),
          diskBytes: source.type.byteCount(tensor.elementCount),
          digest: try TensorValues(file, tensor, pool: pool).digest())
      }
    case .artifact(let weights):
      weights.artifact.tensors.map {
        Tensor(
          name: $0.name, role: $0.role, shape: $0.shape, scheme: $0.scheme.name, bitsPerWeight: $0.bitsPerWeight,
          diskBytes: $0.diskBytes, digest: $0.digest)
      }
    }
  }

  public var json: JSON {
    get throws {
      var members: [JSON.Member] = [.init("path", .string(file.path))]
      switch file {
      case .checkpoint(let checkpoint):
        members += [.init("format_version", .null), .init("artifact_id", .null)]
        if let gguf = checkpoint.gguf {
          members.append(
            .init("gguf", ["version": .integer(gguf.version), "name": .optional(try gguf.name)]))
        }
        members.append(.init("stored_types", .array(storedTypes.map(\.json))))
      case .artifact(let weights):
        members += [
          .init("format_version", .integer(weights.artifact.formatVersion)),
          .init("artifact_id", .string(weights.artifact.id.hex)),
          .init("storage", .string(weights.artifact.storage.rawValue)),
          .init("furl", .string(weights.artifact.description.furl)),
        ]
      }
      members += [
        .init("architecture", .string(file.spec.architecture)), .init("layers", .integer(file.spec.blocks.count)),
        .init("hidden_size", .integer(file.spec.hiddenSize)),
        .init("vocabulary_size", .integer(file.spec.vocabularySize)),
        .init("context_length", .integer(file.spec.contextLength)),
        .init("blocks", .array(file.spec.blocks.map(Inspection.widths))),
        .init("patches", .array(file.spec.patches.sorted().map(JSON.integer))), .init("parameters", parameters.json),
        .init("disk_bytes", .integer(file.diskBytes)), .init("weight_bytes", .integer(try file.weightBytes)),
        .init("bits_per_weight", .number(file.bitsPerWeight)), .init("recipe", recipe),
        .init("changes", .array(changes)),
        .init("source", try source),
      ]
      if let tensors { members.append(.init("tensors", .array(tensors.map(\.json)))) }
      return .object(members)
    }
  }

  private static func widths(_ block: ModelSpec.Block) -> JSON {
    [
      "heads": .integer(block.heads), "kv_heads": .integer(block.kvHeads), "head_size": .integer(block.headSize),
      "mlp_size": .integer(block.mlpSize),
    ]
  }

  /// What steps that computed with the model have made of it; empty for a checkpoint.
  public var changes: [JSON] {
    guard case .artifact(let weights) = file else { return [] }
    return weights.artifact.description.recipe.details["changes"]?.array ?? []
  }

  private var recipe: JSON {
    guard case .artifact(let weights) = file else { return .null }
    let recipe = weights.artifact.description.recipe
    let parsed = try? JSON.parse(Array(recipe.text.utf8), file: nil)
    return [
      "name": .string(recipe.name), "sha256": .string(recipe.digest.hex), "canonical": parsed ?? .string(recipe.text),
    ]
  }

  private var source: JSON {
    get throws {
      let files: [JSON] =
        switch file {
        case .checkpoint(let checkpoint):
          try checkpoint.sourceFiles().map {
            ["name": .string($0.name), "bytes": .integer($0.bytes), "sha256": .string($0.digest.hex)]
          }
        case .artifact(let weights):
          weights.artifact.description.lineage.map {
            ["name": .string($0.name), "bytes": .integer($0.bytes), "sha256": .string($0.digest.hex)]
          }
        }
      return ["digest": .string(try file.sourceDigest().hex), "files": .array(files)]
    }
  }
}

extension Inspection.Tensor {
  var json: JSON {
    [
      "name": .string(name), "role": .string(role), "shape": .array(shape.map(JSON.integer)),
      "scheme": .string(scheme), "bits_per_weight": .number(bitsPerWeight), "disk_bytes": .integer(diskBytes),
      "sha256": .string(digest.hex),
    ]
  }
}
