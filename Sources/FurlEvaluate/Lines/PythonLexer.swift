/// The tokens of a Python file as CPython's `tokenize` module up to 3.11 finds them: an f-string is one token, `0777` is two
/// numbers, and what is no token at all is passed on character by character.
///
/// PY150's files were made with that module, and line by line is how it reads.
struct PythonLexer {
  enum PythonTokenKind { case name, number, string, comment, newline, other }

  /// Why a file has no tokens.
  struct LexicalFailure: Error {}

  private var line: [Unicode.Scalar] = []
  private var position = 0
  private var parentheses = 0
  private var isContinued = false
  private var indents = [0]
  /// A string that goes on in the next line, with what it ends with.
  private var open: (text: [Unicode.Scalar], quote: Unicode.Scalar, isTriple: Bool)?
  private let emit: (PythonTokenKind, [Unicode.Scalar]) -> Void

  private init(_ emit: @escaping (PythonTokenKind, [Unicode.Scalar]) -> Void) { self.emit = emit }

  /// Calls `emit` with every token in its order; indentation has none.
  ///
  /// - Parameter text: with line feeds only.
  /// - Throws: ``LexicalFailure`` where the module raises an error: a string or parenthesis without its end, an indentation that
  ///   goes back to none before.
  static func run(_ text: [Unicode.Scalar], _ emit: @escaping (PythonTokenKind, [Unicode.Scalar]) -> Void) throws {
    var lexer = PythonLexer(emit)
    var start = 0
    var last: ArraySlice<Unicode.Scalar> = []
    while start < text.count {
      let end = text[start...].firstIndex(of: "\n").map { $0 + 1 } ?? text.count
      last = text[start..<end]
      lexer.line = Array(last)
      lexer.position = 0
      if try !lexer.takeLine() { break }
      start = end
    }
    guard lexer.open == nil, start < text.count || (lexer.parentheses == 0 && !lexer.isContinued) else {
      throw LexicalFailure()
    }
    if let end = last.last, end != "\n", end != "\r",
      last.first(where: { !PythonSpace.contains($0) }) != "#"
    {
      emit(.newline, [])
    }
  }

  /// False when the file ends here: its last line is nothing but white space.
  private mutating func takeLine() throws -> Bool {
    if let begun = open {
      guard let end = endOfString(begun.quote, begun.isTriple, from: 0) else {
        if !begun.isTriple, !line.suffix(2).elementsEqual(["\\", "\n"]) {
          emit(.other, begun.text + line)
          open = nil
        } else {
          open?.text += line
        }
        return true
      }
      emit(.string, begun.text + line[..<end])
      open = nil
      position = end
    } else if parentheses == 0, !isContinued {
      guard try takeIndentation() else { return position < line.count }
    } else {
      isContinued = false
    }
    while position < line.count, try takeToken() {}
    return true
  }

  /// False when the line has no statement.
  private mutating func takeIndentation() throws -> Bool {
    var column = 0
    loop: while position < line.count {
      switch line[position] {
      case " ": column += 1
      case "\t": column = (column / 8 + 1) * 8
      case "\u{0C}": column = 0
      default: break loop
      }
      position += 1
    }
    guard position < line.count else { return false }
    if ["#", "\r", "\n"].contains(line[position]) {
      if line[position] == "#" { emit(.comment, Array(line[position...])) }
      emit(.newline, [])
      return false
    }
    if column > indents[indents.count - 1] { indents.append(column) }
    while column < indents[indents.count - 1] {
      guard indents.contains(column) else { throw LexicalFailure() }
      indents.removeLast()
    }
    return true
  }

  private func scalar(_ index: Int) -> Unicode.Scalar? { index < line.count ? line[index] : nil }

  /// Takes one token; false when a string has begun that ends in another line.
  private mutating func takeToken() throws -> Bool {
    var start = position
    while let next = scalar(start), next == " " || next == "\u{0C}" || next == "\t" { start += 1 }
    guard let first = scalar(start) else {
      position = start
      return true
    }
    if first == "\\", scalar(start + 1) == "\n" || (scalar(start + 1) == "\r" && scalar(start + 2) == "\n") {
      isContinued = true
      position = line.count
      return true
    }
    if first == "#" {
      let end = line[start...].firstIndex { $0 == "\r" || $0 == "\n" } ?? line.count
      return take(.comment, start..<end)
    }
    if let quote = stringStart(start), scalar(quote + 1) == line[quote], scalar(quote + 2) == line[quote] {
      guard let end = endOfString(line[quote], true, from: quote + 3) else {
        open = (Array(line[start...]), line[quote], true)
        return false
      }
      return take(.string, start..<end)
    }
    if let end = endOfNumber(start) { return take(.number, start..<end) }
    if first == "\n" || (first == "\r" && scalar(start + 1) == "\n") {
      return take(.newline, start..<(first == "\n" ? start + 1 : start + 2))
    }
    if let length = PythonLexer.operators.first(where: { line[start...].starts(with: $0) })?.count {
      if "([{".unicodeScalars.contains(first) { parentheses += 1 }
      if ")]}".unicodeScalars.contains(first) { parentheses -= 1 }
      return take(.other, start..<start + length)
    }
    if let quote = stringStart(start), let end = endOfLineOfString(quote) {
      guard line[end - 1] == line[quote] else {
        open = (Array(line[start...]), line[quote], false)
        return false
      }
      return take(.string, start..<end)
    }
    let end = line[start...].firstIndex { !PythonLexer.isWord($0) } ?? line.count
    if end > start { return take(.name, start..<end) }
    // No token: what stands here, white space before it included, goes one by one.
    return take(.other, position..<position + 1)
  }

  private mutating func take(_ kind: PythonTokenKind, _ range: Range<Int>) -> Bool {
    emit(kind, Array(line[range]))
    position = range.upperBound
    return true
  }

  private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII {
      return scalar == "_" || ("0"..."9").contains(scalar) || ("a"..."z").contains(scalar)
        || ("A"..."Z").contains(scalar)
    }
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return true
    default: return scalar.properties.numericType != nil
    }
  }

  /// The longest first.
  private static let operators: [[Unicode.Scalar]] = [
    "**=", "...", "//=", "<<=", ">>=", "!=", "%=", "&=", "**", "*=", "+=", "-=", "->", "//", "/=", ":=", "<<", "<=",
    "==",
    ">=", ">>", "@=", "^=", "|=", "%", "&", "(", ")", "*", "+", ",", "-", ".", "/", ":", ";", "<", "=", ">", "@", "[",
    "]", "^", "{", "|", "}", "~",
  ].map { Array($0.unicodeScalars) }

  // MARK: Strings

  private static let prefixes: Set = ["", "b", "r", "u", "f", "br", "rb", "fr", "rf"]

  /// Where the quote of a string stands that begins here with its prefix.
  private func stringStart(_ start: Int) -> Int? {
    var prefix = ""
    for index in start..<min(start + 3, line.count) {
      if line[index] == "'" || line[index] == "\"" { return PythonLexer.prefixes.contains(prefix) ? index : nil }
      guard line[index].isASCII else { return nil }
      prefix += String(line[index]).lowercased()
    }
    return nil
  }

  /// Behind the end of a string whose inside goes on here; nil where this line does not hold it.
  private func endOfString(_ quote: Unicode.Scalar, _ isTriple: Bool, from start: Int) -> Int? {
    var index = start
    while let next = scalar(index) {
      if next == "\\" {
        // An escaped line feed is no escape to the module, and ends the search.
        guard let after = scalar(index + 1), after != "\n" else { return nil }
        index += 2
      } else if next == quote, !isTriple {
        return index + 1
      } else if next == quote, scalar(index + 1) == quote, scalar(index + 2) == quote {
        return index + 3
      } else {
        index += 1
      }
    }
    return nil
  }

  /// Behind the end of the first line of a string in single quotes: its closing quote, or an escaped line feed.
  private func endOfLineOfString(_ quote: Int) -> Int? {
    var index = quote + 1
    while let next = scalar(index), next != "\n" {
      if next == line[quote] { return index + 1 }
      guard next == "\\" else {
        index += 1
        continue
      }
      if scalar(index + 1) == "\n" { return index + 2 }
      guard scalar(index + 1) != nil else { return nil }
      index += 2
    }
    return nil
  }

  // MARK: Numbers

  /// Behind a number; nil where none begins.
  private func endOfNumber(_ start: Int) -> Int? {
    let whole = digits(start, "0"..."9")
    if let whole, scalar(whole) == "j" || scalar(whole) == "J" { return whole + 1 }
    var float: Int?
    if let whole, scalar(whole) == "." {
      float = digits(whole + 1, "0"..."9") ?? whole + 1
    } else if scalar(start) == "." {
      float = digits(start + 1, "0"..."9")
    }
    if let end = float {
      float = exponent(end) ?? end
    } else if let whole {
      float = exponent(whole)
    }
    if let float { return scalar(float) == "j" || scalar(float) == "J" ? float + 1 : float }
    guard let whole else { return nil }
    guard line[start] == "0" else { return whole }
    return prefixed(start) ?? zeros(start)
  }

  /// Behind digits with single underscores between them.
  private func digits(_ start: Int, _ allowed: ClosedRange<Unicode.Scalar>...) -> Int? {
    func isDigit(_ index: Int) -> Bool {
      scalar(index).map { digit in allowed.contains { $0.contains(digit) } } ?? false
    }
    guard isDigit(start) else { return nil }
    var index = start + 1
    while true {
      if isDigit(index) {
        index += 1
      } else if scalar(index) == "_", isDigit(index + 1) {
        index += 2
      } else {
        return index
      }
    }
  }

  private func exponent(_ start: Int) -> Int? {
    guard scalar(start) == "e" || scalar(start) == "E" else { return nil }
    return digits(scalar(start + 1) == "+" || scalar(start + 1) == "-" ? start + 2 : start + 1, "0"..."9")
  }

  private func prefixed(_ start: Int) -> Int? {
    let first = scalar(start + 2) == "_" ? start + 3 : start + 2
    switch scalar(start + 1) {
    case "x", "X": return digits(first, "0"..."9", "a"..."f", "A"..."F")
    case "b", "B": return digits(first, "0"..."1")
    case "o", "O": return digits(first, "0"..."7")
    default: return nil
    }
  }

  /// Behind the zeros that are a number by themselves.
  private func zeros(_ start: Int) -> Int { digits(start, "0"..."0") ?? start + 1 }
}
