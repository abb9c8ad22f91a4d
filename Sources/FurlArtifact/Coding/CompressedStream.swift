import FurlTensor

/// A stream on its way from a file into memory.
struct CompressedStream: Sendable {
  let file: MappedFile
  /// What the stream becomes.
  let decoded: ByteStorage
  let chunks: StreamChunks
  private let stream: ArtifactStream
  /// The stream's name for errors.
  private let place: String
  private let source: ByteStorage
  /// Where each frame begins in the stream, and where the last one ends.
  private let offsets: [Int]

  /// - Parameters:
  ///   - stream: of codec `zstdHuffman`, whose structure has been checked.
  ///   - place: the stream's name for errors.
  ///   - arena: where the decoded bytes go as long as there is room.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  init(_ stream: ArtifactStream, of file: MappedFile, place: String, into arena: StorageArena?) throws {
    self.file = file
    self.stream = stream
    self.place = place
    chunks = stream.chunks
    var starts = [0]
    starts.reserveCapacity(stream.frames.count + 1)
    for frame in stream.frames { starts.append(starts[starts.count - 1] + frame) }
    offsets = starts
    source = ByteStorage(file, stream.range)
    decoded =
      try arena.map { try ByteStorage(zeroed: stream.decodedLength, from: $0) }
      ?? ByteStorage(zeroed: stream.decodedLength, isDense: true)
  }

  /// Where the frames of a chunk lie in the file.
  func stored(_ chunk: Int) -> Range<Int> {
    let planes = stream.symbols.planes
    return stream.offset + offsets[chunk * planes]..<stream.offset + offsets[(chunk + 1) * planes]
  }

  /// - Throws: ``FurlError`` of kind `input` that names tensor, frame and offset.
  func decode(_ chunk: Int, with decompressor: Decompressor) throws {
    let planes = stream.symbols.planes
    for plane in 0..<planes {
      let frame = chunk * planes + plane
      do {
        try decompressor.decode(
          source, offsets[frame]..<offsets[frame + 1], plane: plane, to: decoded, chunks.range(chunk), stream.symbols)
      } catch let damage as Zstd.Damage {
        throw FurlError.input(
          file.path, place, "frame \(frame) at byte \(stream.offset + offsets[frame]) \(damage.sentence)",
          remedy: "the file is damaged; copy it again, or compress again")
      }
    }
  }
}
