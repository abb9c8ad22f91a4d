package import FurlBase

/// A matrix of weights inside a mapped checkpoint: any strides, so that transposed and fused tensors are read
/// where they lie.
package struct WeightSource: Sendable {
  package let file: MappedFile
  package let type: SourceType
  /// The byte of element (0, 0).
  package let offset: Int
  package let rows: Int
  package let columns: Int
  /// Numbers between two rows.
  package let rowStride: Int
  /// Numbers between two columns.
  package let columnStride: Int
  package let rowOrder: RowOrder
  /// What becomes of stored numbers.
  package private(set) var fold = Fold.none
  /// Set where the numbers are computed from several stored tensors; `file` and `offset` are those of their codes then.
  let coded: CodedRows?
  /// Columns that are read as zeros when weights are loaded.
  package private(set) var leftOut: [Int] = []

  /// The same with other columns left out.
  package func leavingOut(_ columns: [Int]) -> WeightSource {
    precondition(columns.allSatisfy { (0..<self.columns).contains($0) })
    var source = self
    source.leftOut = columns.sorted()
    return source
  }

  /// The same with other numbers.
  package func folding(_ fold: Fold) -> WeightSource {
    var source = self
    source.fold = fold
    return source
  }

  /// - Throws: ``FurlError`` of kind `defect` if an element lies outside of the file, or if a type with blocks is not
  ///   stored row by row in whole blocks.
  package init(
    file: MappedFile, type: SourceType, offset: Int, rows: Int, columns: Int, rowStride: Int, columnStride: Int = 1,
    rowOrder: RowOrder = .stored
  ) throws {
    // A path from element (0, 0) to the last one, in numbers; every part of it is checked before it is added.
    let (room, isHuge) = (max(0, file.count - max(0, offset)) / type.blockBytes)
      .multipliedReportingOverflow(by: type.blockSize)
    func steps(_ count: Int, _ stride: Int) -> Int {
      let (product, overflow) = (count - 1).multipliedReportingOverflow(by: stride)
      return overflow ? room : min(product, room)
    }
    guard rows > 0, columns > 0, rowStride > 0, columnStride > 0, offset >= 0, !isHuge,
      let last = rowOrder.last(of: rows), let lastColumn = rows == 1 ? rowOrder.last(of: columns) : columns - 1,
      steps(last + 1, rowStride) + steps(lastColumn + 1, columnStride) < room
    else {
      throw FurlError(.defect, file: file.path, "a tensor lies outside of the file")
    }
    let isWhole = columnStride == 1 && rowStride % type.blockSize == 0 && columns % type.blockSize == 0
    // Blocks of what is stored the other way round lie along its rows.
    let isTurned =
      rowStride == 1 && columnStride % type.blockSize == 0 && rowOrder.groupStride % type.blockSize == 0
      && rowOrder.run(of: rows) % type.blockSize == 0
    guard type.blockSize == 1 || (isWhole || isTurned) && (rows > 1 || rowOrder == .stored) else {
      throw FurlError(.defect, file: file.path, "a tensor of \(type.rawValue) blocks does not lie in whole blocks")
    }
    let count = rows == 1 ? columns : rows
    guard rowOrder.fits(count) else {
      throw FurlError(.defect, file: file.path, "\(count) rows are not heads as they are stored")
    }
    self.file = file
    self.type = type
    self.offset = offset
    self.rows = rows
    self.columns = columns
    self.rowStride = rowStride
    self.columnStride = columnStride
    self.rowOrder = rowOrder
    coded = nil
  }

  /// Rows of a computed matrix, which are known to be there.
  init(coded: CodedRows, _ codes: StoredPart, rows: Int, columns: Int, rowOrder: RowOrder) {
    file = codes.file
    type = .float32
    offset = codes.range.lowerBound
    self.rows = rows
    self.columns = columns
    rowStride = columns
    columnStride = 1
    self.rowOrder = rowOrder
    self.coded = coded
  }

  /// A vector is a matrix of one row.
  package static func vector(
    file: MappedFile, type: SourceType, offset: Int, count: Int, stride: Int = 1, rowOrder: RowOrder = .stored
  ) throws -> WeightSource {
    // The stride between rows is never taken; it only has to be one.
    try WeightSource(
      file: file, type: type, offset: offset, rows: 1, columns: count, rowStride: max(count, type.blockSize),
      columnStride: stride, rowOrder: rowOrder)
  }

  /// Some rows as FP32, [rows.count][columns].
  package func read(rows range: Range<Int>) -> [Float] {
    [Float](unsafeUninitializedCapacity: range.count * columns) { buffer, count in
      if let base = buffer.baseAddress { read(rows: range, into: base) }
      count = range.count * columns
    }
  }

  /// Everything, as FP32.
  package func readAll() -> [Float] { read(rows: 0..<rows) }

  /// Writes some rows as FP32, [range.count][columns].
  func read(rows range: Range<Int>, into output: UnsafeMutablePointer<Float>) {
    readStored(rows: range, into: output)
    if fold != .none { for index in 0..<range.count * columns { output[index] = fold.applied(to: output[index]) } }
  }

  private func readStored(rows range: Range<Int>, into output: UnsafeMutablePointer<Float>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    if let coded { return coded.decode(rows: range, order: rowOrder, columns: columns, into: output) }
    if rows == 1, rowOrder != .stored {
      guard !range.isEmpty else { return }
      for index in 0..<columns {
        decode(number: rowOrder.stored(index) * columnStride, count: 1, into: output + index)
      }
      return
    }
    if columnStride == 1 {
      if rowStride == columns, rowOrder == .stored {
        decode(number: range.lowerBound * rowStride, count: range.count * columns, into: output)
        return
      }
      for (index, row) in range.enumerated() {
        decode(number: rowOrder.stored(row) * rowStride, count: columns, into: output + index * columns)
      }
      return
    }
    if rowStride == 1, rowOrder.headSize == 0 { return readTurned(rows: range, into: output) }
    for (index, row) in range.enumerated() {
      let start = rowOrder.stored(row) * rowStride
      for column in 0..<columns {
        decode(number: start + column * columnStride, count: 1, into: output + index * columns + column)
      }
    }
  }

  /// Reads what is stored the other way round, as a whole or in groups of rows: what is contiguous is a piece of a column.
  private func readTurned(rows range: Range<Int>, into output: UnsafeMutablePointer<Float>) {
    let run = rowOrder.run(of: rows)
    let room = min(range.count, run) + 2 * type.blockSize
    withUnsafeTemporaryAllocation(of: Float.self, capacity: room) { piece in
      var start = range.lowerBound
      while start < range.upperBound {
        let end = min(range.upperBound, (start / run + 1) * run)
        // Blocks are decoded as a whole.
        let first = rowOrder.stored(start)
        let before = first % type.blockSize
        let count = (before + end - start + type.blockSize - 1) / type.blockSize * type.blockSize
        for column in 0..<columns {
          decode(number: first - before + column * columnStride, count: count, into: piece.baseAddress!)
          for row in start..<end {
            output[(row - range.lowerBound) * columns + column] = piece[before + row - start]
          }
        }
        start = end
      }
    }
  }

  /// Whether groups of its rows are stored the other way round, one after the other.
  package var isTurnedInGroups: Bool { rowStride == 1 && columnStride != 1 && rowOrder.groupRows > 0 }

  /// Reads `count` numbers from the number-th on.
  private func decode(number: Int, count: Int, into output: UnsafeMutablePointer<Float>) {
    let start = offset + type.byteCount(number)
    type.convert(file.bytes(start..<start + type.byteCount(count)), to: output, count: count)
  }

  /// Whether all numbers are those of another matrix, bit by bit as FP32; ends with the first that differs.
  package func isEqual(to other: WeightSource) -> Bool {
    guard rows == other.rows, columns == other.columns else { return false }
    let isAlike =
      type == other.type && (rowStride, columnStride) == (other.rowStride, other.columnStride)
      && rowOrder == other.rowOrder && leftOut == other.leftOut && fold == other.fold
      && coded == nil && other.coded == nil
    // One storage under two names, as PyTorch saves a tied head.
    if isAlike, file === other.file, offset == other.offset { return true }
    let isPlain =
      isAlike && columnStride == 1 && rowStride == columns && leftOut.isEmpty && rowOrder == .stored
    let step = max(1, (1 << 20) / columns)
    for start in stride(from: 0, to: rows, by: step) {
      let range = start..<min(start + step, rows)
      guard isPlain ? hasSameBytes(as: other, rows: range) : hasSameValues(as: other, rows: range) else { return false }
      drop(rows: range)
      other.drop(rows: range)
    }
    return true
  }

  private func bytes(rows range: Range<Int>) -> Range<Int> {
    offset + type.byteCount(range.lowerBound * rowStride)..<offset + type.byteCount(range.upperBound * rowStride)
  }

  private func hasSameBytes(as other: WeightSource, rows range: Range<Int>) -> Bool {
    let (own, others) = (file.bytes(bytes(rows: range)), other.file.bytes(other.bytes(rows: range)))
    guard let one = own.baseAddress, let two = others.baseAddress else { return own.count == others.count }
    return memcmp(one, two, own.count) == 0
  }

  private func hasSameValues(as other: WeightSource, rows range: Range<Int>) -> Bool {
    zip(read(rows: range), other.read(rows: range)).allSatisfy { $0.bitPattern == $1.bitPattern }
  }

  /// Gives the pages of some rows back, where rows lie together.
  private func drop(rows range: Range<Int>) {
    if coded == nil, columnStride == 1, rowStride == columns, rowOrder == .stored { file.drop(bytes(rows: range)) }
  }

  /// The bytes of the file that the matrix lies in; of a computed one, those of its codes.
  package var range: Range<Int> {
    if let coded { return coded.matrix.parts[0].range }
    let last = rowOrder.last(of: rows) ?? rows - 1
    let lastColumn = rows == 1 ? rowOrder.last(of: columns) ?? columns - 1 : columns - 1
    let numbers = last * rowStride + lastColumn * columnStride + 1
    let blocks = (numbers + type.blockSize - 1) / type.blockSize
    return offset..<offset + blocks * type.blockBytes
  }

  /// Gives the pages back that the matrix lies in.
  package func drop() {
    guard let coded else { return file.drop(range) }
    for part in coded.matrix.parts { part.file.drop(part.range) }
  }
}

extension WeightSource {
  /// A vector whose numbers no file has as they are; they wait in one without a name.
  ///
  /// - Throws: ``FurlError`` of kind `cannotWrite`.
  package static func vector(of values: [Float]) throws -> WeightSource {
    let scratch = try ScratchFile(folder: FileManager.default.temporaryDirectory.path)
    let offset = try scratch.append(values)
    return try .vector(file: scratch.finish(), type: .float32, offset: offset, count: values.count)
  }

  /// The same of a matrix.
  ///
  /// - Parameter row: makes one: (its number, columns).
  /// - Throws: ``FurlError`` of kind `cannotWrite`.
  package static func matrix(rows: Int, columns: Int, row: (Int, Int) -> [Float]) throws -> WeightSource {
    let scratch = try ScratchFile(folder: FileManager.default.temporaryDirectory.path)
    // Pieces of whole rows are padded to 64 bytes each: all of it at once lies without gaps.
    let offset = try scratch.append((0..<rows).flatMap { row($0, columns) })
    return try WeightSource(
      file: scratch.finish(), type: .float32, offset: offset, rows: rows, columns: columns, rowStride: columns)
  }
}
