import CFurlKernels

/// One way to turn weights into codes and back; each lives in a file of its own.
///
/// A coding sees one block of one row at a time. Codes are computed from the scale as it is stored (a half),
/// ties to even, clamped.
protocol Coding: Sendable {
  static var name: String { get }
  /// Halves beside a block's codes: 0 none, 1 a scale, 2 a scale and a minimum.
  static var scaleCount: Int { get }
  /// Bytes of the codes of one tile.
  static var tileBytes: Int { get }
  /// How a compact stream of codes is cut into one-byte symbols.
  static var symbols: SymbolForm { get }
  /// Whether the kernels for 8-bit activations apply.
  static var takesIntegers: Bool { get }

  /// Encodes a block.
  ///
  /// - Parameters:
  ///   - values: the weights of one block of one row, all finite.
  ///   - codes: as many codes, each in a byte.
  /// - Returns: the scale and the minimum as halves, or nil when they do not fit in a half.
  static func encode(_ values: UnsafeBufferPointer<Float>, _ codes: UnsafeMutablePointer<UInt8>) -> BlockScale?

  /// Puts a tile's codes ([16][32], row by row, `stride` bytes apart) in the order of the kernels.
  static func pack(_ codes: UnsafePointer<UInt8>, stride: Int, into tile: UnsafeMutableRawPointer)

  /// The code of a weight of zero, for padding.
  static var zeroCode: UInt8 { get }

  static func multiply(_ kernels: furl_kernels, integers: Bool) -> furl_multiply
  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
}

/// What a block stores beside its codes, as IEEE halves.
struct BlockScale {
  var scale: UInt16
  var minimum: UInt16 = 0

  static let zero = BlockScale(scale: 0)
}

/// How a compact stream is cut into symbols of one byte for the entropy coder.
public enum SymbolForm: String, Sendable, Hashable {
  /// Each byte is a symbol.
  case bytes
  /// Each byte is two symbols: its low and its high half.
  case nibbles
  /// Two-byte numbers; all low bytes, then all high bytes.
  case halves
  /// Four-byte numbers; byte plane by byte plane.
  case floats
}

extension BlockScale {
  /// A half from a float; nil when the number is too large for one.
  static func half(_ value: Float) -> UInt16? {
    let half = furl_half_from_float(value)
    return half & 0x7C00 == 0x7C00 ? nil : half
  }
}

extension Float {
  /// The nearest integer, ties to even, within bounds.
  func code(_ bounds: ClosedRange<Float>) -> Float {
    Swift.min(Swift.max(rounded(.toNearestOrEven), bounds.lowerBound), bounds.upperBound)
  }
}
