import CFurlKernels

/// Symmetric 2-bit codes with a signed scale: scale = the value of the largest magnitude / -2, weight = (code - 2) * scale.
/// Two bits in memory, too.
enum Int2Coding: Coding {
  static let name = "int2"
  static let scaleCount = 1
  static let bits = 2
  static let symbols = SymbolForm.bytes
  static let hasSignedScales = true
  static let levels = CodeLevels.uniform(.uniform(low: -2, high: 1, offset: 2))

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_int2 }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int2_a8, kernels.int2_b16, kernels.int2_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int2(matrix, row, columns, out)
  }
}

/// 2-bit codes with a minimum: scale = (max - min) / 3, weight = code * scale + minimum.
enum Int2MinimumCoding: Coding {
  static let name = "int2-minimum"
  static let scaleCount = 2
  static let bits = 2
  static let symbols = SymbolForm.bytes
  static let levels = CodeLevels.uniform(.uniform(low: 0, high: 3, offset: 0, hasMinimum: true))

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_int2_minimum }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int2_minimum_a8, kernels.int2_minimum_b16, kernels.int2_minimum_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int2_minimum(matrix, row, columns, out)
  }
}
