import Foundation
import FurlSpec
import FurlTensor

/// The tensors of a checkpoint as they are stored, by the names of their source, over one file or many.
public struct StoredTensors: Sendable {
  /// A tensor in a file, whatever the file's format.
  public struct Tensor: Sendable {
    public let file: MappedFile
    /// The byte of the first number.
    public let offset: Int
    /// As the file says it: `F32`, `I64`.
    public let typeName: String
    /// The type, if it is one that weights are read from.
    public let type: SourceType?
    /// Rows outermost, as in PyTorch.
    public let shape: [Int]
    /// Numbers between two neighbours of each dimension.
    public let strides: [Int]

    /// - Parameter strides: nil for a tensor without gaps, its last dimension innermost.
    public init(
      file: MappedFile, offset: Int, typeName: String, type: SourceType?, shape: [Int], strides: [Int]? = nil
    ) {
      self.file = file
      self.offset = offset
      self.typeName = typeName
      self.type = type
      self.shape = shape
      self.strides =
        strides
        ?? shape.indices.map { shape[($0 + 1)...].reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue } }
    }
  }

  /// By the source's names.
  public let tensors: [String: Tensor]
  /// The weight files, in the order of their names.
  public let files: [MappedFile]

  /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names.
  ///
  /// - Throws: ``FurlError`` of kind `input`.
  public init(folder: String) throws {
    let single = folder + "/model.safetensors"
    let index = folder + "/model.safetensors.index.json"
    if FileManager.default.fileExists(atPath: index) {
      try self.init(index: index, folder: folder)
    } else if FileManager.default.fileExists(atPath: single) {
      let file = try SafetensorsFile(path: single)
      var tensors: [String: Tensor] = [:]
      for entry in file.entries { try StoredTensors.add(entry, of: file.file, to: &tensors) }
      self.init(tensors: tensors, files: [file.file])
    } else {
      throw FurlError.input(
        folder, "has no model.safetensors",
        remedy: "other weight files are not supported yet; save the model as safetensors")
    }
  }

  private init(tensors: [String: Tensor], files: [MappedFile]) {
    self.tensors = tensors
    self.files = files
  }

  /// The tensors of a GGUF model.
  init(_ gguf: GGUFFile) {
    var tensors: [String: Tensor] = [:]
    for (tensor, file) in gguf.tensors {
      tensors[tensor.name] = Tensor(
        file: file, offset: tensor.offset, typeName: tensor.typeName, type: tensor.type, shape: tensor.shape)
    }
    self.init(tensors: tensors, files: gguf.files)
  }

  /// Names whose letters only look alike are one to Swift; no family has such.
  private static func add(_ entry: SafetensorsFile.Entry, of file: MappedFile, to tensors: inout [String: Tensor])
    throws
  {
    let tensor = Tensor(
      file: file, offset: entry.range.lowerBound, typeName: entry.typeName, type: entry.type, shape: entry.shape)
    guard tensors.updateValue(tensor, forKey: entry.name) == nil else {
      throw FurlError.input(file.path, entry.name, "appears twice")
    }
  }

  private init(index path: String, folder: String) throws {
    let index = try JSON.parse(MappedFile(path: path).readAll(limit: 100 << 20), file: path)
    guard let map = index["weight_map"]?.members, !map.isEmpty else {
      throw FurlError.input(path, "weight_map", "must be a mapping of tensors to files")
    }
    var shards: [String: SafetensorsFile] = [:]
    var shardNames: [String: String] = [:]
    var tensors: [String: Tensor] = [:]
    for member in map {
      guard let name = member.value.string, !name.isEmpty, !name.contains("/"), name != ".", name != ".." else {
        throw FurlError.input(path, "weight_map.\(member.key)", "must be the name of a file in the same folder")
      }
      let shard = try shards[name] ?? SafetensorsFile(path: folder + "/" + name)
      shards[name] = shard
      shardNames[member.key] = name
    }
    for (name, shard) in shards.sorted(by: { $0.key < $1.key }) {
      for entry in shard.entries {
        guard shardNames[entry.name] == name else {
          throw FurlError.input(path, "weight_map.\(entry.name)", "does not say that the tensor is in \(name)")
        }
        try StoredTensors.add(entry, of: shard.file, to: &tensors)
      }
    }
    if let missing = map.first(where: { tensors[$0.key] == nil }) {
      throw FurlError.input(path, "weight_map.\(missing.key)", "is not in \(missing.value.string ?? "")")
    }
    self.init(tensors: tensors, files: shards.sorted { $0.key < $1.key }.map(\.value.file))
  }
}
