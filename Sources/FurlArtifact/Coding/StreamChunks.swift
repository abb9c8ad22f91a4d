import FurlTensor

/// How a compact stream is cut: into chunks, and each chunk into frames of one-byte symbols.
///
/// The cut depends on the form and the size alone, so the same stream always gives the same frames, and every
/// chunk can be compressed or decoded by a thread of its own.
struct StreamChunks {
  /// The most symbols in a frame. Two zstd blocks: large enough that Huffman tables cost nothing, small enough
  /// that a tensor keeps every thread busy.
  static let symbolsPerFrame = 1 << 18

  let form: SymbolForm
  /// Bytes of the decoded stream.
  let byteCount: Int
  /// Whether each chunk begins with a bitmap of what is not zero, and the other frames hold that alone.
  var hasBitmap = false

  /// Bytes of the decoded stream in every chunk but the last.
  var chunkBytes: Int { StreamChunks.symbolsPerFrame / form.symbolsPerUnit * form.unit }
  /// Chunks of the stream.
  var count: Int { (byteCount + chunkBytes - 1) / chunkBytes }
  /// Frames of a chunk: one for each plane, and one for a bitmap.
  var framesPerChunk: Int { form.planes + (hasBitmap ? 1 : 0) }
  /// Frames of the stream.
  var frameCount: Int { count * framesPerChunk }
  /// Whether the stream can be cut into whole elements, or tiles.
  var isWhole: Bool { byteCount % form.unit == 0 }

  /// The bytes of a chunk.
  func range(_ chunk: Int) -> Range<Int> { chunk * chunkBytes..<min((chunk + 1) * chunkBytes, byteCount) }

  /// Whole elements of a chunk: bytes, or numbers.
  func elements(_ chunk: Int) -> Int { range(chunk).count / form.planes }

  /// Symbols in each frame of a chunk of so many bytes.
  func frameSymbols(_ bytes: Int) -> Int { form.symbols(bytes) }
}

extension SymbolForm {
  /// Byte planes of a chunk; each is a frame. The bytes of a number differ in what they hold, so each plane has
  /// its own Huffman codes.
  var planes: Int {
    switch self {
    case .bytes, .nibbles, .fives, .sixes: 1
    case .halves: 2
    case .floats: 4
    }
  }

  /// Bits of the codes that are symbols, where a tile of them is cut as a whole: 16 rows x 32 columns, laid out as
  /// `CFurlKernels.h` says.
  var tileBits: Int? {
    switch self {
    case .fives: 5
    case .sixes: 6
    case .bytes, .nibbles, .halves, .floats: nil
    }
  }

  /// Bytes that are cut together: a number, or a tile.
  var unit: Int { tileBits.map { $0 * 64 } ?? planes }

  /// One-byte symbols of a frame for such bytes.
  var symbolsPerUnit: Int { tileBits == nil ? self == .nibbles ? 2 : 1 : 512 }

  /// One-byte symbols in each frame of a chunk of so many bytes.
  func symbols(_ bytes: Int) -> Int { bytes / unit * symbolsPerUnit }
}
