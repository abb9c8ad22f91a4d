package import FurlBase
package import FurlTensor

/// An artifact that has been opened: its header, footer, index and structure are known to be right.
///
/// Weights are not read until they are asked for. `check` re-reads every byte.
public final class Artifact: Sendable {
  /// The path that the file was opened at.
  public let path: String
  /// The size of the file.
  public let diskBytes: Int
  /// The version of the format: 1 or 2.
  public let formatVersion: Int
  package let storage: ArtifactStorage
  /// The digest of what the artifact holds, whatever its storage and the version of zstd.
  package let id: Digest
  package let description: ArtifactDescription
  /// In the order of the file.
  package let tensors: [ArtifactTensor]

  package let file: MappedFile
  let footer: Footer
  let tokenizer: TokenizerSection
  private let positions: [String: Int]

  /// Opens a file and checks its structure.
  ///
  /// - Throws: ``FurlError`` of kind `input` that says what is wrong: not an artifact, cut off, damaged, made by
  ///   a newer Furl, or an index that is not true of the file.
  package init(path: String) throws {
    file = try MappedFile(path: path)
    footer = try Footer(of: file)
    let stored = file.read(footer.indexOffset..<footer.indexOffset + footer.indexLength)
    let text: [UInt8]
    do {
      text = try Zstd.decompress(stored, count: footer.indexDecodedLength)
    } catch let damage as Zstd.Damage {
      throw FurlError.input(path, "index", damage.sentence, remedy: "copy the file again, or compress again")
    }
    let index = try IndexReader.read(
      text, version: Int(footer.formatVersion), file: path, limit: footer.indexOffset)
    self.path = path
    diskBytes = file.count
    formatVersion = Int(footer.formatVersion)
    storage = index.storage
    id = index.id
    description = index.description
    tokenizer = index.tokenizer
    tensors = index.tensors
    positions = Dictionary(uniqueKeysWithValues: index.tensors.enumerated().map { ($1.name, $0) })
    // Whoever reads the file first decides on the pages in which the system keeps it.
    if storage == .mapped { file.useLargePages() }
  }

  /// Whether a path leads to a file that begins as an artifact does. It may be damaged all the same.
  package static func isArtifact(path: String) -> Bool {
    (try? MappedFile(path: path)).map(Footer.beginsAsArtifact) ?? false
  }

  /// The tensor of a name.
  package func tensor(named name: String) -> ArtifactTensor? { positions[name].map { tensors[$0] } }

  /// The streams of a tensor as they are used.
  ///
  /// A raw stream is a part of the mapped file and is not copied. A compressed one is decoded by `parallelFor`'s
  /// threads; every frame must have its size and its checksum, and the file's pages are dropped behind it.
  ///
  /// - Parameter decoded: where compressed streams are taken from that are in memory already.
  /// - Throws: ``FurlError`` of kind `input` that names tensor, frame and offset, or `unavailable` when there
  ///   is no memory.
  package func load(
    _ tensor: ArtifactTensor, decoded: DecodedStreams? = nil, parallelFor: ParallelFor = serialFor
  ) throws -> [PackedLayout.StreamKind: ByteStorage] {
    var loaded: [PackedLayout.StreamKind: ByteStorage] = [:]
    for stream in tensor.streams {
      loaded[stream.kind] = try decoded?.streams[stream.offset] ?? load(stream, of: tensor, parallelFor)
    }
    return loaded
  }

  func load(_ stream: ArtifactStream, of tensor: ArtifactTensor, _ parallelFor: ParallelFor) throws -> ByteStorage {
    switch stream.codec {
    case .raw:
      // Frames have checksums of their own; what lies raw in a compact file is small enough to be hashed.
      guard storage == .mapped || Digest(of: file, stream.range) == stream.digest else {
        throw FurlError.input(
          path, "\(tensor.name): \(stream.kind.rawValue)", "is not what its digest says",
          remedy: "the file is damaged; copy it again, or compress again")
      }
      return ByteStorage(file, stream.range)
    case .zstdHuffman, .zstdBitmap:
      let compressed = try compressed(stream, of: tensor, into: nil)
      try CompactCoding.decode([compressed], parallelFor: parallelFor)
      return compressed.decoded
    }
  }

  private func compressed(
    _ stream: ArtifactStream, of tensor: ArtifactTensor, into arena: StorageArena?
  ) throws -> CompressedStream {
    try CompressedStream(stream, of: file, place: "\(tensor.name): \(stream.kind.rawValue)", into: arena)
  }

  /// Decodes every compressed stream into one piece of memory, for somebody who is going to keep all of them.
  ///
  /// - Parameters:
  ///   - other: a job that has nothing to do with it and that a thread does beside.
  ///   - parallelFor: should give a free thread the next index.
  /// - Throws: as ``load(_:decoded:parallelFor:)``.
  package func decodeAll(
    beside other: (@Sendable () -> Void)? = nil, parallelFor: ParallelFor = serialFor
  ) throws -> DecodedStreams {
    let found = tensors.flatMap { tensor in tensor.streams.filter { $0.codec != .raw }.map { (tensor, $0) } }
    let bytes = found.reduce(0) { $0 + StorageArena.room($1.1.decodedLength) }
    let arena = bytes > 0 ? try StorageArena(capacity: bytes) : nil
    let streams = try found.map { try compressed($1, of: $0, into: arena) }
    try CompactCoding.decode(streams, beside: other, parallelFor: parallelFor)
    return DecodedStreams(
      streams: Dictionary(uniqueKeysWithValues: zip(found, streams).map { ($0.1.offset, $1.decoded) }))
  }

  /// The tokenizer in the form in which it is used.
  ///
  /// - Throws: ``FurlError`` of kind `input` when the section is damaged.
  package func tokenizerBytes() throws -> [UInt8] {
    func damaged(_ problem: String) -> FurlError {
      .input(
        path, "tokenizer", "section at byte \(tokenizer.offset) \(problem)",
        remedy: "the file is damaged; copy it again, or compress again")
    }
    do {
      let text = try Zstd.decompress(file.read(tokenizer.range), count: tokenizer.decodedLength)
      guard Digest(of: text) == tokenizer.decodedDigest else { throw damaged("is not what its digest says") }
      return text
    } catch let damage as Zstd.Damage {
      throw damaged(damage.sentence)
    }
  }

  /// Gives the pages of the file back to the system; they are read again when they are needed.
  package func dropPages() { file.drop(0..<file.count) }

  // MARK: Sums

  /// Numbers in all tensors.
  package var parameters: Int { tensors.reduce(0) { $0 + $1.count } }
  /// Bytes of all tensors in memory when loaded.
  package var weightBytes: Int { tensors.reduce(0) { $0 + $1.weightBytes } }
  /// Bytes of the tokenizer's section in the file.
  package var tokenizerDiskBytes: Int { tokenizer.length }
  /// Bits of the whole file (tokenizer, index and all) for each number; nil for a file without tensors.
  package var bitsPerWeight: Double? { parameters == 0 ? nil : Double(diskBytes) * 8 / Double(parameters) }
}

/// What ``Artifact/decodeAll(beside:parallelFor:)`` has decoded.
package struct DecodedStreams: Sendable {
  /// By their offsets in the file.
  let streams: [Int: ByteStorage]
}
