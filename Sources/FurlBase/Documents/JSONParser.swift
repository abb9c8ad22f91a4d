extension JSON {
  /// What is taken beyond the standard.
  package enum Dialect: Sendable, Hashable {
    case standard
    /// `NaN`, `Infinity` and `-Infinity`, as Python writes them. Whoever asks for a number within bounds refuses them by
    /// their key (``DocumentReader``).
    case nonFinite
    /// All that Python's json module reads: those, integers of any size (as the nearest number, infinite ones included),
    /// and halves of surrogate pairs (as ``loneSurrogate``).
    case python
  }

  /// Parses a JSON text (RFC 8259). A byte-order mark before it is passed over.
  ///
  /// Refused: duplicate keys, too many levels, malformed UTF-8, anything after the value.
  ///
  /// - Parameters:
  ///   - file: the name that errors carry.
  ///   - depthLimit: levels of nesting. What is to be put inside another document needs some to spare.
  ///   - dialect: what is taken beyond the standard.
  /// - Throws: ``FurlError`` of kind `input` with the line of the mistake.
  package static func parse(
    _ bytes: [UInt8], file: String?, depthLimit: Int = 128, dialect: Dialect = .standard
  ) throws -> JSON {
    var parser = JSONParser(bytes: bytes, file: file, depthLimit: depthLimit, dialect: dialect)
    return try parser.document()
  }

  /// Parses a mapping member by member, for texts that are too long to be held as a value.
  ///
  /// - Parameters:
  ///   - texts: a key whose value is a mapping of texts, which are checked and thrown away.
  ///   - valueLimit: bytes of a value.
  ///   - memberLimit: members, those of `texts` apart.
  ///   - body: is given each key, with its value.
  /// - Throws: ``FurlError`` of kind `input`, and what `body` throws.
  package static func forEachMember(
    _ bytes: [UInt8], file: String?, passing texts: String, valueLimit: Int, memberLimit: Int,
    _ body: (Member) throws -> Void
  ) throws {
    var parser = JSONParser(bytes: bytes, file: file, depthLimit: 16)
    try parser.forEachMember(passing: texts, valueLimit: valueLimit, memberLimit: memberLimit, body)
  }

  /// Parses one JSON text per line, skipping empty lines.
  package static func parseLines(_ bytes: [UInt8], file: String?) throws -> [JSON] {
    var values: [JSON] = []
    for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      // What is empty but for a mark at the beginning of the file says nothing either.
      let content = index == 0 && line.starts(with: [0xEF, 0xBB, 0xBF]) ? line.dropFirst(3) : line
      if content.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
      var parser = JSONParser(bytes: Array(content), file: file, line: index + 1)
      values.append(try parser.document())
    }
    return values
  }
}

extension JSON {
  /// Stands for half of a surrogate pair, which Unicode's own encodings cannot hold: a code point that is no character.
  package static let loneSurrogate: Unicode.Scalar = "\u{FFFF}"
}

/// A key as its bytes: Swift's texts are equal when they look alike, names of RFC 8259 are not.
private struct Key: Hashable {
  let bytes: ArraySlice<UInt8>

  /// Eight bytes at a time, which is several times faster than each.
  func hash(into hasher: inout Hasher) {
    var word: UInt64 = 0
    for (index, byte) in bytes.enumerated() {
      word = word << 8 | UInt64(byte)
      if index % 8 == 7 {
        hasher.combine(word)
        word = 0
      }
    }
    hasher.combine(word)
    hasher.combine(bytes.count)
  }
}

/// The keys of a mapping so far, by their bytes: Swift takes canonically equivalent texts for equal, JSON does not.
private struct SeenKeys {
  /// Few are compared with each other sooner than they are hashed.
  private var few: [ArraySlice<UInt8>] = []
  private var many: Set<Key> = []

  /// - Returns: false if the key is there already.
  mutating func insert(_ key: ArraySlice<UInt8>) -> Bool {
    guard few.count == 16 else {
      guard !few.contains(where: { $0.count == key.count && $0 == key }) else { return false }
      few.append(key)
      return true
    }
    if many.isEmpty { many = Set(few.map(Key.init)) }
    return many.insert(Key(bytes: key)).inserted
  }
}

private struct JSONParser {
  let bytes: [UInt8]
  let file: String?
  var depthLimit = 128
  var dialect = JSON.Dialect.standard
  var line = 1
  var position = 0
  var depth = 0
  /// Where the value that is being parsed has to be over; nil: at the end of the text.
  var limit: (end: Int, bytes: Int)?

  private mutating func skipMark() {
    if line == 1, position == 0, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
  }

  mutating func document() throws -> JSON {
    skipMark()
    let value = try value()
    skipSpace()
    guard position == bytes.count else { throw error("text after the end of the JSON value") }
    return value
  }

  private func error(_ problem: String) -> FurlError {
    .input(
      file, "line \(line + bytes.prefix(position).count { $0 == UInt8(ascii: "\n") })", "not valid JSON: \(problem)")
  }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  // MARK: Member by member

  mutating func forEachMember(
    passing texts: String, valueLimit: Int, memberLimit: Int, _ body: (JSON.Member) throws -> Void
  ) throws {
    skipMark()
    skipSpace()
    guard current == UInt8(ascii: "{") else { throw FurlError.input(file, "the header is not a mapping") }
    position += 1
    try eachMember(atMost: memberLimit) { parser, key in
      guard key != texts else { return try parser.passTexts(key, atMost: memberLimit) }
      parser.limit = (parser.position + valueLimit, valueLimit)
      let value = try parser.value()
      try parser.checkLimit()
      parser.limit = nil
      try body(JSON.Member(key, value))
    }
    skipSpace()
    guard position == bytes.count else { throw error("text after the end of the JSON value") }
  }

  /// Checks a mapping of texts.
  private mutating func passTexts(_ key: String, atMost count: Int) throws {
    let wrong = FurlError.input(file, key, "must be a mapping of texts")
    skipSpace()
    guard current == UInt8(ascii: "{") else { throw wrong }
    position += 1
    try eachMember(atMost: count) { parser, _ in
      parser.skipSpace()
      guard parser.current == UInt8(ascii: "\"") else { throw wrong }
      _ = try parser.string()
    }
  }

  /// Calls `body` where the value of each member begins, the opening brace being behind.
  private mutating func eachMember(atMost count: Int, _ body: (inout JSONParser, String) throws -> Void) throws {
    var keys = SeenKeys()
    if take("}") { return }
    var left = count
    repeat {
      skipSpace()
      guard current == UInt8(ascii: "\"") else { throw error("a key is expected") }
      let name = try stringBytes()
      guard name.count <= 1 << 16 else { throw error("a key of \(name.count) bytes") }
      let key = try text(name)
      guard keys.insert(name) else { throw error("the key \"\(key)\" appears twice") }
      guard take(":") else { throw error("a colon is expected after \"\(key)\"") }
      guard left > 0 else { throw error("more than \(count) keys in a mapping") }
      left -= 1
      try body(&self, key)
    } while take(",")
    guard take("}") else { throw error("a mapping without its end") }
  }

  private func checkLimit() throws {
    if let limit, position > limit.end { throw error("a value of more than \(limit.bytes) bytes") }
  }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private mutating func value() throws -> JSON {
    try checkLimit()
    skipSpace()
    guard let byte = current else { throw error("the text ends too early") }
    switch byte {
    case UInt8(ascii: "{"): return try nested { parser in .object(try parser.members()) }
    case UInt8(ascii: "["): return try nested { parser in .array(try parser.elements()) }
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    default: return try nonFinite() ?? number()
    }
  }

  /// What Python writes for floating-point numbers that JSON cannot say.
  private mutating func nonFinite() throws -> JSON? {
    guard dialect != .standard, let byte = current,
      byte != UInt8(ascii: "-") || bytes.dropFirst(position + 1).first == UInt8(ascii: "I")
    else { return nil }
    switch byte {
    case UInt8(ascii: "N"): return try literal("NaN", .number(.nan))
    case UInt8(ascii: "I"): return try literal("Infinity", .number(.infinity))
    case UInt8(ascii: "-"): return try literal("-Infinity", .number(-.infinity))
    default: return nil
    }
  }

  private mutating func nested(_ body: (inout JSONParser) throws -> JSON) throws -> JSON {
    guard depth < depthLimit else { throw error("more than \(depthLimit) levels") }
    depth += 1
    position += 1
    let value = try body(&self)
    depth -= 1
    return value
  }

  private mutating func literal(_ word: String, _ value: JSON) throws -> JSON {
    guard bytes[position...].starts(with: word.utf8) else { throw error("an unknown word") }
    position += word.utf8.count
    return value
  }

  /// Takes the byte if it comes next.
  private mutating func take(_ byte: Unicode.Scalar) -> Bool {
    skipSpace()
    guard current == UInt8(ascii: byte) else { return false }
    position += 1
    return true
  }

  private mutating func elements() throws -> [JSON] {
    var elements: [JSON] = []
    if take("]") { return elements }
    repeat { elements.append(try value()) } while take(",")
    guard take("]") else { throw error("a list without its end") }
    return elements
  }

  private mutating func members() throws -> [JSON.Member] {
    var members: [JSON.Member] = []
    var keys = SeenKeys()
    if take("}") { return members }
    repeat {
      skipSpace()
      guard current == UInt8(ascii: "\"") else { throw error("a key is expected") }
      let name = try stringBytes()
      let key = try text(name)
      guard keys.insert(name) else { throw error("the key \"\(key)\" appears twice") }
      guard take(":") else { throw error("a colon is expected after \"\(key)\"") }
      members.append(JSON.Member(key, try value()))
    } while take(",")
    guard take("}") else { throw error("a mapping without its end") }
    return members
  }

  private mutating func number() throws -> JSON {
    let start = position
    func isDigit(_ byte: UInt8?) -> Bool { byte.map { $0 >= 0x30 && $0 <= 0x39 } ?? false }
    func digits() -> Bool {
      let first = position
      while isDigit(current) { position += 1 }
      return position > first
    }
    var isInteger = true
    if current == UInt8(ascii: "-") { position += 1 }
    let leading = current
    let integerStart = position
    guard digits() else {
      position = start
      throw error("an unexpected character")
    }
    guard leading != 0x30 || position == integerStart + 1 else { throw error("a number with a leading zero") }
    if current == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      guard digits() else { throw error("a number without digits after the point") }
    }
    if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
      guard digits() else { throw error("a number without digits in its exponent") }
    }
    if isInteger, position - start <= 18 {
      let value = bytes[integerStart..<position].reduce(0) { $0 * 10 + Int($1 - 0x30) }
      return .integer(start == integerStart ? value : -value)
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isInteger, let value = Int(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite || dialect == .python else {
      throw error("the number \(text) is out of range")
    }
    return .number(value)
  }

  private mutating func string() throws -> String { try text(stringBytes()) }

  /// What stands between the quotes, with escapes replaced.
  private mutating func stringBytes() throws -> ArraySlice<UInt8> {
    position += 1
    let start = position
    while position < bytes.count, bytes[position] != 0x22, bytes[position] != 0x5C, bytes[position] >= 0x20 {
      position += 1
    }
    if current == 0x22 {
      defer { position += 1 }
      return bytes[start..<position]
    }
    var content = Array(bytes[start..<position])
    while let byte = current, byte != 0x22 {
      guard byte >= 0x20 else { throw error("a control character in a text") }
      position += 1
      if byte == 0x5C { try escape(into: &content) } else { content.append(byte) }
    }
    guard current == 0x22 else { throw error("a text without its end") }
    position += 1
    return content[...]
  }

  private func text(_ slice: ArraySlice<UInt8>) throws -> String {
    // Decoding replaces what is malformed, so that the bytes differ. (`String(validating:)` takes twice as long.)
    let text = String(decoding: slice, as: UTF8.self)
    if slice.allSatisfy({ $0 < 0x80 }) { return text }
    guard text.utf8.elementsEqual(slice) else { throw error("malformed UTF-8") }
    return text
  }

  private mutating func escape(into content: inout [UInt8]) throws {
    guard let byte = current else { throw error("the text ends too early") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
    case UInt8(ascii: "b"): content.append(8)
    case UInt8(ascii: "f"): content.append(12)
    case UInt8(ascii: "n"): content.append(10)
    case UInt8(ascii: "r"): content.append(13)
    case UInt8(ascii: "t"): content.append(9)
    case UInt8(ascii: "u"):
      var code = try hexadecimal()
      if (0xD800..<0xDC00).contains(code), bytes[position...].starts(with: [0x5C, UInt8(ascii: "u")]) {
        let afterHigh = position
        position += 2
        let low = try hexadecimal()
        if (0xDC00..<0xE000).contains(low) {
          code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        } else {
          position = afterHigh
        }
      }
      guard let scalar = Unicode.Scalar(code) ?? (dialect == .python ? JSON.loneSurrogate : nil) else {
        throw error("half of a surrogate pair")
      }
      content.append(contentsOf: String(Character(scalar)).utf8)
    default: throw error("an unknown escape")
    }
  }

  private mutating func hexadecimal() throws -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw error("an escape without four hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}
