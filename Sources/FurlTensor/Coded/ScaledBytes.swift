package import FurlBase

/// Numbers of one byte with a scale for each rectangle of them: FP8 with scales of blocks, rows or the whole tensor, and
/// whole numbers of 8 bits.
///
/// A weight is (number - zero) * scale, and where there is a factor that product times the factor; every step is rounded to
/// FP32. FP8 as in "FP8 Formats for Deep Learning" (Micikevicius et al. 2022, https://arxiv.org/abs/2209.05433).
package struct ScaledBytes: CodedMatrix {
  /// What a byte stands for.
  package enum ByteNumbers: Sendable, Hashable {
    /// Four bits of exponent, three of fraction, no infinity.
    case e4m3
    /// Five bits of exponent, two of fraction: the upper half of an FP16 number.
    case e5m2
    case signed

    private func value(_ byte: UInt8) -> Float {
      switch self {
      case .signed: return Float(Int8(bitPattern: byte))
      case .e5m2: return [0, byte].withUnsafeBufferPointer { SmallBlocks.half($0.baseAddress!) }
      case .e4m3:
        guard byte & 0x7F != 0x7F else { return .nan }
        // Moving the exponent takes care of subnormal numbers.
        let magnitude = Float(bitPattern: UInt32(byte & 0x7F) << 20) * 0x1p120
        return byte & 0x80 == 0 ? magnitude : -magnitude
      }
    }

    /// What each byte stands for.
    var table: [Float] { (0..<256).map { value(UInt8($0)) } }
  }

  package let rows: Int
  package let columns: Int
  package let form: String
  let codes: StoredPart
  /// Whether the bytes are whole numbers.
  let isWhole: Bool
  private let table: [Float]
  let scales: StoredGrid
  let zeros: StoredGrid?
  let block: (rows: Int, columns: Int)
  let factor: Float

  /// - Parameters:
  ///   - codes: the file, and the byte of the first number; rows follow each other without gaps.
  ///   - scales: [rectangles down][rectangles across]; rectangles at the edges may be cut.
  ///   - block: rows and columns of a rectangle.
  ///   - zeros: as many as scales.
  ///   - factor: that every product is multiplied with.
  /// - Throws: ``FurlError`` of kind `defect` when the parts do not fit each other or lie outside of their files.
  package init(
    form: String, codes: (file: MappedFile, offset: Int, numbers: ByteNumbers), shape: (rows: Int, columns: Int),
    scales: (grid: StoredGrid, block: (rows: Int, columns: Int)), zeros: StoredGrid? = nil, factor: Float = 1
  ) throws {
    let (count, isHuge) = shape.rows.multipliedReportingOverflow(by: shape.columns)
    let block = scales.block
    guard shape.rows > 0, shape.columns > 0, !isHuge, codes.offset >= 0, codes.offset <= codes.file.count,
      count <= codes.file.count - codes.offset, block.rows > 0, block.columns > 0,
      (shape.rows - 1) / block.rows + 1 == scales.grid.rows,
      (shape.columns - 1) / block.columns + 1 == scales.grid.columns,
      zeros == nil || (zeros?.rows, zeros?.columns) == (scales.grid.rows, scales.grid.columns)
    else { throw FurlError(.defect, file: codes.file.path, "scales and numbers do not fit each other") }
    self.form = form
    (rows, columns) = shape
    self.codes = StoredPart(codes.file, codes.offset..<codes.offset + count)
    table = codes.numbers.table
    isWhole = codes.numbers == .signed
    self.scales = scales.grid
    self.zeros = zeros
    self.block = block
    self.factor = factor
  }

  package var parts: [StoredPart] { [codes, scales.part] + (zeros.map { [$0.part] } ?? []) }

  package func decode(rows range: Range<Int>, into output: UnsafeMutablePointer<Float>) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * scales.columns) { factors in
      let (own, subtracted) = (factors.baseAddress!, factors.baseAddress! + scales.columns)
      for column in 0..<scales.columns { subtracted[column] = 0 }
      for (index, row) in range.enumerated() {
        scales.read(row: row / block.rows, columns: 0..<scales.columns, into: own)
        zeros?.read(row: row / block.rows, columns: 0..<scales.columns, into: subtracted)
        let start = codes.range.lowerBound + row * columns
        decodeRow(codes.file.bytes(start..<start + columns), own, subtracted, output + index * columns)
      }
    }
  }

  private func decodeRow(
    _ bytes: UnsafeRawBufferPointer, _ scales: UnsafePointer<Float>, _ zeros: UnsafePointer<Float>,
    _ output: UnsafeMutablePointer<Float>
  ) {
    table.withUnsafeBufferPointer { table in
      var start = 0
      for group in 0..<self.scales.columns {
        let end = min(columns, start + block.columns)
        let (scale, zero) = (scales[group], zeros[group])
        if self.zeros == nil {
          for column in start..<end { output[column] = table[Int(bytes[column])] * scale }
        } else {
          for column in start..<end { output[column] = (table[Int(bytes[column])] - zero) * scale }
        }
        start = end
      }
    }
    if factor != 1 { for column in 0..<columns { output[column] *= factor } }
  }
}
