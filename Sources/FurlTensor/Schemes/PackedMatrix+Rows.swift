import CFurlKernels

extension PackedMatrix {
  /// Some rows as FP32: [rows.count][columns].
  public func read(rows range: Range<Int>, pool: WorkerPool) -> [Float] {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    return [Float](unsafeUninitializedCapacity: range.count * columns) { buffer, count in
      // Rows do not overlap, so the threads do not meet.
      nonisolated(unsafe) let base = buffer.baseAddress
      if let base { pool.forEach(range.count) { decodeRow(range.lowerBound + $0, into: base + $0 * columns) } }
      count = range.count * columns
    }
  }

  /// Some rows in ggml's blocks, codes and scales as they are; nil when no block type holds the same weights
  /// (``Scheme/blockType(columns:)``).
  ///
  /// - Parameter rows: their numbers, in the order of the result.
  public func blocks(rows: [Int], pool: WorkerPool) -> [UInt8]? {
    guard let type = scheme.blockType(columns: columns) else { return nil }
    precondition(rows.allSatisfy { $0 >= 0 && $0 < self.rows })
    return type.rowByRow(rows.count, columns: columns, pool: pool) { writeBlocks(of: rows[$0], type, to: $1) }
  }

  private func writeBlocks(of row: Int, _ type: BlockType, to output: UnsafeMutableRawPointer) {
    let tiles = Int(matrix.column_tiles)
    let (rowTile, inside) = row.quotientAndRemainder(dividingBy: Tile.rows)
    let tileBytes = type.codeBytes * Tile.rows
    for tile in 0..<tiles {
      let target = output + tile * type.blockBytes
      let scale = (rowTile * Int(matrix.blocks) + tile / Int(matrix.block_tiles)) * Tile.rows + inside
      type.store(matrix.scales?[scale] ?? 0, matrix.minimums?[scale] ?? 0, at: target)
      // Four neighbours of a row lie together, then those of the other rows. Nibbles are paired as ggml pairs them.
      let source = streams[0].base + (rowTile * tiles + tile) * tileBytes + inside * 4
      let codes = target + type.scaleBytes
      for group in 0..<type.codeBytes / 4 {
        var four = (source + group * Tile.rows * 4).loadUnaligned(as: UInt32.self)
        if type == .q8_0 { four ^= 0x8080_8080 }
        codes.storeBytes(of: four, toByteOffset: group * 4, as: UInt32.self)
      }
    }
  }
}
