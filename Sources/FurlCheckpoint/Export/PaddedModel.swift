import FurlBase
import FurlSpec
import FurlTensor

/// A pruned model as formats see it whose blocks are all alike: every block is as wide as those of the checkpoint that
/// it was made from, and what is not there any more is zeros. It computes the same, in the old size.
struct PaddedModel: ExportSource {
  private let source: any ExportSource
  let spec: ModelSpec
  /// Blocks before padding.
  private let narrow: [String: TensorSpec]
  /// What norms are multiplied with, where channels of zeros take part in their mean squares.
  private let normScale: Float

  /// - Parameters:
  ///   - biases: that the format has as well; those that the model lacks are zeros.
  ///   - padsChannels: whether the residual stream is as wide as it was, too. The mean square of a row with zeros behind
  ///     it is less by a factor that the epsilon and the norm's weights make up for; a LayerNorm's mean is another one.
  /// - Returns: nil where the model is not a narrower form of its checkpoint.
  init?(
    _ source: any ExportSource, family: any Architecture.Type, biases: Set<TensorRole>, padsChannels: Bool = false
  ) {
    guard
      let before = try? family.spec(DocumentReader(source.config, file: source.path, path: "config")),
      let whole = before.blocks.first?.widths, whole.kvHeads > 0,
      !padsChannels || source.spec.norm.kind == .rmsNorm && source.spec.hiddenSize <= before.hiddenSize,
      source.spec.blocks.map(\.widths).allSatisfy({
        $0.kvHeads > 0 && $0.heads <= whole.heads && $0.kvHeads <= whole.kvHeads && $0.headSize == whole.headSize
          && $0.mlpSize <= whole.mlpSize
          // Heads are padded behind the others, so that each has to keep its key/value head.
          && ($0.heads / $0.kvHeads == whole.heads / whole.kvHeads || $0.kvHeads == whole.kvHeads && $0.kvHeads == 1)
      })
    else { return nil }
    var spec = source.spec
    for index in spec.blocks.indices {
      spec.blocks[index].widths.heads = whole.heads
      spec.blocks[index].widths.kvHeads = whole.kvHeads
      spec.blocks[index].widths.mlpSize = whole.mlpSize
    }
    spec.addBiases(biases)
    let share = padsChannels ? Double(source.spec.hiddenSize) / Double(before.hiddenSize) : 1
    if padsChannels {
      spec.hiddenSize = before.hiddenSize
      spec.scaleNormEpsilons(by: share)
    }
    normScale = Float(share.squareRoot())
    self.source = source
    self.spec = spec
    narrow = Dictionary(uniqueKeysWithValues: source.spec.tensors.map { ($0.name, $0) })
  }

  /// What the reader of an export has to know.
  var note: String {
    let more = spec.parameterCount - source.spec.parameterCount
    let channels = spec.hiddenSize == source.spec.hiddenSize ? "" : " and \(spec.hiddenSize) channels"
    return
      "blocks are padded with zeros to \(spec.blocks[0].widths.heads) heads and \(spec.blocks[0].widths.mlpSize) MLP neurons"
      + "\(channels), "
      + "\(more) numbers that the model does not have"
  }

  var path: String { source.path }
  var name: String { source.name }
  var config: JSON { source.config }
  var files: [MappedFile] { source.files }
  func dropPages() { source.dropPages() }
  func sideFiles() throws -> [SideFile] { try source.sideFiles() }
  func vocabulary() throws -> ExportedVocabulary { try source.vocabulary() }
  func papers() throws -> ModelPapers { try source.papers() }

  func numbers(of tensor: TensorSpec) throws -> StoredNumbers {
    guard let own = narrow[tensor.name] else { return .plain(.float32) }
    let numbers = try source.numbers(of: own)
    guard own.shape != tensor.shape else { return numbers }
    switch numbers {
    case .plain(let type) where type.blockSize == 1: return numbers
    case .plain: return .plain(.float32)
    case .packed(.float32): return numbers
    case .packed(let scheme), .padded(let scheme): return .padded(scheme)
    }
  }

  func fold(of tensor: TensorSpec) throws -> WeightSource.Fold {
    guard let own = narrow[tensor.name], own.shape == tensor.shape else { return .none }
    return try source.fold(of: own)
  }

  func weights(of tensor: TensorSpec, pool: WorkerPool) throws -> ExportedWeights {
    let columns = tensor.shape.last ?? 1
    guard let own = narrow[tensor.name] else {
      return .floats(Array(repeating: 0, count: tensor.elementCount), columns: columns)
    }
    let weights = try source.weights(of: own, pool: pool)
    guard own.shape != tensor.shape else { return weights }
    let rows = own.shape.count == 1 ? 1 : own.shape[0]
    let (from, width) = (
      try weights.read(rows: 0..<rows, with: ExportTools(pool: pool)), own.shape.last ?? 1
    )
    var values = [Float](repeating: 0, count: tensor.elementCount)
    let scale = tensor.role == .norm ? normScale : 1
    for row in 0..<rows {
      values.replaceSubrange(
        row * columns..<row * columns + width, with: from[row * width..<(row + 1) * width].map { scale * $0 })
    }
    return .floats(values, columns: columns)
  }
}
