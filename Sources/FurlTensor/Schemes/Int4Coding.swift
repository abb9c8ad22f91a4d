import CFurlKernels

/// Symmetric 4-bit codes with a signed scale, as llama.cpp's Q4_0: the value of the largest magnitude gets the
/// code 0, scale = value / -8, weight = (code - 8) * scale.
enum Int4Coding: Coding {
  static let name = "int4"
  static let scaleCount = 1
  static let tileBytes = Tile.rows * Tile.columns / 2
  static let symbols = SymbolForm.nibbles
  static let takesIntegers = true
  static let zeroCode: UInt8 = 8

  static func encode(_ values: UnsafeBufferPointer<Float>, _ codes: UnsafeMutablePointer<UInt8>) -> BlockScale? {
    var largest: Float = 0
    for value in values where abs(value) > abs(largest) { largest = value }
    guard let half = BlockScale.half(largest / -8) else { return nil }
    let scale = furl_float_from_half(half)
    guard scale != 0 else {
      for index in values.indices { codes[index] = zeroCode }
      return .zero
    }
    for (index, value) in values.enumerated() { codes[index] = UInt8((value / scale).code(-8...7) + 8) }
    return BlockScale(scale: half)
  }

  static func pack(_ codes: UnsafePointer<UInt8>, stride: Int, into tile: UnsafeMutableRawPointer) {
    packNibbles(codes, stride: stride, into: tile)
  }

  static func multiply(_ kernels: furl_kernels, integers: Bool) -> furl_multiply {
    integers ? kernels.int4_a8 : kernels.int4_a32
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int4(matrix, row, columns, out)
  }
}

/// 4-bit codes with a minimum, as llama.cpp's Q4_1: scale = (max - min) / 15, weight = code * scale + minimum.
enum Int4MinimumCoding: Coding {
  static let name = "int4-minimum"
  static let scaleCount = 2
  static let tileBytes = Int4Coding.tileBytes
  static let symbols = SymbolForm.nibbles
  static let takesIntegers = true
  static let zeroCode: UInt8 = 0

  static func encode(_ values: UnsafeBufferPointer<Float>, _ codes: UnsafeMutablePointer<UInt8>) -> BlockScale? {
    let least = values.min() ?? 0
    let largest = values.max() ?? 0
    // The difference of two finite floats may overflow; half of it cannot.
    guard let minimum = BlockScale.half(least), let half = BlockScale.half((largest / 2 - least / 2) / 7.5) else {
      return nil
    }
    let scale = furl_float_from_half(half)
    let offset = furl_float_from_half(minimum)
    for (index, value) in values.enumerated() {
      codes[index] = scale > 0 ? UInt8(((value - offset) / scale).code(0...15)) : 0
    }
    return BlockScale(scale: half, minimum: minimum)
  }

  static func pack(_ codes: UnsafePointer<UInt8>, stride: Int, into tile: UnsafeMutableRawPointer) {
    packNibbles(codes, stride: stride, into: tile)
  }

  static func multiply(_ kernels: furl_kernels, integers: Bool) -> furl_multiply {
    integers ? kernels.int4_minimum_a8 : kernels.int4_minimum_a32
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int4_minimum(matrix, row, columns, out)
  }
}

/// Columns 0...15 of a tile go to the low halves of its bytes, columns 16...31 to the high halves.
private func packNibbles(_ codes: UnsafePointer<UInt8>, stride: Int, into tile: UnsafeMutableRawPointer) {
  let output = tile.assumingMemoryBound(to: UInt8.self)
  for row in 0..<Tile.rows {
    for column in 0..<16 {
      let low = codes[row * stride + column]
      let high = codes[row * stride + column + 16]
      output[(column / 4) * 64 + row * 4 + column % 4] = low | high << 4
    }
  }
}
