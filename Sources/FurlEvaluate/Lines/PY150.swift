import FurlBase

/// PY150's normal form of Python files, as CodeXGLUE makes it: tokens with single spaces between them, `<EOL>` for the ends of
/// lines, markers in the place of all but the most frequent literals; comments and indentation are lost.
package struct PY150: Sendable {
  /// The literals that stay: the 200 most frequent texts and the 30 most frequent numbers in CodeXGLUE's list.
  package struct Literals: Sendable, Hashable {
    package var strings: Set<String>
    package var numbers: Set<String>

    /// None: every literal becomes a bare marker.
    package init() {
      strings = []
      numbers = []
    }

    /// Reads CodeXGLUE's `literals.json`: `str` and `num`, lists of texts.
    ///
    /// - Throws: ``FurlError`` of kind `input`.
    package init(path: String) throws {
      let reader = try DocumentReader(
        JSON.parse(MappedFile(path: path).readAll(limit: 1 << 20), file: path), file: path)
      guard let strings = try reader.strings("str"), let numbers = try reader.strings("num") else {
        throw reader.error(
          nil, "the lists str and num are expected", remedy: "give CodeXGLUE's literals.json for PY150")
      }
      for unused in ["char", "regex"] { _ = try reader.strings(unused) }
      try reader.finish()
      self.strings = Set(strings)
      self.numbers = Set(numbers)
    }
  }

  private let literals: Literals

  package init(_ literals: Literals = Literals()) { self.literals = literals }

  /// The tokens of a file, without `<s>` and `</s>`; nil where CPython's tokenizer refuses it, and for one without tokens.
  package func tokens(of bytes: [UInt8]) -> [String]? {
    guard let text = PY150.text(bytes) else { return nil }
    // A class, because the lexer's callback outlives no call and yet has to write.
    let collected = Collected()
    do {
      try PythonLexer.run(text) { kind, scalars in
        let token = LineScore.normal(String(String.UnicodeScalarView(scalars)))
        switch kind {
        case .string: collected.add(string(token))
        case .number: collected.add(literals.numbers.contains(token) ? "<NUM_LIT:\(token)>" : "<NUM_LIT>")
        case .newline: collected.endLine()
        case .comment: break
        case .name, .other: if !token.isEmpty { collected.add(token) }
        }
      }
    } catch {
      return nil
    }
    var tokens = collected.tokens[...]
    if tokens.first == PY150.endOfLine { tokens.removeFirst() }
    if tokens.last == PY150.endOfLine { tokens.removeLast() }
    return tokens.isEmpty ? nil : Array(tokens)
  }

  /// A file in normal form; one that is refused is empty.
  package func normalForm(of bytes: [UInt8]) -> String {
    (["<s>"] + (tokens(of: bytes) ?? []) + ["</s>"]).joined(separator: " ")
  }

  static let endOfLine = "<EOL>"

  private final class Collected {
    var tokens: [String] = []
    private var isAtEnd = false

    func add(_ token: String) {
      tokens.append(token)
      isAtEnd = false
    }

    func endLine() {
      if !isAtEnd { tokens.append(PY150.endOfLine) }
      isAtEnd = true
    }
  }

  /// A string with its prefix (small letters only, as in CodeXGLUE's rule) and quotes, and a marker between them.
  private func string(_ token: String) -> String {
    let scalars = Array(token.unicodeScalars)
    let prefix = scalars.prefix { ("a"..."z").contains($0) }
    var inside = scalars[prefix.count...]
    var (start, end) = ("", "")
    let quotes = ["'''", "\"\"\"", "'", "\""]
    if let quote = quotes.first(where: { inside.starts(with: $0.unicodeScalars) }) {
      // As the rule has it: whether the whole ends with the quote is asked before its beginning is gone.
      let isClosed = inside.suffix(quote.unicodeScalars.count).elementsEqual(quote.unicodeScalars)
      inside = inside.dropFirst(quote.unicodeScalars.count)
      if isClosed { inside = inside.dropLast(quote.unicodeScalars.count) }
      (start, end) = (quote, isClosed ? quote : "")
    }
    var value = ""
    for scalar in inside {
      switch scalar {
      case " ": value += "U+0020"
      case ",": value += "U+002C"
      default: value.unicodeScalars.append(scalar)
      }
    }
    let marker = literals.strings.contains(value) ? "<STR_LIT:\(value)>" : "<STR_LIT>"
    return String(String.UnicodeScalarView(prefix)) + start + marker + end
  }

  /// The text of a file with line feeds only; nil when it is not UTF-8 or its own declaration says that it is not.
  private static func text(_ bytes: [UInt8]) -> [Unicode.Scalar]? {
    guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
    var scalars = Array(text.unicodeScalars)
    scalars = scalars.replacing(["\r", "\n"], with: ["\n"]).map { $0 == "\r" ? "\n" : $0 }
    if scalars.first == "\u{FEFF}" { scalars.removeFirst() }
    guard let declared = declaredEncoding(scalars), scalars.contains(where: { !$0.isASCII }) else { return scalars }
    switch declared {
    case "utf-8", "utf8", "utf_8", "u8", "utf-8-sig": return scalars
    // The tokenizer then reads UTF-8 as Latin-1, byte by byte.
    case "latin-1", "latin1", "iso-8859-1", "iso8859-1", "iso-latin-1", "l1", "latin_1", "iso_8859_1":
      return String(String.UnicodeScalarView(scalars)).utf8.map { Unicode.Scalar($0) }
    default: return nil
    }
  }

  /// The encoding that a comment in the first two lines declares (PEP 263), in small letters.
  private static func declaredEncoding(_ scalars: [Unicode.Scalar]) -> String? {
    for line in scalars.split(separator: "\n", maxSplits: 2, omittingEmptySubsequences: false).prefix(2) {
      let rest = line.drop { $0 == " " || $0 == "\t" || $0 == "\u{0C}" }
      guard rest.first == "#" else {
        if rest.isEmpty { continue }
        return nil
      }
      guard
        let word = rest.ranges(of: Array("coding".unicodeScalars)).first(where: { range in
          range.upperBound < rest.endIndex && (rest[range.upperBound] == ":" || rest[range.upperBound] == "=")
        })
      else { continue }
      let name = rest[(word.upperBound + 1)...].drop { $0 == " " || $0 == "\t" }.prefix {
        $0.isASCII
          && ($0 == "-" || $0 == "." || $0 == "_" || $0.properties.isAlphabetic || $0.properties.numericType != nil)
      }
      if !name.isEmpty { return String(String.UnicodeScalarView(name)).lowercased() }
    }
    return nil
  }
}
