import FurlBase
package import FurlCheckpoint
package import FurlNumerics
package import FurlSpec
package import FurlTensor

/// A number for every parameter of a model, in one piece of memory: its weights, or their gradients.
package final class ModelParameters: Sendable {
  package let spec: ModelSpec
  /// In the order of the memory.
  package let tensors: [TensorSpec]
  /// All numbers: [1][parameters].
  package let all: Matrix
  private let parts: [String: Matrix]
  /// Where each tensor lies in ``all``.
  package let ranges: [String: Range<Int>]

  /// Zeros.
  ///
  /// - Parameter includesMatrices: false leaves room for vectors only.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package init(zeros spec: ModelSpec, includesMatrices: Bool = true) throws {
    self.spec = spec
    tensors = includesMatrices ? spec.tensors : spec.tensors.filter { $0.shape.count == 1 }
    let shapes = tensors.map { $0.shape.count == 1 ? (rows: 1, columns: $0.shape[0]) : ($0.shape[0], $0.shape[1]) }
    let (all, parts) = try Matrix.row(of: shapes)
    self.all = all
    self.parts = Dictionary(uniqueKeysWithValues: zip(tensors.map(\.name), parts))
    var ranges: [String: Range<Int>] = [:]
    var offset = 0
    for tensor in tensors {
      ranges[tensor.name] = offset..<offset + tensor.elementCount
      offset += tensor.elementCount
    }
    self.ranges = ranges
  }

  /// The weights of a checkpoint.
  ///
  /// - Throws: ``FurlError`` that names the tensor.
  package convenience init(_ checkpoint: Checkpoint) throws {
    try self.init(checkpoint.spec) { try checkpoint.source($0) }
  }

  /// Weights from wherever they are.
  ///
  /// - Parameter source: of a tensor, by its name.
  /// - Throws: ``FurlError`` that names the tensor.
  package convenience init(_ spec: ModelSpec, source: (String) throws -> WeightSource) throws {
    try self.init(zeros: spec)
    let buffer = ReadBuffer()
    for tensor in tensors {
      do {
        let source = try source(tensor.name)
        try self[tensor.name].load(source, with: buffer)
        source.drop()
      } catch var error as FurlError {
        error.place = error.place ?? tensor.name
        throw error
      }
    }
  }

  /// A tensor; a vector is a matrix of one row.
  package subscript(name: String) -> Matrix {
    guard let part = parts[name] else { preconditionFailure("\(name) is not in the specification") }
    return part
  }

  /// A tensor, where the model has it.
  package func optional(_ name: String) -> Matrix? { parts[name] }

  /// A matrix or a norm with its bias.
  struct ParameterLayer {
    let weight: Matrix
    let bias: Matrix?
  }

  func layer(_ name: String) -> ParameterLayer { ParameterLayer(weight: self[name], bias: optional(name + ".bias")) }

  /// What makes logits of hidden states.
  package var head: HeadWeights {
    spec.tiedEmbeddings
      ? HeadWeights(weight: self["embedding"], bias: nil, softCap: spec.logitSoftCap.map(Float.init))
      : HeadWeights(weight: self["head"], bias: optional("head.bias"), softCap: spec.logitSoftCap.map(Float.init))
  }
}
