import CFurlKernels

/// Symmetric 8-bit codes: scale = absmax / 127, weight = (code - 128) * scale, codes 1...255.
enum Int8Coding: Coding {
  static let name = "int8"
  static let scaleCount = 1
  static let bits = 8
  static let symbols = SymbolForm.bytes
  static let levels = CodeLevels.uniform(.uniform(low: -127, high: 127, offset: 128))

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_int8 }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int8_a8, kernels.int8_b16, kernels.int8_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int8(matrix, row, columns, out)
  }
}
