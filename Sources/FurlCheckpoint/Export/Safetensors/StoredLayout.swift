import FurlBase
import FurlSpec
import FurlTensor

/// A tensor as a family stores it: the reverse of what ``Architecture/location(of:in:)`` says of the parts.
struct StoredLayout {
  /// A tensor of the specification that it is made of.
  struct LayoutPart {
    let spec: TensorSpec
    let location: TensorLocation

    /// Where one of its rows lies among the outputs of its slice.
    func output(_ row: Int) -> Int { (location.part?.start ?? 0) + location.rowOrder.stored(row) }

    /// Rows, or the numbers of a vector.
    var rows: Int { spec.shape[0] }
  }

  let name: String
  /// As it is stored.
  let shape: [Int]
  /// Of each slice, in the order of their first outputs; one slice unless several matrices are stored as one.
  let slices: [[LayoutPart]]
  /// Stored as input x output.
  let isTransposed: Bool
  /// The numbers of a vector of which it holds a piece; nil: all.
  var piece: Range<Int>?

  /// Whether the columns of its parts lie beside each other, and not their rows.
  var isBesideEachOther = false

  var elementCount: Int { shape.reduce(1, *) }
  /// Outputs of a slice.
  var outputs: Int { slices[0].reduce(0) { $0 + $1.rows } }
  var parts: [TensorSpec] { slices.joined().map(\.spec) }
  /// Whether the rows of all parts lie one after the other.
  var isPlain: Bool { slices.count == 1 && slices[0].allSatisfy { $0.location.rowOrder == .stored } }

  /// The tensors that a checkpoint of a family has for a specification, in its order.
  ///
  /// - Parameters:
  ///   - folds: what the family makes of stored numbers.
  ///   - path: the model, for errors.
  /// - Throws: ``FurlError`` of kind `input` when parts of a fused tensor do not make up a whole.
  static func layouts(
    of spec: ModelSpec, family: any Architecture.Type, folds: Folds = [:], path: String
  ) throws -> [StoredLayout] {
    try layouts(of: spec, path: path) { tensor in
      var location = family.location(of: tensor, in: spec).folding(folds, tensor)
      // The head stands beside the model whose name is the prefix.
      let isHead = tensor.role == .head || tensor.name == "head.bias"
      let prefix = isHead ? "" : family.prefix
      location.name = prefix + location.name
      location.pieces = location.pieces.map { prefix + $0 }
      return location
    }
  }

  /// The same, wherever tensors lie.
  static func layouts(
    of spec: ModelSpec, path: String, location: (TensorSpec) -> TensorLocation
  ) throws -> [StoredLayout] {
    var order: [String] = []
    var parts: [String: [LayoutPart]] = [:]
    var pieces: [String: StoredLayout] = [:]
    for tensor in spec.tensors {
      let location = location(tensor)
      if location.computed != nil { continue }
      let part = LayoutPart(spec: tensor, location: location)
      if !location.pieces.isEmpty {
        let count = tensor.shape[0] / location.pieces.count
        for (index, name) in location.pieces.enumerated() {
          order.append(name)
          pieces[name] = StoredLayout(
            name: name, shape: [count], slices: [[part]], isTransposed: false,
            piece: index * count..<(index + 1) * count)
        }
        continue
      }
      if location.isShared, parts[location.name] != nil { continue }
      if parts[location.name] == nil { order.append(location.name) }
      parts[location.name, default: []].append(part)
    }
    return try order.map { try pieces[$0] ?? layout($0, parts[$0] ?? [], path: path) }
  }

  /// Parts with the same rows.
  private static func besideEachOther(_ name: String, _ parts: [LayoutPart], path: String) throws -> StoredLayout {
    let sorted = parts.sorted { $0.location.columns?.start ?? 0 < $1.location.columns?.start ?? 0 }
    var width = 0
    for part in sorted {
      guard part.location.columns?.start == width, part.rows == sorted[0].rows else {
        throw FurlError.input(path, part.spec.name, "does not fit beside the other parts of \(name)")
      }
      width += part.spec.shape[1]
    }
    guard width == sorted[0].location.columns?.total else {
      throw FurlError.input(path, sorted[0].spec.name, "does not fill \(name) together with the other parts")
    }
    return StoredLayout(
      name: name, shape: [sorted[0].rows, width], slices: [sorted], isTransposed: false, isBesideEachOther: true)
  }

  private static func layout(_ name: String, _ parts: [LayoutPart], path: String) throws -> StoredLayout {
    let first = parts[0]
    if first.location.columns != nil { return try besideEachOther(name, parts, path: path) }
    let count = first.location.slice?.count ?? 1
    var slices = [[LayoutPart]](repeating: [], count: count)
    for part in parts {
      guard part.location.slice?.count ?? 1 == count, part.location.isTransposed == first.location.isTransposed,
        part.spec.shape.dropFirst() == first.spec.shape.dropFirst()
      else { throw FurlError.input(path, part.spec.name, "does not fit beside the other parts of \(name)") }
      slices[part.location.slice?.index ?? 0].append(part)
    }
    let outputs = first.location.part?.total ?? first.rows
    for index in slices.indices {
      slices[index].sort { $0.output(0) < $1.output(0) }
      var isFilled = [Bool](repeating: false, count: outputs)
      for part in slices[index] {
        for row in 0..<part.rows {
          let output = part.output(row)
          guard output < outputs, !isFilled[output] else {
            throw FurlError.input(path, part.spec.name, "does not fit beside the other parts of \(name)")
          }
          isFilled[output] = true
        }
      }
      guard !isFilled.contains(false) else {
        throw FurlError.input(path, first.spec.name, "does not fill \(name) together with the other parts")
      }
    }
    let isTransposed = first.location.isTransposed
    let matrix = [outputs] + first.spec.shape.dropFirst()
    return StoredLayout(
      name: name,
      shape: first.location.storedShape
        ?? (first.location.slice == nil ? [] : [count]) + (isTransposed ? matrix.reversed() : matrix),
      slices: slices, isTransposed: isTransposed)
  }
}
