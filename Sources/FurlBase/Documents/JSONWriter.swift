extension JSON {
  /// The value on one line without spaces, keys in their order.
  package var compactText: String { text(.compact) }

  /// The value with keys sorted by their UTF-8 bytes and no spaces: equal values give equal bytes.
  package var canonicalText: String { text(.canonical) }

  /// ``canonicalText`` in UTF-8.
  package var canonicalBytes: [UInt8] {
    var bytes: [UInt8] = []
    JSONWriter(style: .canonical).write(self, to: &bytes, level: 0)
    return bytes
  }

  /// The value with two spaces of indentation.
  package var prettyText: String { text(.pretty) }

  private func text(_ style: JSONWriter.Style) -> String {
    var bytes: [UInt8] = []
    JSONWriter(style: style).write(self, to: &bytes, level: 0)
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Writes bytes and not characters: the index of an artifact is written again whenever the file is opened, to see
/// that it is in canonical form.
private struct JSONWriter {
  enum Style {
    case compact
    case canonical
    case pretty
  }

  let style: Style

  func write(_ value: JSON, to bytes: inout [UInt8], level: Int) {
    switch value {
    case .null: bytes += "null".utf8
    case .bool(let value): bytes += (value ? "true" : "false").utf8
    case .integer(let value): bytes += String(value).utf8
    case .number(let value): bytes += (value.isFinite ? "\(value)" : "null").utf8
    case .string(let value): quote(value, to: &bytes)
    case .array(let elements):
      // A list of plain values stays on one line, where a person can read it.
      let isPretty = style == .pretty && !elements.allSatisfy(\.isScalar)
      list("[", "]", elements, to: &bytes, isPretty ? level : nil) { element, bytes in
        write(element, to: &bytes, level: level + 1)
      }
    case .object(let members):
      list("{", "}", ordered(members), to: &bytes, style == .pretty ? level : nil) { member, bytes in
        quote(member.key, to: &bytes)
        bytes += (style == .pretty ? ": " : ":").utf8
        write(member.value, to: &bytes, level: level + 1)
      }
    }
  }

  private func ordered(_ members: [JSON.Member]) -> [JSON.Member] {
    func precedes(_ one: JSON.Member, _ other: JSON.Member) -> Bool {
      one.key.utf8.lexicographicallyPrecedes(other.key.utf8)
    }
    // Most are in order already: they come from a file that is.
    guard style == .canonical, zip(members, members.dropFirst()).contains(where: { precedes($1, $0) }) else {
      return members
    }
    return members.sorted(by: precedes)
  }

  /// - Parameter level: how deep the list lies where each element has a line of its own.
  private func list<Element>(
    _ open: Unicode.Scalar, _ close: Unicode.Scalar, _ elements: [Element], to bytes: inout [UInt8], _ level: Int?,
    write: (Element, inout [UInt8]) -> Void
  ) {
    bytes.append(UInt8(ascii: open))
    for (index, element) in elements.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      if let level { newLine(level + 1, to: &bytes) }
      write(element, &bytes)
    }
    if let level, !elements.isEmpty { newLine(level, to: &bytes) }
    bytes.append(UInt8(ascii: close))
  }

  private func newLine(_ level: Int, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\n"))
    bytes += repeatElement(UInt8(ascii: " "), count: 2 * level)
  }

  private func quote(_ value: String, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    // Nearly all texts are copied as they are, and an index has thousands of them.
    let start = bytes.count
    bytes += value.utf8
    if !bytes[start...].allSatisfy({ 0x20..<0x7F ~= $0 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
      bytes.removeSubrange(start...)
      for scalar in value.unicodeScalars { escape(scalar, to: &bytes) }
    }
    bytes.append(UInt8(ascii: "\""))
  }

  private func escape(_ scalar: Unicode.Scalar, to bytes: inout [UInt8]) {
    switch scalar {
    case "\"": bytes += "\\\"".utf8
    case "\\": bytes += "\\\\".utf8
    case "\n": bytes += "\\n".utf8
    case "\r": bytes += "\\r".utf8
    case "\t": bytes += "\\t".utf8
    case _ where scalar.value < 0x20 || scalar.value == 0x7F || (0x2028...0x2029).contains(scalar.value):
      let digits = String(scalar.value, radix: 16)
      bytes += ("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8
    default: bytes += UTF8.encode(scalar)!
    }
  }
}

extension JSON {
  fileprivate var isScalar: Bool {
    switch self {
    case .array, .object: false
    default: true
    }
  }
}
