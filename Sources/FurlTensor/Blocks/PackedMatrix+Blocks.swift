package import FurlBase
import CFurlKernels

/// Furl's schemes and ggml's blocks: some have the same codes and scales, only in another order.
extension Scheme {
  /// The type of blocks that holds exactly the weights of a matrix in this scheme with so many columns; nil if there
  /// is none. The scale of a longer block is repeated for each of its parts of 32 columns.
  package func blockType(columns: Int) -> SourceType? {
    if let type = coding.blockType { return columns % columnUnit == 0 ? type : nil }
    guard let block, scales == .f16, outliers == 0, columns % Tile.columns == 0 else { return nil }
    if self == .int8(block) { return .q80 }
    if self == .int4(block) { return .q40 }
    return self == .int4Minimum(block) ? .q41 : nil
  }
}

extension PackedMatrix {
  /// Some rows as FP32: [rows.count][columns].
  package func read(rows range: Range<Int>, pool: WorkerPool) -> [Float] {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    return [Float](unsafeUninitializedCapacity: range.count * columns) { buffer, count in
      // Rows do not overlap, so the threads do not meet.
      nonisolated(unsafe) let base = buffer.baseAddress
      if let base { pool.forEach(range.count) { decodeRow(range.lowerBound + $0, into: base + $0 * columns) } }
      count = range.count * columns
    }
  }

  /// Some rows in ggml's blocks, codes and scales as they are; nil when no blocks hold the same weights
  /// (``Scheme/blockType(columns:)``).
  ///
  /// - Parameter list: the rows' numbers, in the order of the result.
  package func blocks(rows list: [Int], pool: WorkerPool) -> [UInt8]? {
    guard let type = scheme.blockType(columns: columns) else { return nil }
    precondition(list.allSatisfy { $0 >= 0 && $0 < rows })
    let size = type.byteCount(columns)
    return [UInt8](unsafeUninitializedCapacity: list.count * size) { buffer, count in
      // Rows do not overlap, so the threads do not meet.
      nonisolated(unsafe) let base = UnsafeMutableRawPointer(buffer.baseAddress)
      if let base {
        pool.forEach(list.count) {
          let target = base + $0 * size
          if scheme.isFixed {
            writeFields(of: list[$0], type, to: target)
          } else {
            writeBlocks(of: list[$0], type, to: target)
          }
        }
      }
      count = list.count * size
    }
  }

  /// A block is its halves, then its codes: bytes for Q8_0, else nibbles that are paired as Furl's tiles pair them.
  private func writeBlocks(of row: Int, _ type: SourceType, to output: UnsafeMutableRawPointer) {
    let tiles = Int(matrix.column_tiles)
    let (rowTile, inside) = row.quotientAndRemainder(dividingBy: Tile.rows)
    let halves = type == .q41 ? 2 : 1
    let codeBytes = type.blockBytes - 2 * halves
    for tile in 0..<tiles {
      let target = output + tile * type.blockBytes
      let scale = (rowTile * Int(matrix.blocks) + tile / Int(matrix.block_tiles)) * Tile.rows + inside
      target.storeBytes(of: matrix.scales?[scale] ?? 0, as: UInt16.self)
      if halves == 2 { target.storeBytes(of: matrix.minimums?[scale] ?? 0, toByteOffset: 2, as: UInt16.self) }
      // Four neighbours of a row lie together, then those of the other rows.
      let source = streams[0].base + (rowTile * tiles + tile) * codeBytes * Tile.rows + inside * 4
      for group in 0..<codeBytes / 4 {
        var four = (source + group * Tile.rows * 4).loadUnaligned(as: UInt32.self)
        if type == .q80 { four ^= 0x8080_8080 }
        target.storeBytes(of: four, toByteOffset: 2 * halves + group * 4, as: UInt32.self)
      }
    }
  }
}

extension SourceType {
  /// The scheme that has the same codes and scales; nil if there is none.
  package var scheme: Scheme? {
    switch self {
    case .q80: .int8(.columns(32))
    case .q40: .int4(.columns(32))
    case .q41: .int4Minimum(.columns(32))
    default: Scheme.inBlocks.first { $0.coding.blockType == self }
    }
  }

  /// Encodes rows in blocks with the nearest codes, as ``PackedMatrix`` has them.
  ///
  /// - Parameters:
  ///   - values: [rows][columns], all finite.
  ///   - columns: a multiple of the type's block.
  /// - Returns: the rows' blocks; nil when there are weights that are too large for the halves of this type, which must
  ///   have a ``scheme``.
  package func encodeBlocks(_ values: [Float], columns: Int, pool: WorkerPool) throws -> [UInt8]? {
    precondition(columns > 0 && columns % blockSize == 0 && values.count % columns == 0 && !values.isEmpty)
    let rows = values.count / columns
    guard let scheme else { throw FurlError(.defect, "\(rawValue) has no scheme") }
    let encoder = try TileEncoder(PackedLayout(scheme: scheme, shape: [rows, columns]))
    let failures = FirstFailure()
    pool.forEach(encoder.matrix.tiles) { tile in
      let first = tile * Tile.rows
      let part = Array(values[first * columns..<min(first + Tile.rows, rows) * columns])
      if !encoder.encode(part, tile: tile) { failures.add(FurlError(.input, "is too large for \(scheme)"), at: tile) }
    }
    return failures.isEmpty ? encoder.matrix.blocks(rows: Array(0..<rows), pool: pool) : nil
  }
}

extension WeightSource {
  /// The bytes of some rows as they are stored, for a source whose rows are contiguous.
  ///
  /// - Parameter list: the rows' numbers, in the order of the result.
  /// - Throws: ``FurlError`` of kind `input` when the file cannot be read.
  package func storedBytes(rows list: [Int], with buffer: ReadBuffer) throws -> [UInt8] {
    precondition(columnStride == 1 && list.allSatisfy { $0 >= 0 && $0 < rows })
    let size = type.byteCount(columns)
    let target = try buffer.room(list.count * size)
    for (index, row) in list.enumerated() {
      let start = offset + type.byteCount(rowOrder.stored(row) * rowStride)
      try file.read(start..<start + size, into: target + index * size)
    }
    return Array(UnsafeRawBufferPointer(start: target, count: list.count * size))
  }
}
