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
    // What stands first is begun first: the other job may be long.
    let chunks = streams.flatMap { stream in (0..<stream.chunks.count).map { (stream: stream, chunk: $0) } }
    let jobs: [(stream: CompressedStream, chunk: Int)?] = (other == nil ? [] : [nil]) + chunks
    let decompressors = Lender { try Decompressor() }
    for first in stride(from: 0, to: jobs.count, by: chunksHeld) {
      let held = Array(jobs[first..<min(first + chunksHeld, jobs.count)])
      _ = try collect(held.count, parallelFor) { index in
        guard let job = held[index] else { return other?() ?? () }
        try decompressors.lend { try job.stream.decode(job.chunk, with: $0) }
      }
      // What has been decoded is not read again.
      let done = held.compactMap { $0 }
      if let first = done.first, let last = done.last {
        first.stream.file.drop(
          first.stream.stored(first.chunk).lowerBound..<last.stream.stored(last.chunk).upperBound)
      }
    }
  }
}
