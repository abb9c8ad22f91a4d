import FurlSpec
import FurlTensor

/// A model that is ready to run: its weights as the kernels read them.
///
/// Immutable, so any number of sessions share one.
public final class LanguageModel: Sendable {
  /// A norm's weight and bias.
  struct Norm: Sendable {
    let weight: FloatVector
    let bias: FloatVector
  }

  /// The weights of one block.
  struct Block: Sendable {
    let attentionNorm: Norm
    let queryKeyValue: LinearGroup
    let attentionOutput: LinearGroup
    let mlpNorm: Norm
    let up: LinearGroup
    let down: LinearGroup
  }

  public let spec: ModelSpec
  let embedding: PackedMatrix
  let positions: PackedMatrix
  let blocks: [Block]
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
    positions = try loader.matrix("positions")
    blocks = try spec.blocks.indices.map { index in
      let prefix = "blocks.\(index)."
      return Block(
        attentionNorm: try loader.norm(prefix + "attention.norm", spec),
        queryKeyValue: try loader.group(["query", "key", "value"].map { prefix + "attention." + $0 }),
        attentionOutput: try loader.group([prefix + "attention.output"]),
        mlpNorm: try loader.norm(prefix + "mlp.norm", spec), up: try loader.group([prefix + "mlp.up"]),
        down: try loader.group([prefix + "mlp.down"]))
    }
    norm = try loader.norm("norm", spec)
    head = spec.tiedEmbeddings ? LinearGroup([.init(embedding, bias: nil)]) : try loader.group(["head"])
    weightBytes = loader.bytes
    source.dropPages()
    releaseFreedMemory()
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

    mutating func group(_ names: [String]) throws -> LinearGroup {
      LinearGroup(try names.map { .init(try matrix($0), bias: try vector($0 + ".bias")) })
    }

    mutating func norm(_ name: String, _ spec: ModelSpec) throws -> Norm {
      guard let weight = try vector(name) else { throw FurlError(.defect, place: name, "is not in the specification") }
      return Norm(
        weight: weight, bias: try vector(name + ".bias") ?? FloatVector(Array(repeating: 0, count: weight.count)))
    }
  }
}
