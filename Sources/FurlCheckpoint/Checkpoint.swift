import Foundation
import FurlSpec
import FurlTensor

/// A model as it was trained: a folder with `config.json`, weights and a tokenizer.
public struct Checkpoint: Sendable {
  /// A file of the checkpoint, for lineage.
  public struct SourceFile: Sendable, Hashable {
    public let name: String
    public let bytes: Int
    public let digest: Digest
  }

  public let folder: String
  /// `config.json` as it stands.
  public let config: JSON
  public let spec: ModelSpec
  private let sources: [String: WeightSource]
  /// The files that hold the weights.
  public let weightFiles: [MappedFile]

  /// Opens a checkpoint and checks every header; no weight is read.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names file, key or tensor.
  public init(folder: String) throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) else {
      throw FurlError.input(folder, "does not exist")
    }
    guard isFolder.boolValue else {
      throw FurlError.input(
        folder, "is neither a checkpoint's folder nor a .furl artifact",
        remedy: "name the folder that holds config.json")
    }
    let path = folder + "/config.json"
    guard FileManager.default.fileExists(atPath: path) else {
      throw FurlError.input(
        folder, "has no config.json", remedy: "a checkpoint has config.json, weights and tokenizer.json")
    }
    config = try JSON.parse(MappedFile(path: path).readAll(limit: 16 << 20), file: path, depthLimit: 100)
    let reader = try DocumentReader(config, file: path)
    guard let modelType = try reader.string("model_type") else { throw reader.error("model_type", "is missing") }
    guard let family = Architectures.all.first(where: { $0.modelType == modelType }) else {
      throw reader.error(
        "model_type", "\"\(modelType)\" is not supported yet",
        remedy: "supported: \(Architectures.all.map { $0.modelType }.joined(separator: ", "))")
    }
    spec = try family.spec(reader)
    try spec.validate(file: path)
    let stored = try StoredTensors(folder: folder)
    let (sources, names) = try Checkpoint.locate(family, spec, stored, folder: folder)
    self.sources = sources
    for name in stored.tensors.keys.sorted() where !names.contains(name) {
      let bare = name.hasPrefix(family.prefix) ? String(name.dropFirst(family.prefix.count)) : name
      guard family.isSuperfluous(bare, in: spec) else {
        throw FurlError.input(
          folder, name, "is not part of a \(modelType) model of this configuration",
          remedy: "config.json and weights do not match")
      }
    }
    self.folder = folder
    weightFiles = stored.files
  }

  private static func locate(
    _ family: any Architecture.Type, _ spec: ModelSpec, _ stored: StoredTensors, folder: String
  ) throws -> ([String: WeightSource], Set<String>) {
    var sources: [String: WeightSource] = [:]
    var names: Set<String> = []
    for tensor in spec.tensors {
      let location = family.location(of: tensor, in: spec)
      let candidates = [family.prefix + location.name, location.name]
      guard let name = candidates.first(where: { stored.tensors[$0] != nil }), let found = stored.tensors[name] else {
        throw FurlError.input(
          folder, location.name, "is missing, with and without \"\(family.prefix)\" before its name")
      }
      names.insert(name)
      sources[tensor.name] = try source(of: tensor, at: location, found, name: name)
    }
    return (sources, names)
  }

  private static func source(
    of tensor: TensorSpec, at location: TensorLocation, _ found: StoredTensors.Tensor, name: String
  ) throws -> WeightSource {
    guard let type = found.type else {
      throw FurlError.input(
        found.file.path, name, "has dtype \(found.typeName)", remedy: "weights are F32, F16 or BF16")
    }
    let outputs = location.part?.total ?? tensor.shape[0]
    let start = location.part?.start ?? 0
    var expected = tensor.shape
    expected[0] = outputs
    if location.isTransposed { expected.reverse() }
    guard found.shape == expected else {
      throw FurlError.input(found.file.path, name, "has shape \(found.shape); config.json says \(expected)")
    }
    let strides = location.isTransposed ? found.strides.reversed() : found.strides
    let offset = found.offset + type.byteCount(start * strides[0])
    if tensor.shape.count == 1 {
      return try .vector(file: found.file, type: type, offset: offset, count: tensor.shape[0], stride: strides[0])
    }
    return try WeightSource(
      file: found.file, type: type, offset: offset, rows: tensor.shape[0], columns: tensor.shape[1],
      rowStride: strides[0], columnStride: strides[1], rowOrder: location.rowOrder)
  }

  /// Where a tensor of the spec lies.
  ///
  /// - Throws: ``FurlError`` of kind `defect` for a name that the spec does not have.
  public func source(_ name: String) throws -> WeightSource {
    guard let source = sources[name] else { throw FurlError(.defect, file: folder, place: name, "is not a tensor") }
    return source
  }

  /// Bytes of the weight files.
  public var weightFileBytes: Int { weightFiles.reduce(0) { $0 + $1.count } }

  /// Bytes of all files that belong to the model.
  public var diskBytes: Int { weightFileBytes + sideFileBytes }

  /// Bytes of the files beside the weights.
  public var sideFileBytes: Int { Checkpoint.sideFiles.compactMap { size(of: $0) }.reduce(0, +) }

  private func size(of name: String) -> Int? {
    (try? FileManager.default.attributesOfItem(atPath: folder + "/" + name)[.size] as? NSNumber)?.intValue
  }

  private static let sideFiles = [
    "config.json", "tokenizer.json", "tokenizer_config.json",
    "model.safetensors.index.json",
  ]

  /// The files that the model is made of; the weights come first.
  public func files() throws -> [MappedFile] {
    weightFiles
      + (try Checkpoint.sideFiles.filter { size(of: $0) != nil }.map { try MappedFile(path: folder + "/" + $0) })
  }

  /// The files that the model is made of, with their digests.
  public func sourceFiles() throws -> [SourceFile] {
    try files().map { SourceFile($0, digest: Digest(of: $0)) }
  }
}

extension Checkpoint.SourceFile {
  public init(_ file: MappedFile, digest: Digest) {
    self.init(name: (file.path as NSString).lastPathComponent, bytes: file.count, digest: digest)
  }
}
