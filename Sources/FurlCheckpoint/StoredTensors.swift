import Foundation
import FurlSpec
import FurlTensor

/// The tensors of a checkpoint as they are stored, by the names of their source, over one file or many.
public struct StoredTensors: Sendable {
  public struct Tensor: Sendable {
    public let entry: SafetensorsFile.Entry
    public let file: MappedFile
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
      self.init(try SafetensorsFile(path: single))
    } else {
      throw FurlError.input(
        folder, "has no model.safetensors", remedy: "other weight files are not supported yet; save the model as safetensors")
    }
  }

  private init(_ file: SafetensorsFile) {
    tensors = Dictionary(uniqueKeysWithValues: file.entries.map { ($0.name, Tensor(entry: $0, file: file.file)) })
    files = [file.file]
  }

  private init(index path: String, folder: String) throws {
    let index = try JSON.parse(MappedFile(path: path).readAll(limit: 100 << 20), file: path)
    guard let map = index["weight_map"]?.members, !map.isEmpty else {
      throw FurlError.input(path, "weight_map", "must be a mapping of tensors to files")
    }
    var shards: [String: SafetensorsFile] = [:]
    var tensors: [String: Tensor] = [:]
    for member in map {
      guard let name = member.value.string, !name.isEmpty, !name.contains("/"), name != ".", name != ".." else {
        throw FurlError.input(path, "weight_map.\(member.key)", "must be the name of a file in the same folder")
      }
      let shard = try shards[name] ?? SafetensorsFile(path: folder + "/" + name)
      shards[name] = shard
    }
    for (name, shard) in shards {
      for entry in shard.entries {
        guard index["weight_map"]?[entry.name]?.string == name else {
          throw FurlError.input(path, "weight_map.\(entry.name)", "does not say that the tensor is in \(name)")
        }
        tensors[entry.name] = Tensor(entry: entry, file: shard.file)
      }
    }
    if let missing = map.first(where: { tensors[$0.key] == nil }) {
      throw FurlError.input(path, "weight_map.\(missing.key)", "is not in \(missing.value.string ?? "")")
    }
    self.tensors = tensors
    files = shards.sorted { $0.key < $1.key }.map(\.value.file)
  }
}
