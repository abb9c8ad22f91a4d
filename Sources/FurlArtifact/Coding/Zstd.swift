import FurlBase
import FurlTensor
import CZstd

/// The zstd frames of an artifact (RFC 8878). All of this module's pointers are in this folder.
///
/// Symbols of quantized weights are nearly independent, so Huffman codes are all that there is to gain: searching for
/// matches costs time, and often bytes, and frames without matches decode twice as fast. The lowest level does not
/// search. Where symbols do repeat (rows that were never trained, norms that are all one) a search wins, so frames
/// that look as if they did are compressed at other levels too, and the smallest is kept; so are small ones, which
/// cost nothing. Literals are Huffman-coded at every level.
enum Zstd {
  /// Does not search for matches at all.
  static let literalsLevel: Int32 = -131_072
  static func searchLevels(_ form: SymbolForm) -> [Int32] {
    // Matches of a few nibbles are all that level 3 finds in addition, and they cost more than they save.
    form == .nibbles ? [-100, 1] : [-100, 1, 3]
  }
  /// Frames of at most so many symbols are always compressed at every level.
  static let smallFrame = 32 << 10
  /// For texts, which are small and do repeat.
  static let textLevel: Int32 = 19
  /// For long texts that are compressed when everything else is done: hardly larger, in a quarter of the time.
  static let hastyTextLevel: Int32 = 15
  static let longText = 64 << 10

  /// Why a frame cannot be used.
  enum Damage: Error, Hashable {
    case notOneFrame
    case noChecksum
    case wrongSize
    case undecodable(String)
    case notCodes
    case notBitmap

    var sentence: String {
      switch self {
      case .notOneFrame: "is not exactly one zstd frame"
      case .noChecksum: "has no checksum"
      case .wrongSize: "does not decode to the size that it should have"
      case .undecodable(let reason): "cannot be decoded: \(reason)"
      case .notBitmap: "says of more elements than there are that they are not zero"
      case .notCodes: "holds symbols of more bits than codes have"
      }
    }
  }

  /// A text as one frame.
  ///
  /// - Parameter isAwaited: whether everybody waits for it.
  static func compress(_ text: [UInt8], isAwaited: Bool = false) throws -> [UInt8] {
    let compressor = try FrameCompressor()
    let level = isAwaited && text.count > longText ? hastyTextLevel : textLevel
    return try text.withUnsafeBytes { try compressor.frame($0, level: level, literals: ZSTD_lcm_auto) }
  }

  /// The text of one frame of exactly `count` bytes.
  static func decompress(_ frame: [UInt8], count: Int) throws -> [UInt8] {
    let decompressor = try Decompressor()
    var text = [UInt8](repeating: 0, count: count)
    try frame.withUnsafeBytes { source in
      try text.withUnsafeMutableBytes { try decompressor.frame(source, to: $0) }
    }
    return text
  }

  fileprivate static func outOfMemory() -> FurlError {
    FurlError(.unavailable, "zstd cannot get memory", remedy: "free memory")
  }
}

/// Turns chunks into frames. One thread uses it at a time.
final class FrameCompressor: @unchecked Sendable {
  private let context: OpaquePointer
  private var output: [UInt8] = []
  private var symbols: [UInt8] = []
  private var seen: [UInt32] = []

  init() throws {
    guard let context = ZSTD_createCCtx() else { throw Zstd.outOfMemory() }
    self.context = context
  }

  deinit { ZSTD_freeCCtx(context) }

  /// The frames of a chunk of a stream, one for each plane.
  func frames(_ storage: ByteStorage, _ range: Range<Int>, _ form: SymbolForm) throws -> [[UInt8]] {
    try storage.withBytes { stream in
      let chunk = UnsafeRawBufferPointer(rebasing: stream[range])
      if form == .bytes { return [try smallest(chunk, form)] }
      let count = form.symbols(range.count)
      if symbols.count < count { symbols = [UInt8](repeating: 0, count: count) }
      return try (0..<form.planes).map { plane in
        symbols.withUnsafeMutableBytes { form.split(chunk, plane, to: $0) }
        return try symbols.withUnsafeBytes { try smallest(UnsafeRawBufferPointer(rebasing: $0[..<count]), form) }
      }
    }
  }

  /// The frames of a chunk with its zeros apart; nil when it has few.
  func framesApart(
    _ storage: ByteStorage, _ range: Range<Int>, _ form: SymbolForm, zero: UInt8
  ) throws -> [[UInt8]]? {
    try storage.withBytes { stream in
      let chunk = UnsafeRawBufferPointer(rebasing: stream[range])
      guard form != .nibbles, form.tileBits == nil, let split = SplitChunk(chunk, planes: form.planes, zero: zero) else {
        return nil
      }
      return try ([split.bitmap] + split.planes).map { try $0.withUnsafeBytes { try smallest($0, .bytes) } }
    }
  }

  private func smallest(_ source: UnsafeRawBufferPointer, _ form: SymbolForm) throws -> [UInt8] {
    var best = try nibbles(source, form) ?? frame(source, level: Zstd.literalsLevel, literals: ZSTD_lcm_huffman)
    guard source.count <= Zstd.smallFrame || repeatsItself(source) else { return best }
    for level in Zstd.searchLevels(form) {
      let frame = try frame(source, level: level, literals: ZSTD_lcm_huffman)
      if frame.count < best.count { best = frame }
    }
    return best
  }

  /// The same as the lowest level makes, faster.
  private func nibbles(_ source: UnsafeRawBufferPointer, _ form: SymbolForm) throws -> [UInt8]? {
    guard form == .nibbles else { return nil }
    let room = NibbleFrame.room(source.count)
    if output.count < room { output = [UInt8](repeating: 0, count: room) }
    return output.withUnsafeMutableBytes { NibbleFrame.write(source, to: $0) }.map { Array(output[..<$0]) }
  }

  /// Whether one in 64 pieces of 16 symbols, of those that lie on a multiple of 16, looks like an earlier one.
  private func repeatsItself(_ source: UnsafeRawBufferPointer) -> Bool {
    let slots = 1 << 13
    if seen.isEmpty { seen = [UInt32](repeating: 0, count: slots) }
    var repeated = 0
    seen.withUnsafeMutableBufferPointer { seen in
      seen.update(repeating: 0)
      for at in stride(from: 0, to: source.count - 15, by: 16) {
        let low = source.loadUnaligned(fromByteOffset: at, as: UInt64.self)
        let high = source.loadUnaligned(fromByteOffset: at + 8, as: UInt64.self)
        var mixed = (low ^ (high << 29 | high >> 35)) &* 0x9E37_79B9_7F4A_7C15
        mixed ^= mixed >> 29
        let tag = UInt32(truncatingIfNeeded: mixed >> 13) | 1
        let slot = Int(truncatingIfNeeded: mixed) & (slots - 1)
        if seen[slot] == tag { repeated += 1 }
        seen[slot] = tag
      }
    }
    return repeated * 64 > source.count / 16
  }

  fileprivate func frame(
    _ source: UnsafeRawBufferPointer, level: Int32, literals: ZSTD_literalCompressionMode_e
  ) throws -> [UInt8] {
    ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters)
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    // Its name, ZSTD_c_literalCompressionMode, is a macro that Swift does not see.
    ZSTD_CCtx_setParameter(context, ZSTD_c_experimentalParam5, Int32(literals.rawValue))
    let bound = ZSTD_compressBound(source.count)
    if output.count < bound { output = [UInt8](repeating: 0, count: bound) }
    let size = output.withUnsafeMutableBytes {
      ZSTD_compress2(context, $0.baseAddress, $0.count, source.baseAddress, source.count)
    }
    guard ZSTD_isError(size) == 0 else {
      throw FurlError(.defect, "zstd cannot compress: \(String(cString: ZSTD_getErrorName(size)))")
    }
    return Array(output[..<size])
  }
}

/// Turns frames into chunks. One thread uses it at a time.
final class Decompressor: @unchecked Sendable {
  private let context: OpaquePointer
  private var symbols: [UInt8] = []

  init() throws {
    guard let context = ZSTD_createDCtx() else { throw Zstd.outOfMemory() }
    self.context = context
  }

  deinit { ZSTD_freeDCtx(context) }

  /// Decodes one frame of a chunk to its place in the decoded stream.
  ///
  /// - Parameters:
  ///   - frame: where the frame lies in `stored`.
  ///   - plane: which plane of the chunk it holds.
  ///   - chunk: where the chunk lies in `decoded`.
  /// - Throws: ``Zstd/Damage``.
  func decode(
    _ stored: ByteStorage, _ frame: Range<Int>, plane: Int, to decoded: ByteStorage, _ chunk: Range<Int>,
    _ form: SymbolForm
  ) throws {
    try stored.withBytes { stored in
      let source = UnsafeRawBufferPointer(rebasing: stored[frame])
      try decoded.withMutableBytes(chunk) { target in
        if form == .bytes { return try self.frame(source, to: target) }
        let count = form.symbols(chunk.count)
        if symbols.count < count { symbols = [UInt8](repeating: 0, count: count) }
        try symbols.withUnsafeMutableBytes { symbols in
          let plain = UnsafeMutableRawBufferPointer(rebasing: symbols[..<count])
          try self.frame(source, to: plain)
          guard form.join(UnsafeRawBufferPointer(plain), plane, to: target) else { throw Zstd.Damage.notCodes }
        }
      }
    }
  }

  /// Decodes the frame that says which of so many elements are not zero.
  ///
  /// - Throws: ``Zstd/Damage``.
  func bitmap(_ stored: ByteStorage, _ frame: Range<Int>, of count: Int) throws -> Bitmap {
    var bytes = [UInt8](repeating: 0, count: Bitmap.bytes(count))
    try stored.withBytes { stored in
      try bytes.withUnsafeMutableBytes { try self.frame(UnsafeRawBufferPointer(rebasing: stored[frame]), to: $0) }
    }
    guard let bitmap = Bitmap(bytes, count: count) else { throw Zstd.Damage.notBitmap }
    return bitmap
  }

  /// Decodes a frame of those elements of a chunk that are not zero, and fills one plane of the others.
  ///
  /// - Throws: ``Zstd/Damage``.
  func decode(
    _ stored: ByteStorage, _ frame: Range<Int>, plane: Int, to decoded: ByteStorage, _ chunk: Range<Int>,
    _ form: SymbolForm, _ bitmap: Bitmap, zero: UInt8
  ) throws {
    try stored.withBytes { stored in
      if symbols.count < bitmap.ones { symbols = [UInt8](repeating: 0, count: bitmap.ones) }
      try symbols.withUnsafeMutableBytes { symbols in
        try self.frame(
          UnsafeRawBufferPointer(rebasing: stored[frame]),
          to: UnsafeMutableRawBufferPointer(rebasing: symbols[..<bitmap.ones]))
        decoded.withMutableBytes(chunk) { target in
          var next = 0
          for element in 0..<bitmap.count {
            let isSet = bitmap[element]
            target[element &* form.planes &+ plane] = isSet ? symbols[next] : zero
            next += isSet ? 1 : 0
          }
        }
      }
    }
  }

  /// Decodes one frame that must fill `target` exactly.
  fileprivate func frame(_ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer) throws {
    // The descriptor follows the magic number; skippable frames and frames without a checksum are not ours.
    let magic: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD]
    guard source.starts(with: magic), source.count > magic.count,
      ZSTD_findFrameCompressedSize(source.baseAddress, source.count) == source.count
    else { throw Zstd.Damage.notOneFrame }
    guard source[magic.count] & 4 != 0 else { throw Zstd.Damage.noChecksum }
    guard ZSTD_getFrameContentSize(source.baseAddress, source.count) == UInt64(target.count) else {
      throw Zstd.Damage.wrongSize
    }
    let size = ZSTD_decompressDCtx(context, target.baseAddress, target.count, source.baseAddress, source.count)
    guard ZSTD_isError(size) == 0 else {
      throw Zstd.Damage.undecodable(String(cString: ZSTD_getErrorName(size)))
    }
    guard size == target.count else { throw Zstd.Damage.wrongSize }
  }
}
