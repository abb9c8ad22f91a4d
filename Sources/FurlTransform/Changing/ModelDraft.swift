import FurlBase
import FurlCheckpoint
import FurlNumerics
import FurlSpec
import FurlTensor

/// A model on its way to another shape: tensors that change are written to a scratch file as they come, the others stay
/// where they lie.
final class ModelDraft {
  private enum DraftPlace {
    case source(WeightSource)
    case scratch(offset: Int, shape: [Int])
  }

  private let base: Checkpoint
  private let scratch: ScratchFile
  private var places: [String: DraftPlace] = [:]

  /// - Parameter folder: for the scratch file.
  init(_ base: Checkpoint, folder: String) throws {
    self.base = base
    scratch = try ScratchFile(folder: folder)
  }

  /// Takes a tensor as it is, under a name.
  func keep(_ name: String, as newName: String? = nil) throws {
    places[newName ?? name] = .source(try base.source(name))
  }

  func set(_ name: String, _ values: [Float], shape: [Int]) throws {
    places[name] = .scratch(offset: try scratch.append(values), shape: shape)
  }

  func set(_ name: String, _ matrix: Matrix) throws {
    try set(name, matrix.values, shape: [matrix.rows, matrix.columns])
  }

  /// Some rows of a matrix, or some numbers of a vector.
  func gather(_ name: String, rows: [Int]) throws {
    let source = try base.source(name)
    defer { source.drop() }
    if source.rows == 1 {
      let values = source.readAll()
      return try set(name, rows.map { values[$0] }, shape: [rows.count])
    }
    // Pieces of a multiple of 16 rows lie one behind the other.
    let step = max(1, (1 << 20) / source.columns) * 16
    var offset: Int?
    for start in stride(from: 0, to: rows.count, by: step) {
      var values: [Float] = []
      values.reserveCapacity(min(step, rows.count - start) * source.columns)
      for row in rows[start..<min(start + step, rows.count)] { values += source.read(rows: row..<row + 1) }
      let begin = try scratch.append(values)
      offset = offset ?? begin
      source.drop()
    }
    guard let offset else { throw FurlError(.defect, place: name, "nothing is kept") }
    places[name] = .scratch(offset: offset, shape: [rows.count, source.columns])
  }

  /// The model with what has been written; tensors of which nothing was said are those of the base.
  ///
  /// - Parameter vocabulary: where the tokens are others: the tokenizer in the form of artifacts, `config.json` and the
  ///   tokens that end a text.
  func finish(_ spec: ModelSpec, vocabulary: (tokenizer: [UInt8], config: JSON, ends: EndTokens)? = nil) throws
    -> Checkpoint
  {
    let file = try scratch.finish()
    var sources: [String: WeightSource] = [:]
    for tensor in spec.tensors {
      switch places[tensor.name] {
      case .source(let source): sources[tensor.name] = source
      case .scratch(let offset, let shape):
        sources[tensor.name] =
          shape.count == 1
          ? try .vector(file: file, type: .float32, offset: offset, count: shape[0])
          : try WeightSource(
            file: file, type: .float32, offset: offset, rows: shape[0], columns: shape[1], rowStride: shape[1])
      case nil: sources[tensor.name] = try base.source(tensor.name)
      }
    }
    return try Checkpoint(base, spec: spec, sources: sources, vocabulary: vocabulary)
  }
}

extension Checkpoint {
  /// The same model with some of its blocks, in their order.
  func keeping(blocks: [Int]) throws -> Checkpoint {
    var spec = self.spec
    spec.blocks = blocks.map { self.spec.blocks[$0] }
    // A patch stands before the block that it stood before; one before a block that goes would be lost.
    precondition(self.spec.patches.isEmpty)
    var sources: [String: WeightSource] = [:]
    for tensor in spec.tensors {
      let name = tensor.block.map { "blocks.\(blocks[$0])." + tensor.name.dropFirst("blocks.\($0).".count) }
      sources[tensor.name] = try source(name ?? tensor.name)
    }
    return try Checkpoint(self, spec: spec, sources: sources)
  }

  /// A matrix in FP32.
  func floats(_ name: String) throws -> Matrix {
    let source = try source(name)
    defer { source.drop() }
    return try Matrix(source.readAll(), rows: source.rows, columns: source.columns)
  }
}
