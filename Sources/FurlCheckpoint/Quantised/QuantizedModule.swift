import FurlBase
import FurlSpec
import FurlTensor

/// A matrix of a model that may be stored quantized: what its module is called, how large it has to be, and the tensors
/// there are.
struct QuantizedModule {
  /// What stands before the names of its tensors, with the point behind it.
  let stem: String
  /// Outputs and inputs of the whole module, whatever part of it is asked for.
  let rows: Int
  let columns: Int
  /// Outputs of the part that is asked for.
  let partRows: Int
  /// Whether the family stores plain weights as input x output.
  let isTransposed: Bool
  /// Which of several modules that are stored as one it is, and how many there are: every tensor has a dimension more.
  let slice: (index: Int, count: Int)?
  /// Heads whose outputs are stored by a dimension of their own; nil: they follow each other.
  let heads: Int?
  private let stored: StoredTensors
  /// What says how large tensors are, for errors.
  private let sizesFrom: String
  /// The tensors that have been asked for and are there.
  private(set) var names: [String] = []

  /// A matrix that is stored quantized, as a source of its weights.
  ///
  /// - Parameter name: of the plain tensor, which says the module's.
  /// - Returns: nil where it is not quantized.
  /// - Throws: ``FurlError`` of kind `input`.
  static func source(
    of tensor: TensorSpec, at location: TensorLocation, name: String, in stored: StoredTensors,
    form: any QuantizedForm, sizesFrom: String
  ) throws -> (source: WeightSource, names: [String])? {
    let isLayer = name.hasSuffix(".weight")
    let isMatrix = location.storedShape.map { $0.count == 3 && location.slice == nil } ?? true
    guard tensor.shape.count == 2, isLayer || location.slice != nil, isMatrix else { return nil }
    var module = QuantizedModule(
      tensor, location, stem: isLayer ? String(name.dropLast("weight".count)) : name, stored: stored,
      sizesFrom: sizesFrom)
    if location.slice != nil, !form.readsStacks { return try module.refuseStack(form) }
    guard var matrix = try form.matrix(of: &module) else { return nil }
    if let heads = module.heads, location.headRows != nil { matrix = try TurnedHeads(matrix, heads: heads) }
    module.passOver()
    let source = try WeightSource(
      coded: matrix, firstRow: location.part?.start ?? 0, rows: tensor.shape[0],
      firstColumn: location.columns?.start ?? 0, columns: tensor.shape[1], rowOrder: location.rowOrder)
    return (source.folding(location.fold), module.names)
  }

  private init(
    _ tensor: TensorSpec, _ location: TensorLocation, stem: String, stored: StoredTensors, sizesFrom: String
  ) {
    self.stem = stem
    if let stored = location.storedShape {
      (heads, rows, columns) = (stored[0], stored[0] * stored[1], stored[2])
    } else {
      heads = nil
      rows = location.part?.total ?? tensor.shape[0]
      columns = location.columns?.total ?? tensor.shape[1]
    }
    partRows = tensor.shape[0]
    isTransposed = location.isTransposed
    slice = location.slice
    self.stored = stored
    self.sizesFrom = sizesFrom
  }

  /// Scales of activations are no weights, and GPTQ's programs write a bias of zeros where a layer has none.
  private mutating func passOver() {
    for name in ["input_scale", "activation_scale", "output_scale", "input_zero_point", "weight_format"] {
      _ = tensor(name)
    }
    let bias = name(of: "bias")
    if let found = stored.tensors[bias], found.isDense, let size = found.numbers?.size,
      found.file.isZero(found.offset..<found.offset + found.count * size)
    {
      names.append(bias)
    }
  }

  /// - Throws: ``FurlError`` of kind `input` where there are codes of a form that has no experts in one tensor.
  private func refuseStack(_ form: any QuantizedForm) throws -> (source: WeightSource, names: [String])? {
    let codes = ["qweight", "qzeros", "weight.absmax", "SCB"].first(where: has) ?? "weight"
    guard let found = stored.tensors[name(of: codes)], found.type == nil || codes != "weight" else { return nil }
    throw FurlError.input(
      found.file.path, name(of: codes),
      "has all experts of a block in the form of \(form.name), which is read with each expert by itself alone",
      remedy: "name the checkpoint that it was made of")
  }

  // MARK: Tensors

  /// What a tensor of the module is called. Experts of transformers' classes are no layers of their own: what is theirs
  /// is behind their name.
  func name(of part: String) -> String {
    if stem.hasSuffix(".") { return stem + part }
    return part == "weight" ? stem : stem + "_" + (part.hasPrefix("weight_") ? String(part.dropFirst(7)) : part)
  }

  /// A tensor of the module, of experts the one that is meant; nil where there is none of that name.
  mutating func tensor(_ part: String) -> StoredTensors.Tensor? {
    guard let found = whole(part) else { return nil }
    return own(found) ?? found
  }

  /// The same as it is stored.
  mutating func whole(_ part: String) -> StoredTensors.Tensor? {
    let name = name(of: part)
    guard let found = stored.tensors[name] else { return nil }
    names.append(name)
    return found
  }

  /// Of the experts that a tensor has the one that is meant, of heads all as one matrix; nil where it has another number
  /// of them.
  private func own(_ tensor: StoredTensors.Tensor) -> StoredTensors.Tensor? {
    guard let count = slice?.count ?? heads else { return tensor }
    guard tensor.shape.first == count, tensor.isDense, let size = tensor.numbers?.size else { return nil }
    var (offset, shape) = (tensor.offset, Array(tensor.shape.dropFirst()))
    if let slice {
      offset += slice.index * tensor.strides[0] * size
    } else {
      guard let rows = shape.first else { return nil }
      let (all, isHuge) = rows.multipliedReportingOverflow(by: count)
      guard !isHuge else { return nil }
      shape[0] = all
    }
    return StoredTensors.Tensor(
      file: tensor.file, offset: offset, typeName: tensor.typeName, type: tensor.type, shape: shape)
  }

  /// The shape in the file of what has a shape by itself.
  private func whole(_ shape: [Int]) -> [Int] {
    if let slice { return [slice.count] + shape }
    guard let heads, let rows = shape.first else { return shape }
    return [heads, rows / heads] + shape.dropFirst()
  }

  func has(_ part: String) -> Bool { stored.tensors[name(of: part)] != nil }

  /// The names behind the stem that begin with something.
  func names(beginning start: String) -> [String] {
    stored.tensors.keys.filter { $0.hasPrefix(stem + start) }.map { String($0.dropFirst(stem.count)) }.sorted()
  }

  /// A tensor that has to be there, of one of some types and shapes, without gaps.
  ///
  /// - Parameters:
  ///   - shapes: of the module's own part.
  ///   - isShared: whether all experts have it together, so that it has no dimension more.
  /// - Throws: ``FurlError`` of kind `input`.
  mutating func required(
    _ part: String, _ types: [StoredElement], _ shapes: [[Int]], isShared: Bool = false
  ) throws -> StoredTensors.Tensor {
    let name = name(of: part)
    guard let stored = whole(part) else {
      let file = names.first.flatMap { self.stored.tensors[$0] }?.file.path
      throw FurlError.input(
        file, name, "is missing, and \(names.first ?? stem) needs it", remedy: "the checkpoint is not whole")
    }
    guard let type = stored.numbers, types.contains(type) else {
      let expected = types.map(\.name).joined(separator: " or ")
      throw FurlError.input(stored.file.path, name, "has dtype \(stored.typeName); \(expected) is expected")
    }
    guard let found = isShared ? stored : own(stored), shapes.contains(found.shape), found.isDense else {
      let expected = shapes.map { "\(isShared ? $0 : whole($0))" }.joined(separator: " or ")
      throw error(stored, part, "has shape \(stored.shape); by \(sizesFrom) it is \(expected)")
    }
    return found
  }

  func error(_ tensor: StoredTensors.Tensor, _ part: String, _ problem: String) -> FurlError {
    .input(
      tensor.file.path, name(of: part), problem, remedy: "the checkpoint and its declaration do not fit each other")
  }

  /// Scales as a grid.
  ///
  /// - Parameter shape: how they are read; the tensor has as many numbers.
  func grid(_ tensor: StoredTensors.Tensor, _ shape: (rows: Int, columns: Int)) throws -> StoredGrid {
    let numbers: StoredGrid.GridNumbers =
      switch tensor.numbers {
      case .float(let type): .floats(type)
      case .int8: .signedBytes
      default: .exponents
      }
    return try StoredGrid(
      tensor.file, offset: tensor.offset, rows: shape.rows, columns: shape.columns, numbers: numbers)
  }

  /// Which inputs share a scale, where a tensor of the module lists it.
  ///
  /// - Parameters:
  ///   - name: of the tensor, of one whole number for each input.
  ///   - size: of groups of neighbours, where it does not.
  ///   - count: of groups.
  /// - Throws: ``FurlError`` of kind `input` for a number that is no group.
  mutating func groups(_ name: String, size: Int, count: Int) throws -> GroupedCodes.CodeGroups {
    guard has(name) else { return .neighbours(size) }
    let list = try required(name, [.int32], [[columns]])
    var (isUnset, isPlain) = (true, true)
    for column in 0..<columns {
      let group = Int(list.file.integer(at: list.offset + 4 * column, as: Int32.self))
      isUnset = isUnset && group == -1
      guard isUnset || (0..<count).contains(group) else {
        throw error(list, name, "says group \(group) of input \(column); there are \(count) groups")
      }
      isPlain = isPlain && group == column / size
    }
    return isUnset || isPlain ? .neighbours(size) : .listed(list.file, offset: list.offset)
  }
}

/// The types of numbers that quantized forms are made of.
enum StoredElement: Sendable, Hashable {
  case int8, uint8
  /// With a sign or without: words of codes, or numbers below 2^31.
  case int32
  case int64
  case e4m3, e5m2
  /// Exponents alone.
  case e8m0
  case float(SourceType)

  /// Bytes of a number.
  var size: Int {
    switch self {
    case .int8, .uint8, .e4m3, .e5m2, .e8m0: 1
    case .int32: 4
    case .int64: 8
    case .float(let type): type.blockBytes
    }
  }

  var name: String {
    switch self {
    case .int8: "I8"
    case .uint8: "U8"
    case .int32: "I32"
    case .int64: "I64"
    case .e4m3: "F8_E4M3"
    case .e5m2: "F8_E5M2"
    case .e8m0: "F8_E8M0"
    case .float(let type): type.rawValue
    }
  }

  /// Those that scales are stored in.
  static let floats: [StoredElement] = [.float(.float32), .float(.float16), .float(.bfloat16)]
}

extension StoredTensors.Tensor {
  /// The type of the numbers, by the names of either format; nil for one that no form has.
  var numbers: StoredElement? {
    if let type, type.blockSize == 1 { return .float(type) }
    return switch typeName.uppercased() {
    case "I8", "INT8": .int8
    case "U8", "UINT8": .uint8
    case "I32", "INT32", "U32": .int32
    case "I64", "INT64": .int64
    case "F8_E4M3": .e4m3
    case "F8_E5M2": .e5m2
    case "F8_E8M0": .e8m0
    default: nil
    }
  }

  /// Whether it lies without gaps, its last dimension innermost.
  var isDense: Bool { strides == StoredTensors.Tensor.denseStrides(shape) }

  var count: Int { shape.reduce(1, *) }
}
