import FurlBase
import FurlSpec
import FurlTensor

/// Writes a model as a checkpoint: a folder with `config.json`, safetensors and the tokenizer's files, as transformers
/// reads it. Tensors have the names and the fusions of their family.
public struct SafetensorsExport {
  /// The form of all numbers, norms and biases included.
  let type: SourceType
  /// Weight files are begun anew before they would have more bytes than this; a tensor is never cut.
  let shardBytes: Int

  /// - Throws: ``FurlError`` of kind `usage` for numbers that a checkpoint does not have.
  public init(numbers: ExportNumbers, shardBytes: Int) throws {
    guard !numbers.isBlocks else {
      throw FurlError(
        .usage, file: "--dtype", "a checkpoint has no \(numbers.rawValue)", remedy: "give f32, f16 or bf16")
    }
    type = numbers.type
    self.shardBytes = shardBytes
  }

  private struct Shard {
    var name = ""
    var tensors: [StoredLayout] = []
    var bytes = 0
  }

  /// Writes the folder.
  ///
  /// - Parameters:
  ///   - folder: appears when it is complete; it must not exist, or be empty.
  ///   - progress: called before every tensor.
  /// - Throws: ``FurlError``; nothing is left behind.
  public func write(
    _ model: any ExportSource, to folder: String, pool: WorkerPool, progress: (ExportProgress) -> Void = { _ in }
  ) throws -> ExportResult {
    guard let family = Architectures.all.first(where: { $0.modelType == model.spec.architecture }) else {
      throw FurlError.input(model.path, "is a \(model.spec.architecture) model, whose names are not known")
    }
    try model.refusePatches()
    let (source, configuration, notes) = try described(model, family)
    let layouts = try StoredLayout.layouts(of: source.spec, family: family, path: source.path)
    let sideFiles = try source.sideFiles()
    let shards = shards(layouts)

    let output = try OutputFolder(path: folder)
    try output.require(bytes: layouts.reduce(0) { $0 + bytes($1) })
    let tools = ExportTools(pool: pool)
    var result = ExportResult()
    result.notes = notes
    result.tensors = layouts.count
    result.forms = [ExportNumbers(type)?.rawValue ?? type.rawValue: layouts.count]
    var done = 0
    for shard in shards {
      let file = try output.file(shard.name)
      try file.write(header(shard))
      for layout in shard.tensors {
        done += layout.elementCount
        progress(ExportProgress(tensor: layout.name, done: done, total: source.spec.parameterCount))
        try write(layout, of: source, to: file, with: tools)
        source.dropPages()
      }
      result.diskBytes += file.count
      try file.commit()
    }
    var texts = [("config.json", configuration.prettyText + "\n")]
    if shards.count > 1 { texts.append(("model.safetensors.index.json", index(shards).prettyText + "\n")) }
    for (name, text) in texts {
      try output.write(Array(text.utf8), as: name)
      result.diskBytes += text.utf8.count
    }
    for file in sideFiles {
      switch file.content {
      case .bytes(let bytes):
        try output.write(bytes, as: file.name)
        result.diskBytes += bytes.count
      case .file(let mapped):
        try output.copy(mapped, as: file.name)
        result.diskBytes += mapped.count
      }
    }
    try source.checkUnchanged()
    try output.commit()
    return result
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

  private func bytes(_ layout: StoredLayout) -> Int { type.byteCount(layout.elementCount) }

  private func shards(_ layouts: [StoredLayout]) -> [Shard] {
    var shards = [Shard()]
    for layout in layouts {
      let size = bytes(layout)
      if let last = shards.last, !last.tensors.isEmpty, last.bytes > shardBytes - size { shards.append(Shard()) }
      shards[shards.count - 1].tensors.append(layout)
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
  private func header(_ shard: Shard) -> [UInt8] {
    var position = 0
    var members = [JSON.Member("__metadata__", ["format": "pt"])]
    for layout in shard.tensors {
      let end = position + bytes(layout)
      members.append(
        JSON.Member(
          layout.name,
          [
            "dtype": .string(type.rawValue), "shape": .array(layout.shape.map(JSON.integer)),
            "data_offsets": [.integer(position), .integer(end)],
          ]))
      position = end
    }
    var text = Array(JSON.object(members).compactText.utf8)
    text += [UInt8](repeating: 0x20, count: (8 - text.count % 8) % 8)
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text
  }

  private func index(_ shards: [Shard]) -> JSON {
    let map = shards.flatMap { shard in shard.tensors.map { JSON.Member($0.name, .string(shard.name)) } }
    return [
      "metadata": ["total_size": .integer(shards.reduce(0) { $0 + $1.bytes })], "weight_map": .object(map),
    ]
  }

  // MARK: Data

  private func write(
    _ layout: StoredLayout, of source: any ExportSource, to file: OutputFile, with tools: ExportTools
  ) throws {
    if layout.isTransposed { return try writeTransposed(layout, of: source, to: file, with: tools) }
    for part in layout.parts {
      let weights = try source.weights(of: part, pool: tools.pool)
      let columns = part.shape.last ?? 1
      let rows = part.shape.count == 1 ? 1 : part.shape[0]
      let step = ExportLimits.rows(columns: columns)
      for start in stride(from: 0, to: rows, by: step) {
        let values = try weights.read(rows: start..<min(start + step, rows), with: tools)
        try check(values, of: part, row: start, source)
        try file.write(type.bytes(of: values))
      }
    }
  }

  /// Stripes of inputs, each with the outputs of all parts: what is written last to first is read in rows.
  private func writeTransposed(
    _ layout: StoredLayout, of source: any ExportSource, to file: OutputFile, with tools: ExportTools
  ) throws {
    let weights = try layout.parts.map { (spec: $0, values: try source.weights(of: $0, pool: tools.pool)) }
    let (inputs, outputs) = (layout.shape[0], layout.shape[1])
    let step = ExportLimits.rows(columns: outputs)
    for start in stride(from: 0, to: inputs, by: step) {
      let columns = start..<min(start + step, inputs)
      var stripe = [Float](repeating: 0, count: columns.count * outputs)
      var output = 0
      for (part, weights) in weights {
        let rowStep = ExportLimits.rows(columns: inputs)
        for first in stride(from: 0, to: part.shape[0], by: rowStep) {
          let rows = first..<min(first + rowStep, part.shape[0])
          let values = try weights.read(rows: rows, with: tools)
          if start == 0 { try check(values, of: part, row: first, source) }
          for row in 0..<rows.count {
            for column in columns {
              stripe[(column - start) * outputs + output + row] = values[row * inputs + column]
            }
          }
          output += rows.count
        }
      }
      try file.write(type.bytes(of: stripe))
    }
  }

  private func check(_ values: [Float], of tensor: TensorSpec, row: Int, _ source: any ExportSource) throws {
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
