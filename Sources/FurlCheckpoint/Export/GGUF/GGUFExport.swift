import FurlBase
import FurlSpec
package import FurlTensor

/// Writes a model as a GGUF file that llama.cpp runs.
package struct GGUFExport {
  /// The form of the weights; nil: the one that the model has.
  let numbers: ExportNumbers?

  package init(numbers: ExportNumbers?) { self.numbers = numbers }

  private static let alignment = 32

  /// Writes the file.
  ///
  /// - Parameters:
  ///   - path: appears when it is complete; an earlier file of that name is replaced.
  ///   - progress: called before every tensor.
  /// - Throws: ``FurlError``; nothing is left behind. Of kind `input` for what llama.cpp cannot run, and for weights
  ///   that the format cannot hold as they are.
  package func write(
    _ model: any ExportSource, to path: String, pool: WorkerPool, progress: (ExportProgress) -> Void = { _ in }
  ) throws -> ExportResult {
    try model.refuseToBeReplaced(by: path)
    try model.refusePatches()
    var source = model
    var padding: [String] = []
    if !GGUFArchitecture.canRun(model),
      let family = Architectures.named(model.spec.architecture),
      let padded = [false, true].lazy
        .compactMap({ PaddedModel(model, family: family, biases: [], padsChannels: $0) })
        .first(where: { GGUFArchitecture.canRun($0) })
    {
      (source, padding) = (padded, [padded.note])
    }
    let architecture = try GGUFArchitecture(source)
    let vocabulary = try source.vocabulary().completed(for: source)
    var result = ExportResult()
    let forms = GGUFForms(numbers: numbers, source: source, architecture: architecture.name)
    let tensors = try architecture.tensors().map { try forms.decided($0, &result) }
    result.tensors = tensors.count
    let papers = try source.papers()
    result.notes = padding + architecture.notes + vocabulary.notes + papers.lostInGGUF
    let metadata =
      architecture.metadata(name: source.name, fileType: GGUFForms.fileType(of: tensors))
      + vocabulary.metadata + papers.metadata(vocabulary)

    let file = try OutputFile(path: path)
    let head = head(metadata, tensors)
    try file.require(bytes: tensors.reduce(head.count) { $0 + $1.byteCount })
    try file.write(head)
    try pad(file)
    let tools = ExportTools(pool: pool)
    let total = tensors.reduce(0) { $0 + $1.elementCount }
    var done = 0
    for tensor in tensors {
      done += tensor.elementCount
      progress(ExportProgress(tensor: tensor.name, done: done, total: total))
      try write(tensor, of: source, to: file, with: tools)
      try pad(file)
      source.dropPages()
    }
    result.diskBytes = file.count
    try source.checkUnchanged()
    try file.commit()
    return result
  }

  private func pad(_ file: OutputFile) throws {
    let rest = file.count % GGUFExport.alignment
    if rest > 0 { try file.write([UInt8](repeating: 0, count: GGUFExport.alignment - rest)) }
  }

  /// Everything before the weights.
  private func head(_ metadata: [GGUFEntry], _ tensors: [GGUFTensorPlan]) -> [UInt8] {
    var bytes = Array("GGUF".utf8)
    bytes.append(UInt32(3))
    bytes.append(UInt64(tensors.count))
    bytes.append(UInt64(metadata.count))
    for entry in metadata { entry.write(to: &bytes) }
    var offset = 0
    for tensor in tensors {
      bytes.append(text: tensor.name)
      bytes.append(UInt32(tensor.shape.count))
      for extent in tensor.shape.reversed() { bytes.append(UInt64(extent)) }
      bytes.append(GGUFForms.number(of: tensor.numbers))
      bytes.append(UInt64(offset))
      offset += (tensor.byteCount + GGUFExport.alignment - 1) / GGUFExport.alignment * GGUFExport.alignment
    }
    return bytes
  }

  // MARK: Weights

  private func write(
    _ tensor: GGUFTensorPlan, of source: any ExportSource, to file: OutputFile, with tools: ExportTools
  ) throws {
    switch tensor.content {
    case .values(let values): try file.write(SourceType.float32.bytes(of: values))
    case .weights(let layout) where layout.isBesideEachOther:
      try writeBeside(layout.slices[0], of: tensor, source, to: file, with: tools)
    case .weights(let layout):
      for part in layout.slices.joined() { try write(part, of: tensor, source, to: file, with: tools) }
    }
  }

  /// Rows of a part lie one after the other in a file, those of a head perhaps in another order.
  private func write(
    _ part: StoredLayout.LayoutPart, of tensor: GGUFTensorPlan, _ source: any ExportSource, to file: OutputFile,
    with tools: ExportTools
  ) throws {
    let (weights, order) = (try source.weights(of: part.spec, pool: tools.pool), part.location.rowOrder)
    func read(_ rows: Range<Int>, as numbers: ExportNumbers) throws -> [Float] {
      try self.read(part, weights, rows: rows, as: numbers, source, with: tools)
    }
    if let size = part.location.headRows {
      for start in stride(from: 0, to: part.rows, by: size) {
        let rows = try read(start..<start + size, as: tensor.numbers)
        let columns = part.spec.shape[1]
        let turned = (0..<columns).flatMap { column in (0..<size).map { rows[$0 * columns + column] } }
        try file.write(
          bytes(turned, of: part.spec, row: start, as: tensor.numbers, source, tools.pool, columns: size))
      }
      return
    }
    if part.spec.shape.count == 1 {
      let values = try read(0..<1, as: .f32)
      let places = GGUFExport.places(of: 0..<values.count, order)
      return try file.write(bytes(places.map { values[$0] }, of: part.spec, row: 0, as: .f32, source, tools.pool))
    }
    let step = ExportLimits.rows(columns: part.spec.shape[1], unit: max(1, order.headSize))
    for start in stride(from: 0, to: part.rows, by: step) {
      let rows = start..<min(start + step, part.rows)
      try file.write(rowBytes(part, weights, rows, as: tensor.numbers, source, with: tools))
    }
  }

  /// Rows in which those of all parts lie beside each other; each part has whole blocks.
  private func writeBeside(
    _ parts: [StoredLayout.LayoutPart], of tensor: GGUFTensorPlan, _ source: any ExportSource, to file: OutputFile,
    with tools: ExportTools
  ) throws {
    let weights = try parts.map { try source.weights(of: $0.spec, pool: tools.pool) }
    let (count, step) = (parts[0].rows, ExportLimits.rows(columns: tensor.columns))
    for start in stride(from: 0, to: count, by: step) {
      let rows = start..<min(start + step, count)
      let pieces = try zip(parts, weights).map {
        try rowBytes($0, $1, rows, as: tensor.numbers, source, with: tools)
      }
      var stripe: [UInt8] = []
      stripe.reserveCapacity(pieces.reduce(0) { $0 + $1.count })
      for row in 0..<rows.count {
        for piece in pieces {
          let size = piece.count / rows.count
          stripe += piece[row * size..<(row + 1) * size]
        }
      }
      try file.write(stripe)
    }
  }

  /// The numbers of some rows as the file has them.
  private func read(
    _ part: StoredLayout.LayoutPart, _ weights: ExportedWeights, rows: Range<Int>, as numbers: ExportNumbers,
    _ source: any ExportSource, with tools: ExportTools
  ) throws -> [Float] {
    let (values, fold) = (try weights.read(rows: rows, with: tools), part.location.fold)
    let stored = fold == .none ? values : values.map(fold.undone)
    try check(stored, of: part.spec, row: rows.lowerBound, as: numbers, source)
    return stored
  }

  /// Rows of a matrix, which are whole heads where their order is another.
  private func rowBytes(
    _ part: StoredLayout.LayoutPart, _ weights: ExportedWeights, _ rows: Range<Int>, as numbers: ExportNumbers,
    _ source: any ExportSource, with tools: ExportTools
  ) throws -> [UInt8] {
    let order = part.location.rowOrder
    let places = GGUFExport.places(of: rows, order)
    var values = try read(part, weights, rows: rows, as: numbers, source, with: tools)
    if let kept = try kept(weights, part.location.fold, rows: places, as: numbers, with: tools) { return kept }
    if order != .stored {
      values = GGUFExport.reorder(values, places.map { $0 - rows.lowerBound }, part.spec.shape[1])
    }
    return try bytes(values, of: part.spec, row: rows.lowerBound, as: numbers, source, tools.pool)
  }

  /// The bytes of rows that are taken over as they are; nil for all others.
  private func kept(
    _ weights: ExportedWeights, _ fold: WeightSource.Fold, rows: [Int], as numbers: ExportNumbers,
    with tools: ExportTools
  ) throws -> [UInt8]? {
    switch weights {
    case .matrix(let matrix) where fold == .none && matrix.scheme.blockType(columns: matrix.columns) == numbers.type:
      matrix.blocks(rows: rows, pool: tools.pool)
    case .source(let source) where source.type == numbers.type && numbers.isBlocks && source.fold == fold:
      try source.storedBytes(rows: rows, with: tools.buffer)
    default: nil
    }
  }

  private func check(
    _ values: [Float], of tensor: TensorSpec, row: Int, as numbers: ExportNumbers, _ source: any ExportSource
  ) throws {
    let type = numbers.isBlocks ? .float32 : numbers.type
    guard let index = type.firstMisfit(in: values) else { return }
    throw source.misfit(values[index], at: index, of: tensor, row: row, type: type)
  }

  private func bytes(
    _ values: [Float], of tensor: TensorSpec, row: Int, as numbers: ExportNumbers, _ source: any ExportSource,
    _ pool: WorkerPool, columns: Int? = nil
  ) throws -> [UInt8] {
    guard numbers.isBlocks else { return numbers.type.bytes(of: values) }
    guard let bytes = try numbers.type.encodeBlocks(values, columns: columns ?? tensor.shape[1], pool: pool) else {
      throw FurlError.input(
        source.path, tensor.name, "has weights from row \(row) on that are too large for \(numbers.rawValue)",
        remedy: "give --dtype f32")
    }
    return bytes
  }

  /// The rows that lie in the place of some, which are whole heads.
  private static func places(of rows: Range<Int>, _ order: WeightSource.RowOrder) -> [Int] {
    guard order != .stored else { return Array(rows) }
    var places = [Int](repeating: rows.lowerBound, count: rows.count)
    for row in rows { places[order.stored(row) - rows.lowerBound] = row }
    return places
  }

  private static func reorder(_ values: [Float], _ order: [Int], _ columns: Int) -> [Float] {
    var result: [Float] = []
    result.reserveCapacity(values.count)
    for row in order { result += values[row * columns..<(row + 1) * columns] }
    return result
  }
}
