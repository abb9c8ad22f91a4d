import FurlBase

/// Reads the fields of a protocol-buffer message, which is not trusted.
///
/// The encoding: https://protobuf.dev/programming-guides/encoding/.
struct ProtobufReader {
  /// What a field holds.
  enum ProtobufValue {
    case number(UInt64)
    case word(UInt32)
    case bytes(Range<Int>)
    /// 64 bits, which no field that is asked for has.
    case other
  }

  private let file: String?
  let bytes: [UInt8]
  private var position: Int
  private let end: Int

  init(_ bytes: [UInt8], _ range: Range<Int>, file: String?) {
    self.bytes = bytes
    self.file = file
    position = range.lowerBound
    end = range.upperBound
  }

  /// The message in a field of this one.
  func message(_ range: Range<Int>) -> ProtobufReader { ProtobufReader(bytes, range, file: file) }

  /// The next field's number and value, or nil at the end.
  mutating func next() throws -> (field: Int, value: ProtobufValue)? {
    guard position < end else { return nil }
    let tag = try varint()
    let field = Int(tag >> 3)
    switch tag & 7 {
    case 0: return (field, .number(try varint()))
    case 1:
      _ = try take(8)
      return (field, .other)
    case 2:
      let count = try varint()
      guard count <= UInt64(end - position) else { throw damaged() }
      return (field, .bytes(try take(Int(count))))
    case 5:
      let range = try take(4)
      return (field, .word(range.reversed().reduce(0) { $0 << 8 | UInt32(bytes[$1]) }))
    default: throw damaged()
    }
  }

  private mutating func take(_ count: Int) throws -> Range<Int> {
    guard count <= end - position else { throw damaged() }
    defer { position += count }
    return position..<position + count
  }

  private mutating func varint() throws -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: 0, to: 64, by: 7) {
      let byte = bytes[try take(1).lowerBound]
      value |= UInt64(byte & 0x7F) << UInt64(shift)
      if byte < 0x80 { return value }
    }
    throw damaged()
  }

  private func damaged() -> FurlError {
    .input(file, "byte \(position)", "is not what a SentencePiece model has there", remedy: "fetch the file anew")
  }
}
