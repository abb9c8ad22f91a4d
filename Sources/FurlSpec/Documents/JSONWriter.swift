extension JSON {
  /// The value on one line without spaces, keys in their order.
  public var compactText: String {
    var text = ""
    write(to: &text, indent: nil, level: 0)
    return text
  }

  /// The value with keys sorted by their UTF-8 bytes and no spaces: equal values give equal bytes.
  public var canonicalText: String { sortingKeys.compactText }

  /// The value with two spaces of indentation.
  public var prettyText: String {
    var text = ""
    write(to: &text, indent: 2, level: 0)
    return text
  }

  private var sortingKeys: JSON {
    switch self {
    case .array(let elements): .array(elements.map(\.sortingKeys))
    case .object(let members):
      .object(
        members
          .map { Member($0.key, $0.value.sortingKeys) }
          .sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) })
    default: self
    }
  }

  private var isScalar: Bool {
    switch self {
    case .array, .object: false
    default: true
    }
  }

  private func write(to text: inout String, indent: Int?, level: Int) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    case .number(let value): text += value.isFinite ? "\(value)" : "null"
    case .string(let value): JSON.quote(value, to: &text)
    case .array(let elements):
      // A list of plain values stays on one line, where a person can read it.
      let inner = elements.allSatisfy(\.isScalar) ? nil : indent
      JSON.list("[", "]", elements, to: &text, indent: inner, level: level) { element, text in
        element.write(to: &text, indent: inner, level: level + 1)
      }
    case .object(let members):
      JSON.list("{", "}", members, to: &text, indent: indent, level: level) { member, text in
        JSON.quote(member.key, to: &text)
        text += indent == nil ? ":" : ": "
        member.value.write(to: &text, indent: indent, level: level + 1)
      }
    }
  }

  private static func list<Element>(
    _ open: String, _ close: String, _ elements: [Element], to text: inout String, indent: Int?, level: Int,
    write: (Element, inout String) -> Void
  ) {
    text += open
    for (index, element) in elements.enumerated() {
      if index > 0 { text += "," }
      if let indent { text += "\n" + String(repeating: " ", count: indent * (level + 1)) }
      write(element, &text)
    }
    if let indent, !elements.isEmpty { text += "\n" + String(repeating: " ", count: indent * level) }
    text += close
  }

  private static func quote(_ value: String, to text: inout String) {
    text += "\""
    // Nearly all texts are copied as they are, and an index has thousands of them.
    if value.utf8.allSatisfy({ 0x20..<0x7F ~= $0 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
      text += value
      text += "\""
      return
    }
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F || (0x2028...0x2029).contains(scalar.value):
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
