import CFurlKernels

// The codings of GGUF's blocks of 256 columns. Scales are always searched for, so none has a kernel that encodes by itself.

/// 4-bit codes with a minimum, in parts of 32: weight = d * scale * code - dmin * minimum.
enum Q4KCoding: Coding {
  static let name = "q4_k"
  static let scaleCount = 2
  static let bits = 4
  static let symbols = SymbolForm.nibbles
  static let levels = CodeLevels.uniform(.uniform(low: 0, high: 15, offset: 0, hasMinimum: true))
  static let scaleForm = ScaleForm.parts(SuperBlockForm(partColumns: 32, range: 0...63, zero: 0))
  static let blockType: SourceType? = .q4k

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int4_minimum_a8, kernels.int4_minimum_b16, kernels.int4_minimum_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int4_minimum(matrix, row, columns, out)
  }
}

/// 5-bit codes with a minimum, in parts of 32, a byte each in memory: weight = d * scale * code - dmin * minimum.
enum Q5KCoding: Coding {
  static let name = "q5_k"
  static let scaleCount = 2
  static let bits = 8
  static let symbols = SymbolForm.bytes
  static let levels = CodeLevels.uniform(.uniform(low: 0, high: 31, offset: 128, hasMinimum: true))
  static let scaleForm = ScaleForm.parts(SuperBlockForm(partColumns: 32, range: 0...63, zero: 0))
  static let blockType: SourceType? = .q5k

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int8_minimum_a8, kernels.int8_minimum_b16, kernels.int8_minimum_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int8_minimum(matrix, row, columns, out)
  }
}

/// 6-bit codes in parts of 16, a byte each in memory: weight = d * scale * (code - 32), scales of 8 bits.
enum Q6KCoding: Coding {
  static let name = "q6_k"
  static let scaleCount = 1
  static let bits = 8
  static let symbols = SymbolForm.bytes
  static let hasSignedScales = true
  static let levels = CodeLevels.uniform(.uniform(low: -32, high: 31, offset: 128))
  static let scaleForm = ScaleForm.parts(SuperBlockForm(partColumns: 16, range: -128...127, zero: 128))
  static let blockType: SourceType? = .q6k

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int8_halved_a8, kernels.int8_halved_b16, kernels.int8_halved_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int8(matrix, row, columns, out)
  }
}

/// 3-bit codes in parts of 16: weight = d * scale * (code - 4), scales of 6 bits.
enum Q3KCoding: Coding {
  static let name = "q3_k"
  static let scaleCount = 1
  static let bits = 3
  static let symbols = SymbolForm.bytes
  static let hasSignedScales = true
  static let levels = CodeLevels.uniform(.uniform(low: -4, high: 3, offset: 4))
  static let scaleForm = ScaleForm.parts(SuperBlockForm(partColumns: 16, range: -32...31, zero: 32))
  static let blockType: SourceType? = .q3k

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.int3_halved_a8, kernels.int3_halved_b16, kernels.int3_halved_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int3(matrix, row, columns, out)
  }
}

/// The 16 values of IQ4 in parts of 32: weight = d * scale * value, scales of 6 bits.
enum IQ4XSCoding: Coding {
  static let name = "iq4_xs"
  static let scaleCount = 1
  static let bits = 4
  static let symbols = SymbolForm.nibbles
  static let hasSignedScales = true
  static let levels = CodeLevels.table(.iq4)
  static let scaleForm = ScaleForm.parts(SuperBlockForm(partColumns: 32, range: -32...31, zero: 32))
  static let blockType: SourceType? = .iq4xs

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.table4_a8, kernels.table4_b16, kernels.table4_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_table4(matrix, row, columns, out)
  }
}
