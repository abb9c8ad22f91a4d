import FurlBase
import FurlTensor

extension Checkpoint {
  /// The files that opening a model reads: weights with all their shards or parts, index, configuration, and what the
  /// tokenizer is read from. Other files of the same folder are none of the model's.
  ///
  /// Found without opening the model: of what is damaged, as much as can be told.
  ///
  /// - Parameter path: as that of ``init(path:)``; of another file, that file alone.
  /// - Returns: paths, in no order; of a folder those that are there.
  package static func filesRead(at path: String) -> [String] {
    guard let isFolder = FileNames.isFolder(path) else { return [] }
    if isFolder {
      let files = filesRead(in: path, weights: nil)
      guard !FileManager.default.fileExists(atPath: path + "/config.json"),
        let model = try? OpenedCheckpoint.onlyGGUF(in: path)
      else { return files }
      return files + filesRead(at: model)
    }
    if path.hasSuffix(".gguf") || GGUFFile.isGGUF(path: path) { return [path] + parts(of: path) }
    guard isWeightFile(path) else { return [path] }
    return [path] + filesRead(in: path.folderPath, weights: path.lastName)
  }

  private static func filesRead(in folder: String, weights chosen: String?) -> [String] {
    let side = sideFiles.map { folder + "/" + $0 }.filter { FileManager.default.fileExists(atPath: $0) }
    let configuration = try? StoredConfiguration(path: folder + "/config.json").json
    let named = configuration.flatMap { try? WeightFiles.configured($0, folder: folder) }
    switch try? WeightFiles.choose(in: folder, chosen: chosen ?? named) {
    case .files(let paths, _): return side + paths
    case .index(let index, _): return side + [index] + shards(named: index, in: folder)
    case nil: return side
    }
  }

  private static func shards(named index: String, in folder: String) -> [String] {
    guard let bytes = try? MappedFile(path: index).readAll(limit: StoredTensors.indexLimit),
      let map = try? JSON.parse(bytes, file: index)["weight_map"]?.members
    else { return [] }
    return Set(map.compactMap { $0.value.string }).map { folder + "/" + $0 }
  }

  /// The other parts of a GGUF model; by their names where the model cannot be opened.
  private static func parts(of path: String) -> [String] {
    if let file = try? GGUFFile(path: path) { return file.files.map(\.path) }
    let folder = path.folderPath
    guard let end = path.lastRange(of: "-of-")?.lowerBound else { return [] }
    let stem = numberless(path[..<end])
    return FolderListing(folder).names.map { folder + "/" + $0 }.filter { path in
      path.lastRange(of: "-of-").map { numberless(path[..<$0.lowerBound]) == stem } ?? false
    }
  }

  /// The last part of a path without the digits at its end.
  private static func numberless(_ path: Substring) -> Substring {
    let name = path[(path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex)...]
    return name.dropLast(name.reversed().prefix { $0.isASCII && $0.isNumber }.count)
  }
}
