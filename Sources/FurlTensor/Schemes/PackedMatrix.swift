package import FurlBase
package import CFurlKernels

/// A matrix of weights as the kernels read it; it stays so in memory.
package final class PackedMatrix: @unchecked Sendable {
  package let layout: PackedLayout
  /// The streams in the order of ``PackedLayout/streams``.
  package let streams: [ByteStorage]
  package let matrix: furl_matrix
  /// What 4-bit codes of a table stand for.
  package let table: CodeTable?
  /// Bits of a code, bytes of a tile of them, and the stored code of zero: looked up once.
  let codeBits: Int
  let tileBytes: Int
  let zeroCode: UInt8
  /// The columns that are kept apart, ascending.
  package let outlierColumns: [Int]
  /// The same as the kernels read them; a copy, because a stream may be a part of a file that somebody overwrites after it
  /// was checked.
  private let columnNumbers: UnsafeMutablePointer<Int32>?

  package var scheme: Scheme { layout.scheme }
  package var rows: Int { layout.shape[0] }
  package var columns: Int { layout.shape[1] }
  /// Row tiles: what is shared out to threads.
  package var tiles: Int { (rows + Tile.rows - 1) / Tile.rows }

  /// - Parameter streams: as many bytes each as the layout says.
  /// - Throws: ``FurlError`` of kind `defect` if they are not; `input` when the columns that are kept apart are not columns
  ///   of the matrix in their order.
  package init(layout: PackedLayout, streams: [ByteStorage]) throws {
    guard layout.shape.count == 2, streams.map(\.count) == layout.streams.map(\.byteCount) else {
      throw FurlError(.defect, "the streams of a matrix \(layout.shape) in \(layout.scheme) have wrong sizes")
    }
    self.layout = layout
    self.streams = streams
    let parts = StreamPointers(layout: layout, streams: streams)
    let coding = layout.scheme.coding
    table =
      switch coding.levels {
      case .table(let table): table
      case .learned:
        CodeTable(learned: Array(UnsafeBufferPointer(start: parts(.levels, of: Int8.self), count: CodeTable.count)))
      case .none, .uniform: nil
      }
    (codeBits, tileBytes) = (coding.bits, coding.tileBytes)
    zeroCode =
      if case .uniform(let grid) = coding.levels {
        UInt8(grid.offset)
      } else { table.map { UInt8($0.grid.pointee.offset) } ?? 0 }
    var matrix = parts.matrix(table: table)
    columnNumbers = try parts.copyOfOutlierColumns()
    if let columnNumbers {
      matrix.outlier_columns = UnsafePointer(columnNumbers)
      matrix.outliers = parts(.outliers, of: UInt16.self)
      matrix.outlier_count = layout.scheme.outliers
    }
    outlierColumns = UnsafeBufferPointer(start: columnNumbers, count: matrix.outlier_count).map { Int($0) }
    self.matrix = matrix
  }

  deinit { columnNumbers?.deallocate() }

  /// Where a stream begins that is being written; nil where there is none.
  package func target(_ kind: PackedLayout.StreamKind) -> UnsafeMutableRawPointer? {
    layout.place(of: kind).map { streams[$0].base }
  }

  /// One row as FP32: [columns].
  package func row(_ row: Int) -> [Float] {
    precondition((0..<rows).contains(row))
    return [Float](unsafeUninitializedCapacity: columns) { buffer, count in
      decodeRow(row, into: buffer.baseAddress!)
      count = columns
    }
  }

  /// Writes `columns` floats.
  func decodeRow(_ row: Int, into output: UnsafeMutablePointer<Float>) {
    withUnsafePointer(to: matrix) { scheme.coding.row($0, row, columns, output) }
    guard let outliers = matrix.outliers else { return }
    let (tile, lane) = row.quotientAndRemainder(dividingBy: Tile.rows)
    for (index, column) in outlierColumns.enumerated() {
      output[column] = furl_float_from_half(outliers[(tile * outlierColumns.count + index) * Tile.rows + lane])
    }
  }

  // MARK: Encoding

  /// Encodes a source's weights with the scheme's nearest codes.
  ///
  /// The bytes depend on the weights and the scheme only, not on the number of threads.
  ///
  /// - Parameter takesCodes: whether the source's codes are taken over as they are, which the scheme holds.
  /// - Throws: ``FurlError`` of kind `input` naming the first weight (in row order) that is not finite or whose
  ///   block does not fit in a half.
  package static func encode(
    _ source: WeightSource, scheme: Scheme, takesCodes: Bool = false, pool: WorkerPool
  ) throws -> PackedMatrix {
    let encoder = try MatrixEncoder(source, scheme: scheme, takesCodes: takesCodes, pool: pool)
    let buffers = (0..<pool.threads).map { _ in ReadBuffer() }
    let failures = FirstFailure()
    pool.run { part, parts in
      for stripe in WorkerPool.share(encoder.stripeCount, part, parts) {
        do {
          try encoder.encode(stripe: stripe, with: buffers[part])
        } catch {
          failures.add(error, at: stripe)
          return
        }
      }
    }
    try failures.rethrow()
    try encoder.matrix.keepApart(source)
    return encoder.matrix
  }

  /// Stores the weights of the columns that a source leaves out.
  ///
  /// - Throws: ``FurlError`` of kind `input` naming a weight that no half holds.
  package func keepApart(_ source: WeightSource) throws {
    guard let target = target(.outliers)?.assumingMemoryBound(to: UInt16.self) else { return }
    let whole = source.leavingOut([])
    let buffer = ReadBuffer()
    for tile in 0..<tiles {
      let rows = tile * Tile.rows..<min((tile + 1) * Tile.rows, self.rows)
      let values = try whole.loadFloats(rows: rows, with: buffer)
      for (index, column) in outlierColumns.enumerated() {
        let place = (tile * outlierColumns.count + index) * Tile.rows
        for lane in 0..<Tile.rows {
          let value = lane < rows.count ? values[lane * columns + column] : 0
          target[place + lane] = furl_half_from_float(value)
          guard target[place + lane] & 0x7c00 != 0x7c00 else {
            throw FurlError.input(
              source.file.path, "element [\(rows.lowerBound + lane), \(column)] is \(value), which is not a half")
          }
        }
      }
    }
  }
}

/// Where the streams of a matrix lie.
private struct StreamPointers {
  let layout: PackedLayout
  let streams: [ByteStorage]

  /// - Returns: nil where the layout has no such stream.
  func callAsFunction<Element>(_ kind: PackedLayout.StreamKind, of type: Element.Type) -> UnsafePointer<Element>? {
    layout.place(of: kind).map { UnsafeRawPointer(streams[$0].base).assumingMemoryBound(to: type) }
  }

  /// What the kernels read, but for columns that are kept apart.
  func matrix(table: CodeTable?) -> furl_matrix {
    let scheme = layout.scheme
    let isSmall = scheme.hasScaleCodes
    let form = scheme.superBlock
    let scaleZero: Int32 = if let form { form.zero } else { scheme.coding.hasSignedScales ? 128 : 0 }
    return furl_matrix(
      codes: streams[0].base, scales: isSmall ? nil : self(.scales, of: UInt16.self),
      minimums: isSmall ? nil : self(.minimums, of: UInt16.self), rows: layout.shape[0],
      column_tiles: (layout.shape[1] + Tile.columns - 1) / Tile.columns,
      block_tiles: scheme.blockTiles(columns: layout.shape[1]), blocks: scheme.blocks(columns: layout.shape[1]),
      scale_codes: isSmall ? self(.scales, of: UInt8.self) : nil,
      minimum_codes: isSmall ? self(.minimums, of: UInt8.self) : nil,
      factors: form == nil ? self(.factors, of: Float.self) : nil,
      minimum_factors: form == nil ? self(.minimumFactors, of: Float.self) : nil, scale_zero: scaleZero,
      values: table.map { UnsafePointer($0.values) }, levels: table.map { UnsafePointer($0.levels) },
      unit: table?.unit ?? (scheme.firstPlane == nil ? 1 : 1 / Float(FURL_NESTED_STEPS)), outlier_columns: nil,
      outliers: nil, outlier_count: 0,
      super_scales: form == nil ? nil : self(.factors, of: UInt16.self),
      super_minimums: form == nil ? nil : self(.minimumFactors, of: UInt16.self),
      super_shift: form?.parts == 16 ? 4 : 3, is_halved: form?.partColumns == 16,
      remainders: self(.remainders, of: UInt8.self))
  }

  /// The numbers of the columns that are kept apart, read once; what is checked is the copy. The caller frees it.
  ///
  /// - Returns: nil where there are none.
  /// - Throws: ``FurlError`` of kind `input` when they are not columns of the matrix in their order.
  func copyOfOutlierColumns() throws -> UnsafeMutablePointer<Int32>? {
    guard let columns = self(.outlierColumns, of: Int32.self) else { return nil }
    let numbers = Array(UnsafeBufferPointer(start: columns, count: layout.scheme.outliers))
    guard numbers[0] >= 0, zip(numbers, numbers.dropFirst()).allSatisfy({ $0 < $1 }),
      Int(numbers[numbers.count - 1]) < layout.shape[1]
    else {
      throw FurlError.input(
        nil, "columns that are kept apart are not in order, or none of the matrix", remedy: "the file is damaged")
    }
    let copy = UnsafeMutablePointer<Int32>.allocate(capacity: numbers.count)
    copy.initialize(from: numbers, count: numbers.count)
    return copy
  }
}
