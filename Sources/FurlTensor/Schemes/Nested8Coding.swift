import CFurlKernels

/// 8 bits in two planes: 4-bit codes that are a model of their own, and the remainders that make 8 bits of them.
///
/// weight = (10 * (code - 8) + remainder - 8) * scale / 10, so that remainders reach 0.8 of a step of the codes: those need
/// not be the nearest. The first plane, with the same scales, is `int4`
/// (``PackedMatrix/firstPlane``); what reads both reads as many bytes as of `int8`.
enum Nested8Coding: Coding {
  static let name = "nested8"
  static let scaleCount = 1
  /// Of each plane.
  static let bits = 4
  static let symbols = SymbolForm.nibbles
  static let hasSignedScales = true
  /// Of the first plane.
  static let levels = CodeLevels.uniform(.uniform(low: -8, high: 7, offset: 8))
  static let firstPlane: (any Coding.Type)? = Int4Coding.self

  static func encode(_ kernels: furl_kernels) -> furl_encode? { kernels.encode_nested8 }

  static func multiply(_ kernels: furl_kernels, for form: ActivationForm) -> furl_multiply {
    form.kernel(kernels.nested8_a8, kernels.nested8_b16, kernels.nested8_a32)
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_nested8(matrix, row, columns, out)
  }
}

extension Scheme {
  /// The scheme of the first plane of codes in two planes; nil of other schemes.
  package var firstPlane: Scheme? {
    guard let coding = coding.firstPlane, let block else { return nil }
    return Scheme(coding: coding, block: block, scales: scales)
  }
}

extension PackedMatrix {
  /// The first plane of codes in two planes: a matrix of fewer bits in the same memory; nil in other schemes.
  package var firstPlane: PackedMatrix? {
    guard let scheme = scheme.firstPlane, let layout = try? PackedLayout(scheme: scheme, shape: layout.shape) else {
      return nil
    }
    let own = zip(self.layout.streams, streams).filter { $0.0.kind != .remainders }.map(\.1)
    return try? PackedMatrix(layout: layout, streams: own)
  }
}
