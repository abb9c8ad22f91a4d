package import CFurlKernels

/// One way to turn weights into codes and back; each lives in a file of its own.
///
/// Codes are computed from the scale as it is stored (a half, or 8 bits), ties to even, clamped; the kernels do it, a row
/// tile at a time, with the same bits on every tier.
package protocol Coding: Sendable {
  static var name: String { get }
  /// Numbers beside a block's codes: 0 none, 1 a scale, 2 a scale and a minimum.
  static var scaleCount: Int { get }
  /// Bits of a code.
  static var bits: Int { get }
  /// How a compact stream of codes is cut into one-byte symbols.
  static var symbols: SymbolForm { get }
  /// Whether the kernels for 8-bit activations apply.
  static var takesIntegers: Bool { get }
  /// Whether scales may be below zero.
  static var hasSignedScales: Bool { get }
  /// What codes stand for, for methods that choose codes.
  static var levels: CodeLevels { get }
  /// How scales are stored.
  static var scaleForm: ScaleForm { get }
  /// The coding of the codes alone, where remainders beside them make more bits of them; nil: there are none.
  static var firstPlane: (any Coding.Type)? { get }
  /// The type of GGUF's blocks that have the same codes and scales, of a coding that has no other form.
  static var blockType: SourceType? { get }

  /// The kernel that turns rows of weights into a row tile; nil where scales are searched for (``BlockEncoder``).
  static func encode(_ kernels: furl_kernels) -> furl_encode?
  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply
  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
}

/// What the codes of a coding stand for.
package enum CodeLevels: Sendable {
  /// Nothing: weights are as they are.
  case none
  /// Steps of the same width.
  case uniform(furl_grid)
  /// The 16 values of a table that is the same everywhere.
  case table(CodeTable)
  /// 16 values that each matrix has for itself.
  case learned
}

extension Coding {
  /// Bytes of the codes of one tile.
  package static var tileBytes: Int { bits * Tile.rows * Tile.columns / 8 }
  static var takesIntegers: Bool { true }
  static var hasSignedScales: Bool { false }
  package static var scaleForm: ScaleForm { .open }
  package static var blockType: SourceType? { nil }
  package static var firstPlane: (any Coding.Type)? { nil }
  package static func encode(_ kernels: furl_kernels) -> furl_encode? { nil }

  /// What is in a super-block; nil where there are none.
  static var superBlock: SuperBlockForm? { if case .parts(let form) = scaleForm { form } else { nil } }

  /// The byte that weights of zero consist of; nil where they have no bytes of their own.
  static var zeroByte: UInt8? {
    switch levels {
    case .none: 0
    case .uniform(let grid) where bits == 8 && !grid.has_minimum: UInt8(grid.offset)
    case .uniform, .table, .learned: nil
    }
  }
}

extension furl_grid {
  /// weight = code * scale + minimum, codes low...high, stored as code + offset.
  static func uniform(low: Int32, high: Int32, offset: Int32, hasMinimum: Bool = false) -> furl_grid {
    var grid = furl_grid()
    (grid.low, grid.high, grid.offset, grid.has_minimum) = (low, high, offset, hasMinimum)
    return grid
  }
}

/// How a compact stream is cut into symbols of one byte for the entropy coder.
package enum SymbolForm: String, Sendable, Hashable, CaseIterable {
  /// Each byte is a symbol.
  case bytes
  /// Each byte is two symbols: its low and its high half.
  case nibbles
  /// Each code of 5 bits of a tile is a symbol.
  case fives
  /// Each code of 6 bits of a tile is a symbol.
  case sixes
  /// Two-byte numbers; all low bytes, then all high bytes.
  case halves
  /// Four-byte numbers; byte plane by byte plane.
  case floats
}
