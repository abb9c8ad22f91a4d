import Foundation
import FurlSpec
import FurlTensor

/// A checkpoint whose files are open and whose configuration is read; its tensors are not looked for yet.
struct OpenedCheckpoint {
  /// What a source calls its tensors.
  struct Names {
    /// What stands before names in some sources and is missing in others.
    let prefix: String
    let location: (TensorSpec) -> TensorLocation
    /// By the name without the prefix.
    let isSuperfluous: (String) -> Bool
    /// What says how large tensors are, for errors.
    let sizesFrom: String
    /// The types that weights are read from.
    let types: [SourceType]
  }

  /// The folder, or the GGUF file.
  let path: String
  let folder: String
  let config: JSON
  let spec: ModelSpec
  let stored: StoredTensors
  let names: Names
  let gguf: GGUFFile?

  /// Opens a folder or a GGUF file.
  static func open(path: String) throws -> OpenedCheckpoint {
    var isFolder: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
    if exists, !isFolder.boolValue, path.hasSuffix(".gguf") || GGUFFile.isGGUF(path: path) {
      return try OpenedCheckpoint(gguf: path)
    }
    return try open(folder: path)
  }

  /// Opens a folder with `config.json`, or with one GGUF model and nothing else.
  static func open(folder: String) throws -> OpenedCheckpoint {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) else {
      throw FurlError.input(folder, "does not exist")
    }
    guard isFolder.boolValue else {
      throw FurlError.input(
        folder, "is neither a checkpoint's folder nor a .furl artifact nor a GGUF file",
        remedy: "name the folder that holds config.json")
    }
    let path = folder + "/config.json"
    if FileManager.default.fileExists(atPath: path) { return try OpenedCheckpoint(config: path, folder: folder) }
    if let file = try onlyGGUF(in: folder) { return try OpenedCheckpoint(gguf: file) }
    throw FurlError.input(
      folder, "has no config.json", remedy: "a checkpoint has config.json, weights and tokenizer.json")
  }

  private init(config path: String, folder: String) throws {
    config = try JSON.parse(MappedFile(path: path).readAll(limit: 2 << 20), file: path, depthLimit: 100)
    let (family, spec) = try OpenedCheckpoint.read(config, file: path)
    self.path = folder
    self.folder = folder
    self.spec = spec
    stored = try StoredTensors(folder: folder)
    names = Names(
      prefix: family.prefix, location: { family.location(of: $0, in: spec) },
      isSuperfluous: { family.isSuperfluous($0, in: spec) }, sizesFrom: "config.json",
      types: SourceType.allCases.filter { $0.blockSize == 1 })
    gguf = nil
  }

  private init(gguf path: String) throws {
    let file = try GGUFFile(path: path)
    let configuration = try GGUFConfiguration(file)
    config = try configuration.json()
    let (_, spec) = try OpenedCheckpoint.read(config, file: path)
    let naming = GGUFNames(
      spec: spec, architecture: configuration.architecture, stored: Set(file.tensors.map(\.tensor.name)))
    self.path = path
    folder = path.contains("/") ? (path as NSString).deletingLastPathComponent : "."
    self.spec = spec
    stored = StoredTensors(file)
    names = Names(
      prefix: "", location: naming.location, isSuperfluous: naming.isSuperfluous, sizesFrom: "its metadata",
      types: SourceType.allCases)
    gguf = file
  }

  private static func read(_ config: JSON, file: String) throws -> (any Architecture.Type, ModelSpec) {
    let reader = try DocumentReader(config, file: file)
    guard let modelType = try reader.string("model_type") else { throw reader.error("model_type", "is missing") }
    guard let family = Architectures.all.first(where: { $0.modelType == modelType }) else {
      throw reader.error(
        "model_type", "\"\(modelType)\" is not supported yet",
        remedy: "supported: \(Architectures.all.map { $0.modelType }.joined(separator: ", "))")
    }
    guard reader.optional("quantization_config") == nil else {
      throw reader.error(
        "quantization_config", "the weights are quantized already", remedy: "name the checkpoint that they were made of"
      )
    }
    let spec = try family.spec(reader)
    try spec.validate(file: file)
    return (family, spec)
  }

  /// The one GGUF model of a folder without `config.json`; of a model in parts, the first.
  private static func onlyGGUF(in folder: String) throws -> String? {
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    let models = names.filter { name in
      guard name.hasSuffix(".gguf") else { return false }
      let parts = name.dropLast(".gguf".count).components(separatedBy: "-of-")
      return parts.count < 2 || parts[parts.count - 2].hasSuffix("-00001")
    }
    guard models.count > 1 else { return models.first.map { folder + "/" + $0 } }
    throw FurlError.input(
      folder, "has no config.json, and \(models.count) GGUF files",
      remedy: "name one of them: \(models.joined(separator: ", "))")
  }
}
