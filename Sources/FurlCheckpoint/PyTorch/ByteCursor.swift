/// Reads numbers from bytes front to back; nil where the bytes end.
struct ByteCursor {
  let bytes: [UInt8]
  var position = 0

  init(_ bytes: [UInt8], at position: Int = 0) {
    self.bytes = bytes
    self.position = position
  }

  var remaining: Int { bytes.count - position }

  /// The next little-endian number.
  mutating func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) -> Integer? {
    let size = MemoryLayout<Integer>.size
    guard remaining >= size else { return nil }
    var value: Integer = 0
    for index in (0..<size).reversed() { value = value << 8 | Integer(truncatingIfNeeded: bytes[position + index]) }
    position += size
    return value
  }

  /// The range of the next `count` bytes.
  mutating func take(_ count: Int) -> Range<Int>? {
    guard count >= 0, count <= remaining else { return nil }
    position += count
    return position - count..<position
  }
}
