import FurlSpec
import FurlTensor
import Synchronization

/// Makes tensors ready for an artifact; any threads may share one.
public struct TensorPacker: Sendable {
  let path: String
  let storage: ArtifactStorage
  private let compressors = Lender { try Compressor() }

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
  public func tensor(
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

/// A tensor on its way into an artifact: its streams are hashed and compressed, job by job.
public final class PackedTensor: Sendable {
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

  /// Jobs to be done before the tensor can be written.
  public var jobCount: Int { streams.reduce(0) { $0 + $1.jobCount } }

  /// Does one job. Jobs may be done at once and in any order.
  public func run(_ job: Int) throws {
    var job = job
    for stream in streams {
      if job < stream.jobCount { return try stream.run(job) }
      job -= stream.jobCount
    }
  }
}

/// One stream of a tensor on its way into an artifact.
final class PackedStream: Sendable {
  let bytes: ByteStorage
  let layout: PackedLayout.Stream
  private let chunks: StreamChunks?
  private let compressors: Lender<Compressor>
  private let result: Mutex<(digest: Digest?, frames: [[[UInt8]]])>

  init(
    _ bytes: ByteStorage, _ layout: PackedLayout.Stream, _ storage: ArtifactStorage, _ compressors: Lender<Compressor>
  ) {
    self.bytes = bytes
    self.layout = layout
    self.compressors = compressors
    chunks = storage == .compact ? CompactCoding.chunks(of: bytes, symbols: layout.symbols) : nil
    result = Mutex((nil, Array(repeating: [], count: chunks?.count ?? 0)))
  }

  /// The digest of the bytes, and every chunk.
  var jobCount: Int { 1 + (chunks?.count ?? 0) }

  func run(_ job: Int) throws {
    guard job > 0, let chunks else {
      let digest = Digest(of: bytes)
      return result.withLock { $0.digest = digest }
    }
    let frames = try compressors.lend { try $0.frames(bytes, chunks.range(job - 1), layout.symbols) }
    result.withLock { $0.frames[job - 1] = frames }
  }

  /// The digest of the stream as it is in memory.
  ///
  /// - Throws: ``FurlError`` of kind `defect` when the job has not been done.
  func decodedDigest() throws -> Digest {
    guard let digest = result.withLock({ $0.digest }) else { throw FurlError(.defect, "a stream was not hashed") }
    return digest
  }

  /// The frames in order; nil when the stream is to lie raw.
  ///
  /// - Throws: ``FurlError`` of kind `defect` when a chunk has not been compressed.
  func frames() throws -> [[UInt8]]? {
    guard chunks != nil else { return nil }
    let frames = result.withLock { $0.frames }
    guard frames.allSatisfy({ !$0.isEmpty }) else { throw FurlError(.defect, "a chunk was not compressed") }
    return CompactCoding.worthwhile(frames.flatMap { $0 }, for: bytes)
  }
}
