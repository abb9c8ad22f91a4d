package import FurlBase

/// Codes of MXFP4 and the exponents of their blocks in two tensors, as gpt-oss's checkpoints hold experts.
///
/// MXFP4 (Open Compute Project 2023, "OCP Microscaling Formats"): a block is 32 numbers of 4 bits (E2M1), the earlier of two
/// in a byte's lower half, and its scale 2^(byte - 127) (E8M0), where 255 is no number. All products are exact in FP32.
package struct MXFP4Codes: CodedMatrix {
  package let rows: Int
  package let columns: Int
  package let form = "MXFP4"
  let codes: StoredPart
  let scales: StoredGrid

  private static let numbers: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]

  /// - Parameters:
  ///   - codes: the file, and the byte of the first two; 16 bytes are a block, and blocks follow each other row by row.
  ///   - scales: the file, and the byte of the first exponent, one for each block.
  /// - Throws: ``FurlError`` of kind `defect` if they lie outside of their files, or if blocks do not fill rows.
  package init(
    codes: (file: MappedFile, offset: Int), scales: (file: MappedFile, offset: Int),
    shape: (rows: Int, columns: Int)
  ) throws {
    let (count, isHuge) = shape.rows.multipliedReportingOverflow(by: shape.columns)
    guard shape.rows > 0, shape.columns > 0, shape.columns % 32 == 0, !isHuge, codes.offset >= 0,
      codes.offset <= codes.file.count, count / 2 <= codes.file.count - codes.offset
    else { throw FurlError(.defect, file: codes.file.path, "codes of blocks lie outside of the file") }
    self.codes = StoredPart(codes.file, codes.offset..<codes.offset + count / 2)
    self.scales = try StoredGrid(
      scales.file, offset: scales.offset, rows: shape.rows, columns: shape.columns / 32, numbers: .exponents)
    (rows, columns) = shape
  }

  package var parts: [StoredPart] { [codes, scales.part] }

  package func decode(rows range: Range<Int>, into output: UnsafeMutablePointer<Float>) {
    let start = codes.range.lowerBound
    let bytes = codes.file.bytes(start + range.lowerBound * columns / 2..<start + range.upperBound * columns / 2)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: scales.columns) { factors in
      for (index, row) in range.enumerated() {
        scales.read(row: row, columns: 0..<scales.columns, into: factors.baseAddress!)
        for pair in 0..<columns / 2 {
          let (byte, scale) = (bytes[index * columns / 2 + pair], factors[pair / 16])
          let target = output + index * columns + 2 * pair
          target[0] = MXFP4Codes.numbers[Int(byte & 15)] * scale
          target[1] = MXFP4Codes.numbers[Int(byte >> 4)] * scale
        }
      }
    }
  }
}
