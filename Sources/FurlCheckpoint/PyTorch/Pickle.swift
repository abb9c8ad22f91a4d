import FurlBase

/// Python's pickle machine, restricted to what a state dict needs. Nothing is ever executed: an import is a name that
/// is looked up in ``TorchGlobal``, and everything else is refused by name.
///
/// Every operation takes at least one byte and makes at most one value, so the limits on bytes and operations bound
/// stack, memo, objects and time alike; values refer to texts and tuples by their place and are never copied.
struct Pickle {
  /// A part of the pickle's bytes, or of the elements of all tuples.
  struct Slice: Hashable {
    let start: UInt32
    let count: UInt32

    init(_ range: Range<Int>) {
      start = UInt32(range.lowerBound)
      count = UInt32(range.count)
    }

    var range: Range<Int> { Int(start)..<Int(start) + Int(count) }
  }

  enum PickledValue {
    case none
    case bool(Bool)
    case integer(Int)
    case text(Slice)
    /// An integer of more than 64 bits, as its bytes.
    case long(Slice)
    case tuple(Slice)
    case list(Int)
    case dictionary(Int)
    case global(TorchGlobal)
    case storage(Int)
    case tensor(Int)
    /// A value that says nothing about weights.
    case other
  }

  struct Dictionary {
    var pairs: [(key: PickledValue, value: PickledValue)] = []
    /// Whether a value is a tensor.
    var holdsTensors = false
  }

  /// A storage as a persistent id describes it. The file has to prove it.
  struct PickledStorage: Hashable {
    var type: TorchType
    var key: String
    /// Numbers, not bytes.
    var count: Int
    /// Old files name a part of a storage: its key, first number and count.
    var view: View?

    struct View: Hashable {
      var key: String
      var start: Int
      var count: Int
    }
  }

  /// A tensor as `_rebuild_tensor_v2` describes it.
  struct PickledTensor {
    var storage: Int
    var offset: Int
    var shape: Slice
    var strides: Slice
  }

  /// A pickle of 7,000 tensors takes 1 MB.
  static let byteLimit = 8 << 20
  private static let operationLimit = 1 << 20

  let path: String
  /// What errors call the bytes.
  let name: String?
  let bytes: [UInt8]
  /// Whether the file goes on behind `bytes`.
  let isPart: Bool

  private(set) var position = 0
  private(set) var storages: [PickledStorage] = []
  private(set) var tensors: [PickledTensor] = []
  private(set) var dictionaries: [Dictionary] = []
  private(set) var lists: [[PickledValue]] = []
  private var storageIndices: [PickledStorage: Int] = [:]
  private var elements: [PickledValue] = []
  private var stack: [PickledValue] = []
  private var marks: [Int] = []
  private var memo: [PickledValue] = []
  private var operations = 0
  private var start = 0

  init(_ bytes: [UInt8], path: String, name: String?, isPart: Bool = false) {
    self.bytes = bytes
    self.path = path
    self.name = name
    self.isPart = isPart
  }

  func error(_ problem: String, remedy: String? = nil) -> FurlError {
    .input(path, (name.map { $0 + " " } ?? "") + "byte \(start)", problem, remedy: remedy)
  }

  private var unexpected: FurlError { error("is not how PyTorch writes a state dict", remedy: "the file is damaged") }

  func text(_ slice: Slice) throws -> String {
    guard let text = String(validating: bytes[slice.range], as: UTF8.self) else {
      throw error("has a text that is not UTF-8")
    }
    return text
  }

  func elements(_ tuple: Slice) -> ArraySlice<PickledValue> { elements[tuple.range] }

  // MARK: The machine

  /// Reads one pickle, from ``position`` to its end.
  ///
  /// - Throws: ``FurlError`` of kind `input`.
  mutating func load() throws -> PickledValue {
    stack = []
    marks = []
    memo = []
    while true {
      start = position
      operations += 1
      guard operations <= Pickle.operationLimit else {
        throw error("has more than \(Pickle.operationLimit) operations")
      }
      let byte = try integer(UInt8.self)
      guard let opcode = Opcode(rawValue: byte) else {
        let name = Opcode.refused[byte] ?? "0x" + String(byte, radix: 16)
        throw error(
          "uses the pickle operation \(name), which a state dict never needs; nothing was executed",
          remedy: "save model.state_dict() with torch.save")
      }
      if opcode == .stop { break }
      try run(opcode)
    }
    guard let value = stack.popLast(), stack.isEmpty, marks.isEmpty else { throw unexpected }
    return value
  }

  private mutating func run(_ opcode: Opcode) throws {
    switch opcode {
    case .proto:
      let version = try integer(UInt8.self)
      guard (2...5).contains(version) else { throw error("has pickle protocol \(version); 2 to 5 are read") }
    case .frame: _ = try integer(UInt64.self)
    case .mark: marks.append(stack.count)
    case .none, .newTrue, .newFalse, .binInt1, .binInt2, .binInt, .long1, .long4, .binFloat, .shortBinString,
      .shortBinUnicode, .binString, .binUnicode, .binUnicode8, .shortBinBytes, .binBytes:
      stack.append(try literal(opcode))
    case .emptyTuple: pushTuple([])
    case .tuple1: pushTuple(try pop(1))
    case .tuple2: pushTuple(try pop(2))
    case .tuple3: pushTuple(try pop(3))
    case .tuple: pushTuple(try popToMark())
    case .emptyList:
      lists.append([])
      stack.append(.list(lists.count - 1))
    case .append: try append(try pop(1))
    case .appends: try append(try popToMark())
    case .emptyDict: pushDictionary()
    case .setItem: try setItems(try pop(2))
    case .setItems: try setItems(try popToMark())
    case .global: try pushGlobal("\(try line()).\(try line())")
    case .stackGlobal:
      let names = try pop(2)
      guard case .text(let module) = names[0], case .text(let name) = names[1] else { throw unexpected }
      guard module.count + name.count <= 512 else { throw unexpected }
      try pushGlobal("\(try text(module)).\(try text(name))")
    case .reduce: try reduce()
    case .build: try build()
    case .binPersistentId: try pushStorage()
    case .memoize: try remember(memo.count)
    case .binPut: try remember(Int(try integer(UInt8.self)))
    case .longBinPut: try remember(Int(try integer(UInt32.self)))
    case .binGet: try recall(Int(try integer(UInt8.self)))
    case .longBinGet: try recall(Int(try integer(UInt32.self)))
    case .stop: break
    }
  }

  /// A value that stands in the bytes behind its operation.
  private mutating func literal(_ opcode: Opcode) throws -> PickledValue {
    switch opcode {
    case .newTrue: return .bool(true)
    case .newFalse: return .bool(false)
    case .binInt1: return .integer(Int(try integer(UInt8.self)))
    case .binInt2: return .integer(Int(try integer(UInt16.self)))
    case .binInt: return .integer(Int(try integer(Int32.self)))
    case .long1: return long(try take(UInt64(try integer(UInt8.self))))
    case .long4: return long(try take(UInt64(try integer(UInt32.self))))
    case .shortBinString, .shortBinUnicode: return .text(Slice(try take(UInt64(try integer(UInt8.self)))))
    case .binString, .binUnicode: return .text(Slice(try take(UInt64(try integer(UInt32.self)))))
    case .binUnicode8: return .text(Slice(try take(try integer(UInt64.self))))
    case .binFloat: _ = try take(8)
    case .shortBinBytes: _ = try take(UInt64(try integer(UInt8.self)))
    case .binBytes: _ = try take(UInt64(try integer(UInt32.self)))
    default: return .none
    }
    return .other
  }

  // MARK: Bytes

  private mutating func take(_ count: UInt64) throws -> Range<Int> {
    guard count <= UInt64(bytes.count - position) else {
      guard !isPart else {
        throw error("has a pickle of more than \(Pickle.byteLimit) bytes; a state dict's is smaller")
      }
      throw error("ends too early", remedy: "the file is damaged or cut off")
    }
    position += Int(count)
    return position - Int(count)..<position
  }

  private mutating func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) throws -> Integer {
    let range = try take(UInt64(MemoryLayout<Integer>.size))
    return bytes[range].reversed().reduce(0) { $0 << 8 | Integer(truncatingIfNeeded: $1) }
  }

  /// A line of an import.
  private mutating func line() throws -> String {
    let rest = bytes[position...].prefix(257)
    guard let end = rest.firstIndex(of: 0x0A) else { throw error("has an import without its end") }
    let range = try take(UInt64(end - position))
    _ = try take(1)
    return try text(Slice(range))
  }

  /// Two's complement, lowest byte first.
  private func long(_ range: Range<Int>) -> PickledValue {
    guard range.count <= 8 else { return .long(Slice(range)) }
    let bits = bytes[range].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let unused = 64 - 8 * UInt64(range.count)
    return .integer(unused == 64 ? 0 : Int(Int64(bitPattern: bits << unused) >> unused))
  }

  // MARK: Stack and memo

  private mutating func pop(_ count: Int) throws -> ArraySlice<PickledValue> {
    let first = stack.count - count
    guard first >= marks.last ?? 0 else { throw unexpected }
    return cut(first)
  }

  private mutating func popToMark() throws -> ArraySlice<PickledValue> {
    guard let mark = marks.popLast() else { throw unexpected }
    return cut(mark)
  }

  private mutating func cut(_ first: Int) -> ArraySlice<PickledValue> {
    defer { stack.removeLast(stack.count - first) }
    return ArraySlice(Array(stack[first...]))
  }

  private func top() throws -> PickledValue {
    guard stack.count > marks.last ?? 0, let value = stack.last else { throw unexpected }
    return value
  }

  private mutating func remember(_ index: Int) throws {
    let value = try top()
    guard index < Pickle.operationLimit else { throw error("remembers more than \(Pickle.operationLimit) values") }
    while memo.count <= index { memo.append(.other) }
    memo[index] = value
  }

  private mutating func recall(_ index: Int) throws {
    guard index < memo.count else { throw error("refers to a value that it does not have") }
    stack.append(memo[index])
  }

  // MARK: Values

  private mutating func pushTuple(_ values: ArraySlice<PickledValue>) {
    elements.append(contentsOf: values)
    stack.append(.tuple(Slice(elements.count - values.count..<elements.count)))
  }

  private mutating func pushDictionary() {
    dictionaries.append(Dictionary())
    stack.append(.dictionary(dictionaries.count - 1))
  }

  private mutating func append(_ values: ArraySlice<PickledValue>) throws {
    guard case .list(let index) = try top() else { throw unexpected }
    lists[index].append(contentsOf: values)
  }

  private mutating func setItems(_ values: ArraySlice<PickledValue>) throws {
    guard case .dictionary(let index) = try top(), values.count % 2 == 0 else { throw unexpected }
    var position = values.startIndex
    while position < values.endIndex {
      let value = values[position + 1]
      dictionaries[index].pairs.append((values[position], value))
      if case .tensor = value { dictionaries[index].holdsTensors = true }
      position += 2
    }
  }

  private mutating func pushGlobal(_ name: String) throws {
    if let global = TorchGlobal.all[name] {
      stack.append(.global(global))
      return
    }
    guard name.hasPrefix("torch.") else {
      throw error(
        "imports \(name), which a checkpoint never needs; nothing was executed",
        remedy: "if you trust the file, load it with PyTorch and save model.state_dict() alone")
    }
    throw error(
      "imports \(name), which is not supported; nothing was executed",
      remedy: "save a state dict of plain FP32, FP16 or BF16 tensors")
  }

  private mutating func reduce() throws {
    let call = try pop(2)
    guard case .global(let global) = call[0], case .tuple(let slice) = call[1] else { throw unexpected }
    let arguments = elements(slice)
    switch global {
    case .orderedDictionary:
      guard arguments.isEmpty else { throw unexpected }
      pushDictionary()
    case .size:
      guard arguments.count == 1, case .tuple = arguments.first else { throw unexpected }
      stack.append(contentsOf: arguments)
    case .device: stack.append(.other)
    case .parameter:
      guard (3...4).contains(arguments.count), case .tensor = arguments.first else { throw unexpected }
      stack.append(contentsOf: arguments.prefix(1))
    case .tensor: try pushTensor(Array(arguments))
    case .storage, .type: throw error("calls a type, which a state dict never needs; nothing was executed")
    }
  }

  private mutating func pushTensor(_ arguments: [PickledValue]) throws {
    guard (4...7).contains(arguments.count), case .storage(let storage) = arguments[0],
      case .integer(let offset) = arguments[1], case .tuple(let shape) = arguments[2],
      case .tuple(let strides) = arguments[3]
    else { throw unexpected }
    tensors.append(PickledTensor(storage: storage, offset: offset, shape: shape, strides: strides))
    stack.append(.tensor(tensors.count - 1))
  }

  /// Attributes of an ordered dictionary (versions of modules) say nothing about weights.
  private mutating func build() throws {
    _ = try pop(1)
    guard case .dictionary = try top() else {
      throw error(
        "sets attributes of an object, which a state dict never needs; nothing was executed",
        remedy: "save model.state_dict() with torch.save")
    }
  }

  private mutating func pushStorage() throws {
    guard case .tuple(let slice) = try pop(1).first else { throw unexpected }
    let fields = Array(elements(slice))
    guard fields.count == 5 || fields.count == 6, case .text(let kind) = fields[0], try text(kind) == "storage",
      case .global(.storage(let type)) = fields[1], case .text(let key) = fields[2],
      case .integer(let count) = fields[4], count >= 0, key.count <= 256
    else { throw error("refers to something else than a storage of numbers") }
    var storage = PickledStorage(type: type, key: try text(key), count: count)
    if fields.count == 6, case .tuple(let slice) = fields[5] {
      let view = Array(elements(slice))
      guard view.count == 3, case .text(let key) = view[0], key.count <= 256, case .integer(let start) = view[1],
        case .integer(let count) = view[2], start >= 0, count >= 0
      else { throw error("refers to a part of a storage that makes no sense") }
      storage.view = PickledStorage.View(key: try text(key), start: start, count: count)
    }
    // One that is referred to a million times is kept once.
    let index = storageIndices[storage] ?? storages.count
    if index == storages.count {
      storages.append(storage)
      storageIndices[storage] = index
    }
    stack.append(.storage(index))
  }
}
