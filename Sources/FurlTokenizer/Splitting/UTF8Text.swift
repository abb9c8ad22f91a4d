/// Reading scalars of well-formed UTF-8.
enum UTF8Text {
  /// The scalar that starts at an index, and its length in bytes.
  @inline(__always)
  static func scalar(_ bytes: [UInt8], at index: Int, end: Int) -> (value: UInt32, length: Int) {
    let first = UInt32(bytes[index])
    if first < 0x80 { return (first, 1) }
    let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
    guard index + length <= end else { return (0xFFFD, 1) }
    var value = first & (0x7F >> UInt32(length))
    for step in 1..<length { value = value << 6 | UInt32(bytes[index + step] & 0x3F) }
    return (value, length)
  }

  /// Where the scalar before an index starts, not before `start`.
  @inline(__always)
  static func before(_ bytes: [UInt8], _ index: Int, start: Int) -> Int {
    var index = index - 1
    while index > start, bytes[index] & 0xC0 == 0x80 { index -= 1 }
    return index
  }

  /// Where the bytes that may still become a character start: at the count if the last one is complete or
  /// can never be.
  static func incompleteTail(_ bytes: [UInt8]) -> Int {
    var index = bytes.count
    // A scalar has at most four bytes, so an incomplete one at most three.
    for _ in 0..<3 where index > 0 {
      index -= 1
      let byte = bytes[index]
      if byte & 0xC0 == 0x80 { continue }
      let length = byte < 0xC2 || byte > 0xF4 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
      let present = bytes.count - index
      guard present < length else { return bytes.count }
      return present == 1 || isSecond(bytes[index + 1], after: byte) ? index : bytes.count
    }
    return bytes.count
  }

  /// Whether a continuation byte may follow a first byte (The Unicode Standard, table 3-7).
  private static func isSecond(_ byte: UInt8, after first: UInt8) -> Bool {
    switch first {
    case 0xE0: byte >= 0xA0
    case 0xED: byte < 0xA0
    case 0xF0: byte >= 0x90
    case 0xF4: byte < 0x90
    default: true
    }
  }
}
