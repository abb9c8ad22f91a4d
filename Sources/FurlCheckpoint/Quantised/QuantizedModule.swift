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
  /// Whether the family stores plain weights as input x output.
  let isTransposed: Bool
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
    guard tensor.shape.count == 2, name.hasSuffix(".weight"), location.slice == nil, location.storedShape == nil else {
      return nil
    }
    var module = QuantizedModule(
      stem: String(name.dropLast("weight".count)), rows: location.part?.total ?? tensor.shape[0],
      columns: location.columns?.total ?? tensor.shape[1], isTransposed: location.isTransposed, stored: stored,
      sizesFrom: sizesFrom)
    guard let matrix = try form.matrix(of: &module) else { return nil }
    module.passOver()
    let source = try WeightSource(
      coded: matrix, firstRow: location.part?.start ?? 0, rows: tensor.shape[0],
      firstColumn: location.columns?.start ?? 0, columns: tensor.shape[1], rowOrder: location.rowOrder)
    return (source.folding(location.fold), module.names)
  }

  private init(
    stem: String, rows: Int, columns: Int, isTransposed: Bool, stored: StoredTensors, sizesFrom: String
  ) {
    self.stem = stem
    self.rows = rows
    self.columns = columns
    self.isTransposed = isTransposed
    self.stored = stored
    self.sizesFrom = sizesFrom
  }

  /// Scales of activations are no weights, and GPTQ's programs write a bias of zeros where a layer has none.
  private mutating func passOver() {
    for name in ["input_scale", "activation_scale", "output_scale", "input_zero_point", "weight_format"] {
      _ = tensor(name)
    }
    if let bias = stored.tensors[stem + "bias"], bias.isDense, let size = bias.numbers?.size,
      bias.file.isZero(bias.offset..<bias.offset + bias.count * size)
    {
      names.append(stem + "bias")
    }
  }

  // MARK: Tensors

  /// A tensor of the module; nil where there is none of that name.
  mutating func tensor(_ name: String) -> StoredTensors.Tensor? {
    guard let found = stored.tensors[stem + name] else { return nil }
    names.append(stem + name)
    return found
  }

  func has(_ name: String) -> Bool { stored.tensors[stem + name] != nil }

  /// The names behind the stem that begin with something.
  func names(beginning start: String) -> [String] {
    stored.tensors.keys.filter { $0.hasPrefix(stem + start) }.map { String($0.dropFirst(stem.count)) }.sorted()
  }

  /// A tensor that has to be there, of one of some types and shapes, without gaps.
  ///
  /// - Throws: ``FurlError`` of kind `input`.
  mutating func required(
    _ name: String, _ types: [StoredElement], _ shapes: [[Int]]
  ) throws -> StoredTensors.Tensor {
    guard let found = tensor(name) else {
      let file = names.first.flatMap { stored.tensors[$0] }?.file.path
      throw FurlError.input(
        file, stem + name, "is missing, and \(names.first ?? stem) needs it", remedy: "the checkpoint is not whole")
    }
    guard let type = found.numbers, types.contains(type) else {
      let expected = types.map(\.name).joined(separator: " or ")
      throw FurlError.input(found.file.path, stem + name, "has dtype \(found.typeName); \(expected) is expected")
    }
    guard shapes.contains(found.shape), found.isDense else {
      let expected = shapes.map { "\($0)" }.joined(separator: " or ")
      throw error(found, name, "has shape \(found.shape); by \(sizesFrom) it is \(expected)")
    }
    return found
  }

  func error(_ tensor: StoredTensors.Tensor, _ name: String, _ problem: String) -> FurlError {
    .input(tensor.file.path, stem + name, problem, remedy: "the checkpoint and its declaration do not fit each other")
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
