import FurlBase

/// A piece of a template: text as it stands, or a word of what stands between braces.
struct TemplateToken {
  enum TokenContent: Equatable {
    case data(String)
    case name(String)
    case text(String)
    case integer(Int)
    case number(Double)
    case mark(String)
    case blockBegin, blockEnd, variableBegin, variableEnd, end
  }

  let content: TokenContent
  /// From 1.
  let line: Int
}

/// Cuts a template into tokens as Jinja 3.1 does with `trim_blocks` and `lstrip_blocks`, which is how transformers sets it up.
///
/// Source: https://jinja.palletsprojects.com/en/stable/templates/#whitespace-control and `jinja2/lexer.py` for the corner cases.
struct TemplateLexer {
  private let source: [Unicode.Scalar]
  private let file: String?
  private var position = 0
  private var line = 1
  /// Whether what comes begins a line.
  private var isLineStart = true
  private var tokens: [TemplateToken] = []

  /// - Throws: ``FurlError`` of kind `input` that names the line.
  static func tokens(of text: String, file: String?) throws -> [TemplateToken] {
    var lexer = TemplateLexer(text, file: file)
    try lexer.cut()
    return lexer.tokens
  }

  private init(_ text: String, file: String?) {
    var scalars: [Unicode.Scalar] = []
    scalars.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      if scalar == "\n", scalars.last == "\r" { scalars.removeLast() }
      scalars.append(scalar)
    }
    for index in scalars.indices where scalars[index] == "\r" { scalars[index] = "\n" }
    if scalars.last == "\n" { scalars.removeLast() }
    source = scalars
    self.file = file
  }

  private func error(_ problem: String) -> FurlError { TemplateFault.error(file, line, problem) }

  private func at(_ index: Int) -> Unicode.Scalar? { index < source.count ? source[index] : nil }

  private func has(_ text: String, at index: Int) -> Bool {
    let scalars = text.unicodeScalars
    return index + scalars.count <= source.count && source[index..<index + scalars.count].elementsEqual(scalars)
  }

  private mutating func advance(to end: Int) {
    for scalar in source[position..<end] where scalar == "\n" { line += 1 }
    if end > position { isLineStart = source[end - 1] == "\n" }
    position = end
  }

  private func afterSpaces(_ index: Int) -> Int {
    var end = index
    while end < source.count, PythonText.isSpace(source[end]) { end += 1 }
    return end
  }

  private mutating func add(_ content: TemplateToken.TokenContent) {
    tokens.append(TemplateToken(content: content, line: line))
  }

  // MARK: Text

  private mutating func cut() throws {
    while position < source.count {
      guard let start = nextBrace() else {
        add(.data(string(position..<source.count)))
        position = source.count
        break
      }
      let kind = source[start + 1]
      let sign = at(start + 2).flatMap { $0 == "-" || $0 == "+" ? $0 : nil }
      data(until: start, sign: sign, keepsIndent: kind == "{")
      advance(to: start + (sign == nil ? 2 : 3))
      if kind == "#" {
        try skipComment()
      } else if kind == "%", let end = rawBegin() {
        advance(to: end)
        try raw()
      } else {
        add(kind == "%" ? .blockBegin : .variableBegin)
        try inside(isBlock: kind == "%")
      }
    }
    add(.end)
  }

  private func string(_ range: Range<Int>) -> String {
    var text = String.UnicodeScalarView()
    text.append(contentsOf: source[range])
    return String(text)
  }

  private func nextBrace() -> Int? {
    var index = position
    while index + 1 < source.count {
      if source[index] == "{", ["{", "%", "#"].contains(source[index + 1]) { return index }
      index += 1
    }
    return nil
  }

  /// Adds the text before a tag, less the white space that the tag takes away.
  private mutating func data(until start: Int, sign: Unicode.Scalar?, keepsIndent: Bool) {
    var end = start
    if sign == "-" {
      while end > position, PythonText.isSpace(source[end - 1]) { end -= 1 }
    } else if sign == nil, !keepsIndent {
      let first = (position..<start).last { source[$0] == "\n" }.map { $0 + 1 } ?? position
      if first > position || isLineStart, source[first..<start].allSatisfy(PythonText.isSpace) { end = first }
    }
    if end > position { add(.data(string(position..<end))) }
    advance(to: start)
  }

  private mutating func skipComment() throws {
    var end = position
    while end < source.count, !has("#}", at: end) { end += 1 }
    guard end < source.count else { throw error("a comment has no end") }
    advance(to: closed(at: end + 2, sign: end > position ? source[end - 1] : nil))
  }

  /// Where a tag ends, with the white space behind it that it takes away.
  private func closed(at end: Int, sign: Unicode.Scalar?) -> Int {
    if sign == "-" { return afterSpaces(end) }
    return sign != "+" && at(end) == "\n" ? end + 1 : end
  }

  /// Where `raw %}` ends, if that is what comes.
  private func rawBegin() -> Int? {
    var index = afterSpaces(position)
    guard has("raw", at: index) else { return nil }
    index = afterSpaces(index + 3)
    if has("-%}", at: index) { return afterSpaces(index + 3) }
    return has("%}", at: index) ? index + 2 : nil
  }

  private mutating func raw() throws {
    var start = position
    while start < source.count {
      defer { start += 1 }
      guard has("{%", at: start) else { continue }
      let sign = at(start + 2).flatMap { $0 == "-" || $0 == "+" ? $0 : nil }
      var index = afterSpaces(start + (sign == nil ? 2 : 3))
      guard has("endraw", at: index) else { continue }
      index = afterSpaces(index + 6)
      let closing = at(index).flatMap { $0 == "-" || $0 == "+" ? $0 : nil }
      if closing != nil { index += 1 }
      guard has("%}", at: index) else { continue }
      data(until: start, sign: sign, keepsIndent: false)
      return advance(to: closed(at: index + 2, sign: closing))
    }
    throw error("raw has no endraw")
  }

  // MARK: Between braces

  private mutating func inside(isBlock: Bool) throws {
    var open: [Unicode.Scalar] = []
    while true {
      guard let scalar = at(position) else { throw error("a tag has no end") }
      if open.isEmpty, let end = tagEnd(isBlock: isBlock) {
        add(isBlock ? .blockEnd : .variableEnd)
        return advance(to: end)
      }
      if PythonText.isSpace(scalar) {
        advance(to: afterSpaces(position))
      } else if ("0"..."9").contains(scalar) {
        try number()
      } else if scalar == "_" || scalar.properties.isAlphabetic {
        let end = (position..<source.count).first {
          let next = source[$0]
          return !(next == "_" || next.properties.isAlphabetic || next.properties.numericType != nil)
        }
        word(until: end ?? source.count)
      } else if scalar == "\"" || scalar == "'" {
        try text(quote: scalar)
      } else {
        try mark(&open)
      }
    }
  }

  private mutating func word(until end: Int) {
    add(.name(string(position..<end)))
    advance(to: end)
  }

  private func tagEnd(isBlock: Bool) -> Int? {
    if isBlock {
      if has("+%}", at: position) { return position + 3 }
      if has("-%}", at: position) { return afterSpaces(position + 3) }
      return has("%}", at: position) ? closed(at: position + 2, sign: nil) : nil
    }
    if has("-}}", at: position) { return afterSpaces(position + 3) }
    return has("}}", at: position) ? position + 2 : nil
  }

  private static let marks = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
  ].map { Array($0.unicodeScalars) }

  private mutating func mark(_ open: inout [Unicode.Scalar]) throws {
    guard let mark = Self.marks.first(where: { source[position...].starts(with: $0) }) else {
      throw error("\"\(source[position])\" means nothing here")
    }
    switch mark[0] {
    case "{": open.append("}")
    case "(": open.append(")")
    case "[": open.append("]")
    case "}", ")", "]":
      guard open.popLast() == mark[0] else { throw error("\"\(mark[0])\" closes nothing") }
    default: break
    }
    guard open.count <= TemplateLimits.nesting else { throw error("brackets are nested too deeply") }
    add(.mark(string(position..<position + mark.count)))
    advance(to: position + mark.count)
  }

  private mutating func number() throws {
    func digits(_ start: Int) -> Int {
      var end = start
      while let digit = at(end), ("0"..."9").contains(digit) || (digit == "_" && end > start) { end += 1 }
      return end
    }
    var end = digits(position)
    let isWhole = end
    let follows = position > 0 && source[position - 1] == "."
    if !follows, at(end) == ".", let next = at(end + 1), ("0"..."9").contains(next) { end = digits(end + 1) }
    if !follows, at(end) == "e" || at(end) == "E" {
      let start = at(end + 1) == "-" || at(end + 1) == "+" ? end + 2 : end + 1
      if digits(start) > start { end = digits(start) }
    }
    let text = string(position..<end).filter { $0 != "_" }
    if end > isWhole {
      guard let value = Double(text) else { throw error("\(text) is not a number") }
      add(.number(value))
    } else {
      let next = at(end)
      guard let value = Int(text), text.count == 1 || text.first != "0", next?.properties.isAlphabetic != true else {
        throw error("\(text)\(next.map(String.init) ?? "") is not a number that is supported")
      }
      add(.integer(value))
    }
    advance(to: end)
  }

  private mutating func text(quote: Unicode.Scalar) throws {
    var value = String.UnicodeScalarView()
    var index = position + 1
    while let scalar = at(index) {
      if scalar == quote {
        add(.text(String(value)))
        return advance(to: index + 1)
      }
      index += 1
      guard scalar == "\\" else {
        value.append(scalar)
        continue
      }
      guard let escape = at(index) else { break }
      index += 1
      try self.escape(escape, &index, to: &value)
    }
    throw error("a text has no closing \(quote)")
  }

  /// What stands behind a backslash, as in Python's texts.
  private func escape(_ escape: Unicode.Scalar, _ index: inout Int, to value: inout String.UnicodeScalarView) throws {
    func code(_ count: Int, radix: Int) throws -> Unicode.Scalar {
      let digits = string(index..<min(index + count, source.count))
      guard digits.unicodeScalars.count == count, let number = UInt32(digits, radix: radix),
        let scalar = Unicode.Scalar(number)
      else { throw error("\\\(escape)\(digits) is no character") }
      index += count
      return scalar
    }
    switch escape {
    case "n": value.append("\n")
    case "t": value.append("\t")
    case "r": value.append("\r")
    case "a": value.append("\u{7}")
    case "b": value.append("\u{8}")
    case "f": value.append("\u{C}")
    case "v": value.append("\u{B}")
    case "\\", "'", "\"": value.append(escape)
    case "\n": break
    case "x": value.append(try code(2, radix: 16))
    case "u": value.append(try code(4, radix: 16))
    case "U": value.append(try code(8, radix: 16))
    case "N": throw error("\\N is not supported")
    case "0"..."7":
      index -= 1
      var count = 0
      while count < 3, let digit = at(index + count), ("0"..."7").contains(digit) { count += 1 }
      value.append(try code(count, radix: 8))
    default:
      value.append("\\")
      value.append(escape)
    }
  }
}
