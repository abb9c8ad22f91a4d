import CFurlKernels

/// Symmetric 8-bit codes: scale = absmax / 127, weight = (code - 128) * scale, codes 1...255.
enum Int8Coding: Coding {
  static let name = "int8"
  static let scaleCount = 1
  static let tileBytes = Tile.rows * Tile.columns
  static let symbols = SymbolForm.bytes
  static let takesIntegers = true
  static let zeroCode: UInt8 = 128

  static func encode(_ values: UnsafeBufferPointer<Float>, _ codes: UnsafeMutablePointer<UInt8>) -> BlockScale? {
    let largest = values.reduce(0) { max($0, abs($1)) }
    guard let half = BlockScale.half(largest / 127) else { return nil }
    let scale = furl_float_from_half(half)
    guard scale > 0 else {
      for index in values.indices { codes[index] = zeroCode }
      return .zero
    }
    for (index, value) in values.enumerated() { codes[index] = UInt8((value / scale).code(-127...127) + 128) }
    return BlockScale(scale: half)
  }

  static func pack(_ codes: UnsafePointer<UInt8>, stride: Int, into tile: UnsafeMutableRawPointer) {
    let output = tile.assumingMemoryBound(to: UInt8.self)
    for row in 0..<Tile.rows {
      for column in 0..<Tile.columns {
        output[(column / 4) * 64 + row * 4 + column % 4] = codes[row * stride + column]
      }
    }
  }

  static func multiply(_ kernels: furl_kernels, integers: Bool) -> furl_multiply {
    integers ? kernels.int8_a8 : kernels.int8_a32
  }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_int8(matrix, row, columns, out)
  }
}
