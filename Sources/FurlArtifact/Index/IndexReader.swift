import FurlBase
import FurlTensor

/// Turns the text of an index into an ``ArtifactIndex`` whose every offset, length and shape is true of the file.
///
/// Nothing is believed: sections must follow each other from the header to the index without a gap or an
/// overlap, and sizes must be those that the tensors' layouts have.
struct IndexReader {
  private let file: String
  /// Where the index begins: no section may reach past it.
  private let limit: Int
  /// Where the section before ended.
  private var end = Container.headerBytes

  /// - Parameters:
  ///   - text: the decoded index.
  ///   - version: of the file's form, as its header says it.
  ///   - limit: where the index begins in the file.
  static func read(_ text: [UInt8], version: Int = 1, file: String, limit: Int) throws -> ArtifactIndex {
    var reader = IndexReader(file: file, limit: limit)
    return try reader.index(text, version: version)
  }

  private init(file: String, limit: Int) {
    self.file = file
    self.limit = limit
  }

  private mutating func index(_ text: [UInt8], version: Int) throws -> ArtifactIndex {
    let value = try JSON.parse(text, file: file)
    guard value.canonicalBytes == text else {
      throw FurlError.input(file, "index", "is not in canonical form", remedy: "compress again")
    }
    let top = try DocumentReader(value, file: file)
    _ = try top.needed("format_version") { try top.integer($0, in: version...version) }
    let storage = try top.needed("storage") { try top.name($0, of: ArtifactStorage.self) }
    let description = try ArtifactDescription(top)

    var tensors: [ArtifactTensor] = []
    var names: Set<String> = []
    for entry in try top.needed("tensors", top.readers) {
      let tensor = try tensor(entry, storage)
      guard names.insert(tensor.name).inserted else { throw error(tensor.name, "appears twice") }
      tensors.append(tensor)
    }
    let tokenizer = try tokenizer(top)
    guard Container.aligned(end) == limit else {
      throw error("index", "bytes \(end) to \(limit) of the file belong to no section")
    }

    let index = ArtifactIndex(
      formatVersion: version, storage: storage, description: description, tokenizer: tokenizer, tensors: tensors)
    guard try top.digest("artifact_id") == index.id else {
      throw top.error("artifact_id", "is not the id of what the index lists")
    }
    try top.finish()
    return index
  }

  private func error(_ place: String, _ problem: String) -> FurlError {
    .input(file, place, problem, remedy: "the file is damaged; copy it again, or compress again")
  }

  /// Takes the next section of the file.
  private mutating func claim(_ offset: Int, _ length: Int, _ place: String) throws {
    guard offset % Container.alignment == 0 else { throw error(place, "offset \(offset) is no multiple of 64") }
    guard offset >= end else { throw error(place, "overlaps what lies before it in the file") }
    guard offset <= limit, length <= limit - offset else { throw error(place, "reaches past the sections' end") }
    guard offset == Container.aligned(end) else {
      throw error(place, "bytes \(end) to \(offset) of the file belong to no section")
    }
    end = offset + length
  }

  private mutating func tokenizer(_ top: DocumentReader) throws -> TokenizerSection {
    let section = try TokenizerSection(try top.needed("tokenizer", top.reader))
    try claim(section.offset, section.length, "tokenizer")
    guard section.decodedLength <= min(Container.tokenizerLimit, Container.textLimit(stored: section.length)) else {
      throw error("tokenizer", "decodes to \(section.decodedLength) bytes, which is more than allowed")
    }
    return section
  }

  // MARK: Tensors

  private mutating func tensor(_ entry: DocumentReader, _ storage: ArtifactStorage) throws -> ArtifactTensor {
    let name = try entry.needed("name", entry.string)
    let role = try entry.needed("role", entry.string)
    guard !name.isEmpty else { throw entry.error("name", "is empty") }
    let schemeName = try entry.needed("scheme", entry.string)
    guard let scheme = Scheme(name: schemeName) else {
      throw FurlError.input(file, name, "the scheme \(schemeName) is not known", remedy: "use a newer Furl")
    }
    let shape = try shape(entry, name)
    let layout: PackedLayout
    do {
      layout = try PackedLayout(scheme: scheme, shape: shape)
    } catch let problem as FurlError {
      throw error(name, problem.problem)
    }
    let entries = try entry.needed("streams", entry.readers)
    guard entries.count == layout.streams.count else {
      throw error(name, "has \(entries.count) streams; \(layout.streams.count) belong to \(scheme)")
    }
    var streams: [ArtifactStream] = []
    for (entry, expected) in zip(entries, layout.streams) {
      streams.append(try stream(entry, expected, "\(name): \(expected.kind.rawValue)", storage))
    }
    try entry.finish()
    return ArtifactTensor(name: name, role: role, layout: layout, streams: streams)
  }

  private func shape(_ entry: DocumentReader, _ name: String) throws -> [Int] {
    let value = try entry.required("shape")
    guard let extents = value.array else { throw entry.error("shape", "a list is expected, not \(value.kindName)") }
    return try extents.map {
      guard let extent = $0.integer else { throw entry.error("shape", "integers are expected") }
      return extent
    }
  }

  private mutating func stream(
    _ entry: DocumentReader, _ expected: PackedLayout.Stream, _ place: String, _ storage: ArtifactStorage
  ) throws -> ArtifactStream {
    guard try entry.needed("kind", entry.string) == expected.kind.rawValue else {
      throw entry.error("kind", "the stream \(expected.kind.rawValue) is expected here")
    }
    let codec = try entry.needed("codec") { try entry.name($0, of: StreamCodec.self) }
    let offset = try entry.size("offset")
    let length = try entry.size("length")
    let decodedLength = try entry.size("decoded_length")
    guard decodedLength == expected.byteCount else {
      throw error(place, "decodes to \(decodedLength) bytes; its tensor takes \(expected.byteCount)")
    }
    try claim(offset, length, place)

    var symbols = expected.symbols
    var frames: [Int] = []
    switch codec {
    case .raw:
      guard length == decodedLength else { throw error(place, "has \(length) bytes, and \(decodedLength) raw") }
    case .zstdHuffman, .zstdBitmap:
      guard storage == .compact else { throw error(place, "is compressed in an artifact of mapped storage") }
      symbols = try entry.needed("symbols") { try entry.name($0, of: SymbolForm.self) }
      guard codec != .zstdBitmap || (expected.zero != nil && symbols == expected.symbols) else {
        throw error(place, "has a bitmap of zeros, which its elements have no bytes for")
      }
      guard decodedLength / Container.streamRatio <= length else {
        throw error(place, "decodes to more than \(Container.streamRatio) times its size")
      }
      frames = try self.frames(
        entry, StreamChunks(form: symbols, byteCount: decodedLength, hasBitmap: codec == .zstdBitmap),
        length: length, place)
    }
    let stream = ArtifactStream(
      kind: expected.kind, codec: codec, symbols: symbols, offset: offset, length: length,
      decodedLength: decodedLength, zero: expected.zero, digest: try entry.digest("sha256"),
      decodedDigest: try entry.digest("decoded_sha256"), frames: frames)
    guard codec != .raw || stream.digest == stream.decodedDigest else {
      throw error(place, "is raw, and its two digests differ")
    }
    try entry.finish()
    return stream
  }

  /// The lengths of the frames, which must fill the stream.
  private func frames(
    _ entry: DocumentReader, _ chunks: StreamChunks, length: Int, _ place: String
  ) throws -> [Int] {
    let list = try entry.required("frames").array ?? []
    guard chunks.isWhole, list.count == chunks.frameCount else {
      throw error(place, "has \(list.count) frames; \(chunks.frameCount) are expected")
    }
    var rest = length
    let frames = try list.map { value in
      guard let frame = value.integer, frame > 0, frame <= rest else {
        throw error(place, "has frames that do not add up to its \(length) bytes")
      }
      rest -= frame
      return frame
    }
    guard rest == 0 else { throw error(place, "has frames that do not add up to its \(length) bytes") }
    return frames
  }
}
