package import FurlBase
package import FurlTensor
import Synchronization

/// What compact storage makes of a stream, and back.
package enum CompactCoding {
  /// Bytes that a stream takes in a compact artifact, without padding. A plan can learn from a sample of rows
  /// what a file will take.
  ///
  /// - Parameters:
  ///   - bytes: the stream as it is in memory.
  ///   - symbols: how it is cut into symbols.
  ///   - zero: the byte that elements which are zero consist of.
  package static func storedBytes(
    of bytes: ByteStorage, symbols: SymbolForm, zero: UInt8? = nil, parallelFor: ParallelFor = serialFor
  ) throws -> Int {
    guard let chunks = chunks(of: bytes, symbols: symbols) else { return bytes.count }
    let compressors = Lender { try FrameCompressor() }
    let made = try collect(chunks.count, parallelFor) { chunk in
      try compressors.lend { try ChunkFrames(bytes, chunks.range(chunk), symbols, zero: zero, with: $0) }
    }
    let coded = CodedFrames(made, of: bytes)
    return coded.codec == .raw ? bytes.count : coded.frames.reduce(0) { $0 + $1.count }
  }

  /// How a stream is cut; nil when it is to lie raw because frames would cost more than they gain.
  static func chunks(of bytes: ByteStorage, symbols: SymbolForm) -> StreamChunks? {
    let chunks = StreamChunks(form: symbols, byteCount: bytes.count)
    return bytes.count >= ArtifactWriter.smallStream && chunks.isWhole ? chunks : nil
  }

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
    let held = HeldPages(jobs: jobs.count)
    _ = try collect(jobs.count, parallelFor) { index in
      if let job = jobs[index] {
        try decompressors.lend { try job.stream.decode(job.chunk, with: $0) }
      } else {
        other?()
      }
      guard let done = held.finish(index) else { return }
      // What has been decoded is not read again.
      let decoded = jobs[done].compactMap { $0 }
      if let first = decoded.first, let last = decoded.last {
        first.stream.file.drop(
          first.stream.stored(first.chunk).lowerBound..<last.stream.stored(last.chunk).upperBound)
      }
    }
  }
}

/// Knows when the pages of some chunks in a row can go.
///
/// They go together: taking pages away interrupts every thread, and done for each chunk it costs two threads a seventh
/// of their time. Nobody waits for it: the thread that finishes the last of them sees to it, and the others go on.
private final class HeldPages: Sendable {
  private static let together = 64
  private let jobs: Int
  /// Jobs that are left of each group.
  private let left: Mutex<[Int]>

  init(jobs: Int) {
    self.jobs = jobs
    left = Mutex(
      stride(from: 0, to: jobs, by: HeldPages.together).map { min(HeldPages.together, jobs - $0) })
  }

  /// - Returns: the jobs of the group if this was the last of them.
  func finish(_ job: Int) -> Range<Int>? {
    let group = job / HeldPages.together
    let isLast = left.withLock { left in
      left[group] -= 1
      return left[group] == 0
    }
    guard isLast else { return nil }
    return group * HeldPages.together..<min((group + 1) * HeldPages.together, jobs)
  }
}
