import FurlBase

/// How Python prints values, and how it writes them as JSON.
enum PythonForm {
  /// `repr` of a floating-point number: the fewest digits that mean it.
  static func text(_ value: Double) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    let text = "\(value)"
    // Swift begins to write exponents at 2^54, Python at 10^16.
    guard abs(value) >= 1e16, !text.contains("e"), text.hasSuffix(".0") else { return text }
    let sign = value < 0 ? "-" : ""
    let digits = text.dropLast(2).drop { $0 == "-" }
    var fraction = digits.dropFirst()
    while fraction.last == "0" { fraction.removeLast() }
    return "\(sign)\(digits.prefix(1))\(fraction.isEmpty ? "" : ".")\(fraction)e+\(digits.count - 1)"
  }

  /// `repr` of a text.
  static func quoted(_ text: String) -> String {
    let quote: Unicode.Scalar = text.utf8.contains(0x27) && !text.utf8.contains(0x22) ? "\"" : "'"
    var result = String(quote)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case quote: result += "\\\(quote)"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      default:
        if isPrintable(scalar) {
          result.unicodeScalars.append(scalar)
        } else {
          let digits = String(scalar.value, radix: 16)
          let width = scalar.value < 0x100 ? 2 : scalar.value < 0x10000 ? 4 : 8
          result +=
            (width == 2 ? "\\x" : width == 4 ? "\\u" : "\\U") + String(repeating: "0", count: width - digits.count)
          result += digits
        }
      }
    }
    result.unicodeScalars.append(quote)
    return result
  }

  private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
    case .spaceSeparator: scalar == " "
    default: true
    }
  }

  /// What `str` makes of a value.
  ///
  /// - Throws: ``FurlError`` by `error` for what has no text that means anything.
  static func text(_ value: TemplateValue, _ error: (String) -> FurlError) throws -> String {
    switch value {
    case .undefined: ""
    case .text(let text), .safe(let text): text
    default: try printed(value, error)
    }
  }

  /// What `repr` makes of a value.
  private static func printed(_ value: TemplateValue, _ error: (String) -> FurlError) throws -> String {
    switch value {
    case .undefined: return "Undefined"
    case .none: return "None"
    case .bool(let value): return value ? "True" : "False"
    case .integer(let value): return "\(value)"
    case .number(let value): return text(value)
    case .text(let text): return quoted(text)
    case .safe(let text): return "Markup(\(quoted(text)))"
    case .list(let list) where list.kind != .view:
      let items = try list.items.map { try printed($0, error) }.joined(separator: ", ")
      return list.kind == .list ? "[\(items)]" : "(\(items)\(list.items.count == 1 ? "," : ""))"
    case .mapping(let mapping):
      return
        "{\(try mapping.pairs.map { "\(try printed($0.key, error)): \(try printed($0.value, error))" }.joined(separator: ", "))}"
    default: throw error("\(value.typeName) cannot be printed")
    }
  }

  /// How `json.dumps` writes.
  struct JSONStyle {
    var escapesUnicode = false
    var indent: String?
    var comma = ", "
    var colon = ": "
    var sortsKeys = false
  }

  /// - Throws: ``FurlError`` by `error` for what JSON does not have.
  static func json(
    _ value: TemplateValue, _ style: JSONStyle, level: Int = 0, _ error: (String) -> FurlError
  ) throws -> String {
    switch value {
    case .none: return "null"
    case .bool(let value): return value ? "true" : "false"
    case .integer(let value): return "\(value)"
    case .number(let value):
      return value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : text(value)
    case .text(let text), .safe(let text): return escaped(text, style)
    case .list(let list) where list.kind != .view:
      return enclosed("[", "]", try list.items.map { try json($0, style, level: level + 1, error) }, style, level)
    case .mapping(let mapping):
      var pairs = try mapping.pairs.map { (try key($0.key, error), $0.value) }
      if style.sortsKeys { pairs.sort { PythonText.precedes($0.0, $1.0) } }
      let items = try pairs.map { name, value in
        escaped(name, style) + style.colon + (try json(value, style, level: level + 1, error))
      }
      return enclosed("{", "}", items, style, level)
    default: throw error("\(value.typeName) cannot be written as JSON")
    }
  }

  private static func key(_ value: TemplateValue, _ error: (String) -> FurlError) throws -> String {
    if let text = value.string { return text }
    return try json(value, JSONStyle(), error)
  }

  private static func enclosed(
    _ open: String, _ close: String, _ items: [String], _ style: JSONStyle, _ level: Int
  ) -> String {
    guard let indent = style.indent, !items.isEmpty else { return open + items.joined(separator: style.comma) + close }
    let inner = "\n" + String(repeating: indent, count: level + 1)
    return open + inner + items.joined(separator: style.comma + inner) + "\n" + String(repeating: indent, count: level)
      + close
  }

  private static func escaped(_ text: String, _ style: JSONStyle) -> String {
    var result = "\""
    func code(_ unit: UInt32) -> String {
      let digits = String(unit, radix: 16)
      return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\u{8}": result += "\\b"
      case "\u{C}": result += "\\f"
      default:
        if scalar.value < 0x20 || style.escapesUnicode && scalar.value > 0x7E {
          for unit in String(scalar).utf16 { result += code(UInt32(unit)) }
        } else {
          result.unicodeScalars.append(scalar)
        }
      }
    }
    return result + "\""
  }
}
