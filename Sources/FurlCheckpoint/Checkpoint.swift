package import FurlBase
package import FurlSpec
package import FurlTensor

/// A model as it was trained: a folder with `config.json`, weights and a tokenizer, or a GGUF file.
package struct Checkpoint: Sendable {
  /// A file of the checkpoint, for lineage.
  package struct SourceFile: Sendable, Hashable {
    package let name: String
    package let bytes: Int
    package let digest: Digest
  }

  /// What the checkpoint was opened by: a folder, a file of weights in it, or a GGUF file.
  package let path: String
  /// The folder that the model lies in.
  package let folder: String
  /// `config.json` as it stands; of a GGUF file, what it would say.
  package let config: JSON
  package let spec: ModelSpec
  private let sources: [String: WeightSource]
  /// The files that hold the weights.
  package let weightFiles: [MappedFile]
  /// Set for a GGUF file, which holds the tokenizer, too.
  package let gguf: GGUFFile?
  /// The tokenizer in the form of artifacts, where steps have made another one than the files have.
  package let tokenizerBytes: [UInt8]?
  /// The files of an adapter that is merged into the weights when they are read.
  package let adapterFiles: [MappedFile]
  /// The folder that the tokenizer lies in: that of an adapter that has added tokens, else the model's.
  package let tokenizerFolder: String
  /// What a person should know of how the files were read: what was taken off names, which head counts.
  package let notes: [String]
  /// Stored tensors that are no weights (masks, tables of rotary frequencies, counters), by name.
  package let leftOut: [String]
  /// The ends of texts, where steps have given tokens other ids than the files have.
  let ends: EndTokens?

  /// Opens a checkpoint and checks every header; no weight is read, unless the head is stored beside an embedding that
  /// it should be.
  ///
  /// - Parameter path: a folder; a file or index of weights in it, where several could be meant; or a GGUF file.
  /// - Throws: ``FurlError`` of kind `input` that names file, key or tensor.
  package init(path: String) throws { try self.init(OpenedCheckpoint.open(path: path)) }

  /// Opens a checkpoint with an adapter of PEFT (LoRA, rsLoRA, DoRA) that is merged into its weights when they are read.
  ///
  /// - Parameter adapter: the folder with adapter_config.json; nil: none.
  /// - Throws: ``FurlError`` of kind `input`, also for an adapter of another kind or for another base.
  package init(path: String, adapter: String?) throws {
    try self.init(OpenedCheckpoint.open(path: path, adapter: adapter))
  }

  /// The files that an adapter is read from, as far as they are there.
  package static func adapterFilesRead(in folder: String) -> [String] {
    Adapter.files.map { folder + "/" + $0 }.filter { FileManager.default.fileExists(atPath: $0) }
  }

  /// Whether a path may be named in the place of a folder, by its ending: weights or their index.
  package static func isWeightFile(_ path: String) -> Bool {
    WeightFiles.endings.contains { path.hasSuffix($0) } && (!path.hasSuffix(".json") || path.contains(".index."))
  }

  /// Opens a folder, as ``init(path:)`` does.
  package init(folder: String) throws { try self.init(OpenedCheckpoint.open(folder: folder)) }

  private init(_ opened: OpenedCheckpoint) throws {
    var (sources, names) = try Checkpoint.locate(opened)
    if let adapter = opened.adapter {
      sources = try adapter.applied(
        to: sources, prefix: opened.names.prefix, spec: opened.spec, location: opened.names.location)
    }
    self.sources = sources
    let prefix = opened.names.prefix
    var leftOut: [String] = []
    for (name, tensor) in opened.stored.tensors.sorted(by: { $0.key < $1.key }) where !names.contains(name) {
      let bare = name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
      leftOut.append(name)
      guard opened.names.isSuperfluous(bare, tensor) else {
        throw FurlError.input(
          opened.path, name, "is not part of a \(opened.spec.architecture) model of this configuration",
          remedy: "\(opened.names.sizesFrom) and weights do not match")
      }
    }
    path = opened.path
    folder = opened.folder
    config = opened.config
    spec = opened.spec
    weightFiles = opened.stored.files
    gguf = opened.gguf
    tokenizerBytes = nil
    adapterFiles = opened.adapter?.files ?? []
    tokenizerFolder = opened.adapter?.tokenizerFolder(isResized: opened.isResized) ?? opened.folder
    notes = opened.notes
    self.leftOut = leftOut
    ends = nil
  }

  /// A checkpoint whose weights are others than those of its files: what steps that change a model's shape have made of
  /// it. Files, and what is not given, are those of the source.
  ///
  /// - Parameters:
  ///   - sources: where the tensors of `spec` lie now.
  ///   - vocabulary: where the tokens are others: the tokenizer in the form of artifacts, `config.json` with its ids, and the
  ///     tokens that end a text.
  /// - Throws: ``FurlError`` of kind `defect` when a tensor is missing or has another shape.
  package init(
    _ source: Checkpoint, spec: ModelSpec, sources: [String: WeightSource],
    vocabulary: (tokenizer: [UInt8], config: JSON, ends: EndTokens)? = nil
  ) throws {
    try spec.validate(file: source.path)
    for tensor in spec.tensors {
      let shape = sources[tensor.name].map { tensor.shape.count == 1 ? [$0.columns] : [$0.rows, $0.columns] }
      guard shape == tensor.shape else {
        throw FurlError(
          .defect, file: source.path, place: tensor.name, "has the shape \(shape ?? []) and not \(tensor.shape)")
      }
    }
    path = source.path
    folder = source.folder
    config = vocabulary?.config ?? source.config
    self.spec = spec
    self.sources = sources
    weightFiles = source.weightFiles
    gguf = source.gguf
    tokenizerBytes = vocabulary?.tokenizer ?? source.tokenizerBytes
    adapterFiles = source.adapterFiles
    tokenizerFolder = source.tokenizerFolder
    notes = source.notes
    leftOut = source.leftOut
    ends = vocabulary?.ends ?? source.ends
  }

  private static func locate(_ opened: OpenedCheckpoint) throws -> ([String: WeightSource], Set<String>) {
    var sources: [String: WeightSource] = [:]
    var names: Set<String> = []
    let prefix = opened.names.prefix
    for tensor in opened.spec.tensors {
      let location = opened.names.location(tensor)
      if !location.pieces.isEmpty {
        sources[tensor.name] = try joined(location, opened, shape: tensor.shape, &names)
        continue
      }
      if let row = location.computed {
        sources[tensor.name] = try .matrix(rows: tensor.shape[0], columns: tensor.shape[1], row: row)
        continue
      }
      let candidates = [prefix + location.name, location.name]
      if let packed = try packed(tensor, location, candidates, opened) {
        names.formUnion(packed.names)
        sources[tensor.name] = packed.source
        continue
      }
      guard let name = candidates.first(where: { opened.stored.tensors[$0] != nil }),
        let found = opened.stored.tensors[name]
      else {
        if tensor.role == .head, opened.gguf == nil {
          throw FurlError.input(
            opened.path, location.name, "is missing, and tie_word_embeddings does not say that it is the embedding",
            remedy: "if the two are one matrix, set tie_word_embeddings to true in config.json")
        }
        let both = prefix.isEmpty ? "" : ", with and without \"\(prefix)\" before its name"
        throw FurlError.input(opened.path, location.name, "is missing\(both)")
      }
      names.insert(name)
      sources[tensor.name] = try source(of: tensor, at: location, found, name: name, opened.names)
    }
    return (sources, names)
  }

  /// A matrix that is stored as codes with scales, and the tensors that it is made of; nil for a plain one.
  private static func packed(
    _ tensor: TensorSpec, _ location: TensorLocation, _ candidates: [String], _ opened: OpenedCheckpoint
  ) throws -> (source: WeightSource, names: [String])? {
    let (stored, sizesFrom) = (opened.stored, opened.names.sizesFrom)
    for name in candidates {
      if let found = try MXFP4Experts.source(of: tensor, at: location, name: name, in: stored, sizesFrom: sizesFrom) {
        return found
      }
      guard let form = opened.names.quantized else { continue }
      if let found = try QuantizedModule.source(
        of: tensor, at: location, name: name, in: stored, form: form, sizesFrom: sizesFrom)
      {
        return found
      }
    }
    return nil
  }

  /// A vector whose pieces are stored as tensors by themselves.
  private static func joined(
    _ location: TensorLocation, _ opened: OpenedCheckpoint, shape: [Int], _ names: inout Set<String>
  ) throws -> WeightSource {
    var values: [Float] = []
    for piece in location.pieces {
      let candidates = [opened.names.prefix + piece, piece]
      guard let name = candidates.first(where: { opened.stored.tensors[$0] != nil }),
        let found = opened.stored.tensors[name]
      else { throw FurlError.input(opened.path, piece, "is missing") }
      let count = shape[0] / location.pieces.count
      guard let type = found.type, type.blockSize == 1, found.shape == [count] else {
        throw FurlError.input(
          found.file.path, name, "is \(found.typeName) of shape \(found.shape); a vector of \(count) is expected")
      }
      names.insert(name)
      values += try WeightSource.vector(
        file: found.file, type: type, offset: found.offset, count: count, stride: found.strides[0]
      ).folding(location.fold).readAll()
    }
    return try WeightSource.vector(of: values)
  }

  private static func source(
    of tensor: TensorSpec, at location: TensorLocation, _ found: StoredTensors.Tensor, name: String,
    _ names: OpenedCheckpoint.Names
  ) throws -> WeightSource {
    func refuse(_ problem: String, remedy: String? = nil) -> FurlError {
      .input(found.file.path, name, problem, remedy: remedy)
    }
    guard let type = found.type, names.types.contains(type) else {
      throw refuse(
        "has dtype \(found.typeName), which is not supported",
        remedy: "supported: \(names.types.map(\.rawValue).joined(separator: ", "))")
    }
    let expected = location.wholeShape(of: tensor)
    let shape = location.storedShape ?? expected
    guard found.shape == shape else {
      throw refuse("has shape \(found.shape); \(names.sizesFrom) says \(shape)")
    }
    if let rows = location.headRows {
      return try WeightSource(
        file: found.file, type: type, offset: found.offset, rows: tensor.shape[0], columns: tensor.shape[1],
        rowStride: 1, columnStride: rows, rowOrder: .stored.grouped(rows: rows, stride: rows * tensor.shape[1])
      ).folding(location.fold)
    }
    // What is stored in another shape lies without gaps.
    var strides =
      location.storedShape == nil
      ? found.strides : Array([expected.dropFirst().reduce(1, *), 1].suffix(expected.count))
    var first = 0
    if let slice = location.slice {
      guard type.blockSize == 1 || strides[0] % type.blockSize == 0 else {
        throw refuse("does not lie in whole blocks")
      }
      first = slice.index * strides.removeFirst()
    }
    if location.isTransposed { strides.reverse() }
    let column = location.columns?.start ?? 0
    guard type.blockSize == 1 || column % type.blockSize == 0 else { throw refuse("does not lie in whole blocks") }
    first += (location.part?.start ?? 0) * strides[0] + column * (strides.count > 1 ? strides[1] : 1)
    let offset = found.offset + type.byteCount(first)
    if tensor.shape.count == 1 {
      guard type.blockSize == 1 else {
        throw refuse("is a vector of \(type.rawValue), which is not supported")
      }
      return try .vector(
        file: found.file, type: type, offset: offset, count: tensor.shape[0], stride: strides[0],
        rowOrder: location.rowOrder
      ).folding(location.fold)
    }
    return try WeightSource(
      file: found.file, type: type, offset: offset, rows: tensor.shape[0], columns: tensor.shape[1],
      rowStride: strides[0], columnStride: strides[1], rowOrder: location.rowOrder
    ).folding(location.fold)
  }

  /// Where a tensor of the spec lies.
  ///
  /// - Throws: ``FurlError`` of kind `defect` for a name that the spec does not have.
  package func source(_ name: String) throws -> WeightSource {
    guard let source = sources[name] else { throw FurlError(.defect, file: path, place: name, "is not a tensor") }
    return source
  }

  /// Bytes of the weight files.
  package var weightFileBytes: Int { weightFiles.reduce(0) { $0 + $1.count } }

  /// Bytes of all files that belong to the model.
  package var diskBytes: Int { weightFileBytes + sideFileBytes }

  /// Bytes of the files beside the weights.
  package var sideFileBytes: Int { Checkpoint.sideFiles.compactMap { size(of: $0) }.reduce(0, +) }

  private func size(of name: String) -> Int? {
    // A GGUF file has everything in itself.
    guard gguf == nil else { return nil }
    return FileNames.bytes(sidePath(name))
  }

  private func sidePath(_ name: String) -> String {
    (Checkpoint.tokenizerFiles.contains(name) ? tokenizerFolder : folder) + "/" + name
  }

  private static let tokenizerFiles: Set<String> = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt",
    "tokenizer.model",
  ]

  static let sideFiles = [
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
  ]

  /// The files that the model is made of; the weights come first.
  package func files() throws -> [MappedFile] {
    weightFiles
      + (try Checkpoint.sideFiles.filter { size(of: $0) != nil }.map { try MappedFile(path: sidePath($0)) })
      + adapterFiles
  }

  /// The files that the model is made of, with their digests.
  package func sourceFiles() throws -> [SourceFile] {
    try files().map { SourceFile($0, digest: Digest(of: $0)) }
  }
}

extension Checkpoint.SourceFile {
  package init(_ file: MappedFile, digest: Digest) {
    self.init(name: file.path.lastName, bytes: file.count, digest: digest)
  }
}
