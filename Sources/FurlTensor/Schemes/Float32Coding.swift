import CFurlKernels

/// Weights as they are. The "codes" of a tile are its 512 floats.
enum Float32Coding: Coding {
  static let name = "float32"
  static let scaleCount = 0
  static let tileBytes = Tile.rows * Tile.columns * 4
  static let symbols = SymbolForm.floats
  static let takesIntegers = false
  static let zeroCode: UInt8 = 0

  // Floats are packed without codes in between: PackedMatrix.encode copies them.
  static func encode(_ values: UnsafeBufferPointer<Float>, _ codes: UnsafeMutablePointer<UInt8>) -> BlockScale? {
    .zero
  }

  /// `codes` are floats here, `stride` bytes apart from row to row: [32 columns][16 rows] in the tile.
  static func pack(_ codes: UnsafePointer<UInt8>, stride: Int, into tile: UnsafeMutableRawPointer) {
    let output = tile.assumingMemoryBound(to: Float.self)
    for row in 0..<Tile.rows {
      let input = UnsafeRawPointer(codes + row * stride).assumingMemoryBound(to: Float.self)
      for column in 0..<Tile.columns { output[column * Tile.rows + row] = input[column] }
    }
  }

  static func multiply(_ kernels: furl_kernels, integers: Bool) -> furl_multiply { kernels.float32 }

  static func row(_ matrix: UnsafePointer<furl_matrix>, _ row: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>)
  {
    furl_row_float32(matrix, row, columns, out)
  }
}
