import FurlBase
import CFurlKernels

/// Encodes row tiles of a scheme whose blocks have one form: scales are searched for, and codes are the nearest.
package struct BlockEncoder: @unchecked Sendable {
  private let matrix: PackedMatrix
  private let search: ScaleSearch
  private let grid: furl_grid
  private let kernels = Kernels.forEncoding.table
  /// Bits of a code, and bytes of a tile.
  private let bits: Int
  private let tileBytes: Int
  /// Columns whose scales are chosen together, and those that share one.
  package let columns: Int
  package let partColumns: Int

  /// - Throws: ``FurlError`` of kind `defect` for a scheme of blocks of any size.
  package init(_ matrix: PackedMatrix) throws {
    guard matrix.scheme.isFixed else { throw matrix.scheme.noCodes }
    self.matrix = matrix
    search = try ScaleSearch(matrix, kernels: kernels)
    let coding = matrix.scheme.coding
    (bits, tileBytes) = (coding.bits, coding.tileBytes)
    (columns, partColumns) = (matrix.scheme.columnUnit, coding.superBlock?.partColumns ?? Tile.columns)
    switch matrix.scheme.coding.levels {
    case .uniform(let uniform): grid = uniform
    case .none, .table, .learned:
      guard let table = matrix.table else { throw matrix.scheme.noCodes }
      grid = table.grid.pointee
    }
  }

  /// Chooses the scales of a block, or of a super-block, and stores them.
  ///
  /// - Parameters:
  ///   - values: [columns][stride], of each stride the first 16: the rows of a row tile.
  ///   - weights: [columns]: what squared errors count.
  ///   - parts: the places of every part among `values`, in the order of the matrix's columns.
  ///   - index: of the block in its row.
  /// - Returns: nil when a number is not finite, or no half can be a scale.
  package func choose(
    _ values: UnsafePointer<Float>, stride: Int, weights: UnsafePointer<Float>, parts: [Range<Int>], tile: Int,
    index: Int
  ) -> ChosenScales? {
    let chosen = search.choose(ScaleSearch.LaneBlock(values: values, stride: stride, weights: weights), parts: parts)
    guard let chosen else { return nil }
    for part in parts.indices {
      let place = (tile * Int(matrix.matrix.blocks) + index * parts.count + part) * Tile.rows
      if let target = matrix.target(.scales) {
        if chosen.codes.isEmpty {
          store(halves: chosen.scales[part], to: target, place)
        } else {
          store(chosen.codes[part], to: target, place)
        }
      }
      if let target = matrix.target(.minimums) {
        if chosen.minimumCodes.isEmpty {
          store(halves: chosen.minimums[part], to: target, place)
        } else {
          store(chosen.minimumCodes[part], to: target, place)
        }
      }
    }
    let place = (tile * (matrix.columns / columns) + index) * Tile.rows
    if let target = matrix.target(.factors) { store(halves: chosen.unit, to: target, place) }
    if let target = matrix.target(.minimumFactors) { store(halves: chosen.minimumUnit, to: target, place) }
    return chosen
  }

  private func store(halves: ScaleSearch.Lanes, to target: UnsafeMutableRawPointer, _ place: Int) {
    for lane in 0..<Tile.rows {
      target.storeBytes(of: furl_half_from_float(halves[lane]), toByteOffset: 2 * (place + lane), as: UInt16.self)
    }
  }

  private func store(_ bytes: SIMD16<UInt8>, to target: UnsafeMutableRawPointer, _ place: Int) {
    for lane in 0..<Tile.rows { target.storeBytes(of: bytes[lane], toByteOffset: place + lane, as: UInt8.self) }
  }

  // MARK: Nearest codes

  /// Encodes one row tile.
  ///
  /// - Parameter rows: at most 16, as long as the matrix's.
  /// - Returns: false when a weight is not finite, or no half can be a scale.
  func encode(_ rows: furl_rows, tile: Int) -> Bool {
    let width = Int(rows.columns)
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: width * Tile.rows + width + columns) { memory in
      guard let values = memory.baseAddress else { return false }
      let row = values + width * Tile.rows
      let weights = row + width
      weights.initialize(repeating: 1, count: columns)
      values.initialize(repeating: 0, count: width * Tile.rows)
      for lane in 0..<Int(rows.rows) {
        read(rows, lane, into: row)
        for column in 0..<width { values[column * Tile.rows + lane] = row[column] }
      }
      return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: columns * Tile.rows) { codes in
        guard let codes = codes.baseAddress else { return false }
        return (0..<width / columns).allSatisfy { encode(values, weights, codes, tile: tile, index: $0) }
      }
    }
  }

  private func read(_ rows: furl_rows, _ row: Int, into output: UnsafeMutablePointer<Float>) {
    let type: SourceType = rows.type == FURL_FLOAT32 ? .float32 : rows.type == FURL_FLOAT16 ? .float16 : .bfloat16
    let count = Int(rows.columns)
    let start = rows.numbers + row * Int(rows.stride) * type.blockBytes
    type.convert(UnsafeRawBufferPointer(start: start, count: type.byteCount(count)), to: output, count: count)
  }

  /// One block, or super-block, of a row tile.
  private func encode(
    _ values: UnsafeMutablePointer<Float>, _ weights: UnsafePointer<Float>, _ codes: UnsafeMutablePointer<UInt8>,
    tile: Int, index: Int
  ) -> Bool {
    let start = values + index * columns * Tile.rows
    let parts = (0..<columns / partColumns).map { $0 * partColumns..<($0 + 1) * partColumns }
    guard
      let chosen = choose(start, stride: Tile.rows, weights: weights, parts: parts, tile: tile, index: index)
    else { return false }
    withUnsafePointer(to: grid) { grid in
      for (part, places) in parts.enumerated() {
        withUnsafePointer(to: chosen.scales[part]) { scales in
          withUnsafePointer(to: chosen.minimums[part]) { minimums in
            kernels.feed_back(
              grid, UnsafeRawPointer(scales).assumingMemoryBound(to: Float.self),
              UnsafeRawPointer(minimums).assumingMemoryBound(to: Float.self), nil, nil, partColumns,
              start + places.lowerBound * Tile.rows, Tile.rows, codes + places.lowerBound * Tile.rows)
          }
        }
      }
    }
    let first = tile * Int(matrix.matrix.column_tiles) + index * columns / Tile.columns
    for column in 0..<columns / Tile.columns {
      furl_pack_tile(
        Int32(bits), codes + column * Tile.columns * Tile.rows, Tile.rows, Tile.columns, UInt8(grid.offset),
        (matrix.streams[0].base + (first + column) * tileBytes).assumingMemoryBound(to: UInt8.self))
    }
    return true
  }
}

extension Scheme {
  var noCodes: FurlError { FurlError(.defect, "\(self) has no codes to choose") }
}
