import FurlBase
import FurlSpec
package import FurlTensor

/// Writes a model as a checkpoint: a folder with `config.json`, safetensors and the tokenizer's files, as transformers
/// reads it. Tensors have the names and the fusions of their family.
package struct SafetensorsExport {
  /// The form of all numbers, norms and biases included.
  let type: SourceType
  /// Weight files are begun anew before they would have more bytes than this; a tensor is never cut.
  let shardBytes: Int
  /// How linear layers that are quantized are written; nil: as plain numbers.
  let packing: WeightPacking?

  /// - Throws: ``FurlError`` of kind `usage` for numbers that a checkpoint does not have.
  package init(numbers: ExportNumbers, shardBytes: Int, packing: WeightPacking? = nil) throws {
    guard packing == nil || numbers == .f32 else {
      throw FurlError(
        .usage, file: "--dtype", "\(packing?.rawValue ?? "") keeps scales as they are, beside numbers that are f32",
        remedy: "leave --dtype out")
    }
    guard !numbers.isBlocks else {
      throw FurlError(
        .usage, file: "--dtype", "a checkpoint has no \(numbers.rawValue)", remedy: "give f32, f16 or bf16")
    }
    type = numbers.type
    self.shardBytes = shardBytes
    self.packing = packing
  }

  private struct ExportedShard {
    var name = ""
    var tensors: [ExportedTensor] = []
    var bytes = 0
  }

  /// Writes the folder.
  ///
  /// - Parameters:
  ///   - folder: appears when it is complete; it must not exist, or be empty.
  ///   - progress: called before every tensor.
  /// - Throws: ``FurlError``; nothing is left behind.
  package func write(
    _ model: any ExportSource, to folder: String, pool: WorkerPool, progress: (ExportProgress) -> Void = { _ in }
  ) throws -> ExportResult {
    guard let family = Architectures.named(model.spec.architecture) else {
      throw FurlError.input(model.path, "is a \(model.spec.architecture) model, whose names are not known")
    }
    try model.refusePatches()
    let (source, described, notes) = try described(model, family)
    let folds = try family.folds(DocumentReader(described, file: source.path, path: "config"), source.spec)
    let layouts = try StoredLayout.layouts(of: source.spec, family: family, folds: folds, path: source.path)
    let sideFiles = try source.sideFiles()
    let packed = try packing.map { try PackedCheckpoint(layouts, of: source, as: $0) }
    let tensors = layouts.flatMap { packed?.tensors(of: $0, type: type) ?? [ExportedTensor($0, type)] }
    let configuration = packed.map { described.adding("quantization_config", $0.configuration) } ?? described
    let shards = shards(tensors)

    let output = try OutputFolder(path: folder)
    try output.require(bytes: tensors.reduce(0) { $0 + $1.byteCount })
    let tools = ExportTools(pool: pool)
    var result = ExportResult()
    result.notes = notes + (packed?.notes ?? [])
    result.tensors = tensors.count
    for layout in layouts {
      let bits = packed?.layers[layout.name]?.bits
      result.forms[bits.map { "int\($0)" } ?? ExportNumbers(type)?.rawValue ?? type.rawValue, default: 0] += 1
    }
    var done = 0
    for shard in shards {
      result.diskBytes += try write(shard, of: source, to: output, with: tools) {
        done += $0.weights
        progress(ExportProgress(tensor: $0.name, done: done, total: source.spec.parameterCount))
      }
    }
    var texts = [("config.json", configuration.prettyText + "\n")]
    if shards.count > 1 { texts.append(("model.safetensors.index.json", index(shards).prettyText + "\n")) }
    for (name, text) in texts {
      try output.write(Array(text.utf8), as: name)
      result.diskBytes += text.utf8.count
    }
    for file in sideFiles { result.diskBytes += try write(file, to: output) }
    try source.checkUnchanged()
    try output.commit()
    return result
  }

  /// - Returns: bytes written.
  private func write(_ file: SideFile, to output: OutputFolder) throws -> Int {
    switch file.content {
    case .bytes(let bytes):
      try output.write(bytes, as: file.name)
      return bytes.count
    case .file(let mapped):
      try output.copy(mapped, as: file.name)
      return mapped.count
    }
  }

  /// The model as a `config.json` of its family can describe it, that file, and what the reader has to know.
  private func described(
    _ model: any ExportSource, _ family: any Architecture.Type
  ) throws -> (any ExportSource, JSON, [String]) {
    do {
      return (model, try ExportedConfiguration.json(for: model, family: family, type: type), [])
    } catch let error as FurlError {
      let biases = ExportedConfiguration.biases(model.spec)
      for padsChannels in [false, true] {
        guard let padded = PaddedModel(model, family: family, biases: biases, padsChannels: padsChannels),
          let configuration = try? ExportedConfiguration.json(for: padded, family: family, type: type)
        else { continue }
        return (padded, configuration, [padded.note])
      }
      throw error
    }
  }

  // MARK: Layout

  private func shards(_ tensors: [ExportedTensor]) -> [ExportedShard] {
    var shards = [ExportedShard()]
    for tensor in tensors {
      let size = tensor.byteCount
      if let last = shards.last, !last.tensors.isEmpty, last.bytes > shardBytes - size {
        shards.append(ExportedShard())
      }
      shards[shards.count - 1].tensors.append(tensor)
      shards[shards.count - 1].bytes += size
    }
    guard shards.count > 1 else {
      shards[0].name = "model.safetensors"
      return shards
    }
    func digits(_ number: Int) -> String {
      String(repeating: "0", count: max(0, 5 - String(number).count)) + String(number)
    }
    for number in shards.indices {
      shards[number].name = "model-\(digits(number + 1))-of-\(digits(shards.count)).safetensors"
    }
    return shards
  }

  /// The length and the header; spaces behind it let the data begin on a multiple of 8.
  private func header(_ shard: ExportedShard) -> [UInt8] {
    var position = 0
    var members = [JSON.Member("__metadata__", ["format": "pt"])]
    for tensor in shard.tensors {
      let end = position + tensor.byteCount
      members.append(
        JSON.Member(
          tensor.name,
          [
            "dtype": .string(tensor.dtype), "shape": .array(tensor.shape.map(JSON.integer)),
            "data_offsets": [.integer(position), .integer(end)],
          ]))
      position = end
    }
    var text = Array(JSON.object(members).compactText.utf8)
    text += [UInt8](repeating: 0x20, count: (8 - text.count % 8) % 8)
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text
  }

  private func index(_ shards: [ExportedShard]) -> JSON {
    let map = shards.flatMap { shard in shard.tensors.map { JSON.Member($0.name, .string(shard.name)) } }
    return [
      "metadata": ["total_size": .integer(shards.reduce(0) { $0 + $1.bytes })], "weight_map": .object(map),
    ]
  }

  // MARK: Data

  /// - Returns: bytes written.
  private func write(
    _ shard: ExportedShard, of source: any ExportSource, to output: OutputFolder, with tools: ExportTools,
    progress: (ExportedTensor) -> Void
  ) throws -> Int {
    let file = try output.file(shard.name)
    try file.write(header(shard))
    for tensor in shard.tensors {
      progress(tensor)
      switch tensor.content {
      case .numbers(let layout): try write(layout, of: source, to: file, with: tools)
      case .packed(let layer, let part):
        try PackedPartWriter(source: source, tools: tools, packing: layer.packing).write(part, of: layer, to: file)
      }
      source.dropPages()
    }
    try file.commit()
    return file.count
  }

  private func write(
    _ layout: StoredLayout, of source: any ExportSource, to file: OutputFile, with tools: ExportTools
  ) throws {
    let writer = StoredTensorWriter(type: type, source: source, tools: tools)
    for parts in layout.slices {
      if layout.isBesideEachOther {
        try writer.writeBesideEachOther(layout, parts, to: file)
      } else if layout.isTransposed {
        try writer.writeTransposed(layout, parts, to: file)
      } else if layout.isPlain || layout.shape.count == 1 + (layout.slices.count > 1 ? 1 : 0) {
        try writer.writeInOrder(layout, parts, to: file)
      } else {
        try writer.writeRows(layout, parts, to: file)
      }
    }
  }
}

/// Writes tensors as a family stores them: rows where they belong, folds undone.
private struct StoredTensorWriter {
  let type: SourceType
  let source: any ExportSource
  let tools: ExportTools

  private func read(_ part: StoredLayout.LayoutPart, _ weights: ExportedWeights, rows: Range<Int>) throws -> [Float] {
    let values = try weights.read(rows: rows, with: tools)
    try check(values, of: part.spec, row: rows.lowerBound)
    let fold = part.location.fold
    return fold == .none ? values : values.map(fold.undone)
  }

  /// Parts whose rows lie one after the other, and vectors.
  func writeInOrder(_ layout: StoredLayout, _ parts: [StoredLayout.LayoutPart], to file: OutputFile) throws {
    if parts[0].spec.shape.count == 1 {
      var vector = [Float](repeating: 0, count: layout.outputs)
      for part in parts {
        let values = try read(part, source.weights(of: part.spec, pool: tools.pool), rows: 0..<1)
        for (row, value) in values.enumerated() { vector[part.output(row)] = value }
      }
      return try file.write(type.bytes(of: Array(vector[layout.piece ?? 0..<vector.count])))
    }
    for part in parts {
      let weights = try source.weights(of: part.spec, pool: tools.pool)
      let step = ExportLimits.rows(columns: part.spec.shape[1])
      for start in stride(from: 0, to: part.rows, by: step) {
        try file.write(type.bytes(of: read(part, weights, rows: start..<min(start + step, part.rows))))
      }
    }
  }

  /// Parts whose rows lie between each other: run by run.
  func writeRows(_ layout: StoredLayout, _ parts: [StoredLayout.LayoutPart], to file: OutputFile) throws {
    var owners = [(part: Int, row: Int)](repeating: (0, 0), count: layout.outputs)
    for (index, part) in parts.enumerated() {
      for row in 0..<part.rows { owners[part.output(row)] = (index, row) }
    }
    let weights = try parts.map { try source.weights(of: $0.spec, pool: tools.pool) }
    let most = ExportLimits.rows(columns: parts[0].spec.shape[1])
    var output = 0
    while output < owners.count {
      let first = owners[output]
      var count = 1
      while output + count < owners.count, count < most, owners[output + count] == (first.part, first.row + count) {
        count += 1
      }
      try file.write(
        type.bytes(of: read(parts[first.part], weights[first.part], rows: first.row..<first.row + count)))
      output += count
    }
  }

  /// Stripes of rows, each with those of all parts.
  func writeBesideEachOther(_ layout: StoredLayout, _ parts: [StoredLayout.LayoutPart], to file: OutputFile) throws {
    let weights = try parts.map { (part: $0, values: try source.weights(of: $0.spec, pool: tools.pool)) }
    let (rows, width) = (layout.shape[0], layout.shape[1])
    let step = ExportLimits.rows(columns: width)
    for start in stride(from: 0, to: rows, by: step) {
      let some = start..<min(start + step, rows)
      var stripe = [Float](repeating: 0, count: some.count * width)
      for (part, weights) in weights {
        let values = try read(part, weights, rows: some)
        let (columns, first) = (part.spec.shape[1], part.location.columns?.start ?? 0)
        for row in 0..<some.count {
          for column in 0..<columns { stripe[row * width + first + column] = values[row * columns + column] }
        }
      }
      try file.write(type.bytes(of: stripe))
    }
  }

  /// Stripes of inputs, each with the outputs of all parts: what is written last to first is read in rows.
  func writeTransposed(_ layout: StoredLayout, _ parts: [StoredLayout.LayoutPart], to file: OutputFile) throws {
    let weights = try parts.map { (part: $0, values: try source.weights(of: $0.spec, pool: tools.pool)) }
    let (inputs, outputs) = (parts[0].spec.shape[1], layout.outputs)
    let step = ExportLimits.rows(columns: outputs)
    for start in stride(from: 0, to: inputs, by: step) {
      let columns = start..<min(start + step, inputs)
      var stripe = [Float](repeating: 0, count: columns.count * outputs)
      for (part, weights) in weights {
        let rowStep = ExportLimits.rows(columns: inputs)
        for first in stride(from: 0, to: part.rows, by: rowStep) {
          let rows = first..<min(first + rowStep, part.rows)
          let values = try read(part, weights, rows: rows)
          for row in rows {
            let output = part.output(row)
            for column in columns {
              stripe[(column - start) * outputs + output] = values[(row - first) * inputs + column]
            }
          }
        }
      }
      try file.write(type.bytes(of: stripe))
    }
  }

  private func check(_ values: [Float], of tensor: TensorSpec, row: Int) throws {
    guard let index = type.firstMisfit(in: values) else { return }
    throw source.misfit(values[index], at: index, of: tensor, row: row, type: type)
  }
}

extension ExportSource {
  /// The error for a number that a type does not have.
  func misfit(_ value: Float, at index: Int, of tensor: TensorSpec, row: Int, type: SourceType) -> FurlError {
    let columns = tensor.shape.last ?? 1
    let place =
      tensor.shape.count == 1 ? "element [\(index)]" : "element [\(row + index / columns), \(index % columns)]"
    guard value.isFinite else { return .input(path, tensor.name, "\(place) is \(value), not a finite number") }
    return .input(
      path, tensor.name, "\(place) is \(value), which is too large for \(type.rawValue)",
      remedy: type == .float16 ? "give --dtype f32 or bf16" : "give --dtype f32")
  }
}

extension JSON {
  /// A mapping with a value under a key, in the place of what was there.
  fileprivate func adding(_ key: String, _ value: JSON) -> JSON {
    .object((members ?? []).filter { $0.key != key } + [.init(key, value)])
  }
}
