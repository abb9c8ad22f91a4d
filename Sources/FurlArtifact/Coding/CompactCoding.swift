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

  /// Decodes streams that lie in the file in this order, all chunks of all of them in one row, so that no thread waits
  /// at the end of a small stream.
  ///
  /// - Parameter other: a job that a thread does beside.
  static func decode(
    _ streams: [CompressedStream], beside other: (@Sendable () -> Void)? = nil, parallelFor: ParallelFor
  ) throws {
    let jobs = streams.indices.flatMap { stream in (0..<streams[stream].chunks.count).map { (stream, $0) } }
    let decompressors = Lender { try Decompressor() }
    var other = other
    for first in stride(from: 0, to: jobs.count, by: chunksHeld) {
      let held = jobs[first..<min(first + chunksHeld, jobs.count)]
      let beside = other
      other = nil
      // What stands first is begun first: the other job may be long.
      let extra = beside == nil ? 0 : 1
      _ = try collect(held.count + extra, parallelFor) { index in
        if let beside, index == 0 { return beside() }
        let (stream, chunk) = held[held.startIndex + index - extra]
        try decompressors.lend { try streams[stream].decode(chunk, with: $0) }
      }
      // What has been decoded is not read again.
      if let first = held.first, let last = held.last {
        let end = streams[last.0].stored(last.1).upperBound
        let file = streams[first.0].file
        file.drop(streams[first.0].stored(first.1).lowerBound..<end)
      }
    }
    other?()
  }
}

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
