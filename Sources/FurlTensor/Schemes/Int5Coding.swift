import CFurlKernels

/// Symmetric 5-bit codes with a signed scale: scale = the value of the largest magnitude / -16, weight = (code - 16) * scale.
/// Five bits in memory, too: nibbles, and what is above them behind.
enum Int5Coding: Coding {
  static let name = "int5"
  static let scaleCount = 1
  static let bits = 5
  static let symbols = SymbolForm.fives
  static let hasSignedScales = true
  static let levels = CodeLevels.uniform(.uniform(low: -16, high: 15, offset: 16))

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_int5 }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int5_a8, kernels.int5_b16, kernels.int5_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int5(matrix, row, columns, out)
  }
}

/// 5-bit codes with a minimum: scale = (max - min) / 31, weight = code * scale + minimum.
enum Int5MinimumCoding: Coding {
  static let name = "int5-minimum"
  static let scaleCount = 2
  static let bits = 5
  static let symbols = SymbolForm.fives
  static let levels = CodeLevels.uniform(.uniform(low: 0, high: 31, offset: 0, hasMinimum: true))

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_int5_minimum }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int5_minimum_a8, kernels.int5_minimum_b16, kernels.int5_minimum_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int5_minimum(matrix, row, columns, out)
  }
}
