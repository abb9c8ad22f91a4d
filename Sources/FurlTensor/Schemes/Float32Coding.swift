import CFurlKernels

/// Weights as they are. The "codes" of a tile are its 512 floats.
enum Float32Coding: Coding {
  static let name = "float32"
  static let scaleCount = 0
  static let bits = 32
  static let symbols = SymbolForm.floats
  static let takesIntegers = false
  static let levels = CodeLevels.none

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_float32 }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply { kernels.float32 }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_float32(matrix, row, columns, out)
  }
}
