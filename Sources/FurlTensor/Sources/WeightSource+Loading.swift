package import FurlBase
import CFurlKernels

extension WeightSource {
  /// Whether the columns are contiguous in the file, not the rows.
  var isTransposed: Bool { rowStride == 1 && columnStride != 1 && rowOrder == .stored }

  /// Reads some rows from the file into a buffer.
  ///
  /// - Returns: the rows as the kernels take them: as they are stored where those can read that, else as FP32. They
  ///   lie in the buffer, and last until it is used again.
  /// - Throws: ``FurlError`` of kind `input` when the file cannot be read.
  func load(rows range: Range<Int>, with buffer: ReadBuffer) throws -> furl_rows {
    let loaded = try loadWhole(rows: range, with: buffer)
    guard !leftOut.isEmpty else { return loaded }
    // What has been loaded is a copy in the buffer.
    let size = loaded.type == FURL_FLOAT32 ? 4 : 2
    let numbers = UnsafeMutableRawPointer(mutating: loaded.numbers)
    for row in 0..<range.count {
      for column in leftOut {
        (numbers + (row * Int(loaded.stride) + column) * size).initializeMemory(
          as: UInt8.self, repeating: 0, count: size)
      }
    }
    return loaded
  }

  private func loadWhole(rows range: Range<Int>, with buffer: ReadBuffer) throws -> furl_rows {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows && !range.isEmpty)
    // Of a vector the order is that of its numbers.
    if fold == .none, coded == nil, columnStride == 1, rows > 1 || rowOrder == .stored {
      return try loadRows(range, buffer)
    }
    if fold == .none, coded == nil, isTransposed, type.number != nil { return try loadColumns(range, buffer) }
    let floats = try buffer.room(range.count * columns * 4).assumingMemoryBound(to: Float.self)
    read(rows: range, into: floats)
    return furl_rows(numbers: floats, type: FURL_FLOAT32, stride: columns, rows: range.count, columns: columns)
  }

  /// Reads some rows from the file as FP32, [range.count][columns].
  ///
  /// - Throws: ``FurlError`` of kind `input` when the file cannot be read.
  package func loadFloats(rows range: Range<Int>, with buffer: ReadBuffer) throws -> [Float] {
    let loaded = try load(rows: range, with: buffer)
    let type: SourceType =
      loaded.type == FURL_FLOAT32 ? .float32 : loaded.type == FURL_FLOAT16 ? .float16 : .bfloat16
    let count = range.count * columns
    let bytes = UnsafeRawBufferPointer(start: loaded.numbers, count: type.byteCount(count))
    return [Float](unsafeUninitializedCapacity: count) { floats, initialized in
      type.convert(bytes, to: floats.baseAddress!, count: count)
      initialized = count
    }
  }

  private func loadRows(_ range: Range<Int>, _ buffer: ReadBuffer) throws -> furl_rows {
    let rowBytes = type.byteCount(columns)
    let floatBytes = type.number == nil ? range.count * columns * 4 : 0
    let base = try buffer.room(floatBytes + range.count * rowBytes)
    let stored = base + floatBytes
    if rowStride == columns, rowOrder == .stored {
      let start = offset + type.byteCount(range.lowerBound * rowStride)
      try file.read(start..<start + range.count * rowBytes, into: stored)
    } else {
      for (index, row) in range.enumerated() {
        let start = offset + type.byteCount(rowOrder.stored(row) * rowStride)
        try file.read(start..<start + rowBytes, into: stored + index * rowBytes)
      }
    }
    if let number = type.number {
      return furl_rows(numbers: stored, type: number, stride: columns, rows: range.count, columns: columns)
    }
    let floats = base.assumingMemoryBound(to: Float.self)
    let bytes = UnsafeRawBufferPointer(start: stored, count: range.count * rowBytes)
    type.convert(bytes, to: floats, count: range.count * columns)
    return furl_rows(numbers: floats, type: FURL_FLOAT32, stride: columns, rows: range.count, columns: columns)
  }

  /// Reads a piece of every column and turns them round.
  private func loadColumns(_ range: Range<Int>, _ buffer: ReadBuffer) throws -> furl_rows {
    let pieceBytes = type.byteCount(range.count)
    let rows = try buffer.room(2 * columns * pieceBytes)
    let pieces = rows + columns * pieceBytes
    let start = offset + type.byteCount(range.lowerBound)
    if columnStride == range.count {
      try file.read(start..<start + columns * pieceBytes, into: pieces)
    } else {
      for column in 0..<columns {
        let first = start + type.byteCount(column * columnStride)
        try file.read(first..<first + pieceBytes, into: pieces + column * pieceBytes)
      }
    }
    furl_transpose(pieces, columns, range.count, type.blockBytes, rows)
    return furl_rows(numbers: rows, type: type.number!, stride: columns, rows: range.count, columns: columns)
  }
}
