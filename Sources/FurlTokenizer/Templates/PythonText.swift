/// What Python's texts do, on Unicode's code points.
enum PythonText {
  typealias Scalar = Unicode.Scalar

  /// White space as `str.isspace` has it.
  static func isSpace(_ scalar: Scalar) -> Bool {
    switch scalar.value {
    case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
    default: false
    }
  }

  static func string(_ scalars: some Sequence<Scalar>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
  }

  /// Takes characters off the ends.
  ///
  /// - Parameter characters: which; nil: white space.
  static func strip(_ text: String, _ characters: String?, left: Bool = true, right: Bool = true) -> String {
    let set = characters.map { Set($0.unicodeScalars) }
    func goes(_ scalar: Scalar) -> Bool { set?.contains(scalar) ?? isSpace(scalar) }
    var rest = text.unicodeScalars[...]
    if left { rest = rest.drop(while: goes) }
    if right { while let last = rest.last, goes(last) { rest.removeLast() } }
    return String(rest)
  }

  /// Where a pattern begins in a text, in bytes, from the left and without overlaps. A pattern may not be empty.
  static func places(of pattern: String, in text: String, atMost limit: Int = .max) -> [Int] {
    places(of: Array(pattern.utf8), in: Array(text.utf8), atMost: limit)
  }

  private static func places(of pattern: [UInt8], in text: [UInt8], atMost limit: Int = .max) -> [Int] {
    guard !pattern.isEmpty, pattern.count <= text.count, limit > 0 else { return [] }
    // Knuth, Morris and Pratt: a long pattern costs no more than a short one.
    var borders = [0]
    var border = 0
    for byte in pattern.dropFirst() {
      while border > 0, pattern[border] != byte { border = borders[border - 1] }
      if pattern[border] == byte { border += 1 }
      borders.append(border)
    }
    var (found, matched): ([Int], Int) = ([], 0)
    for (index, byte) in text.enumerated() {
      while matched > 0, pattern[matched] != byte { matched = borders[matched - 1] }
      if pattern[matched] == byte { matched += 1 }
      guard matched == pattern.count else { continue }
      found.append(index + 1 - pattern.count)
      if found.count == limit { break }
      matched = 0
    }
    return found
  }

  static func contains(_ pattern: String, in text: String) -> Bool {
    pattern.isEmpty || !places(of: pattern, in: text, atMost: 1).isEmpty
  }

  private static func part(_ bytes: [UInt8], _ range: Range<Int>) -> String {
    String(decoding: bytes[range], as: UTF8.self)
  }

  /// The parts of a text between those where a pattern is; `limit` patterns at most are looked at.
  static func split(_ text: String, at pattern: String, limit: Int, fromRight: Bool = false) -> [String] {
    var places = fromRight ? placesFromRight(pattern, text) : places(of: pattern, in: text)
    if limit >= 0 { places = Array(fromRight ? places.suffix(limit) : places.prefix(limit)) }
    let (bytes, width) = (Array(text.utf8), pattern.utf8.count)
    var (parts, start): ([String], Int) = ([], 0)
    for place in places {
      parts.append(part(bytes, start..<place))
      start = place + width
    }
    return parts + [part(bytes, start..<bytes.count)]
  }

  /// The same from the right, ascending.
  private static func placesFromRight(_ pattern: String, _ text: String) -> [Int] {
    let count = text.utf8.count - pattern.utf8.count
    return places(of: pattern.utf8.reversed(), in: text.utf8.reversed()).map { count - $0 }.reversed()
  }

  /// The words of a text; behind the last that `limit` counts comes the rest.
  static func words(_ text: String, limit: Int, fromRight: Bool = false) -> [String] {
    var scalars = Array(text.unicodeScalars)
    if fromRight { scalars.reverse() }
    var (words, index): ([String], Int) = ([], 0)
    func word(_ range: Range<Int>) -> String {
      fromRight ? string(scalars[range].reversed()) : string(scalars[range])
    }
    while true {
      while index < scalars.count, isSpace(scalars[index]) { index += 1 }
      guard index < scalars.count else { break }
      if limit >= 0, words.count == limit {
        words.append(word(index..<scalars.count))
        break
      }
      let start = index
      while index < scalars.count, !isSpace(scalars[index]) { index += 1 }
      words.append(word(start..<index))
    }
    return fromRight ? words.reversed() : words
  }

  /// `str.splitlines`.
  static func lines(_ text: String) -> [String] {
    let breaks: Set<UInt32> = [0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029]
    let scalars = Array(text.unicodeScalars)
    var (lines, start, index): ([String], Int, Int) = ([], 0, 0)
    while index < scalars.count {
      if breaks.contains(scalars[index].value) {
        lines.append(string(scalars[start..<index]))
        if scalars[index] == "\r", index + 1 < scalars.count, scalars[index + 1] == "\n" { index += 1 }
        start = index + 1
      }
      index += 1
    }
    if start < scalars.count { lines.append(string(scalars[start...])) }
    return lines
  }

  static func replace(_ text: String, _ old: String, _ new: String, limit: Int) -> String {
    if old.isEmpty {
      var (result, count) = ("", 0)
      for scalar in text.unicodeScalars {
        if limit < 0 || count < limit { result += new }
        count += 1
        result.unicodeScalars.append(scalar)
      }
      return limit < 0 || count < limit ? result + new : result
    }
    return split(text, at: old, limit: limit).joined(separator: new)
  }

  /// A text as HTML has it.
  static func escaped(_ text: String) -> String {
    text.unicodeScalars.reduce(into: "") { result, scalar in
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "'": result += "&#39;"
      case "\"": result += "&#34;"
      default: result.unicodeScalars.append(scalar)
      }
    }
  }

  /// The first letter as a capital, all others small.
  static func capitalize(_ text: String) -> String {
    guard let first = text.unicodeScalars.first else { return "" }
    return first.properties.titlecaseMapping + string(text.unicodeScalars.dropFirst()).lowercased()
  }

  static func hasPrefix(_ text: String, _ prefix: String) -> Bool { text.utf8.starts(with: prefix.utf8) }
  static func hasSuffix(_ text: String, _ suffix: String) -> Bool {
    text.utf8.count >= suffix.utf8.count && text.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
  }

  /// Whether a text comes before another in the order of code points.
  static func precedes(_ one: String, _ other: String) -> Bool { one.utf8.lexicographicallyPrecedes(other.utf8) }
}
