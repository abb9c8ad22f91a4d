import FurlBase
import FurlSpec
import FurlTensor

/// A tensor as a family stores it: the reverse of what ``Architecture/location(of:in:)`` says of the parts.
struct StoredLayout {
  let name: String
  /// As it is stored.
  let shape: [Int]
  /// The tensors of the specification that it is made of, their outputs one after the other.
  let parts: [TensorSpec]
  /// Stored as input x output.
  let isTransposed: Bool

  var elementCount: Int { shape.reduce(1, *) }

  /// The tensors that a checkpoint of a family has for a specification, in its order.
  ///
  /// - Parameter path: the model, for errors.
  /// - Throws: ``FurlError`` of kind `input` when parts of a fused tensor do not make up a whole.
  static func layouts(of spec: ModelSpec, family: any Architecture.Type, path: String) throws -> [StoredLayout] {
    var order: [String] = []
    var parts: [String: [(tensor: TensorSpec, location: TensorLocation)]] = [:]
    for tensor in spec.tensors {
      let location = family.location(of: tensor, in: spec)
      // The head stands beside the model whose name is the prefix.
      let isHead = tensor.role == .head || tensor.name == "head.bias"
      let name = isHead ? location.name : family.prefix + location.name
      if parts[name] == nil { order.append(name) }
      parts[name, default: []].append((tensor, location))
    }
    return try order.map { try layout($0, parts[$0] ?? [], path: path) }
  }

  private static func layout(
    _ name: String, _ parts: [(tensor: TensorSpec, location: TensorLocation)], path: String
  ) throws -> StoredLayout {
    let sorted = parts.sorted { ($0.location.part?.start ?? 0) < ($1.location.part?.start ?? 0) }
    let first = sorted[0]
    var outputs = 0
    for (tensor, location) in sorted {
      guard location.part?.start ?? 0 == outputs, location.isTransposed == first.location.isTransposed,
        location.rowOrder == .stored, tensor.shape.dropFirst() == first.tensor.shape.dropFirst()
      else { throw FurlError.input(path, tensor.name, "does not fit beside the other parts of \(name)") }
      outputs += tensor.shape[0]
    }
    guard outputs == first.location.part?.total ?? first.tensor.shape[0] else {
      throw FurlError.input(path, first.tensor.name, "does not fill \(name) together with the other parts")
    }
    let shape = [outputs] + first.tensor.shape.dropFirst()
    let isTransposed = first.location.isTransposed
    return StoredLayout(
      name: name, shape: isTransposed ? shape.reversed() : shape, parts: sorted.map(\.tensor),
      isTransposed: isTransposed)
  }
}
