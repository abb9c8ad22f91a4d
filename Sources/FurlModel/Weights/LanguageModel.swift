import FurlBase
import FurlSpec
import FurlTensor

/// A model that is ready to run: its weights as the kernels read them.
///
/// Immutable, so any number of sessions share one.
public final class LanguageModel: Sendable {
  /// A norm's weight and bias.
  struct Norm: Sendable {
    let weight: FloatVector
    let bias: FloatVector?
  }

  /// The weights of one block.
  struct Block: Sendable {
    /// What comes before the block where others were cut out.
    let patch: LinearGroup?
    let attentionNorm: Norm
    /// What reads the block's first norm: query, key and value; with a parallel residual the MLP's first layers too.
    let queryKeyValue: LinearGroup
    let attentionOutput: LinearGroup
    /// With a sequential residual: the MLP's norm, and its gate and up.
    let mlp: (norm: Norm, up: LinearGroup)?
    let down: LinearGroup
  }

  public let spec: ModelSpec
  let embedding: PackedMatrix
  /// Learned positions; nil where they are rotary.
  let positions: PackedMatrix?
  let blocks: [Block]
  /// What comes behind the last block where others were cut out.
  let patch: LinearGroup?
  let norm: Norm
  let head: LinearGroup
  /// How keys and values are kept unless something else is asked for: FP32 beside FP32 weights of a checkpoint, FP16
  /// beside an artifact's.
  public let defaultKeyValueFormat: KeyValueCache.Format

  /// Bytes of the weights in memory.
  public let weightBytes: Int

  /// Loads every tensor of a source.
  ///
  /// - Throws: ``FurlError`` that names the tensor.
  public init(_ source: any WeightProvider, pool: WorkerPool) throws {
    let spec = source.spec
    self.spec = spec
    defaultKeyValueFormat = source.defaultKeyValueFormat
    var loader = Loader(source: source, pool: pool, tensors: spec.tensors)
    embedding = try loader.matrix("embedding")
    positions = spec.positions == .learned ? try loader.matrix("positions") : nil
    blocks = try spec.blocks.indices.map { try loader.block($0, spec) }
    patch = spec.patches.contains(spec.blocks.count) ? LinearGroup([try loader.layer("patch")]) : nil
    norm = try loader.norm("norm")
    head = spec.tiedEmbeddings ? LinearGroup([.init(embedding, bias: nil)]) : LinearGroup([try loader.layer("head")])
    weightBytes = loader.bytes
    source.dropPages()
    releaseFreedMemory()
  }

  /// The same model with some of its blocks, in their order; weights are shared.
  public func keeping(blocks kept: [Int]) -> LanguageModel { LanguageModel(self, keeping: kept) }

  private init(_ other: LanguageModel, keeping kept: [Int]) {
    precondition(other.spec.patches.isEmpty)
    var spec = other.spec
    spec.blocks = kept.map { other.spec.blocks[$0] }
    self.spec = spec
    embedding = other.embedding
    positions = other.positions
    blocks = kept.map { other.blocks[$0] }
    patch = nil
    norm = other.norm
    head = other.head
    defaultKeyValueFormat = other.defaultKeyValueFormat
    weightBytes = other.weightBytes
  }

  /// Loads tensors by name and adds up their bytes.
  private struct Loader {
    let source: any WeightProvider
    let pool: WorkerPool
    let tensors: [String: TensorSpec]
    var bytes = 0

    init(source: any WeightProvider, pool: WorkerPool, tensors: [TensorSpec]) {
      self.source = source
      self.pool = pool
      self.tensors = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) })
    }

    mutating func matrix(_ name: String) throws -> PackedMatrix {
      guard let tensor = tensors[name] else { throw FurlError(.defect, place: name, "is not in the specification") }
      let matrix = try source.matrix(tensor, pool: pool)
      bytes += matrix.layout.byteCount
      return matrix
    }

    mutating func vector(_ name: String) throws -> FloatVector? {
      guard let tensor = tensors[name] else { return nil }
      let vector = try source.vector(tensor)
      bytes += vector.count * 4
      return vector
    }

    mutating func layer(_ name: String, _ epilogue: LinearGroup.Epilogue = .none) throws -> LinearGroup.Layer {
      LinearGroup.Layer(try matrix(name), bias: try vector(name + ".bias"), epilogue: epilogue)
    }

    mutating func norm(_ name: String) throws -> Norm {
      guard let weight = try vector(name) else { throw FurlError(.defect, place: name, "is not in the specification") }
      return Norm(weight: weight, bias: try vector(name + ".bias"))
    }

    mutating func block(_ index: Int, _ spec: ModelSpec) throws -> Block {
      let prefix = "blocks.\(index)."
      let patch = spec.patches.contains(index) ? LinearGroup([try layer(prefix + "patch")]) : nil
      let attentionNorm = try norm(prefix + "attention.norm")
      let attention = try ["query", "key", "value"].map { try layer(prefix + "attention." + $0) }
      let output = try layer(prefix + "attention.output")
      let mlpNorm = spec.residual == .sequential ? try norm(prefix + "mlp.norm") : nil
      let activation = LinearGroup.Activation(spec.activation)
      let up =
        switch spec.mlp {
        case .plain: [try layer(prefix + "mlp.up", .activation(activation))]
        case .gated: [try layer(prefix + "mlp.gate", .gate(activation)), try layer(prefix + "mlp.up")]
        }
      return Block(
        patch: patch, attentionNorm: attentionNorm,
        queryKeyValue: LinearGroup(mlpNorm == nil ? attention + up : attention),
        attentionOutput: LinearGroup([output]), mlp: mlpNorm.map { ($0, LinearGroup(up)) },
        down: LinearGroup([try layer(prefix + "mlp.down")]))
    }
  }
}

extension LinearGroup.Activation {
  init(_ activation: ModelSpec.Activation) {
    self =
      switch activation {
      case .gelu: .gelu
      case .geluTanh: .geluTanh
      case .quickGelu: .quickGelu
      case .silu: .silu
      case .relu: .relu
      case .tanh: .tanh
      }
  }
}

extension Activations.Norm {
  public init(_ norm: ModelSpec.Norm) {
    self =
      switch norm {
      case .layerNorm: .layerNorm
      case .rmsNorm: .rmsNorm
      }
  }
}
