/// Reads gzip files (RFC 1952 and 1951), which data sets are handed around as.
package enum Gzip {
  /// Whether bytes begin as a gzip file does.
  package static func isCompressed(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x1F, 0x8B]) }

  /// The content of a gzip file, members one after the other.
  ///
  /// - Parameters:
  ///   - file: the name that errors carry.
  ///   - limit: bytes of content; more are an error, before memory is taken for them.
  /// - Throws: ``FurlError`` of kind `input` when the file is damaged or its content too long.
  package static func decompress(_ bytes: [UInt8], file: String?, limit: Int) throws -> [UInt8] {
    var reader = BitReader(bytes: bytes, file: file)
    var content: [UInt8] = []
    repeat {
      try reader.skipHeader()
      let start = content.count
      try Inflate.run(&reader, into: &content, from: start, limit: limit)
      reader.align()
      let (sum, length) = (try reader.word(), try reader.word())
      guard sum == CRC32.of(content[start...]), length == UInt32(truncatingIfNeeded: content.count - start) else {
        throw reader.error("its check sum does not hold")
      }
      // Files from tapes and some servers are filled up with zeros.
      try reader.skipZeros()
    } while !reader.isAtEnd
    return content
  }
}

/// Bits of a byte string, the lowest of each byte first.
private struct BitReader {
  let bytes: [UInt8]
  let file: String?
  private var position = 0
  private var held: UInt64 = 0
  private var count = 0

  init(bytes: [UInt8], file: String?) {
    self.bytes = bytes
    self.file = file
  }

  func error(_ problem: String) -> FurlError {
    .input(file, "is a damaged gzip file: \(problem)", remedy: "fetch it again")
  }

  var isAtEnd: Bool { position - count / 8 >= bytes.count }

  /// The next bits without taking them; zeros past the end.
  mutating func peek(_ bits: Int) -> Int {
    while count < bits {
      if position < bytes.count { held |= UInt64(bytes[position]) << UInt64(count) }
      position += 1
      count += 8
    }
    return Int(held & (1 << UInt64(bits) - 1))
  }

  mutating func drop(_ bits: Int) throws {
    held >>= UInt64(bits)
    count -= bits
    guard position - count / 8 <= bytes.count else { throw error("it ends too early") }
  }

  mutating func take(_ bits: Int) throws -> Int {
    let value = peek(bits)
    try drop(bits)
    return value
  }

  /// Goes on at a whole byte.
  mutating func align() {
    held >>= UInt64(count % 8)
    count -= count % 8
  }

  /// Passes over zero bytes, from a whole byte on.
  mutating func skipZeros() throws { while !isAtEnd, peek(8) == 0 { try drop(8) } }

  mutating func word() throws -> UInt32 { UInt32(try take(16)) | UInt32(try take(16)) << 16 }

  mutating func skipHeader() throws {
    guard try take(16) == 0x8B1F else { throw error("a member does not begin as one") }
    guard try take(8) == 8 else { throw error("an unknown method") }
    let flags = try take(8)
    guard flags & 0xE0 == 0 else { throw error("unknown flags") }
    _ = (try word(), try take(16))
    if flags & 4 != 0 { for _ in 0..<(try take(16)) { _ = try take(8) } }
    for flag in [8, 16] where flags & flag != 0 { while try take(8) != 0 {} }
    if flags & 2 != 0 { _ = try take(16) }
  }
}

/// A Huffman code: a table of all codes of up to so many bits.
private struct HuffmanTable {
  /// Symbol << 4 | length for each pattern of `bits` bits; 0 where no code stands.
  private var entries: [UInt16]
  private let bits: Int

  /// Nil when the lengths are those of no prefix code.
  init?(lengths: [Int]) {
    bits = max(1, lengths.max() ?? 0)
    entries = Array(repeating: 0, count: 1 << bits)
    var counts = Array(repeating: 0, count: 17)
    for length in lengths where length > 0 { counts[length] += 1 }
    var next = Array(repeating: 0, count: 17)
    var code = 0
    for length in 1...15 {
      code = (code + (length > 1 ? counts[length - 1] : 0)) << 1
      next[length] = code
      if code + counts[length] > 1 << length { return nil }
    }
    for (symbol, length) in lengths.enumerated() where length > 0 {
      // Codes are sent highest bit first, all else lowest bit first.
      var reversed = 0
      for bit in 0..<length where next[length] >> bit & 1 == 1 { reversed |= 1 << (length - 1 - bit) }
      next[length] += 1
      for pattern in stride(from: reversed, to: 1 << bits, by: 1 << length) {
        entries[pattern] = UInt16(symbol << 4 | length)
      }
    }
  }

  func symbol(_ reader: inout BitReader) throws -> Int {
    let entry = Int(entries[reader.peek(bits)])
    guard entry != 0 else { throw reader.error("an unknown code") }
    try reader.drop(entry & 15)
    return entry >> 4
  }
}

/// DEFLATE (RFC 1951).
private enum Inflate {
  private static let lengthBase = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
  ]
  private static let lengthBits = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
  ]
  private static let distanceBase = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
    8193, 12289, 16385, 24577,
  ]
  private static let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

  static func run(_ reader: inout BitReader, into content: inout [UInt8], from start: Int, limit: Int) throws {
    var isLast = false
    while !isLast {
      isLast = try reader.take(1) == 1
      switch try reader.take(2) {
      case 0: try stored(&reader, &content, limit)
      case 1:
        let literals = Array(repeating: 8, count: 144) + Array(repeating: 9, count: 112)
        let lengths = literals + Array(repeating: 7, count: 24) + Array(repeating: 8, count: 8)
        try block(
          &reader, &content, start, limit, table(lengths, reader), table(Array(repeating: 5, count: 30), reader))
      case 2:
        let (lengths, distances) = try codes(&reader)
        try block(&reader, &content, start, limit, table(lengths, reader), table(distances, reader))
      default: throw reader.error("an unknown kind of block")
      }
    }
  }

  private static func table(_ lengths: [Int], _ reader: BitReader) throws -> HuffmanTable {
    guard let table = HuffmanTable(lengths: lengths) else { throw reader.error("an impossible code") }
    return table
  }

  private static func check(_ count: Int, _ limit: Int, _ reader: BitReader) throws {
    guard count <= limit else {
      throw FurlError.input(reader.file, "unpacks to more than \(limit) bytes")
    }
  }

  private static func stored(_ reader: inout BitReader, _ content: inout [UInt8], _ limit: Int) throws {
    reader.align()
    let count = try reader.take(16)
    guard try reader.take(16) == ~count & 0xFFFF else { throw reader.error("a length that contradicts itself") }
    try check(content.count + count, limit, reader)
    for _ in 0..<count { content.append(UInt8(try reader.take(8))) }
  }

  /// The lengths of the codes of a block that brings its own.
  private static func codes(_ reader: inout BitReader) throws -> ([Int], [Int]) {
    let literals = try reader.take(5) + 257
    let distances = try reader.take(5) + 1
    let count = try reader.take(4) + 4
    guard literals <= 286, distances <= 30 else { throw reader.error("too many codes") }
    var own = Array(repeating: 0, count: 19)
    for index in 0..<count { own[order[index]] = try reader.take(3) }
    let table = try table(own, reader)
    var lengths: [Int] = []
    while lengths.count < literals + distances {
      switch try table.symbol(&reader) {
      case 16:
        guard let last = lengths.last else { throw reader.error("a repeat of nothing") }
        lengths += Array(repeating: last, count: try reader.take(2) + 3)
      case 17: lengths += Array(repeating: 0, count: try reader.take(3) + 3)
      case 18: lengths += Array(repeating: 0, count: try reader.take(7) + 11)
      case let length: lengths.append(length)
      }
    }
    guard lengths.count == literals + distances, lengths[256] > 0 else { throw reader.error("an impossible code") }
    return (Array(lengths[..<literals]), Array(lengths[literals...]))
  }

  private static func block(
    _ reader: inout BitReader, _ content: inout [UInt8], _ start: Int, _ limit: Int, _ literals: HuffmanTable,
    _ distances: HuffmanTable
  ) throws {
    while true {
      let symbol = try literals.symbol(&reader)
      if symbol < 256 {
        try check(content.count + 1, limit, reader)
        content.append(UInt8(symbol))
        continue
      }
      if symbol == 256 { return }
      guard symbol - 257 < lengthBase.count else { throw reader.error("an unknown length") }
      let length = lengthBase[symbol - 257] + (try reader.take(lengthBits[symbol - 257]))
      let code = try distances.symbol(&reader)
      guard code < distanceBase.count else { throw reader.error("an unknown distance") }
      let distance = distanceBase[code] + (try reader.take(max(0, code / 2 - 1)))
      guard distance <= content.count - start else { throw reader.error("a reference to before its beginning") }
      try check(content.count + length, limit, reader)
      for _ in 0..<length { content.append(content[content.count - distance]) }
    }
  }
}

/// The check sum of gzip and ZIP.
private enum CRC32 {
  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { sum, _ in sum & 1 == 1 ? 0xEDB8_8320 ^ sum >> 1 : sum >> 1 }
  }

  static func of(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    ~bytes.reduce(UInt32.max) { sum, byte in table[Int((sum ^ UInt32(byte)) & 0xFF)] ^ sum >> 8 }
  }
}
