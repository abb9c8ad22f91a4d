import CFurlKernels

// The codings of GGUF's blocks of 32 columns that are no others of Furl's. Scales are always searched for, so none has a
// kernel that encodes by itself.

/// 5-bit codes with a signed scale, a byte each in memory: weight = d * (code - 16).
enum Q50Coding: Coding {
  static let name = "q5_0"
  static let scaleCount = 1
  static let bits = 8
  static let symbols = SymbolForm.bytes
  static let hasSignedScales = true
  static let levels = CodeLevels.uniform(.uniform(low: -16, high: 15, offset: 128))
  static let scaleForm = ScaleForm.halves
  static let blockType: SourceType? = .q50

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int8_a8, kernels.int8_b16, kernels.int8_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int8(matrix, row, columns, out)
  }
}

/// 5-bit codes with a minimum, a byte each in memory: weight = d * code + m.
enum Q51Coding: Coding {
  static let name = "q5_1"
  static let scaleCount = 2
  static let bits = 8
  static let symbols = SymbolForm.bytes
  static let levels = CodeLevels.uniform(.uniform(low: 0, high: 31, offset: 128, hasMinimum: true))
  static let scaleForm = ScaleForm.halves
  static let blockType: SourceType? = .q51

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int8_minimum_a8, kernels.int8_minimum_b16, kernels.int8_minimum_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int8_minimum(matrix, row, columns, out)
  }
}

/// The 16 values of IQ4: weight = d * value.
enum IQ4NLCoding: Coding {
  static let name = "iq4_nl"
  static let scaleCount = 1
  static let bits = 4
  static let symbols = SymbolForm.nibbles
  static let hasSignedScales = true
  static let levels = CodeLevels.table(.iq4)
  static let scaleForm = ScaleForm.halves
  static let blockType: SourceType? = .iq4nl

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.table4_a8, kernels.table4_b16, kernels.table4_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_table4(matrix, row, columns, out)
  }
}

/// FP4 (E2M1) with scales that are powers of two (Open Compute Project 2023, "OCP Microscaling Formats").
enum MXFP4Coding: Coding {
  static let name = "mxfp4"
  static let scaleCount = 1
  static let bits = 4
  static let symbols = SymbolForm.nibbles
  static let levels = CodeLevels.table(.mxfp4)
  static let scaleForm = ScaleForm.exponents
  static let blockType: SourceType? = .mxfp4

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.table4_a8, kernels.table4_b16, kernels.table4_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_table4(matrix, row, columns, out)
  }
}
