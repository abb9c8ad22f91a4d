import CFurlKernels

/// Blocks of 32 weights of one row as ggml lays them out, each behind its own scale: what GGUF files hold.
///
/// Source: ggml's `block_q8_0`, `block_q4_0` and `block_q4_1`. Every one has the codes and the scales of a scheme of
/// Furl's in another order, so that a matrix in that scheme is taken over without a change of any weight.
public enum BlockType: String, Sendable, Hashable, CaseIterable {
  /// A half d, then 32 signed codes q: weight = q * d.
  case q8_0
  /// A half d, then 16 bytes: weight = (q - 8) * d, the low halves for columns 0...15, the high ones for 16...31.
  case q4_0
  /// Halves d and m, then 16 bytes as in `q4_0`: weight = q * d + m.
  case q4_1

  /// Weights in a block.
  public static let columns = Tile.columns

  /// The scheme with the same codes and scales.
  public var scheme: Scheme {
    switch self {
    case .q8_0: .int8(.columns(BlockType.columns))
    case .q4_0: .int4(.columns(BlockType.columns))
    case .q4_1: .int4Minimum(.columns(BlockType.columns))
    }
  }

  /// Bytes of a block.
  public var blockBytes: Int { scaleBytes + codeBytes }

  var scaleBytes: Int { self == .q4_1 ? 4 : 2 }
  var codeBytes: Int { self == .q8_0 ? BlockType.columns : BlockType.columns / 2 }

  /// Bytes of a row of so many columns, a multiple of 32.
  public func rowBytes(columns: Int) -> Int { columns / BlockType.columns * blockBytes }

  /// Encodes rows with the nearest codes, as ``PackedMatrix/encode(_:scheme:pool:)`` does in ``scheme``.
  ///
  /// - Parameters:
  ///   - values: [rows][columns], all finite.
  ///   - columns: a multiple of 32.
  /// - Returns: the rows' blocks.
  /// - Throws: ``FurlError`` of kind `input` with the row (counted in `values`) whose weights are too large for a half.
  public func encode(_ values: [Float], columns: Int, pool: WorkerPool) throws -> [UInt8] {
    precondition(columns > 0 && columns % BlockType.columns == 0 && values.count % columns == 0)
    let rows = values.count / columns
    let layout = try PackedLayout(scheme: scheme, shape: [rows, columns])
    let encoder = try TileEncoder(layout)
    let failures = FirstFailure()
    pool.forEach(encoder.matrix.tiles) { tile in
      let first = tile * Tile.rows
      let part = Array(values[first * columns..<min(first + Tile.rows, rows) * columns])
      if !encoder.encode(part, tile: tile) {
        let bad = encoder.firstBadBlock(part)?.row ?? 0
        failures.add(FurlError.input(nil, "row \(first + bad) has values too large for \(rawValue)"), at: tile)
      }
    }
    try failures.rethrow()
    return encoder.matrix.blocks(rows: Array(0..<rows), pool: pool) ?? []
  }

  /// Writes a block's halves.
  func store(_ scale: UInt16, _ minimum: UInt16, at target: UnsafeMutableRawPointer) {
    target.storeBytes(of: scale.littleEndian, as: UInt16.self)
    if self == .q4_1 { target.storeBytes(of: minimum.littleEndian, toByteOffset: 2, as: UInt16.self) }
  }

  /// The bytes of some rows, each filled in by `body` from its first byte on.
  func rowByRow(
    _ rows: Int, columns: Int, pool: WorkerPool, _ body: (Int, UnsafeMutableRawPointer) -> Void
  ) -> [UInt8] {
    let size = rowBytes(columns: columns)
    return [UInt8](unsafeUninitializedCapacity: rows * size) { buffer, count in
      // Rows do not overlap, so the threads do not meet.
      nonisolated(unsafe) let base = UnsafeMutableRawPointer(buffer.baseAddress)
      if let base { pool.forEach(rows) { body($0, base + $0 * size) } }
      count = rows * size
    }
  }
}

extension Scheme {
  /// The block type that holds exactly the weights of a matrix in this scheme, with so many columns; nil if there
  /// is none. A scale of a longer block is repeated for each of its parts of 32 columns.
  public func blockType(columns: Int) -> BlockType? {
    guard columns % BlockType.columns == 0 else { return nil }
    return BlockType.allCases.first { $0.scheme.codingName == codingName }
  }
}
