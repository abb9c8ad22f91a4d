import CFurlKernels

/// Symmetric 6-bit codes with a signed scale: scale = the value of the largest magnitude / -32, weight = (code - 32) * scale.
/// Six bits in memory, too: nibbles, and what is above them behind.
enum Int6Coding: Coding {
  static let name = "int6"
  static let scaleCount = 1
  static let bits = 6
  static let symbols = SymbolForm.sixes
  static let hasSignedScales = true
  static let levels = CodeLevels.uniform(.uniform(low: -32, high: 31, offset: 32))

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_int6 }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int6_a8, kernels.int6_b16, kernels.int6_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int6(matrix, row, columns, out)
  }
}

/// 6-bit codes with a minimum: scale = (max - min) / 63, weight = code * scale + minimum.
enum Int6MinimumCoding: Coding {
  static let name = "int6-minimum"
  static let scaleCount = 2
  static let bits = 6
  static let symbols = SymbolForm.sixes
  static let levels = CodeLevels.uniform(.uniform(low: 0, high: 63, offset: 0, hasMinimum: true))

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_int6_minimum }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int6_minimum_a8, kernels.int6_minimum_b16, kernels.int6_minimum_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int6_minimum(matrix, row, columns, out)
  }
}
