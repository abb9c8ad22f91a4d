import FurlBase
import FurlTensor

/// What one chunk of a stream may become.
struct ChunkFrames: Sendable {
  /// One for each plane.
  let plain: [[UInt8]]
  /// A bitmap of what is not zero, and one for each plane of that; nil where few are zero.
  let apart: [[UInt8]]?

  /// - Parameter zero: the byte that elements which are zero consist of; nil if there is no such byte.
  init(
    _ bytes: ByteStorage, _ range: Range<Int>, _ symbols: SymbolForm, zero: UInt8?, with compressor: FrameCompressor
  ) throws {
    plain = try compressor.frames(bytes, range, symbols)
    apart = try zero.flatMap { try compressor.framesApart(bytes, range, symbols, zero: $0) }
  }
}

/// A stream as it lies in a compact file.
struct CodedFrames: Sendable {
  let codec: StreamCodec
  /// None of a stream that lies raw.
  let frames: [[UInt8]]

  static let raw = CodedFrames(codec: .raw, frames: [])

  private init(codec: StreamCodec, frames: [[UInt8]]) {
    self.codec = codec
    self.frames = frames
  }

  /// The smaller of the two ways, unless the stream is to lie raw because frames do not make it smaller, or make it so
  /// small (all of one value) that a reader would not believe it.
  init(_ chunks: [ChunkFrames], of bytes: ByteStorage) {
    func length(_ frames: [[UInt8]]) -> Int { frames.reduce(0) { $0 + $1.count } }
    var ways = [CodedFrames(codec: .zstdHuffman, frames: chunks.flatMap(\.plain))]
    let apart = chunks.compactMap(\.apart)
    if apart.count == chunks.count {
      ways.append(CodedFrames(codec: .zstdBitmap, frames: apart.flatMap { $0 }))
    }
    let usable = ways.filter { way in
      let stored = length(way.frames)
      return stored < bytes.count && bytes.count / Container.streamRatio <= stored
    }
    self = usable.min { length($0.frames) < length($1.frames) } ?? .raw
  }
}
