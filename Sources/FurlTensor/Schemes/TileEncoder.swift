package import FurlBase
package import CFurlKernels

/// Encodes rows of weights into the row tiles of a matrix; tiles are independent.
package struct TileEncoder: @unchecked Sendable {
  package let matrix: PackedMatrix
  private let kernel: furl_encode?
  /// Of a scheme whose scales are searched for.
  private let searching: BlockEncoder?

  /// - Parameters:
  ///   - levels: of a matrix with a table of its own.
  ///   - columns: those that are kept apart, as many as the scheme says.
  ///   - memory: where the matrix's memory comes from, and goes back to.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory for the codes.
  package init(
    _ layout: PackedLayout, levels: [Int8]? = nil, leavingOut columns: [Int] = [], memory: StoragePool? = nil
  ) throws {
    // A tile is written as a whole, padding included, so it does not matter what was there.
    let streams = try layout.streams.map { stream in
      try memory.map { try ByteStorage(stream.byteCount, from: $0) }
        ?? ByteStorage(zeroed: stream.byteCount, isDense: true)
    }
    if let place = layout.place(of: .levels) {
      guard let levels, levels.count == CodeTable.count else { throw FurlError(.defect, "a table has no levels") }
      streams[place].base.assumingMemoryBound(to: Int8.self).update(from: levels, count: levels.count)
    }
    guard columns.count == layout.scheme.outliers else {
      throw FurlError(.defect, "\(columns.count) columns are kept apart, not those of \(layout.scheme)")
    }
    if let place = layout.place(of: .outlierColumns) {
      streams[place].base.assumingMemoryBound(to: Int32.self).update(
        from: columns.map { Int32($0) }, count: columns.count)
    }
    matrix = try PackedMatrix(layout: layout, streams: streams)
    kernel = layout.scheme.coding.encode(Kernels.forEncoding.table)
    searching = layout.scheme.isFixed ? try BlockEncoder(matrix) : nil
  }

  /// Encodes one row tile.
  ///
  /// - Parameter rows: at most 16, as long as the matrix's.
  /// - Returns: false when a weight is not finite or a block does not fit in a half.
  package func encode(_ rows: furl_rows, tile: Int) -> Bool {
    if let searching { return searching.encode(rows, tile: tile) }
    guard let kernel else { return false }
    let layout = matrix.matrix
    let tiles = Int(layout.column_tiles)
    let places = tile * Int(layout.blocks) * Tile.rows
    func start<Element>(_ kind: PackedLayout.StreamKind, _ offset: Int, _ type: Element.Type)
      -> UnsafeMutablePointer<Element>?
    { matrix.target(kind).map { $0.assumingMemoryBound(to: type) + offset } }
    var rows = rows
    let isSmall = matrix.scheme.hasScaleCodes
    var target = furl_row_tile(
      codes: matrix.streams[0].base + tile * tiles * matrix.scheme.coding.tileBytes,
      scales: isSmall ? nil : start(.scales, places, UInt16.self),
      minimums: isSmall ? nil : start(.minimums, places, UInt16.self), column_tiles: layout.column_tiles,
      block_tiles: layout.block_tiles, blocks: layout.blocks,
      scale_codes: isSmall ? start(.scales, places, UInt8.self) : nil,
      minimum_codes: isSmall ? start(.minimums, places, UInt8.self) : nil,
      factors: start(.factors, tile * Tile.rows, Float.self),
      minimum_factors: start(.minimumFactors, tile * Tile.rows, Float.self),
      grid: matrix.table.map { UnsafePointer($0.grid) },
      remainders: start(.remainders, tile * tiles * matrix.scheme.coding.tileBytes, UInt8.self))
    return kernel(&rows, &target)
  }

  /// The same with weights in memory, [rows][columns].
  package func encode(_ weights: [Float], tile: Int) -> Bool {
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
    let size = matrix.scheme.isFixed ? matrix.scheme.columnUnit : Int(matrix.matrix.block_tiles) * Tile.columns
    for row in 0..<weights.count / columns {
      for start in stride(from: 0, to: columns, by: size) {
        let block = start..<min(start + size, columns)
        let values = Array(weights[row * columns + block.lowerBound..<row * columns + block.upperBound])
        let levels = matrix.table.map { table in (0..<CodeTable.count).map { table.levels[$0] } }
        guard let scheme = matrix.scheme.outliers > 0 ? matrix.scheme.keepingApart(0) : matrix.scheme,
          let layout = try? PackedLayout(scheme: scheme, shape: [1, values.count]),
          let single = try? TileEncoder(layout, levels: levels), single.encode(values, tile: 0)
        else { return (row, block) }
      }
    }
    return nil
  }
}

extension Scheme {
  /// The levels of a table that a matrix has for itself; nil in other schemes.
  package func levels(for source: WeightSource, columnWeights: [Float]?, pool: WorkerPool) throws -> [Int8]? {
    guard hasOwnTable, let block else { return nil }
    return try Codebook.learn(source, block: block, columnWeights: columnWeights, pool: pool)
  }
}
