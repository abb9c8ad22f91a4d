import FurlBase
import CFurlKernels

/// Takes the codes and scales of stored weights over as they are, a row tile at a time; tiles are independent.
struct CodeTaker: Sendable {
  private let source: WeightSource
  private let matrix: PackedMatrix

  /// - Parameter matrix: in the scheme that holds the source's codes (``WeightSource/holding()``).
  init(_ source: WeightSource, into matrix: PackedMatrix) {
    self.source = source
    self.matrix = matrix
  }

  /// Fills a row tile.
  ///
  /// - Returns: false when a scale is not finite.
  /// - Throws: ``FurlError`` of kind `input` when the file cannot be read.
  func take(tile: Int, with buffer: ReadBuffer) throws -> Bool {
    let rows = tile * Tile.rows..<min((tile + 1) * Tile.rows, matrix.rows)
    guard let coded = source.coded else {
      let bytes = try source.storedBytes(rows: Array(rows), with: buffer)
      return matrix.take(bytes, type: source.type, rows: rows.count, tile: tile)
    }
    guard let holder = coded.matrix as? any CodeHolder else { throw FurlError(.defect, "has no codes to take") }
    return take(rows, of: holder, coded, tile: tile)
  }

  private func take(_ rows: Range<Int>, of holder: any CodeHolder, _ coded: CodedRows, tile: Int) -> Bool {
    let (width, group) = (holder.columns, holder.groupColumns)
    let groups = (width - 1) / group + 1
    let (codeCount, scaleCount) = (Tile.rows * width, Tile.rows * groups)
    return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: codeCount) { codes in
      withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 2 * scaleCount) { halves in
        guard let codes = codes.baseAddress, let halves = halves.baseAddress else { return false }
        for (lane, row) in rows.enumerated() {
          let stored = coded.firstRow + source.rowOrder.stored(row)
          holder.take(
            rows: stored..<stored + 1,
            into: HeldRows(
              codes: codes + lane * width, scales: halves + lane * groups,
              minimums: halves + scaleCount + lane * groups))
        }
        let whole = HeldRows(codes: codes, scales: halves, minimums: halves + scaleCount)
        return store(whole, rows.count, (width, group, groups), firstColumn: coded.firstColumn, tile: tile)
      }
    }
  }

  /// Stores rows that have been read.
  private func store(
    _ held: HeldRows, _ count: Int, _ form: (width: Int, group: Int, groups: Int), firstColumn: Int, tile: Int
  ) -> Bool {
    let blocks = Int(matrix.matrix.blocks)
    let size = if case .columns(let size) = matrix.scheme.block { size } else { form.width }
    let isByte = matrix.scheme.hasScaleCodes
    let (scales, minimums) = (matrix.target(.scales), matrix.target(.minimums))
    for block in 0..<blocks {
      let group = (firstColumn + block * size) / form.group
      for lane in 0..<Tile.rows {
        let place = (tile * blocks + block) * Tile.rows + lane
        let scale = lane < count ? held.scales[lane * form.groups + group] : 0
        let minimum = lane < count ? held.minimums[lane * form.groups + group] : 0
        guard isByte || ExactHalf.isFinite(scale) else { return false }
        if isByte {
          scales?.storeBytes(of: UInt8(truncatingIfNeeded: scale), toByteOffset: place, as: UInt8.self)
        } else {
          scales?.storeBytes(of: scale, toByteOffset: 2 * place, as: UInt16.self)
        }
        guard let minimums else { continue }
        guard ExactHalf.isFinite(minimum) else { return false }
        minimums.storeBytes(of: minimum, toByteOffset: 2 * place, as: UInt16.self)
      }
    }
    let zero = matrix.zeroCode
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Tile.columns * Tile.rows) { turned in
      guard let turned = turned.baseAddress else { return }
      for column in 0..<Int(matrix.matrix.column_tiles) {
        let first = column * Tile.columns
        let columns = min(Tile.columns, matrix.columns - first)
        turned.update(repeating: zero, count: Tile.columns * Tile.rows)
        for lane in 0..<count {
          let codes = held.codes + lane * form.width + firstColumn + first
          for index in 0..<columns { turned[index * Tile.rows + lane] = codes[index] }
        }
        matrix.pack(turned, columns: columns, tile: tile, column: column)
      }
    }
    return true
  }
}

extension PackedMatrix {
  /// Packs codes of up to 32 columns of a row tile, [columns][16].
  func pack(_ codes: UnsafePointer<UInt8>, columns: Int, tile: Int, column: Int) {
    let place = tile * Int(matrix.column_tiles) + column
    furl_pack_tile(
      Int32(codeBits), codes, Tile.rows, columns, zeroCode,
      (streams[0].base + place * tileBytes).assumingMemoryBound(to: UInt8.self))
  }

  /// Takes over the rows of a row tile in GGUF's blocks.
  ///
  /// - Parameter bytes: row by row, in blocks of the type that the scheme has.
  /// - Returns: false when a scale is not finite.
  func take(_ bytes: [UInt8], type: SourceType, rows: Int, tile: Int) -> Bool {
    let rowBytes = type.byteCount(columns)
    precondition(bytes.count == rows * rowBytes && rows <= Tile.rows)
    return bytes.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return false }
      guard scheme.isFixed else { return takePlain(base, type, rows: rows, rowBytes: rowBytes, tile: tile) }
      let missing = Array(repeating: emptyFields(type), count: Tile.rows - rows)
      var isFinite = true
      for index in 0..<columns / type.blockSize {
        let fields = (0..<rows).map { BlockFields(base + $0 * rowBytes + index * type.blockBytes, type) } + missing
        put(fields, type, tile: tile, index: index)
        isFinite =
          isFinite && fields.allSatisfy { ExactHalf.isFinite($0.unit) && ExactHalf.isFinite($0.minimumUnit) }
      }
      return isFinite
    }
  }

  /// Blocks that are halves, then codes: bytes for Q8_0, else nibbles that are paired as Furl's tiles pair them.
  private func takePlain(
    _ rowsOfBytes: UnsafePointer<UInt8>, _ type: SourceType, rows: Int, rowBytes: Int, tile: Int
  ) -> Bool {
    let tiles = Int(matrix.column_tiles)
    let halves = type == .q41 ? 2 : 1
    let codeBytes = type.blockBytes - 2 * halves
    let start = streams[0].base + tile * tiles * codeBytes * Tile.rows
    // Of rows that there are not, too.
    let zero = zeroCode
    start.initializeMemory(
      as: UInt8.self, repeating: codeBits == 8 ? zero : zero * 0x11, count: tiles * codeBytes * Tile.rows)
    let targets = [PackedLayout.StreamKind.scales, .minimums].prefix(halves).map { target($0) }
    var isFinite = true
    for lane in 0..<Tile.rows {
      for block in 0..<tiles {
        let source = UnsafeRawPointer(rowsOfBytes + min(lane, rows - 1) * rowBytes + block * type.blockBytes)
        let place = (tile * tiles + block) * Tile.rows + lane
        for half in 0..<halves {
          let bits = lane < rows ? source.loadUnaligned(fromByteOffset: 2 * half, as: UInt16.self) : 0
          isFinite = isFinite && ExactHalf.isFinite(bits)
          targets[half]?.storeBytes(of: bits, toByteOffset: 2 * place, as: UInt16.self)
        }
        guard lane < rows else { continue }
        let target = start + block * codeBytes * Tile.rows + lane * 4
        for group in 0..<codeBytes / 4 {
          var four = source.loadUnaligned(fromByteOffset: 2 * halves + group * 4, as: UInt32.self)
          if type == .q80 { four ^= 0x8080_8080 }
          target.storeBytes(of: four, toByteOffset: group * Tile.rows * 4, as: UInt32.self)
        }
      }
    }
    return isFinite
  }
}
