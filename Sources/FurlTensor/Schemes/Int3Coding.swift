import CFurlKernels

/// Symmetric 3-bit codes with a signed scale: scale = the value of the largest magnitude / -4, weight = (code - 4) * scale.
/// Three bits in memory, too.
enum Int3Coding: Coding {
  static let name = "int3"
  static let scaleCount = 1
  static let bits = 3
  static let symbols = SymbolForm.bytes
  static let hasSignedScales = true
  static let levels = CodeLevels.uniform(.uniform(low: -4, high: 3, offset: 4))

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_int3 }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int3_a8, kernels.int3_b16, kernels.int3_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int3(matrix, row, columns, out)
  }
}

/// 3-bit codes with a minimum: scale = (max - min) / 7, weight = code * scale + minimum.
enum Int3MinimumCoding: Coding {
  static let name = "int3-minimum"
  static let scaleCount = 2
  static let bits = 3
  static let symbols = SymbolForm.bytes
  static let levels = CodeLevels.uniform(.uniform(low: 0, high: 7, offset: 0, hasMinimum: true))

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_int3_minimum }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int3_minimum_a8, kernels.int3_minimum_b16, kernels.int3_minimum_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int3_minimum(matrix, row, columns, out)
  }
}
