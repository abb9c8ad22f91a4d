import CFurlKernels

/// The 16 values of NF4, quantiles of the normal distribution (Dettmers et al. 2023, "QLoRA"): scale = absmax. In products
/// with 8-bit activations the values are rounded to 127ths.
enum NF4Coding: Coding {
  static let name = "nf4"
  static let scaleCount = 1
  static let bits = 4
  static let symbols = SymbolForm.nibbles
  static let levels = CodeLevels.table(.nf4)

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_table4 }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.table4_a8, kernels.table4_b16, kernels.table4_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_table4(matrix, row, columns, out)
  }
}

/// The 16 values of the FP4 of bitsandbytes: scale = absmax. In products with 8-bit activations the values are rounded to
/// 120ths, which all of them are but the smallest.
enum FP4Coding: Coding {
  static let name = "fp4"
  static let scaleCount = 1
  static let bits = 4
  static let symbols = SymbolForm.nibbles
  static let levels = CodeLevels.table(.fp4)

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_table4 }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.table4_a8, kernels.table4_b16, kernels.table4_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_table4(matrix, row, columns, out)
  }
}

/// 16 values that are best for the matrix (``Codebook``): scale = the value of the largest magnitude.
enum CodebookCoding: Coding {
  static let name = "codebook4"
  static let scaleCount = 1
  static let bits = 4
  static let symbols = SymbolForm.nibbles
  static let hasSignedScales = true
  static let levels = CodeLevels.learned

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_table4 }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.table4_a8, kernels.table4_b16, kernels.table4_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_table4(matrix, row, columns, out)
  }
}
