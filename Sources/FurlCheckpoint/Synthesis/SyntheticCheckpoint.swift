package import FurlBase
package import FurlSpec
package import FurlTensor
import Synchronization

/// A checkpoint of a published shape with seeded random weights: nothing that it says has a meaning, and everything
/// about its size and speed is as in the model.
///
/// Matrices, embeddings and biases are normal around 0 with `initializer_range` as their deviation, norms around 1. The
/// layers that add to the residual stream (attention's output and the MLP's) are divided by the root of twice the
/// number of published blocks, as GPT-2 was initialized, so that activations and logits stay near 1. The bytes depend
/// on the model, the seed, the blocks and the type alone; a slice holds the same first blocks as the whole.
package struct SyntheticCheckpoint: Sendable {
  /// A tensor as it will lie in a file.
  struct SyntheticTensor: Sendable {
    let name: String
    let shape: [Int]
    let mean: Float
    let deviation: Float
    var count: Int { shape.reduce(1, *) }
  }

  package let model: PublishedModel
  package let spec: ModelSpec
  /// What `config.json` will say.
  package let config: JSON
  let seed: UInt64
  let type: SourceType
  /// The tensors of every weight file, in order.
  let shards: [[SyntheticTensor]]

  /// - Parameters:
  ///   - blocks: how many of the first blocks to make; nil: all.
  ///   - type: F32, F16 or BF16.
  /// - Throws: ``FurlError`` of kind `usage` when the model does not have so many blocks.
  package init(_ model: PublishedModel, seed: UInt64 = 0, blocks: Int? = nil, type: SourceType = .float32) throws {
    let published = try JSON.parse(model.config, file: nil)
    let reader = try DocumentReader(published, file: nil)
    guard let family = Architectures.named(published["model_type"]?.string),
      let names = [SourceType.float32: "float32", .float16: "float16", .bfloat16: "bfloat16"][type]
    else { throw FurlError(.defect, "\(model.name) cannot be made") }
    var spec = try family.spec(reader)
    let layers = spec.blocks.count
    guard let blocks = Optional(blocks ?? layers), (1...layers).contains(blocks) else {
      throw FurlError(
        .usage, file: "--blocks", "\(model.name) has \(layers) blocks", remedy: "allowed: 1 to \(layers)")
    }
    let range = Float(try reader.number("initializer_range", in: 0...1) ?? 0.02)
    let folds = try family.folds(reader, spec)
    let whole = try SyntheticCheckpoint.stored(spec, family, folds, deviation: range, layers: layers)
    spec.blocks = Array(spec.blocks.prefix(blocks))
    let slice = try SyntheticCheckpoint.stored(spec, family, folds, deviation: range, layers: layers)
    let limit = (whole.reduce(0) { $0 + $1.count } + model.shards - 1) / model.shards
    var shards: [[SyntheticTensor]] = []
    var numbers = 0
    for tensor in slice {
      if numbers / limit >= shards.count { shards.append([]) }
      shards[shards.count - 1].append(tensor)
      numbers += tensor.count
    }
    self.model = model
    self.spec = spec
    self.seed = seed
    self.type = type
    self.shards = shards
    let changes: [String: JSON] = [
      "torch_dtype": .string(names), "n_layer": .integer(blocks), "num_hidden_layers": .integer(blocks),
    ]
    config = .object(
      (published.members ?? []).map { member in
        var value = changes[member.key] ?? member.value
        // What is said of each layer is said of those that are there.
        if let list = value.array, list.count == layers { value = .array(Array(list.prefix(blocks))) }
        return JSON.Member(member.key, value)
      })
  }

  /// The tensors of a specification as the family stores them.
  private static func stored(
    _ spec: ModelSpec, _ family: any Architecture.Type, _ folds: Folds, deviation: Float, layers: Int
  ) throws -> [SyntheticTensor] {
    try StoredLayout.layouts(of: spec, family: family, folds: folds, path: family.modelType).map { layout in
      let role = layout.parts[0].role
      let addsToResidual = role == .attentionOutput || role == .down
      return SyntheticTensor(
        name: layout.name, shape: layout.shape,
        // Where one is added to what is stored, norms are around 0 there.
        mean: role == .norm && layout.slices[0][0].location.fold.addend == 0 ? 1 : 0,
        deviation: addsToResidual ? deviation / Float(2 * layers).squareRoot() : deviation)
    }
  }

  /// Numbers in all tensors.
  package var parameterCount: Int { spec.parameterCount }

  /// Bytes of all tensors.
  package var weightBytes: Int { type.byteCount(shards.joined().reduce(0) { $0 + $1.count }) }

  // MARK: Writing

  /// Writes the folder; it appears when it is whole.
  ///
  /// - Parameters:
  ///   - folder: is not there, or is empty.
  ///   - progress: bytes written and bytes in all, now and then.
  /// - Throws: ``FurlError`` of kind `cannotCreate` or `cannotWrite`; nothing is left behind.
  package func write(
    to folder: String, pool: WorkerPool, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws {
    let output = try OutputFolder(path: folder)
    let files = weightFiles()
    // With some room for the tokenizer.
    var room = files.reduce(8 << 20) { $0 + $1.header.count + $1.dataBytes }
    var done = 0
    for file in files {
      let part = try output.file(file.name)
      try part.require(bytes: room)
      room -= file.header.count + file.dataBytes
      try part.write(file.header, at: 0)
      try write(file, to: part, pool: pool) { bytes in
        done += bytes
        progress(done, weightBytes)
      }
      try part.commit(waiting: false)
    }
    let texts = SyntheticTokenizer.files(
      count: model.tokenizerCount, special: model.special, begin: model.begin, end: model.end,
      contextLength: spec.contextLength)
    var side = [("tokenizer.json", texts.tokenizer), ("tokenizer_config.json", texts.config)]
    if files.count > 1 { side.append(("model.safetensors.index.json", index(files).prettyText)) }
    side.append(("config.json", config.prettyText))
    for (name, text) in side { try output.write(Array((text + "\n").utf8), as: name) }
    try output.commit()
  }

  /// A weight file: its name, what stands before the numbers, and its tensors with the bytes where they begin.
  private struct SyntheticFile {
    let name: String
    let header: [UInt8]
    let dataBytes: Int
    let tensors: [(stored: SyntheticTensor, offset: Int)]
  }

  private func weightFiles() -> [SyntheticFile] {
    shards.enumerated().map { index, tensors in
      var position = 0
      var placed: [(stored: SyntheticTensor, offset: Int)] = []
      var members = [
        JSON.Member("__metadata__", ["format": "pt", "synthetic": .string("\(model.name), seed \(seed)")])
      ]
      for tensor in tensors {
        let end = position + type.byteCount(tensor.count)
        members.append(
          JSON.Member(
            tensor.name,
            [
              "dtype": .string(type.rawValue), "shape": .array(tensor.shape.map(JSON.integer)),
              "data_offsets": [.integer(position), .integer(end)],
            ]))
        placed.append((tensor, position))
        position = end
      }
      var text = Array(JSON.object(members).compactText.utf8)
      // Numbers begin at a multiple of 8, as the format's own writer has them.
      text += [UInt8](repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
      let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
      return SyntheticFile(
        name: fileName(index), header: length + text, dataBytes: position,
        tensors: placed.map { ($0.stored, $0.offset + 8 + text.count) })
    }
  }

  private func fileName(_ index: Int) -> String {
    func padded(_ number: Int) -> String { String(repeating: "0", count: 5 - String(number).count) + String(number) }
    return shards.count == 1
      ? "model.safetensors" : "model-\(padded(index + 1))-of-\(padded(shards.count)).safetensors"
  }

  private func index(_ files: [SyntheticFile]) -> JSON {
    let map = files.flatMap { file in file.tensors.map { JSON.Member($0.stored.name, .string(file.name)) } }
    return [
      "metadata": ["total_size": .integer(weightBytes)],
      "weight_map": .object(map.sorted { $0.key < $1.key }),
    ]
  }

  /// Numbers that a thread makes and writes at a time.
  private static let chunk = 1 << 18
  /// Chunks between two looks at what has gone wrong.
  private static let batch = 64

  private func write(
    _ file: SyntheticFile, to part: OutputFile, pool: WorkerPool, progress: (Int) -> Void
  ) throws {
    var jobs: [(tensor: Int, range: Range<Int>)] = []
    for (index, tensor) in file.tensors.enumerated() {
      for start in stride(from: 0, to: tensor.stored.count, by: SyntheticCheckpoint.chunk) {
        jobs.append((index, start..<min(start + SyntheticCheckpoint.chunk, tensor.stored.count)))
      }
    }
    let problem = Mutex<FurlError?>(nil)
    for first in stride(from: 0, to: jobs.count, by: SyntheticCheckpoint.batch) {
      let batch = jobs[first..<min(first + SyntheticCheckpoint.batch, jobs.count)]
      pool.forEach(batch.count) { index in
        let job = batch[first + index]
        let (stored, offset) = file.tensors[job.tensor]
        let bytes = NormalNoise(seed: seed, name: stored.name)
          .bytes(job.range, mean: stored.mean, deviation: stored.deviation, as: type)
        do {
          try part.write(bytes, at: offset + type.byteCount(job.range.lowerBound))
        } catch {
          problem.withLock { $0 = $0 ?? error as? FurlError }
        }
      }
      if let error = problem.withLock({ $0 }) { throw error }
      progress(type.byteCount(batch.reduce(0) { $0 + $1.range.count }))
    }
  }
}
