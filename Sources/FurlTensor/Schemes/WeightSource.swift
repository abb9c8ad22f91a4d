/// A matrix of weights inside a mapped checkpoint: any strides, so that transposed and fused tensors are read
/// where they lie.
public struct WeightSource: Sendable {
  public let file: MappedFile
  public let type: SourceType
  /// The byte of element (0, 0).
  public let offset: Int
  public let rows: Int
  public let columns: Int
  /// Numbers between two rows.
  public let rowStride: Int
  /// Numbers between two columns.
  public let columnStride: Int

  /// - Throws: ``FurlError`` of kind `defect` if an element lies outside of the file.
  public init(
    file: MappedFile, type: SourceType, offset: Int, rows: Int, columns: Int, rowStride: Int, columnStride: Int = 1
  ) throws {
    // A path from element (0, 0) to the last one, in numbers; every part of it is checked before it is added.
    let room = max(0, file.count - max(0, offset)) / type.size
    func steps(_ count: Int, _ stride: Int) -> Int {
      let (product, overflow) = (count - 1).multipliedReportingOverflow(by: stride)
      return overflow ? room : min(product, room)
    }
    guard rows > 0, columns > 0, rowStride > 0, columnStride > 0, offset >= 0,
      steps(rows, rowStride) + steps(columns, columnStride) < room
    else {
      throw FurlError(.defect, file: file.path, "a tensor lies outside of the file")
    }
    self.file = file
    self.type = type
    self.offset = offset
    self.rows = rows
    self.columns = columns
    self.rowStride = rowStride
    self.columnStride = columnStride
  }

  /// A vector is a matrix of one row.
  public static func vector(file: MappedFile, type: SourceType, offset: Int, count: Int) throws -> WeightSource {
    try WeightSource(file: file, type: type, offset: offset, rows: 1, columns: count, rowStride: count)
  }

  /// Some rows as FP32, [rows.count][columns].
  public func read(rows range: Range<Int>) -> [Float] {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    let start = offset + range.lowerBound * rowStride * type.size
    if columnStride == 1 {
      if rowStride == columns { return file.floats(type, at: start, count: range.count * columns) }
      return range.flatMap { file.floats(type, at: offset + $0 * rowStride * type.size, count: columns) }
    }
    var result = [Float](repeating: 0, count: range.count * columns)
    if rowStride == 1 {
      // Stored the other way round: what is contiguous is a piece of a column.
      for column in 0..<columns {
        let piece = file.floats(type, at: start + column * columnStride * type.size, count: range.count)
        for row in 0..<range.count { result[row * columns + column] = piece[row] }
      }
      return result
    }
    for row in 0..<range.count {
      for column in 0..<columns {
        let at = start + (row * rowStride + column * columnStride) * type.size
        result[row * columns + column] = file.floats(type, at: at, count: 1)[0]
      }
    }
    return result
  }

  /// Everything, as FP32.
  public func readAll() -> [Float] { read(rows: 0..<rows) }

  /// Gives the pages back that the matrix lies in.
  public func drop() {
    file.drop(offset..<offset + ((rows - 1) * rowStride + (columns - 1) * columnStride + 1) * type.size)
  }
}
