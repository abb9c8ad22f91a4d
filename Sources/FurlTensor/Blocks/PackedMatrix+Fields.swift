import FurlBase
import CFurlKernels

/// Matrices of schemes that are GGUF's blocks, block by block: the same codes and scales in both, in another order.
extension PackedMatrix {
  /// What codes are stored as, counted from 0.
  private var firstCode: UInt8 {
    if case .uniform(let grid) = scheme.coding.levels { UInt8(grid.offset + grid.low) } else { 0 }
  }

  /// Writes a row in blocks of the scheme's type.
  func writeFields(of row: Int, _ type: SourceType, to output: UnsafeMutableRawPointer) {
    let form = scheme.superBlock
    let (tile, lane) = row.quotientAndRemainder(dividingBy: Tile.rows)
    let size = type.blockSize
    let parts = form?.parts ?? 1
    let first = firstCode
    for index in 0..<columns / size {
      var fields = BlockFields(
        codes: (0..<size).map { code(tile, lane, index * size + $0) &- first })
      for part in 0..<parts {
        let place = (tile * Int(matrix.blocks) + index * parts + part) * Tile.rows + lane
        if let codes = matrix.scale_codes {
          fields.scales.append(type == .q6k ? codes[place] ^ 0x80 : codes[place])
        } else {
          fields.unit = matrix.scales?[place] ?? 0
        }
        if let codes = matrix.minimum_codes {
          fields.minimums.append(UInt8(SuperBlockForm.minimumZero) &- codes[place])
        } else {
          fields.minimumUnit = matrix.minimums?[place] ?? 0
        }
      }
      let place = (tile * (columns / size) + index) * Tile.rows + lane
      if let halves = matrix.super_scales { fields.unit = halves[place] }
      if let halves = matrix.super_minimums { fields.minimumUnit = halves[place] }
      fields.write(type, to: (output + index * type.blockBytes).assumingMemoryBound(to: UInt8.self))
    }
  }

  /// The stored code of one weight: of a row of a row tile.
  func code(_ tile: Int, _ lane: Int, _ column: Int) -> UInt8 {
    let bits = codeBits
    let (column, inside) = column.quotientAndRemainder(dividingBy: Tile.columns)
    let base = streams[0].base + (tile * Int(matrix.column_tiles) + column) * tileBytes
    let bytes = base.assumingMemoryBound(to: UInt8.self) + (lane * 4 + inside % 4)
    let group = inside / 4
    switch bits {
    case 8: return bytes[group * 64]
    case 4, 5, 6:
      let low = bytes[group % 4 * 64] >> UInt8(group / 4 * 4) & 15
      let above = bytes + 256
      if bits == 4 { return low }
      if bits == 5 { return low | (above[0] >> UInt8(group) & 1) << 4 }
      return low | (above[group % 2 * 64] >> UInt8(group / 2 * 2) & 3) << 4
    default:
      let low = bytes[group % 2 * 64] >> UInt8(group / 2 * 2) & 3
      return bits == 3 ? low | (bytes[128] >> UInt8(group) & 1) << 2 : low
    }
  }

  /// Takes GGUF's blocks over as they are.
  ///
  /// - Parameters:
  ///   - scheme: one whose blocks are GGUF's (``Scheme/isFixed``).
  ///   - blocks: row by row, as many bytes as rows and columns take.
  /// - Throws: ``FurlError`` of kind `input` for columns that are not whole blocks, `defect` for another number of bytes,
  ///   `unavailable` when there is no memory.
  package static func taking(_ blocks: [UInt8], scheme: Scheme, rows: Int, columns: Int) throws -> PackedMatrix {
    let layout = try PackedLayout(scheme: scheme, shape: [rows, columns])
    guard let type = scheme.coding.blockType, blocks.count == rows * type.byteCount(columns) else {
      throw FurlError(.defect, "\(blocks.count) bytes are not the blocks of a matrix in \(scheme)")
    }
    let matrix = try TileEncoder(layout).matrix
    for tile in 0..<matrix.tiles {
      let range = tile * Tile.rows..<min((tile + 1) * Tile.rows, rows)
      let size = type.byteCount(columns)
      let own = Array(blocks[range.lowerBound * size..<range.upperBound * size])
      // Scales that are not finite, too.
      _ = matrix.take(own, type: type, rows: range.count, tile: tile)
    }
    return matrix
  }

  /// Stores the blocks of the 16 rows of a row tile.
  func put(_ fields: [BlockFields], _ type: SourceType, tile: Int, index: Int) {
    let size = type.blockSize
    let parts = scheme.superBlock?.parts ?? 1
    let first = firstCode
    let (scales, minimums) = (target(.scales), target(.minimums))
    let (units, minimumUnits) = (target(.factors), target(.minimumFactors))
    let isByte = scheme.hasScaleCodes
    for (lane, fields) in fields.enumerated() {
      for part in 0..<parts {
        let place = (tile * Int(matrix.blocks) + index * parts + part) * Tile.rows + lane
        if isByte {
          let byte = type == .q6k ? fields.scales[part] ^ 0x80 : fields.scales[part]
          scales?.storeBytes(of: byte, toByteOffset: place, as: UInt8.self)
          guard let minimums else { continue }
          let drop = UInt8(SuperBlockForm.minimumZero) &- fields.minimums[part]
          minimums.storeBytes(of: drop, toByteOffset: place, as: UInt8.self)
        } else {
          scales?.storeBytes(of: fields.unit, toByteOffset: 2 * place, as: UInt16.self)
          minimums?.storeBytes(of: fields.minimumUnit, toByteOffset: 2 * place, as: UInt16.self)
        }
      }
      let place = (tile * (columns / size) + index) * Tile.rows + lane
      units?.storeBytes(of: fields.unit, toByteOffset: 2 * place, as: UInt16.self)
      minimumUnits?.storeBytes(of: fields.minimumUnit, toByteOffset: 2 * place, as: UInt16.self)
    }
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: size * Tile.rows) { codes in
      guard let base = codes.baseAddress else { return }
      for (lane, fields) in fields.enumerated() {
        fields.codes.withUnsafeBufferPointer { own in
          for column in 0..<size { base[column * Tile.rows + lane] = own[column] &+ first }
        }
      }
      for column in 0..<size / Tile.columns {
        pack(
          base + column * Tile.columns * Tile.rows, columns: Tile.columns, tile: tile,
          column: index * size / Tile.columns + column)
      }
    }
  }

  /// What a block of a row that there is not has: the code of zero, and a scale of zero.
  func emptyFields(_ type: SourceType) -> BlockFields {
    let parts = scheme.superBlock?.parts ?? 1
    var fields = BlockFields(codes: Array(repeating: zeroCode &- firstCode, count: type.blockSize))
    fields.scales = Array(repeating: 0, count: parts)
    fields.minimums = fields.scales
    return fields
  }
}
