package import FurlBase

/// A file that `torch.save` wrote: a state dict, or a mapping that holds one, as a ZIP archive or in the form before
/// PyTorch 1.6.
///
/// The objects are read by a restricted pickle machine (``Pickle``), so that nothing in the file is executed; weights
/// stay where they lie, with the strides that the file says.
package struct TorchFile: Sendable {
  package let file: MappedFile
  /// In the order of the state dict.
  package let tensors: [(name: String, tensor: StoredTensors.Tensor)]

  private static let tensorLimit = 1 << 16

  /// - Throws: ``FurlError`` of kind `input` that names the place in the file, or the tensor.
  package init(path: String) throws {
    let file = try MappedFile(path: path)
    let contents =
      try file.count >= 4 && file.integer(at: 0, as: UInt32.self) == 0x0403_4B50
      ? TorchContents(archive: ZipArchive(file)) : TorchContents(legacy: file)
    self.file = file
    let pairs = try TorchFile.stateDict(contents)
    guard pairs.count <= TorchFile.tensorLimit else {
      throw FurlError.input(path, "has \(pairs.count) tensors; at most \(TorchFile.tensorLimit) are read")
    }
    tensors = try pairs.compactMap { key, value in
      guard case .tensor(let index) = value else { return nil }
      guard case .text(let slice) = key else { throw FurlError.input(path, "has a tensor whose name is no text") }
      let name = try contents.pickle.text(slice)
      return (name, try contents.tensor(contents.pickle.tensors[index], name: name))
    }
  }

  /// What programs call a state dict among other things that they save.
  private static let wrappers: Set = ["state_dict", "model_state_dict", "model", "module"]

  /// The one mapping that is meant: the object itself if it holds tensors, or the only one of its values that does.
  /// Beside other tensors (the state of a random generator) it is told by its name.
  private static func stateDict(_ contents: TorchContents) throws -> [(
    key: Pickle.PickledValue, value: Pickle.PickledValue
  )] {
    let (pickle, path) = (contents.pickle, contents.file.path)
    let remedy = "save model.state_dict() with torch.save"
    guard case .dictionary(let index) = contents.root else {
      throw FurlError.input(path, "holds something else than a state dict", remedy: remedy)
    }
    let root = pickle.dictionaries[index]
    var found: [(name: String, index: Int)] = []
    for case (.text(let slice), .dictionary(let index)) in root.pairs where pickle.dictionaries[index].holdsTensors {
      let name = try pickle.text(slice)
      guard !root.holdsTensors || wrappers.contains(name), !found.contains(where: { $0.index == index }) else {
        continue
      }
      found.append((name, index))
      guard found.count <= 8 else { break }
    }
    guard let only = found.first else {
      guard root.holdsTensors else { throw FurlError.input(path, "holds no tensors by name", remedy: remedy) }
      return root.pairs
    }
    guard found.count == 1 else {
      let names = found.map { "\"\($0.name)\"" }.joined(separator: ", ")
      throw FurlError.input(
        path, "holds several state dicts, \(names); which one is meant is not clear",
        remedy: "save the one that you mean alone with torch.save")
    }
    return pickle.dictionaries[only.index].pairs
  }
}

/// What a file of PyTorch holds, in either form.
struct TorchContents {
  let file: MappedFile
  let pickle: Pickle
  let root: Pickle.PickledValue
  /// Where each storage lies, by its key.
  private let data: [String: Range<Int>]

  // MARK: The form since PyTorch 1.6

  /// An archive with the objects in `NAME/data.pkl` and each storage in `NAME/data/KEY`.
  init(archive: ZipArchive) throws {
    file = archive.file
    let path = file.path
    let pickles = archive.entries.filter { $0.name.hasSuffix("/data.pkl") && $0.name.count { $0 == "/" } == 1 }
    guard let object = pickles.first, pickles.count == 1 else {
      throw FurlError.input(
        path, "is a ZIP archive, but not one that torch.save wrote: \(pickles.count) data.pkl in it")
    }
    let folder = String(object.name.dropLast("data.pkl".count))
    guard !archive.entries.contains(where: { $0.name == folder + "constants.pkl" }) else {
      throw FurlError.input(
        path, "is a TorchScript program, not a checkpoint", remedy: "save model.state_dict() with torch.save")
    }
    try archive.refuseCompressed()
    if let order = archive.entries.first(where: { $0.name == folder + "byteorder" }) {
      guard order.data.count <= 16, file.read(order.data).elementsEqual("little".utf8) else {
        throw FurlError.input(
          path, order.name, "says that numbers are not little-endian", remedy: "save it on a little-endian machine")
      }
    }
    guard object.data.count <= Pickle.byteLimit else {
      throw FurlError.input(
        path, object.name, "has \(object.data.count) bytes; a state dict's has at most \(Pickle.byteLimit)")
    }
    var pickle = Pickle(file.read(object.data), path: path, name: object.name)
    root = try pickle.load()
    guard pickle.position == pickle.bytes.count else { throw pickle.error("ends before its entry does") }
    self.pickle = pickle
    let prefix = folder + "data/"
    let storages = archive.entries.filter { $0.name.hasPrefix(prefix) }
    data = Dictionary(storages.map { (String($0.name.dropFirst(prefix.count)), $0.data) }) { first, _ in first }
  }

  // MARK: The form before

  /// Five pickles (a magic number, a version, what the machine was like, the objects, the keys of the storages), then
  /// for each key a count of 64 bits and the numbers.
  init(legacy file: MappedFile) throws {
    self.file = file
    let path = file.path
    let count = min(file.count, Pickle.byteLimit)
    var pickle = Pickle(file.read(0..<count), path: path, name: nil, isPart: count < file.count)
    // 0x1950A86A20F9469CFC6C in ten bytes.
    let magic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
    guard pickle.bytes.first == Opcode.proto.rawValue, case .long(let number) = try pickle.load(),
      pickle.bytes[number.range].elementsEqual(magic)
    else {
      throw FurlError.input(
        path, "is not a file that torch.save wrote", remedy: "expected: a ZIP archive or PyTorch's form before 1.6")
    }
    guard case .integer(1001) = try pickle.load() else {
      throw pickle.error("has another version of PyTorch's form before 1.6 than 1001")
    }
    guard case .dictionary(let machine) = try pickle.load() else { throw pickle.error("does not say its byte order") }
    let isLittle = try pickle.dictionaries[machine].pairs.contains { key, value in
      guard case .text(let name) = key, case .bool(true) = value else { return false }
      return try pickle.text(name) == "little_endian"
    }
    guard isLittle else {
      throw pickle.error("says that numbers are not little-endian", remedy: "save it on a little-endian machine")
    }
    root = try pickle.load()
    guard case .list(let keys) = try pickle.load() else { throw pickle.error("does not list its storages") }
    data = try TorchContents.walk(pickle, keys: pickle.lists[keys], file: file)
    self.pickle = pickle
  }

  /// Finds the storages, which follow each other in the order of their keys.
  private static func walk(_ pickle: Pickle, keys: [Pickle.PickledValue], file: MappedFile) throws -> [String: Range<
    Int
  >] {
    let declared = Dictionary(pickle.storages.map { ($0.key, $0) }) { first, _ in first }
    var data: [String: Range<Int>] = [:]
    var position = pickle.position
    for value in keys {
      guard case .text(let slice) = value, let storage = declared[try pickle.text(slice)] else {
        throw pickle.error("lists a storage that no tensor refers to")
      }
      func wrong(_ problem: String) -> FurlError { .input(file.path, "storage \(storage.key)", problem) }
      guard data[storage.key] == nil else { throw wrong("is listed twice") }
      guard file.count - position >= 8 else { throw wrong("is cut off") }
      let count = file.integer(at: position, as: UInt64.self)
      guard count == UInt64(storage.count) else {
        throw wrong("has \(count) numbers; its tensors say \(storage.count)")
      }
      let (size, overflow) = storage.count.multipliedReportingOverflow(by: storage.type.size)
      guard !overflow, size <= file.count - position - 8 else { throw wrong("is cut off") }
      data[storage.key] = position + 8..<position + 8 + size
      position += 8 + size
    }
    guard position == file.count else {
      throw FurlError.input(file.path, "has \(file.count - position) bytes behind its last storage")
    }
    return data
  }

  // MARK: Tensors

  /// A tensor where it lies, after its storage and its strides have been checked.
  func tensor(_ tensor: Pickle.PickledTensor, name: String) throws -> StoredTensors.Tensor {
    func wrong(_ problem: String, _ remedy: String? = nil) -> FurlError {
      .input(file.path, name, problem, remedy: remedy)
    }
    let storage = pickle.storages[tensor.storage]
    guard let range = data[storage.key] else { throw wrong("refers to storage \(storage.key), which is not there") }
    let size = storage.type.size
    guard storage.count.multipliedReportingOverflow(by: size) == (range.count, false) else {
      throw wrong(
        "is in storage \(storage.key) of \(storage.count) numbers of \(size) bytes; the file has \(range.count) bytes")
    }
    // What the tensor may use of its storage: all of it, or a part that an old file names.
    let view = storage.view ?? .init(key: storage.key, start: 0, count: storage.count)
    guard view.start <= storage.count, view.count <= storage.count - view.start else {
      throw wrong("is in a part of storage \(storage.key) that reaches out of it")
    }
    let layout = try TorchLayout(
      shape: integers(tensor.shape) { wrong($0) }, strides: integers(tensor.strides) { wrong($0) }
    ) { wrong($0, $1) }
    guard tensor.offset >= 0, tensor.offset <= view.count, layout.reach <= view.count - tensor.offset else {
      throw wrong("reaches out of storage \(storage.key), which has \(view.count) numbers")
    }
    return StoredTensors.Tensor(
      file: file, offset: range.lowerBound + (view.start + tensor.offset) * size, typeName: storage.type.rawValue,
      type: storage.type.source, shape: layout.shape, strides: layout.strides)
  }

  private func integers(_ slice: Pickle.Slice, _ wrong: (String) -> FurlError) throws -> [Int] {
    guard slice.count <= 8 else { throw wrong("has \(slice.count) dimensions; at most 8 are read") }
    return try pickle.elements(slice).map {
      guard case .integer(let value) = $0 else { throw wrong("has a shape or strides that are not whole numbers") }
      return value
    }
  }
}
