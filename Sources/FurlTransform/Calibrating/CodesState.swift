import FurlBase
import FurlSpec
import FurlTensor

/// Where a calibrated compression keeps the blocks that it has done, so that a run that was stopped goes on behind them: walking
/// past a block whose codes are known takes forward passes alone.
struct CodesState: Sendable {
  /// A block as it was done, and what had been noticed until then.
  struct DoneBlock {
    let tensors: [String: EncodedTensor]
    let notes: [String]
    let experts: JSON?
  }

  let folder: String
  /// What the compression is of: program, recipe, weights and text. A state of another one is not gone on from.
  let identity: Digest
  /// Tells runs of one compression apart.
  var run = ""

  private static let magic = "furl codes 1\n"
  /// The most bytes of what is said of a block before its numbers.
  private static let headerLimit = 64 << 20

  /// - Throws: ``FurlError`` of kind `cannotCreate` when there can be no such folder.
  init(folder: String, identity: Digest) throws {
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw FurlError(.cannotCreate, file: folder, "cannot be created", remedy: "choose another folder")
    }
    (self.folder, self.identity) = (folder, identity)
  }

  /// The same for one of several runs.
  func named(_ run: String) -> CodesState {
    var state = self
    state.run = "-" + run
    return state
  }

  private var prefix: String { String(identity.hex.prefix(16)) }
  private func path(_ block: Int) -> String { "\(folder)/\(prefix)\(run).\(block).codes" }

  /// Keeps a block; a file is there when it is whole.
  ///
  /// - Throws: ``FurlError`` of kind `cannotCreate` or `cannotWrite`.
  func save(_ done: DoneBlock, block: Int) throws {
    let tensors = done.tensors.sorted { $0.key < $1.key }
    let digest = Digest(ofAll: tensors.flatMap(\.value.storages))
    var header: [JSON.Member] = [
      .init("identity", .string(identity.hex)), .init("sha256", .string(digest.hex)),
      .init(
        "tensors",
        .array(
          tensors.map { name, tensor in
            ["name": .string(name), "scheme": .string(tensor.matrix?.scheme.name ?? "")]
          })), .init("notes", .array(done.notes.map(JSON.string))),
    ]
    if let experts = done.experts { header.append(.init("experts", experts)) }
    let bytes = Array((CodesState.magic + JSON.object(header).compactText + "\n").utf8)
    let file = try OutputFile(path: path(block))
    try file.require(bytes: bytes.count + tensors.reduce(0) { $0 + $1.value.storages.reduce(0) { $0 + $1.count } })
    try file.write(bytes)
    for tensor in tensors { for storage in tensor.value.storages { try file.write(storage.bytes) } }
    try file.commit()
  }

  /// - Parameter tensors: what is planned for the block.
  /// - Returns: nil where there is no file, or one of another compression.
  /// - Throws: ``FurlError`` of kind `input` when the file is damaged.
  func load(block: Int, _ tensors: [Plan.PlannedTensor]) throws -> DoneBlock? {
    let path = path(block)
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let file = try MappedFile(path: path)
    let damaged = FurlError.input(path, "is not a whole state of a compression", remedy: "delete it and begin anew")
    let magic = Array(CodesState.magic.utf8)
    let head = file.read(0..<min(file.count, CodesState.headerLimit))
    guard head.starts(with: magic), let end = head[magic.count...].firstIndex(of: UInt8(ascii: "\n")) else {
      throw damaged
    }
    let header = try JSON.parse(Array(head[magic.count..<end]), file: path)
    guard header["identity"]?.string == identity.hex else { return nil }
    let planned = Dictionary(uniqueKeysWithValues: tensors.map { ($0.spec.name, $0) })
    var (result, offset): ([String: EncodedTensor], Int) = ([:], end + 1)
    func take(_ count: Int) throws -> ByteStorage {
      guard count <= file.count - offset else { throw damaged }
      let storage = try ByteStorage(zeroed: count)
      let start = offset
      try storage.withMutableBytes(0..<count) { bytes in
        if let base = bytes.baseAddress { try file.read(start..<start + count, into: base) }
      }
      offset += count
      return storage
    }
    for entry in header["tensors"]?.array ?? [] {
      guard let name = entry["name"]?.string, let tensor = planned[name], let word = entry["scheme"]?.string else {
        throw damaged
      }
      if tensor.spec.shape.count == 1 {
        result[name] = .vector(
          try FloatVector(count: tensor.spec.shape[0], storage: take(tensor.spec.shape[0] * 4)))
      } else {
        guard let scheme = Scheme(name: word) else { throw damaged }
        let layout = try PackedLayout(scheme: scheme, shape: tensor.spec.shape)
        result[name] = .matrix(
          try PackedMatrix(layout: layout, streams: layout.streams.map { try take($0.byteCount) }))
      }
    }
    let stored = result.sorted { $0.key < $1.key }.flatMap(\.value.storages)
    guard offset == file.count, Digest(ofAll: stored).hex == header["sha256"]?.string else { throw damaged }
    return DoneBlock(
      tensors: result, notes: header["notes"]?.array?.compactMap(\.string) ?? [], experts: header["experts"])
  }

  /// Removes what is kept, when the compression is done.
  func remove() {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    where name.hasPrefix(prefix) && name.hasSuffix(".codes") {
      try? FileManager.default.removeItem(atPath: folder + "/" + name)
    }
  }
}

extension EncodedTensor {
  fileprivate var storages: [ByteStorage] {
    switch self {
    case .vector(let vector): [vector.storage]
    case .matrix(let matrix): matrix.streams
    }
  }
}

extension Digest {
  fileprivate init(ofAll storages: [ByteStorage]) {
    self = Digest(of: storages.map { Digest(of: $0.bytes).hex }.joined().utf8)
  }
}
