import FurlBase

/// Which files of a folder hold the weights.
///
/// What is there first of `model.safetensors` and `pytorch_model.bin`, whole or with an index; else what is left when
/// adapters and the files of trainers are put aside, if that is one file, one index or all shards of one model.
enum WeightFiles {
  /// An index that says which shard holds what.
  case index(String, WeightFormat)
  /// One file, or shards whose names say that they belong together; in their order.
  case files([String], WeightFormat)

  /// What files and indices of weights end with.
  static let endings = [".safetensors", ".bin", ".pt", ".pth", ".json"]

  /// - Parameter chosen: the name of the file or index that is meant; any of several shards stands for all.
  /// - Throws: ``FurlError`` of kind `input` when it is not clear which files are meant.
  static func choose(in folder: String, chosen: String?) throws -> WeightFiles {
    let listing = FolderListing(folder)
    let names = listing.names
    if let chosen { return try named(chosen, folder, names) }
    try Adapter.refuse(folder, names)
    let present = Set(names)
    for format in WeightFormat.allCases {
      let (index, whole) = (format.fileName + ".index.json", format.fileName)
      if present.contains(index), present.contains(whole) {
        guard try isNamed(whole, by: folder + "/" + index) else {
          throw FurlError.input(
            folder, "has both \(index) and \(whole), and the index does not name the latter",
            remedy: "remove the one that is out of date, or say --weights \(whole) or --weights \(index)")
        }
      }
      if present.contains(index) { return .index(folder + "/" + index, format) }
      if present.contains(whole) {
        if let shard = fullSet(names.filter(format.mayHold)) {
          throw FurlError.input(
            folder, "has both \(whole) and \(shard.name) with all other parts of a model",
            remedy: "remove what is out of date, or say --weights \(whole) or --weights \(shard.name)")
        }
        return .files([folder + "/" + whole], format)
      }
    }
    if let name = listing.unreadable.first(where: { name in WeightFormat.allCases.contains { $0.mayHold(name) } }) {
      throw FurlError.input(folder, name, "has a name that is not UTF-8", remedy: "give the file another name")
    }
    for format in WeightFormat.allCases {
      if let found = try other(names.filter(format.mayHold), of: names, folder, format) { return found }
    }
    throw FurlError.input(
      folder, "has no weights",
      remedy: "expected: model.safetensors or pytorch_model.bin, whole or with an index, or one file of another name")
  }

  // MARK: Other names

  private static func other(
    _ files: [String], of names: [String], _ folder: String, _ format: WeightFormat
  ) throws -> WeightFiles? {
    let indices = names.filter { $0.contains(format.ending + ".index.") && $0.hasSuffix(".json") }
    // A variant: model.safetensors.index.fp16.json.
    if indices.count == 1, files.allSatisfy({ Shard($0) != nil }) {
      return .index(folder + "/" + indices[0], format)
    }
    guard !files.isEmpty else { return nil }
    let shards = files.compactMap(Shard.init)
    if shards.count == files.count, Set(shards.map(\.family)).count == 1 {
      return .files(try whole(shards, folder).map { folder + "/" + $0 }, format)
    }
    guard files.count == 1 else {
      throw FurlError.input(
        folder, "has several weight files, \(files.prefix(4).joined(separator: ", "))\(files.count > 4 ? ", ..." : "")",
        remedy: "say which one is meant: --weights \(files[0])")
    }
    return .files([folder + "/" + files[0]], format)
  }

  /// The first of shards that are all there, if there are such.
  private static func fullSet(_ names: [String]) -> Shard? {
    let families = Dictionary(grouping: names.compactMap(Shard.init), by: \.family)
    return families.values.compactMap { shards in
      let numbers = Set(shards.map(\.number))
      let total = shards[0].total
      guard total > 1, total <= numbers.count, (1...total).allSatisfy(numbers.contains) else { return nil }
      return shards.first { $0.number == 1 }
    }.min { $0.name < $1.name }
  }

  /// The file that `transformers_weights` of `config.json` names, as transformers follows it.
  ///
  /// - Throws: ``FurlError`` of kind `input` for what is not the name of a safetensors file or index in the folder.
  static func configured(_ config: JSON, folder: String) throws -> String? {
    let key = "transformers_weights"
    guard let value = config[key], value != .null else { return nil }
    let path = folder + "/config.json"
    guard let name = value.string, !name.contains("/"), !name.utf8.contains(0),
      [".safetensors", ".safetensors.index.json"].contains(where: { name.hasSuffix($0) && name.count > $0.count })
    else {
      throw FurlError.input(
        path, key, "must be the name of a .safetensors or .safetensors.index.json file in the same folder",
        remedy: "correct it, or say which weights are meant with --weights")
    }
    guard FileManager.default.fileExists(atPath: folder + "/" + name) else {
      throw FurlError.input(
        path, key, "names \(name.prefix(100)), which does not exist",
        remedy: "fetch it, or say which weights are meant with --weights")
    }
    try Adapter.refuse(folder, FolderListing(folder).names)
    return name
  }

  /// Names of all shards in their order.
  private static func whole(_ shards: [Shard], _ folder: String) throws -> [String] {
    let total = shards[0].total
    let byNumber = Dictionary(shards.map { ($0.number, $0.name) }) { first, _ in first }
    guard total <= 9_999, total >= 1, byNumber.count == shards.count else {
      throw FurlError.input(folder, shards[0].name, "is one of \(total) parts, which makes no sense")
    }
    if let missing = (1...total).first(where: { byNumber[$0] == nil }) {
      throw FurlError.input(
        folder, "has \(shards.count) of \(total) parts of the weights; part \(missing) is missing",
        remedy: "fetch the part beside \(shards[0].name)")
    }
    guard byNumber.count == total else {
      throw FurlError.input(folder, shards[0].name, "is one of \(total) parts, and \(shards.count) are there")
    }
    return (1...total).compactMap { byNumber[$0] }
  }

  private static func named(_ chosen: String, _ folder: String, _ names: [String]) throws -> WeightFiles {
    let path = folder + "/" + chosen
    if chosen.hasSuffix(".json") {
      return .index(path, chosen.contains(".bin.") ? .pytorch : .safetensors)
    }
    let format: WeightFormat = chosen.hasSuffix(WeightFormat.safetensors.ending) ? .safetensors : .pytorch
    if let shard = Shard(chosen), shard.total > 1 {
      let others = names.compactMap(Shard.init).filter { $0.family == shard.family }
      return .files(try whole(others, folder).map { folder + "/" + $0 }, format)
    }
    return .files([path], format)
  }

  /// Whether an index says that a file holds something.
  private static func isNamed(_ name: String, by index: String) throws -> Bool {
    let json = try JSON.parse(
      MappedFile(path: index).readAll(limit: StoredTensors.indexLimit), file: index, dialect: .nonFinite)
    return json["weight_map"]?.members?.contains { $0.value.string == name } ?? false
  }
}

/// A file whose name says that it is one of several: `model-00001-of-00003.safetensors`.
private struct Shard {
  let name: String
  let number: Int
  let total: Int
  /// What all parts of one model have in common.
  let family: String

  init?(_ name: String) {
    guard let middle = name.lastRange(of: "-of-") else { return nil }
    let before = name[..<middle.lowerBound]
    let digits = before.reversed().prefix { $0.isASCII && $0.isNumber }
    let total = name[middle.upperBound...].prefix { $0.isASCII && $0.isNumber }
    guard (1...6).contains(digits.count), (1...6).contains(total.count), let number = Int(String(digits.reversed())),
      let count = Int(total)
    else { return nil }
    self.name = name
    self.number = number
    self.total = count
    family = "\(before.dropLast(digits.count))*-of-\(name[middle.upperBound...])"
  }
}

/// The formats that a folder's weights come in; earlier ones are preferred.
enum WeightFormat: CaseIterable {
  case safetensors
  case pytorch

  /// What Hugging Face calls the file, and with `.index.json` behind it the index of shards.
  var fileName: String {
    switch self {
    case .safetensors: "model.safetensors"
    case .pytorch: "pytorch_model.bin"
    }
  }

  var ending: String {
    switch self {
    case .safetensors: ".safetensors"
    case .pytorch: ".bin"
    }
  }

  /// What trainers and PEFT put beside weights.
  private static let others = [
    "adapter_", "optimizer", "scheduler", "scaler", "rng_state", "random_states", "training_args", "trainer_state",
    "lr_scheduler",
  ]

  /// Whether a file may hold weights by its name.
  func mayHold(_ name: String) -> Bool {
    let endings = self == .pytorch ? [".bin", ".pt", ".pth"] : [ending]
    return endings.contains { name.hasSuffix($0) && name.count > $0.count }
      && !WeightFormat.others.contains { name.hasPrefix($0) }
  }

  func open(_ path: String) throws -> WeightFile {
    switch self {
    case .safetensors:
      let file = try SafetensorsFile(path: path)
      let tensors = file.entries.map { entry in
        let tensor = StoredTensors.Tensor(
          file: file.file, offset: entry.range.lowerBound, typeName: entry.typeName, type: entry.type,
          shape: entry.shape)
        return (name: entry.name, tensor: tensor)
      }
      return (file.file, tensors)
    case .pytorch:
      let file = try TorchFile(path: path)
      return (file.file, file.tensors)
    }
  }
}

/// A weight file, whatever its format.
typealias WeightFile = (file: MappedFile, tensors: [(name: String, tensor: StoredTensors.Tensor)])
