import CFurlKernels

/// Symmetric 4-bit codes with a signed scale, as llama.cpp's Q4_0: the value of the largest magnitude gets the
/// code 0, scale = value / -8, weight = (code - 8) * scale.
enum Int4Coding: Coding {
  static let name = "int4"
  static let scaleCount = 1
  static let bits = 4
  static let symbols = SymbolForm.nibbles
  static let hasSignedScales = true
  static let levels = CodeLevels.uniform(.uniform(low: -8, high: 7, offset: 8))

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_int4 }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int4_a8, kernels.int4_b16, kernels.int4_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int4(matrix, row, columns, out)
  }
}

/// 4-bit codes with a minimum, as llama.cpp's Q4_1: scale = (max - min) / 15, weight = code * scale + minimum.
enum Int4MinimumCoding: Coding {
  static let name = "int4-minimum"
  static let scaleCount = 2
  static let bits = 4
  static let symbols = SymbolForm.nibbles
  static let levels = CodeLevels.uniform(.uniform(low: 0, high: 15, offset: 0, hasMinimum: true))

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_int4_minimum }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int4_minimum_a8, kernels.int4_minimum_b16, kernels.int4_minimum_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int4_minimum(matrix, row, columns, out)
  }
}
