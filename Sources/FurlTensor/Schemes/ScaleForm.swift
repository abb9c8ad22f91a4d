/// How the scales of a coding are stored.
package enum ScaleForm: Sendable {
  /// As a recipe says: halves or 8 bits, of blocks of any size.
  case open
  /// Halves, of blocks of 32 columns.
  case halves
  /// One byte that is an exponent, of blocks of 32 columns: scale = 2^(byte - 128).
  case exponents
  /// Small whole numbers, of parts of a super-block, times halves that a super-block has.
  case parts(SuperBlockForm)
}

/// What is in a super-block of 256 columns of a row, as GGUF's K-quants and IQ4_XS have it: parts of 16 or 32 columns with a
/// whole number each that the super-block's half makes a scale of; and the same once more where there are minimums.
///
/// Layouts: `ggml-common.h` of https://github.com/ggml-org/ggml.
package struct SuperBlockForm: Sendable, Hashable {
  /// Columns of a super-block.
  package static let columns = 256

  /// 16 or 32.
  package let partColumns: Int
  /// What the whole numbers of scales may be; minimums are 0 to 63 times below zero.
  package let range: ClosedRange<Int32>
  /// How 0 is stored among the scales.
  let zero: Int32

  /// What the whole numbers of minimums may be.
  static let minimumRange: ClosedRange<Int32> = 0...63
  /// How a minimum of 0 is stored; one further down is stored one lower.
  static let minimumZero: Int32 = 128

  package var parts: Int { SuperBlockForm.columns / partColumns }
}
