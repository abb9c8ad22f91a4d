import FurlBase
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
    let isSuperfluous: (String, StoredTensors.Tensor) -> Bool
    /// What says how large tensors are, for errors.
    let sizesFrom: String
    /// The types that weights are read from.
    let types: [SourceType]
    /// The form of modules that are quantized, where there are such.
    var quantized: (any QuantizedForm)?
  }

  /// What was opened: the folder, a file of weights in it, or the GGUF file.
  let path: String
  let folder: String
  let config: JSON
  let spec: ModelSpec
  let stored: StoredTensors
  let names: Names
  let gguf: GGUFFile?
  /// What is merged into the weights when they are read.
  let adapter: PEFTAdapter?
  /// Whether the adapter has another count of tokens than its base.
  private(set) var isResized = false
  /// What a person should know of how the files were read.
  let notes: [String]

  /// Opens a folder, the file of weights in it that is meant, or a GGUF file.
  ///
  /// - Parameter adapter: the folder of an adapter to merge; nil: none.
  static func open(path: String, adapter: String? = nil) throws -> OpenedCheckpoint {
    let isFile = FileNames.isFolder(path) == false
    if isFile, path.hasSuffix(".gguf") || GGUFFile.isGGUF(path: path) {
      try refuse(adapter, gguf: path)
      return try OpenedCheckpoint(gguf: path)
    }
    if isFile, Checkpoint.isWeightFile(path) {
      let folder = path.folderPath
      let config = folder + "/config.json"
      if FileManager.default.fileExists(atPath: config) {
        return try OpenedCheckpoint(config: config, folder: folder, weights: path.lastName, adapter: adapter)
      }
    }
    return try open(folder: path, adapter: adapter)
  }

  private static func refuse(_ adapter: String?, gguf path: String) throws {
    guard adapter != nil else { return }
    throw FurlError.input(
      path, "is a GGUF file, whose tensors have other names than adapters",
      remedy: "name the folder of the checkpoint that it was made of")
  }

  /// Opens a folder with `config.json`, or with one GGUF model and nothing else.
  static func open(folder: String, adapter: String? = nil) throws -> OpenedCheckpoint {
    guard let isFolder = FileNames.isFolder(folder) else { throw HubFolder.missing(folder) }
    guard isFolder else {
      // What cannot be opened at all says why itself.
      let file = try MappedFile(path: folder)
      if let words = FileKind.words(file.read(0..<min(16, file.count))) {
        throw FurlError.input(
          folder, "is \(words); a checkpoint is expected here", remedy: "name the folder that holds config.json")
      }
      throw FurlError.input(
        folder, "is neither a checkpoint's folder nor a .furl artifact nor a GGUF file",
        remedy: "name the folder that holds config.json")
    }
    let path = folder + "/config.json"
    if FileManager.default.fileExists(atPath: path) {
      return try OpenedCheckpoint(config: path, folder: folder, weights: nil, adapter: adapter)
    }
    try HubFolder.refuseCache(folder)
    try Adapter.refuse(folder, FolderListing(folder).names)
    if let file = try onlyGGUF(in: folder) {
      try refuse(adapter, gguf: file)
      return try OpenedCheckpoint(gguf: file)
    }
    throw FurlError.input(
      folder, "has no config.json", remedy: "a checkpoint has config.json, weights and tokenizer.json")
  }

  private init(config path: String, folder: String, weights: String?, adapter adapterFolder: String?) throws {
    var configuration = try StoredConfiguration(path: path)
    var (family, spec) = try OpenedCheckpoint.read(configuration.json, file: path)
    let adapter = try adapterFolder.map { try PEFTAdapter(folder: $0) }
    if let rows = adapter?.tokens(family, spec), rows != spec.vocabularySize {
      configuration.set(family.configurationKeys.vocabulary, .integer(rows))
      isResized = true
      configuration.note("the adapter has brought the embedding from \(spec.vocabularySize) to \(rows) tokens")
      (family, spec) = try OpenedCheckpoint.read(configuration.json, file: path)
    }
    var chosen = weights
    if weights == nil, let name = try WeightFiles.configured(configuration.json, folder: folder) {
      chosen = name
      configuration.note("the weights are those of \(name), as transformers_weights of config.json says")
    }
    let whole = try StoredTensors(folder: folder, weights: chosen)
    let text = try TextPart(whole, isWrapped: configuration.isWrapped)
    let raw = text.stored
    let quantized = try ForeignWeights.form(of: raw, configuration.json, file: path)
    try ForeignWeights.refuse(raw, path: folder, except: quantized)
    try configuration.dropQuantization(quantized)
    let naming = try StoredNames(raw, family: family, spec: spec)
    let tensors = try adapter?.applied(to: naming.stored, family, spec) ?? naming.stored
    let head = try HeadTie(tensors, family: family, spec: spec)
    if head.isStoredApart {
      spec.tiedEmbeddings = false
      configuration.set("tie_word_embeddings", false)
    }
    self.path = weights.map { folder + "/" + $0 } ?? folder
    self.folder = folder
    self.spec = spec
    stored = tensors
    self.adapter = adapter
    config = configuration.kept
    let reader = try DocumentReader(configuration.json, file: path)
    let folds = try family.folds(reader, spec)
    let beyond = LayersBeyond(family, spec, count: try family.layersBeyond(reader))
    notes = configuration.notes + text.notes + naming.notes + head.notes + beyond.notes(tensors.tensors.keys)
    let called = ChosenNames(tensors, family: family, spec: spec)
    names = Names(
      prefix: family.prefix,
      location: { tensor in (head.location(of: tensor) ?? called.location(of: tensor)).folding(folds, tensor) },
      isSuperfluous: { [spec] in
        head.isCopy($0) || Buffers.contain($0, $1) || beyond.contain($0) || family.isUnused($0, in: spec)
      }, sizesFrom: "config.json",
      types: SourceType.allCases.filter { $0.blockSize == 1 }, quantized: quantized)
    gguf = nil
  }

  private init(gguf path: String) throws {
    let file = try GGUFFile(path: path)
    let configuration = try GGUFConfiguration(file)
    config = try configuration.json()
    let (family, spec) = try OpenedCheckpoint.read(config, file: path)
    let gguf = configuration.gguf
    let naming = GGUFNames(gguf, spec: spec, stored: Set(file.tensors.map(\.tensor.name)))
    let folds = try gguf.folds(family, DocumentReader(config, file: path), spec)
    let beyond = LayersBeyond(gguf: spec, count: try configuration.layersBeyond())
    self.path = path
    folder = path.folderPath
    self.spec = spec
    stored = StoredTensors(file)
    adapter = nil
    names = Names(
      prefix: "", location: { naming.location(of: $0).folding(folds, $0) },
      isSuperfluous: { name, _ in naming.isSuperfluous(name) || beyond.contain(name) }, sizesFrom: "its metadata",
      types: SourceType.allCases)
    self.gguf = file
    notes = beyond.notes(stored.tensors.keys)
  }

  private static func read(_ config: JSON, file: String) throws -> (any Architecture.Type, ModelSpec) {
    let reader = try DocumentReader(config, file: file)
    guard let modelType = try reader.string("model_type") else { throw reader.error("model_type", "is missing") }
    guard let family = Architectures.named(modelType) else {
      throw reader.error(
        "model_type", "\"\(modelType)\" is not supported yet",
        remedy: "supported: \(Architectures.all.map { $0.modelType }.sorted().joined(separator: ", "))")
    }
    let spec = try family.spec(reader)
    try spec.validate(file: file)
    return (family, spec)
  }

  /// The one GGUF model of a folder without `config.json`; of a model in parts, the first.
  static func onlyGGUF(in folder: String) throws -> String? {
    let names = FolderListing(folder).names
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
