package import FurlBase
package import FurlTensor

/// The tensors of a checkpoint as they are stored, by the names of their source, over one file or many.
package struct StoredTensors: Sendable {
  /// A tensor in a file, whatever the file's format.
  package struct Tensor: Sendable {
    package let file: MappedFile
    /// The byte of the first number.
    package let offset: Int
    /// As the file says it: `F32`, `I64`.
    package let typeName: String
    /// The type, if it is one that weights are read from.
    package let type: SourceType?
    /// Rows outermost, as in PyTorch.
    package let shape: [Int]
    /// Numbers between two neighbours of each dimension.
    package let strides: [Int]

    /// - Parameter strides: nil for a tensor without gaps, its last dimension innermost.
    package init(
      file: MappedFile, offset: Int, typeName: String, type: SourceType?, shape: [Int], strides: [Int]? = nil
    ) {
      self.file = file
      self.offset = offset
      self.typeName = typeName
      self.type = type
      self.shape = shape
      self.strides = strides ?? Tensor.denseStrides(shape)
    }

    /// Those of a tensor without gaps, its last dimension innermost.
    static func denseStrides(_ shape: [Int]) -> [Int] {
      shape.indices.map { shape[($0 + 1)...].reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue } }
    }
  }

  /// By the source's names.
  package let tensors: [String: Tensor]
  /// The weight files, in the order of their names.
  package let files: [MappedFile]

  /// Opens the weights of a folder (``WeightFiles``).
  ///
  /// - Parameter weights: the file or index that is meant, where it is not the only one.
  /// - Throws: ``FurlError`` of kind `input`.
  package init(folder: String, weights: String? = nil) throws {
    switch try WeightFiles.choose(in: folder, chosen: weights) {
    case .index(let path, let format): try self.init(index: path, folder: folder, format: format)
    case .files(let paths, let format): try self.init(paths.map(format.open))
    }
  }

  private init(_ parts: [WeightFile]) throws {
    var tensors: [String: Tensor] = [:]
    for part in parts {
      for (name, tensor) in part.tensors { try StoredTensors.add(tensor, name, to: &tensors) }
    }
    self.init(tensors: tensors, files: parts.map(\.file))
  }

  /// The same under other names.
  ///
  /// - Throws: ``FurlError`` of kind `input` when two tensors get one name.
  func renamed(_ name: (String) -> String) throws -> StoredTensors {
    var renamed: [String: Tensor] = [:]
    for (old, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      try StoredTensors.add(tensor, name(old), to: &renamed)
    }
    return StoredTensors(tensors: renamed, files: files)
  }

  /// Those whose names are wanted.
  func keeping(_ isWanted: (String) -> Bool) -> StoredTensors {
    StoredTensors(tensors: tensors.filter { isWanted($0.key) }, files: files)
  }

  /// The same with other tensors under some names.
  func replacing(_ others: [String: Tensor]) -> StoredTensors {
    StoredTensors(tensors: tensors.merging(others) { $1 }, files: files)
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
  private static func add(_ tensor: Tensor, _ name: String, to tensors: inout [String: Tensor]) throws {
    guard tensors.updateValue(tensor, forKey: name) == nil else {
      throw FurlError.input(tensor.file.path, name, "appears twice")
    }
  }

  /// An index of 10,000 tensors takes 1 MB.
  static let indexLimit = 3 << 20

  private init(index path: String, folder: String, format: WeightFormat) throws {
    let index = try JSON.parse(
      MappedFile(path: path).readAll(limit: StoredTensors.indexLimit), file: path, dialect: .nonFinite)
    guard let map = index["weight_map"]?.members, !map.isEmpty else {
      throw FurlError.input(path, "weight_map", "must be a mapping of tensors to files")
    }
    var shards: [String: WeightFile] = [:]
    var shardNames: [String: String] = [:]
    var tensors: [String: Tensor] = [:]
    for member in map {
      guard let name = member.value.string, !name.isEmpty, !name.contains("/"), name != ".", name != ".." else {
        throw FurlError.input(path, "weight_map.\(member.key)", "must be the name of a file in the same folder")
      }
      if shards[name] == nil {
        guard FileManager.default.fileExists(atPath: folder + "/" + name) else {
          throw FurlError.input(
            folder + "/" + name, "is missing, and \(path.lastName) names it",
            remedy: "fetch it, or say which weights are meant with --weights")
        }
        shards[name] = try format.open(folder + "/" + name)
      }
      shardNames[member.key] = name
    }
    for (name, shard) in shards.sorted(by: { $0.key < $1.key }) {
      for (tensorName, tensor) in shard.tensors {
        guard shardNames[tensorName] == name else {
          throw FurlError.input(path, "weight_map.\(tensorName)", "does not say that the tensor is in \(name)")
        }
        try StoredTensors.add(tensor, tensorName, to: &tensors)
      }
    }
    if let missing = map.first(where: { tensors[$0.key] == nil }) {
      throw FurlError.input(path, "weight_map.\(missing.key)", "is not in \(missing.value.string ?? "")")
    }
    self.init(tensors: tensors, files: shards.sorted { $0.key < $1.key }.map(\.value.file))
  }
}
