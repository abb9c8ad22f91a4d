/// What a text without quotes is in YAML 1.1, where its versions and readers agree on that.
enum YAMLScalar: Equatable {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  case text
  /// A number, but not to all readers the same one: `010` is 8 or 10, `0o10` 8 or a text, `1_000` a number or a text.
  case ambiguous
  /// Not a number, or an infinite one.
  case notFinite

  init(_ text: String) {
    switch text {
    case "", "~", "null", "Null", "NULL": self = .null
    // YAML 1.1 counts in sixties (1:30 is 90), which nobody means and which overflows.
    case _ where text.utf8.contains(UInt8(ascii: ":")): self = .text
    default: self = YAMLScalar.bool(of: text) ?? YAMLScalar.number(of: text)
    }
  }

  private static func bool(of text: String) -> YAMLScalar? {
    guard text.utf8.count <= 5 else { return nil }
    switch text.lowercased() {
    case "true", "yes", "on": return .bool(true)
    case "false", "no", "off": return .bool(false)
    default: return nil
    }
  }

  private static func number(of text: String) -> YAMLScalar {
    if isDecimal(text) {
      if let value = decimal(text) { return .integer(value) }
    } else if isOfOtherBase(text) {
      return .ambiguous
    }
    // Some readers leave underscores out of numbers.
    let bare = text.filter { $0 != "_" }
    let value = Double(bare)
    if !isDecimal(text), text.utf8.contains(where: isDigit), value != nil || isInteger(bare) { return .ambiguous }
    switch text.lowercased() {
    case ".inf", "+.inf", "-.inf", ".nan": return .notFinite
    default:
      guard let value else { return .text }
      return value.isFinite ? .number(value) : .notFinite
    }
  }

  /// An integer that is written as Furl writes one; a zero that is written otherwise is a number.
  private static func decimal(_ text: String) -> Int? {
    let digits = text.utf8.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
    return digits.first == UInt8(ascii: "0") && text != "0" ? nil : Int(text)
  }

  /// Whether it is `[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?`.
  private static func isDecimal(_ text: String) -> Bool {
    var rest = Substring(text).utf8
    skipSign(&rest)
    if rest.first == UInt8(ascii: "0") { rest.removeFirst() } else { rest = rest.drop(while: isDigit) }
    if rest.first == UInt8(ascii: ".") { rest = rest.dropFirst().drop(while: isDigit) }
    if rest.first.map({ $0 | 0x20 }) == UInt8(ascii: "e") {
      rest.removeFirst()
      skipSign(&rest)
      guard rest.first.map(isDigit) == true else { return false }
      rest = rest.drop(while: isDigit)
    }
    return rest.isEmpty
  }

  /// Whether it is `[-+]?0([0-9_]+|[oO][0-7_]+|[xX][0-9a-fA-F_]+|[bB][01_]+)`.
  private static func isOfOtherBase(_ text: String) -> Bool {
    var rest = Substring(text).utf8
    skipSign(&rest)
    guard rest.popFirst() == UInt8(ascii: "0"), let letter = rest.first else { return false }
    let digits: String
    switch letter | 0x20 {
    case UInt8(ascii: "o"): digits = "01234567_"
    case UInt8(ascii: "x"): digits = "0123456789abcdefABCDEF_"
    case UInt8(ascii: "b"): digits = "01_"
    default: return rest.allSatisfy { isDigit($0) || $0 == UInt8(ascii: "_") }
    }
    rest.removeFirst()
    return !rest.isEmpty && rest.allSatisfy(digits.utf8.contains)
  }

  /// Whether some reader takes it as an integer.
  private static func isInteger(_ text: String) -> Bool {
    let sign = text.hasPrefix("-") ? "-" : ""
    let digits = text.hasPrefix("-") || text.hasPrefix("+") ? text.dropFirst() : Substring(text)
    for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8), ("0", 8)] where digits.hasPrefix(prefix) {
      return text == "0" || Int(sign + digits.dropFirst(prefix.count), radix: radix) != nil
    }
    return Int(text) != nil
  }

  private static func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0") <= byte && byte <= UInt8(ascii: "9") }

  private static func skipSign(_ rest: inout Substring.UTF8View) {
    if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
  }
}
