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

  /// The stored code of one weight.
  private func code(_ tile: Int, _ lane: Int, _ column: Int) -> UInt8 {
    let bits = scheme.coding.bits
    let (column, inside) = column.quotientAndRemainder(dividingBy: Tile.columns)
    let base = streams[0].base + (tile * Int(matrix.column_tiles) + column) * scheme.coding.tileBytes
    let bytes = base.assumingMemoryBound(to: UInt8.self) + (lane * 4 + inside % 4)
    let group = inside / 4
    switch bits {
    case 8: return bytes[group * 64]
    case 4: return bytes[group % 4 * 64] >> UInt8(group / 4 * 4) & 15
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
    for stream in matrix.streams { stream.base.initializeMemory(as: UInt8.self, repeating: 0, count: stream.count) }
    let size = type.blockSize
    blocks.withUnsafeBufferPointer { bytes in
      for tile in 0..<matrix.tiles {
        for index in 0..<columns / size {
          let fields = (tile * Tile.rows..<min((tile + 1) * Tile.rows, rows)).map { row in
            BlockFields(bytes.baseAddress! + row * type.byteCount(columns) + index * type.blockBytes, type)
          }
          matrix.put(fields, type, tile: tile, index: index)
        }
      }
    }
    return matrix
  }

  /// Stores the blocks of the rows of a row tile.
  private func put(_ fields: [BlockFields], _ type: SourceType, tile: Int, index: Int) {
    let size = type.blockSize
    let parts = scheme.superBlock?.parts ?? 1
    let first = firstCode
    var codes = [UInt8](repeating: first, count: size * Tile.rows)
    func store(_ half: UInt16, _ kind: PackedLayout.StreamKind, _ place: Int) {
      target(kind)?.storeBytes(of: half, toByteOffset: 2 * place, as: UInt16.self)
    }
    for (lane, fields) in fields.enumerated() {
      for (column, code) in fields.codes.enumerated() { codes[column * Tile.rows + lane] = code &+ first }
      for part in 0..<parts {
        let place = (tile * Int(matrix.blocks) + index * parts + part) * Tile.rows + lane
        if scheme.hasScaleCodes {
          let byte = type == .q6k ? fields.scales[part] ^ 0x80 : fields.scales[part]
          target(.scales)?.storeBytes(of: byte, toByteOffset: place, as: UInt8.self)
          if !fields.minimums.isEmpty {
            let drop = UInt8(SuperBlockForm.minimumZero) &- fields.minimums[part]
            target(.minimums)?.storeBytes(of: drop, toByteOffset: place, as: UInt8.self)
          }
        } else {
          store(fields.unit, .scales, place)
          store(fields.minimumUnit, .minimums, place)
        }
      }
      let place = (tile * (columns / size) + index) * Tile.rows + lane
      store(fields.unit, .factors, place)
      store(fields.minimumUnit, .minimumFactors, place)
    }
    let bytes = scheme.coding.tileBytes
    for column in 0..<size / Tile.columns {
      let place = tile * Int(matrix.column_tiles) + index * size / Tile.columns + column
      codes.withUnsafeBufferPointer { codes in
        furl_pack_tile(
          Int32(scheme.coding.bits), codes.baseAddress! + column * Tile.columns * Tile.rows, Tile.rows, Tile.columns,
          first, (streams[0].base + place * bytes).assumingMemoryBound(to: UInt8.self))
      }
    }
  }
}
