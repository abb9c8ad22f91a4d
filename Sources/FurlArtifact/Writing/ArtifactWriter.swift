package import FurlBase
package import FurlTensor

/// Writes an artifact front to back, tensor by tensor; the memory that it needs is that of one compressed stream.
///
/// Append every tensor, then call ``finish(_:tokenizer:)``. The file appears under its name at the end of `finish`. A writer that is let go
/// before, or that has thrown, leaves nothing behind.
///
/// The same tensors and texts give the same bytes for any number of threads, one version of Furl and one of zstd.
package final class ArtifactWriter {
  /// Streams below this size lie raw in a compact artifact: frames would cost more than they gain.
  static let smallStream = 512

  /// Makes tensors ready, on any threads.
  package let packer: TensorPacker

  private let output: OutputFile
  private let storage: ArtifactStorage
  private let formatVersion: Int
  private var tensors: [ArtifactTensor] = []
  private var names: Set<String> = []
  private var isOpen = true

  /// - Throws: ``FurlError`` of kind `cannotCreate` when `path` is a folder or its folder cannot be written to.
  ///
  /// - Parameter formatVersion: the oldest that can describe the model.
  package convenience init(path: String, storage: ArtifactStorage, formatVersion: Int = 1) throws {
    try self.init(output: OutputFile(path: path), storage: storage, formatVersion: formatVersion)
  }

  /// Sees to it that there is room for the file.
  ///
  /// - Parameter bytes: that it will have at most.
  /// - Throws: ``FurlError`` of kind `cannotWrite` that says how much is needed.
  package func require(bytes: Int) throws { try guarded { try output.require(bytes: bytes) } }

  init(output: OutputFile, storage: ArtifactStorage, formatVersion: Int = 1) throws {
    precondition(Container.formatVersions.contains(UInt32(formatVersion)))
    self.output = output
    self.formatVersion = formatVersion
    self.storage = storage
    packer = TensorPacker(path: output.path, storage: storage)
    try guarded { try output.write(Container.header(version: UInt32(formatVersion))) }
  }

  /// Bytes written so far.
  package var bytesWritten: Int { output.count }

  /// Packs and writes a tensor.
  ///
  /// - Parameters: those of ``TensorPacker/tensor(name:role:shape:scheme:streams:)``, and
  ///   - parallelFor: does the jobs at once.
  /// - Throws: ``FurlError``: `cannotWrite`, or `defect` when streams and layout do not agree.
  package func append(
    name: String, role: String, shape: [Int], scheme: Scheme, streams: [PackedLayout.StreamKind: ByteStorage],
    parallelFor: ParallelFor = serialFor
  ) throws {
    let tensor = try guarded {
      let tensor = try packer.tensor(name: name, role: role, shape: shape, scheme: scheme, streams: streams)
      _ = try collect(tensor.jobCount, parallelFor) { try tensor.run($0) }
      let digests = try tensor.digests()
      _ = try collect(digests.count, parallelFor) { digests[$0].advance(by: .max) }
      return tensor
    }
    try append(tensor)
  }

  /// Writes a tensor whose jobs and digests are all done.
  ///
  /// - Throws: ``FurlError``: `cannotWrite`, or `defect` when a tensor of that name has been written already.
  package func append(_ tensor: PackedTensor) throws {
    try guarded {
      guard !tensor.name.isEmpty, names.insert(tensor.name).inserted else {
        throw FurlError(.defect, file: output.path, place: tensor.name, "a tensor needs a name of its own")
      }
      let written = try tensor.streams.map(write)
      tensors.append(
        ArtifactTensor(name: tensor.name, role: tensor.role, layout: tensor.layout, streams: written))
    }
  }

  /// Writes tokenizer, index and footer, and puts the file under its name.
  ///
  /// - Parameters:
  ///   - description: what the artifact says beside its tensors.
  ///   - tokenizer: the tokenizer in the form in which it is used.
  /// - Returns: the artifact's id.
  /// - Throws: ``FurlError`` of kind `cannotWrite`, or `defect` when a source of the lineage has a folder.
  @discardableResult
  package func finish(_ description: ArtifactDescription, tokenizer: [UInt8]) throws -> Digest {
    try finish(description, tokenizer: guarded { try packer.tokenizer(tokenizer) })
  }

  /// The same with a tokenizer that was made ready meanwhile.
  @discardableResult
  package func finish(_ description: ArtifactDescription, tokenizer: PackedTokenizer) throws -> Digest {
    guard let id = try finish(description, tokenizer: tokenizer, accepting: { _ in true }) else {
      throw FurlError(.defect, file: output.path, "was not accepted")
    }
    return id
  }

  /// The same for a file that is wanted only if its size is right.
  ///
  /// - Parameter accepting: is given the bytes of the whole file.
  /// - Returns: nil when the size was not accepted; nothing is left of the file then.
  package func finish(
    _ description: ArtifactDescription, tokenizer: PackedTokenizer, accepting: (Int) -> Bool
  ) throws -> Digest? {
    try guarded {
      if let source = description.lineage.first(where: { !$0.isNamedWithoutFolder }) {
        throw FurlError(.defect, file: output.path, place: "lineage", "\"\(source.name)\" is not the name of a file")
      }
      let section = try write(tokenizer: tokenizer)
      let index = ArtifactIndex(
        formatVersion: formatVersion, storage: storage, description: description, tokenizer: section, tensors: tensors)
      let text = index.text
      let stored = try Zstd.compress(text, isAwaited: true)
      guard text.count <= min(Container.indexLimit, Container.textLimit(stored: stored.count)) else {
        throw FurlError(.defect, file: output.path, "the index of \(text.count) bytes is too large")
      }
      let offset = try align()
      try output.write(stored)
      try align()
      let footer = Footer(
        formatVersion: UInt32(formatVersion), indexOffset: offset, indexLength: stored.count,
        indexDecodedLength: text.count,
        indexDigest: Digest(of: stored))
      try output.write(footer.bytes)
      isOpen = false
      guard accepting(output.count) else {
        output.abandon()
        return nil
      }
      try output.commit()
      return index.id
    }
  }

  /// Nothing is left of a file whose writing has failed.
  private func guarded<Value>(_ body: () throws -> Value) throws -> Value {
    guard isOpen else { throw FurlError(.defect, file: output.path, "is closed already") }
    do {
      return try body()
    } catch {
      isOpen = false
      output.abandon()
      throw error
    }
  }

  /// Pads with zeros to where a section may begin.
  @discardableResult
  private func align() throws -> Int {
    let start = Container.aligned(output.count)
    try output.write([UInt8](repeating: 0, count: start - output.count))
    return start
  }

  private func write(_ stream: PackedStream) throws -> ArtifactStream {
    let (decoded, stored, coded) = try stream.result()
    let offset = try align()
    if coded.codec == .raw {
      try output.write(stream.bytes)
    } else {
      for frame in coded.frames { try output.write(frame) }
    }
    return ArtifactStream(
      kind: stream.layout.kind, codec: coded.codec, symbols: stream.layout.symbols,
      offset: offset, length: output.count - offset, decodedLength: stream.layout.byteCount, zero: stream.layout.zero,
      digest: stored, decodedDigest: decoded, frames: coded.frames.map(\.count))
  }

  private func write(tokenizer: PackedTokenizer) throws -> TokenizerSection {
    let offset = try align()
    try output.write(tokenizer.stored)
    return TokenizerSection(
      offset: offset, length: tokenizer.stored.count, decodedLength: tokenizer.decodedLength, digest: tokenizer.digest,
      decodedDigest: tokenizer.decodedDigest)
  }
}
