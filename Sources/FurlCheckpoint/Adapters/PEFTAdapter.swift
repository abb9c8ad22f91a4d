import FurlBase
import FurlSpec
import FurlTensor

/// A LoRA, rsLoRA or DoRA adapter of PEFT, to be merged into its base while that is read.
///
/// Names: `base_model.model.MODULE.lora_A.weight` and `lora_B.weight`, `lora_embedding_A` and `lora_embedding_B`,
/// `lora_magnitude_vector` (PEFT's `utils/save_and_load.py`); every other tensor stands in the place of the base's of its name.
/// A Conv1D (`fan_in_fan_out`) has the same matrices as a layer of PyTorch's Linear: what is merged has outputs as rows.
struct PEFTAdapter: Sendable {
  let folder: String
  /// Its configuration and its weights.
  let files: [MappedFile]
  private let settings: AdapterSettings
  /// By module.
  private let updates: [String: AdaptedMatrix.Update]
  /// Tensors in the place of the base's, by the names that the model gives them.
  let replaced: [String: StoredTensors.Tensor]

  private static let roots = ["base_model.model.", "base_model."]
  private static let weights: [(name: String, format: WeightFormat)] = [
    ("adapter_model.safetensors", .safetensors), ("adapter_model.bin", .pytorch),
  ]

  /// - Parameter folder: with adapter_config.json and the weights beside it.
  /// - Throws: ``FurlError`` of kind `input`.
  init(folder: String) throws {
    let path = folder + "/adapter_config.json"
    guard FileNames.isFolder(folder) == true, FileManager.default.fileExists(atPath: path) else {
      throw FurlError.input(
        folder, "is no folder of a PEFT adapter: it has no adapter_config.json", remedy: "name the adapter's own folder"
      )
    }
    self.folder = folder
    settings = try AdapterSettings(path: path)
    guard
      let (name, format) = PEFTAdapter.weights.first(where: {
        FileManager.default.fileExists(atPath: folder + "/" + $0.name)
      })
    else {
      throw FurlError.input(folder, "has no adapter_model.safetensors", remedy: "fetch the adapter's weights")
    }
    let opened = try format.open(folder + "/" + name)
    files = [try MappedFile(path: path), opened.file]
    var found: [String: [String: StoredTensors.Tensor]] = [:]
    var replaced: [String: StoredTensors.Tensor] = [:]
    for (name, tensor) in opened.tensors {
      let bare = PEFTAdapter.roots.first(where: name.hasPrefix).map { String(name.dropFirst($0.count)) } ?? name
      if let (module, part) = try PEFTAdapter.part(of: bare, in: tensor, name) {
        guard found[module, default: [:]].updateValue(tensor, forKey: part) == nil else {
          throw FurlError.input(tensor.file.path, name, "appears twice")
        }
      } else if let own = PEFTAdapter.plain(bare) {
        replaced[own] = tensor
      }
    }
    var updates: [String: AdaptedMatrix.Update] = [:]
    for (module, parts) in found {
      updates[module] = try PEFTAdapter.update(of: module, parts, settings, file: opened.file.path)
    }
    self.updates = updates
    self.replaced = replaced
  }

  // MARK: Names

  /// The module and the part of it that a tensor is; nil for one in the place of the base's.
  private static func part(
    of bare: String, in tensor: StoredTensors.Tensor, _ name: String
  ) throws -> (module: String, part: String)? {
    let words = bare.split(separator: ".").map(String.init)
    guard let place = words.firstIndex(where: { $0.hasPrefix("lora_") }) else {
      guard bare.split(separator: ".").contains(where: Adapter.isOfAdapter) else { return nil }
      throw FurlError.input(
        tensor.file.path, name, "belongs to an adapter that is not merged", remedy: "merge it with peft")
    }
    let part = words[place]
    let known = ["lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector"]
    // An adapter's own name may stand between.
    guard place > 0, known.contains(part), words.count <= place + 3, words.last != "bias" else {
      throw FurlError.input(tensor.file.path, name, "is no part of a LoRA that is merged", remedy: "merge it with peft")
    }
    return (words[..<place].joined(separator: "."), part)
  }

  /// The name of a module's own tensor, without what PEFT wraps modules in; nil for what a module was before.
  private static func plain(_ bare: String) -> String? {
    var words = bare.split(separator: ".").map(String.init)
    if words.contains("original_module") { return nil }
    if let place = words.firstIndex(of: "modules_to_save") {
      words.removeSubrange(place..<min(place + (words.count > place + 2 ? 2 : 1), words.count))
    }
    return words.filter { $0 != "base_layer" }.joined(separator: ".")
  }

  // MARK: Updates

  private static func update(
    of module: String, _ parts: [String: StoredTensors.Tensor], _ settings: AdapterSettings, file: String
  ) throws -> AdaptedMatrix.Update {
    let isEmbedding = parts["lora_embedding_A"] != nil || parts["lora_embedding_B"] != nil
    let kind = isEmbedding ? "lora_embedding_" : "lora_"
    guard let a = parts[kind + "A"], let b = parts[kind + "B"] else {
      throw FurlError.input(
        file, module, "has one of lora_A and lora_B without the other", remedy: "the file is not whole")
    }
    guard a.shape.count == 2, b.shape.count == 2, !a.shape.contains(0), !b.shape.contains(0), a.shape[0] == b.shape[1]
    else {
      throw FurlError.input(file, module, "has matrices of the shapes \(a.shape) and \(b.shape), which have no product")
    }
    guard a.shape[0] == settings.rank(of: module) else {
      throw FurlError.input(
        file, module, "has rank \(a.shape[0]), and adapter_config.json says \(settings.rank(of: module))",
        remedy: "r and rank_pattern have to be those of the weights")
    }
    let lengths = parts["lora_magnitude_vector"]
    guard (lengths != nil) == settings.isDoRA, lengths == nil || lengths?.count == b.shape[0] else {
      throw FurlError.input(
        file, module, "has lengths of rows (DoRA) that do not fit its matrices or use_dora of adapter_config.json")
    }
    guard lengths == nil || !isEmbedding else {
      throw FurlError.input(
        file, module, "is an embedding with DoRA, which is not merged", remedy: "merge it with peft")
    }
    return AdaptedMatrix.Update(
      a: try grid(a, a.shape[0], a.shape[1], module), b: try grid(b, b.shape[0], b.shape[1], module),
      scaling: settings.scaling(of: module), lengths: try lengths.map { try grid($0, 1, $0.count, module) },
      isEmbedding: isEmbedding)
  }

  private static func grid(
    _ tensor: StoredTensors.Tensor, _ rows: Int, _ columns: Int, _ module: String
  ) throws -> StoredGrid {
    guard let type = tensor.type, type.blockSize == 1, tensor.isDense else {
      throw FurlError.input(
        tensor.file.path, module, "has numbers of the type \(tensor.typeName) or with gaps, which is not read")
    }
    return try StoredGrid(tensor.file, offset: tensor.offset, rows: rows, columns: columns, numbers: .floats(type))
  }

  /// The adapter's own folder, where it has added tokens and brings the tokenizer that has them.
  func tokenizerFolder(isResized: Bool) -> String? {
    isResized
      && ["tokenizer.json", "tokenizer.model"].contains { FileManager.default.fileExists(atPath: folder + "/" + $0) }
      ? folder : nil
  }

  // MARK: The base

  /// The rows of an embedding in the place of the base's; nil where there is none.
  func tokens(_ family: any Architecture.Type, _ spec: ModelSpec) -> Int? {
    guard let embedding = spec.tensors.first(where: { $0.name == "embedding" }) else { return nil }
    let name = family.location(of: embedding, in: spec).name
    let found = replaced[family.prefix + name] ?? replaced[name]
    return found.flatMap { $0.shape.count == 2 ? $0.shape[0] : nil }
  }

  /// The base's tensors, with the adapter's own in the place of those of their names.
  ///
  /// - Throws: ``FurlError`` of kind `input` for one that the base does not have.
  func applied(
    to stored: StoredTensors, _ family: any Architecture.Type, _ spec: ModelSpec
  ) throws -> StoredTensors {
    let prefix = family.prefix
    var names: [String: StoredTensors.Tensor] = [:]
    for (name, tensor) in replaced {
      let bare = name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
      guard
        let own = [name, bare, prefix + name].first(where: { stored.tensors[$0] != nil })
          ?? (name == PEFTAdapter.headName(family, spec) ? name : nil)
      else { throw unknown(name, tensor.file.path) }
      names[own] = tensor
    }
    // Where the embedding alone was trained as a whole, PEFT's merge leaves the head that it was tied to as it was.
    if spec.tiedEmbeddings, let head = PEFTAdapter.headName(family, spec), names[head] == nil,
      let embedding = spec.tensors.first(where: { $0.name == "embedding" })
    {
      let bare = family.location(of: embedding, in: spec).name
      let name = stored.tensors[prefix + bare] != nil ? prefix + bare : bare
      let module = String((prefix + bare).dropLast(".weight".count))
      if names[name] != nil, settings.trainsWhole(module) { names[head] = stored.tensors[name] }
    }
    return stored.replacing(names)
  }

  private static func headName(_ family: any Architecture.Type, _ spec: ModelSpec) -> String? {
    spec.untiedHead.map { family.location(of: $0, in: spec).name }
  }

  private func unknown(_ name: String, _ file: String) -> FurlError {
    .input(
      file, name, "is for a module that the base does not have",
      remedy: "merge the adapter into the model that it was made for\(settings.base.map { ": \($0)" } ?? "")")
  }

  /// Tensors with the adapter merged into them.
  ///
  /// - Parameter sources: by the model's names; what is folded into them stays so.
  /// - Throws: ``FurlError`` of kind `input` when a module is not there or has another shape.
  func applied(
    to sources: [String: WeightSource], prefix: String, spec: ModelSpec, location: (TensorSpec) -> TensorLocation
  ) throws -> [String: WeightSource] {
    var (sources, used) = (sources, Set<String>())
    for tensor in spec.tensors where tensor.shape.count == 2 {
      let place = location(tensor)
      guard place.name.hasSuffix(".weight"), let source = sources[tensor.name] else { continue }
      var names = [place.name]
      // One matrix with two names: what either has goes into it.
      if tensor.name == "embedding", spec.tiedEmbeddings { names += spec.untiedHead.map { [location($0).name] } ?? [] }
      for name in Set(names).sorted() {
        let bare = String(name.dropLast(".weight".count))
        guard let module = [prefix + bare, bare].first(where: { updates[$0] != nil }) else { continue }
        used.insert(module)
        sources[tensor.name] = try merged(module, into: sources[tensor.name] ?? source, tensor, place)
      }
    }
    if let module = updates.keys.sorted().first(where: { !used.contains($0) }) { throw unknown(module, files[1].path) }
    return sources
  }

  private func merged(
    _ module: String, into source: WeightSource, _ tensor: TensorSpec, _ place: TensorLocation
  ) throws -> WeightSource {
    guard let update = updates[module] else { throw FurlError(.defect, place: module, "has no update") }
    let shape = [place.part?.total ?? tensor.shape[0], tensor.shape[1]]
    guard update.shape == shape, place.columns == nil, place.slice == nil else {
      throw FurlError.input(
        files[1].path, module, "is for a matrix of \(update.shape), and the base has \(shape) there",
        remedy: "merge the adapter into the model that it was made for\(settings.base.map { ": \($0)" } ?? "")")
    }
    let matrix = try AdaptedMatrix(source.folding(.none), update, first: place.part?.start ?? 0, order: place.rowOrder)
    return try WeightSource(coded: matrix, rows: matrix.rows, columns: matrix.columns).folding(source.fold)
  }
}

extension ModelSpec {
  /// The head where it is the embedding, as it would be by itself.
  fileprivate var untiedHead: TensorSpec? {
    var apart = self
    apart.tiedEmbeddings = false
    return apart.tensors.first { $0.name == "head" }
  }
}
