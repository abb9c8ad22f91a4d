package import FurlBase
package import FurlTensor
import Synchronization

/// Makes tensors ready for an artifact; any threads may share one.
package struct TensorPacker: Sendable {
  let path: String
  let storage: ArtifactStorage
  private let compressors = Lender { try FrameCompressor() }

  init(path: String, storage: ArtifactStorage) {
    self.path = path
    self.storage = storage
  }

  /// A tensor whose jobs are still to be done.
  ///
  /// - Parameters:
  ///   - name: its name, which no other tensor of the artifact has.
  ///   - role: what it is in the model; this module does not look into it.
  ///   - shape: [count], or [rows, columns].
  ///   - streams: its bytes as ``PackedLayout`` of scheme and shape asks for them.
  /// - Throws: ``FurlError`` of kind `defect` when streams and layout do not agree.
  package func tensor(
    name: String, role: String, shape: [Int], scheme: Scheme, streams: [PackedLayout.StreamKind: ByteStorage]
  ) throws -> PackedTensor {
    let layout = try PackedLayout(scheme: scheme, shape: shape)
    guard streams.count == layout.streams.count else {
      throw FurlError(.defect, file: path, place: name, "has \(streams.count) streams")
    }
    let packed = try layout.streams.map { stream in
      guard let bytes = streams[stream.kind], bytes.count == stream.byteCount else {
        throw FurlError(
          .defect, file: path, place: name, "\(stream.kind.rawValue) are not \(stream.byteCount) bytes")
      }
      return PackedStream(bytes, stream, storage, compressors)
    }
    return PackedTensor(name: name, role: role, layout: layout, streams: packed)
  }
}

/// A tensor on its way into an artifact: its streams are compressed, job by job, and then hashed.
package final class PackedTensor: Sendable {
  let name: String
  let role: String
  let layout: PackedLayout
  let streams: [PackedStream]

  fileprivate init(name: String, role: String, layout: PackedLayout, streams: [PackedStream]) {
    self.name = name
    self.role = role
    self.layout = layout
    self.streams = streams
  }

  /// Jobs to be done before the tensor can be hashed; none in mapped storage.
  package var jobCount: Int { streams.reduce(0) { $0 + $1.jobCount } }

  /// Does one job. Jobs may be done at once and in any order.
  package func run(_ job: Int) throws {
    var job = job
    for stream in streams {
      if job < stream.jobCount { return try stream.run(job) }
      job -= stream.jobCount
    }
  }

  /// The digests to be made before the tensor can be written, when every job has been done.
  ///
  /// - Throws: ``FurlError`` of kind `defect` when a job has not been done.
  package func digests() throws -> [MemoryHasher] { try streams.flatMap { try $0.digests() } }
}

/// One stream of a tensor on its way into an artifact.
final class PackedStream: Sendable {
  let bytes: ByteStorage
  let layout: PackedLayout.Stream
  private let chunks: StreamChunks?
  private let compressors: Lender<FrameCompressor>
  private let state: Mutex<StreamState>

  private struct StreamState {
    /// Of each chunk, as long as they are being made.
    var chunks: [ChunkFrames?]
    var coded = CodedFrames.raw
    var decoded: MemoryHasher?
    var stored: MemoryHasher?
  }

  init(
    _ bytes: ByteStorage, _ layout: PackedLayout.Stream, _ storage: ArtifactStorage,
    _ compressors: Lender<FrameCompressor>
  ) {
    self.bytes = bytes
    self.layout = layout
    self.compressors = compressors
    chunks = storage == .compact ? CompactCoding.chunks(of: bytes, symbols: layout.symbols) : nil
    state = Mutex(StreamState(chunks: Array(repeating: nil, count: chunks?.count ?? 0)))
  }

  var jobCount: Int { chunks?.count ?? 0 }

  func run(_ job: Int) throws {
    guard let chunks else { return }
    let frames = try compressors.lend {
      try ChunkFrames(bytes, chunks.range(job), layout.symbols, zero: layout.zero, with: $0)
    }
    state.withLock { $0.chunks[job] = frames }
  }

  func digests() throws -> [MemoryHasher] {
    try state.withLock { state in
      let made = state.chunks.compactMap { $0 }
      guard made.count == state.chunks.count else { throw FurlError(.defect, "a chunk was not compressed") }
      if chunks != nil { state.coded = CodedFrames(made, of: bytes) }
      state.chunks = []
      state.decoded = MemoryHasher(.storage(bytes))
      state.stored = state.coded.codec == .raw ? nil : MemoryHasher(.pieces(state.coded.frames))
      return [state.decoded, state.stored].compactMap { $0 }
    }
  }

  /// What is to be written: the digests of the stream in memory and in the file, and its frames.
  ///
  /// - Throws: ``FurlError`` of kind `defect` when a digest has not been made.
  func result() throws -> (decoded: Digest, stored: Digest, coded: CodedFrames) {
    try state.withLock { state in
      guard let decoded = state.decoded, decoded.isDone, state.stored?.isDone ?? true else {
        throw FurlError(.defect, "a stream was not hashed")
      }
      return (decoded.digest, state.stored?.digest ?? decoded.digest, state.coded)
    }
  }
}
