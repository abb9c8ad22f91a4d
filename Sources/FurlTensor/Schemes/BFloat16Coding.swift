import CFurlKernels

/// Weights as BF16, the upper halves of floats: exact where a checkpoint has no more, and rounded to the nearest (ties to
/// even) where it has. Sums are those of the floats that they stand for.
enum BFloat16Coding: Coding {
  static let name = "bfloat16"
  static let scaleCount = 0
  static let bits = 16
  static let symbols = SymbolForm.halves
  static let takesIntegers = false
  static let levels = CodeLevels.none

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_bfloat16 }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply { kernels.bfloat16 }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_bfloat16(matrix, row, columns, out)
  }
}
