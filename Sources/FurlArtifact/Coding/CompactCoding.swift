import FurlTensor

/// What compact storage makes of a stream, and back.
public enum CompactCoding {
  /// Bytes that a stream takes in a compact artifact, without padding. A plan can learn from a sample of rows
  /// what a file will take.
  ///
  /// - Parameters:
  ///   - bytes: the stream as it is in memory.
  ///   - symbols: how it is cut into symbols.
  public static func storedBytes(
    of bytes: ByteStorage, symbols: SymbolForm, parallelFor: ParallelFor = serialFor
  ) throws -> Int {
    guard let chunks = chunks(of: bytes, symbols: symbols) else { return bytes.count }
    let compressors = Lender { try Compressor() }
    let frames = try collect(chunks.count, parallelFor) { chunk in
      try compressors.lend { try $0.frames(bytes, chunks.range(chunk), symbols) }
    }
    return worthwhile(frames.flatMap { $0 }, for: bytes)?.reduce(0) { $0 + $1.count } ?? bytes.count
  }

  /// How a stream is cut; nil when it is to lie raw because frames would cost more than they gain.
  static func chunks(of bytes: ByteStorage, symbols: SymbolForm) -> StreamChunks? {
    let chunks = StreamChunks(form: symbols, byteCount: bytes.count)
    return bytes.count >= ArtifactWriter.smallStream && chunks.isWhole ? chunks : nil
  }

  /// The frames of a stream, unless it is to lie raw because they do not make it smaller, or make it so small (all
  /// of one value) that a reader would not believe it.
  static func worthwhile(_ frames: [[UInt8]], for bytes: ByteStorage) -> [[UInt8]]? {
    let length = frames.reduce(0) { $0 + $1.count }
    return length < bytes.count && bytes.count / Container.streamRatio <= length ? frames : nil
  }

  /// Chunks whose pages in the file are kept until all of them are decoded. Taking pages away interrupts every thread:
  /// done for each chunk it costs two threads a seventh of their time.
  private static let chunksHeld = 64

  /// Decodes a stream.
  ///
  /// - Parameters:
  ///   - stream: of codec `zstdHuffman`, whose structure has been checked.
  ///   - place: the stream's name for errors.
  ///   - arena: where the decoded bytes go as long as there is room.
  static func decode(
    _ stream: ArtifactStream, of file: MappedFile, place: String, into arena: StorageArena?, parallelFor: ParallelFor
  ) throws -> ByteStorage {
    let chunks = stream.chunks
    var starts = [0]
    for frame in stream.frames { starts.append(starts[starts.count - 1] + frame) }
    let offsets = starts
    let stored = ByteStorage(file, stream.range)
    let decoded =
      try arena.map { try ByteStorage(zeroed: stream.decodedLength, from: $0) }
      ?? ByteStorage(zeroed: stream.decodedLength, isDense: true)
    let decompressors = Lender { try Decompressor() }
    let planes = stream.symbols.planes
    let decode: @Sendable (Int) throws -> Void = { chunk in
      for plane in 0..<planes {
        let frame = chunk * planes + plane
        do {
          try decompressors.lend {
            try $0.decode(
              stored, offsets[frame]..<offsets[frame + 1], plane: plane, to: decoded, chunks.range(chunk),
              stream.symbols)
          }
        } catch let damage as Zstd.Damage {
          throw FurlError.input(
            file.path, place, "frame \(frame) at byte \(stream.offset + offsets[frame]) \(damage.sentence)",
            remedy: "the file is damaged; copy it again, or compress again")
        }
      }
    }
    for first in stride(from: 0, to: chunks.count, by: chunksHeld) {
      let last = min(first + chunksHeld, chunks.count)
      _ = try collect(last - first, parallelFor) { try decode(first + $0) }
      // What has been decoded is not read again.
      file.drop(stream.offset + offsets[first * planes]..<stream.offset + offsets[last * planes])
    }
    return decoded
  }
}
