package import FurlBase

/// Codes of 4 bits with a scale for so many of them in the order of storage, whatever row they are in: what bitsandbytes
/// stores (Dettmers et al. 2023, "QLoRA", https://arxiv.org/abs/2305.14314).
///
/// The earlier of two codes is in a byte's upper half. A weight is the table's number for its code times its block's scale.
/// Where scales are quantized again ("double quantization"), a scale is its own table's number times the scale of its block
/// of scales, and an offset is added to that.
package struct FlatBlocks: CodedMatrix {
  /// The scales of blocks.
  package enum BlockFactors: Sendable {
    /// One row of FP32 numbers.
    case floats(StoredGrid)
    /// Bytes, the numbers that they stand for, the scales of blocks of so many of them, and what is added.
    case coded(StoredPart, table: [Float], scales: StoredGrid, block: Int, offset: Float)

    /// How many there are.
    var count: Int {
      switch self {
      case .floats(let grid): grid.columns
      case .coded(let part, _, _, _, _): part.range.count
      }
    }
  }

  package let rows: Int
  package let columns: Int
  package let form: String
  let codes: StoredPart
  let table: [Float]
  let scales: BlockFactors
  let block: Int

  /// - Parameters:
  ///   - codes: the file, and the byte of the first two.
  ///   - table: 16 numbers.
  ///   - block: codes that share a scale.
  /// - Throws: ``FurlError`` of kind `defect` when the parts do not fit each other or lie outside of their files.
  package init(
    form: String, codes: (file: MappedFile, offset: Int), shape: (rows: Int, columns: Int), table: [Float],
    scales: BlockFactors, block: Int
  ) throws {
    let (count, isHuge) = shape.rows.multipliedReportingOverflow(by: shape.columns)
    guard shape.rows > 0, shape.columns > 0, !isHuge, block > 0, table.count == 16,
      (count - 1) / block + 1 == scales.count, codes.offset >= 0, codes.offset <= codes.file.count,
      (count - 1) / 2 + 1 <= codes.file.count - codes.offset
    else { throw FurlError(.defect, file: codes.file.path, "scales and codes do not fit each other") }
    if case .coded(let part, let numbers, let grid, let inner, _) = scales {
      guard numbers.count == 256, inner > 0, grid.rows == 1, (part.range.count - 1) / inner + 1 == grid.columns,
        part.range.lowerBound >= 0, part.range.upperBound <= part.file.count
      else { throw FurlError(.defect, file: codes.file.path, "scales of scales do not fit") }
    }
    self.form = form
    (rows, columns) = shape
    self.codes = StoredPart(codes.file, codes.offset..<codes.offset + (count + 1) / 2)
    self.table = table
    self.scales = scales
    self.block = block
  }

  package var parts: [StoredPart] {
    switch scales {
    case .floats(let grid): [codes, grid.part]
    case .coded(let part, _, let grid, _, _): [codes, part, grid.part]
    }
  }

  /// The scale of a block.
  func scale(_ number: Int) -> Float {
    switch scales {
    case .floats(let grid): grid.number(row: 0, column: number)
    case .coded(let part, let table, let grid, let inner, let offset):
      table[Int(part.file.bytes(part.range)[number])] * grid.number(row: 0, column: number / inner) + offset
    }
  }

  package func decode(rows range: Range<Int>, into output: UnsafeMutablePointer<Float>) {
    let bytes = codes.file.bytes(codes.range)
    table.withUnsafeBufferPointer { table in
      var number = range.lowerBound * columns
      let (first, end) = (number, range.upperBound * columns)
      while number < end {
        let last = min(end, (number / block + 1) * block)
        let scale = scale(number / block)
        for index in number..<last {
          let byte = bytes[index / 2]
          output[index - first] = table[Int(index % 2 == 0 ? byte >> 4 : byte & 15)] * scale
        }
        number = last
      }
    }
  }
}
