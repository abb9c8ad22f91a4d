package import FurlBase

/// A small matrix of numbers beside codes, without gaps: scales, zeros, largest magnitudes.
package struct StoredGrid: Sendable {
  /// How its numbers are stored.
  package enum GridNumbers: Sendable, Hashable {
    case floats(SourceType)
    /// Bytes that say 2^(byte - 127) (E8M0 of OCP's microscaling formats); 255 is no number.
    case exponents
    case signedBytes

    /// Bytes of a number.
    var size: Int {
      switch self {
      case .floats(let type): type.blockBytes
      case .exponents, .signedBytes: 1
      }
    }
  }

  package let part: StoredPart
  package let rows: Int
  package let columns: Int
  private let numbers: GridNumbers

  /// - Parameter numbers: of a type without blocks.
  /// - Throws: ``FurlError`` of kind `defect` if it does not lie in the file.
  package init(_ file: MappedFile, offset: Int, rows: Int, columns: Int, numbers: GridNumbers) throws {
    let (count, isHuge) = rows.multipliedReportingOverflow(by: columns)
    guard rows > 0, columns > 0, !isHuge, offset >= 0, offset <= file.count,
      count <= (file.count - offset) / numbers.size
    else { throw FurlError(.defect, file: file.path, "scales lie outside of the file") }
    part = StoredPart(file, offset..<offset + count * numbers.size)
    self.rows = rows
    self.columns = columns
    self.numbers = numbers
  }

  /// What people call the numbers.
  var numberName: String {
    switch numbers {
    case .floats(let type): type.rawValue
    case .exponents: "exponents"
    case .signedBytes: "bytes"
    }
  }

  /// What a byte of E8M0 says.
  static func power(_ byte: UInt8) -> Float {
    switch byte {
    // Half of the smallest normal number.
    case 0: Float(bitPattern: 1 << 22)
    case 255: .nan
    default: Float(bitPattern: UInt32(byte) << 23)
    }
  }

  /// Writes neighbouring numbers of a row.
  func read(row: Int, columns range: Range<Int>, into output: UnsafeMutablePointer<Float>) {
    let start = part.range.lowerBound + (row * columns + range.lowerBound) * numbers.size
    let bytes = part.file.bytes(start..<start + range.count * numbers.size)
    switch numbers {
    case .floats(let type): type.convert(bytes, to: output, count: range.count)
    case .exponents: for index in 0..<range.count { output[index] = StoredGrid.power(bytes[index]) }
    case .signedBytes: for index in 0..<range.count { output[index] = Float(Int8(bitPattern: bytes[index])) }
    }
  }

  /// One number.
  func number(row: Int, column: Int) -> Float {
    var value: Float = 0
    read(row: row, columns: column..<column + 1, into: &value)
    return value
  }
}
