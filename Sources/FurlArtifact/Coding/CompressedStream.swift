import FurlBase

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
  ///   - stream: that does not lie raw, whose structure has been checked.
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
    let count = chunks.framesPerChunk
    return stream.offset + offsets[chunk * count]..<stream.offset + offsets[(chunk + 1) * count]
  }

  /// - Throws: ``FurlError`` of kind `input` that names tensor, frame and offset.
  func decode(_ chunk: Int, with decompressor: Decompressor) throws {
    let first = chunk * chunks.framesPerChunk
    var bitmap: Bitmap?
    for frame in first..<first + chunks.framesPerChunk {
      let stored = offsets[frame]..<offsets[frame + 1]
      do {
        if chunks.hasBitmap, frame == first {
          bitmap = try decompressor.bitmap(source, stored, of: chunks.elements(chunk))
        } else if let bitmap {
          try decompressor.decode(
            source, stored, plane: frame - first - 1, to: decoded, chunks.range(chunk), stream.symbols, bitmap,
            zero: stream.zero ?? 0)
        } else {
          try decompressor.decode(
            source, stored, plane: frame - first, to: decoded, chunks.range(chunk), stream.symbols)
        }
      } catch let damage as Zstd.Damage {
        throw FurlError.input(
          file.path, place, "frame \(frame) at byte \(stream.offset + offsets[frame]) \(damage.sentence)",
          remedy: "the file is damaged; copy it again, or compress again")
      }
    }
  }
}
