import CFurlKernels

/// Encodes rows of weights into the row tiles of a matrix; tiles are independent.
struct TileEncoder: @unchecked Sendable {
  let matrix: PackedMatrix
  private let kernel: furl_encode

  /// - Parameter memory: where the matrix's memory comes from, and goes back to.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory for the codes.
  init(_ layout: PackedLayout, memory: StoragePool? = nil) throws {
    // A tile is written as a whole, padding included, so it does not matter what was there.
    let streams = try layout.streams.map { stream in
      try memory.map { try ByteStorage(stream.byteCount, from: $0) }
        ?? ByteStorage(zeroed: stream.byteCount, isDense: true)
    }
    matrix = try PackedMatrix(layout: layout, streams: streams)
    kernel = layout.scheme.coding.encode(Kernels.forEncoding.table)
  }

  /// Encodes one row tile.
  ///
  /// - Parameter rows: at most 16, as long as the matrix's.
  /// - Returns: false when a weight is not finite or a block does not fit in a half.
  func encode(_ rows: furl_rows, tile: Int) -> Bool {
    let layout = matrix.matrix
    let tiles = Int(layout.column_tiles)
    let halves = tile * Int(layout.blocks) * Tile.rows
    func start(_ stream: Int) -> UnsafeMutablePointer<UInt16>? {
      guard stream < matrix.streams.count else { return nil }
      return matrix.streams[stream].base.assumingMemoryBound(to: UInt16.self) + halves
    }
    var rows = rows
    var target = furl_row_tile(
      codes: matrix.streams[0].base + tile * tiles * matrix.scheme.coding.tileBytes, scales: start(1),
      minimums: start(2), column_tiles: tiles, block_tiles: layout.block_tiles, blocks: layout.blocks)
    return kernel(&rows, &target)
  }

  /// The same with weights in memory, [rows][columns].
  func encode(_ weights: [Float], tile: Int) -> Bool {
    weights.withUnsafeBufferPointer { weights in
      encode(
        furl_rows(
          numbers: weights.baseAddress!, type: FURL_FLOAT32, stride: matrix.columns,
          rows: weights.count / matrix.columns, columns: matrix.columns), tile: tile)
    }
  }

  /// The first block of finite weights, [rows][columns], whose scale or minimum does not fit in a half.
  func firstBadBlock(_ weights: [Float]) -> (row: Int, columns: Range<Int>)? {
    let columns = matrix.columns
    let size = Int(matrix.matrix.block_tiles) * Tile.columns
    for row in 0..<weights.count / columns {
      for start in stride(from: 0, to: columns, by: size) {
        let block = start..<min(start + size, columns)
        let values = Array(weights[row * columns + block.lowerBound..<row * columns + block.upperBound])
        guard let layout = try? PackedLayout(scheme: matrix.scheme, shape: [1, values.count]),
          let single = try? TileEncoder(layout), single.encode(values, tile: 0)
        else { return (row, block) }
      }
    }
    return nil
  }
}
