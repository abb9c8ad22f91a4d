/// Reads the part of Oniguruma's regular expressions that tokenizers use.
///
/// That is: characters, classes with `\p{…}`, `\P{…}`, `\s`, `\S`, `\d` and ranges, alternation, groups, the
/// greedy quantifiers, `(?i:…)` on ASCII letters, and `(?!…)` with one class. Anything else is refused by
/// name: a pattern either means exactly what Oniguruma means by it, or is not run.
struct PatternParser {
  private static let deepest = 16
  private static let mostRepeats = 1000

  private let scalars: [Unicode.Scalar]
  private var position = 0

  init(_ pattern: String) { scalars = Array(pattern.unicodeScalars) }

  /// - Throws: ``PatternError``.
  mutating func parse() throws -> PatternSyntax {
    let syntax = try choice(caseless: false, depth: 0)
    guard position == scalars.count else { throw refused("an unmatched \")\"") }
    return syntax
  }

  private var current: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  private func refused(_ construct: String) -> PatternError {
    PatternError(problem: "\(construct) at character \(position + 1) of the pattern is not supported yet")
  }

  /// Takes a text if it comes next.
  private mutating func take(_ text: String) -> Bool {
    guard scalars[position...].starts(with: text.unicodeScalars) else { return false }
    position += text.unicodeScalars.count
    return true
  }

  private mutating func choice(caseless: Bool, depth: Int) throws -> PatternSyntax {
    guard depth < Self.deepest else { throw refused("deep nesting") }
    var alternatives = [try sequence(caseless: caseless, depth: depth)]
    while take("|") { alternatives.append(try sequence(caseless: caseless, depth: depth)) }
    return alternatives.count == 1 ? alternatives[0] : .choice(alternatives)
  }

  private mutating func sequence(caseless: Bool, depth: Int) throws -> PatternSyntax {
    var parts: [PatternSyntax] = []
    var previousLetter: Unicode.Scalar?
    while let scalar = current, scalar != "|", scalar != ")" {
      if scalar == "(" {
        parts.append(try group(caseless: caseless, depth: depth))
        previousLetter = nil
        continue
      }
      let set: CharacterClass
      if caseless {
        set = try caselessLetter(after: previousLetter)
        previousLetter = scalar
      } else {
        set = try atom()
      }
      let (least, most) = try quantifier() ?? (1, 1)
      parts.append(.characters(set, least: least, most: most))
    }
    return parts.count == 1 ? parts[0] : .sequence(parts)
  }

  private mutating func group(caseless: Bool, depth: Int) throws -> PatternSyntax {
    if take("(?!") {
      guard !caseless else { throw refused("a look-ahead without case") }
      let set = try atom()
      guard take(")") else { throw refused("a look-ahead for more than one class") }
      guard try quantifier() == nil else { throw refused("a repeated look-ahead") }
      return .notBefore(set)
    }
    var inner = caseless
    if take("(?i:") {
      inner = true
    } else if !take("(?:") {
      position += 1
      guard current != "?" else {
        throw refused("\"(?\(position + 1 < scalars.count ? String(scalars[position + 1]) : "")\"")
      }
    }
    let syntax = try choice(caseless: inner, depth: depth + 1)
    guard take(")") else { throw PatternError(problem: "a group without its end in the pattern") }
    switch try quantifier() {
    case nil: return syntax
    case (0, 1)?: return .choice([syntax, .empty])
    default: throw refused("a repeated group")
    }
  }

  // MARK: Characters

  private mutating func atom() throws -> CharacterClass {
    guard let scalar = current else { throw refused("an end without a character") }
    switch scalar {
    case "[": return try bracket()
    case "\\": return try escape()
    case ".", "^", "$", "*", "+", "?", "{", "}", "(", ")", "|", "]": throw refused("\"\(scalar)\"")
    default:
      position += 1
      return .scalars([scalar.value])
    }
  }

  /// An ASCII character without regard to case. The long s and the Kelvin sign are cases of s and k.
  private mutating func caselessLetter(after previous: Unicode.Scalar?) throws -> CharacterClass {
    guard let scalar = current, scalar.isASCII, !"[\\.^$*+?{}(|)]".unicodeScalars.contains(scalar) else {
      throw refused("what is not an ASCII letter inside \"(?i:\"")
    }
    // Some ligatures are cases of two letters.
    let pair = (previous.map { String($0) } ?? "") + String(scalar)
    if ["ss", "st", "ff", "fi", "fl"].contains(pair.lowercased()) { throw refused("\"\(pair)\" inside \"(?i:\"") }
    position += 1
    guard scalar.properties.isAlphabetic else { return .scalars([scalar.value]) }
    let lower = scalar.value | 0x20
    return .scalars([lower, lower & ~0x20] + (lower == 0x73 ? [0x17F] : lower == 0x6B ? [0x212A] : []))
  }

  private mutating func escape() throws -> CharacterClass {
    position += 1
    guard let scalar = current else { throw refused("an escape without a character") }
    position += 1
    switch scalar {
    case "n": return .scalars([0x0A])
    case "r": return .scalars([0x0D])
    case "t": return .scalars([0x09])
    case "d": return .categories(CategorySet(named: "Nd") ?? [])
    case "p", "P": return try property(isNegated: scalar == "P")
    case "s", "S":
      var set = CharacterClass()
      set.spaces = scalar == "s"
      set.nonSpaces = scalar == "S"
      return set
    default:
      guard scalar.isASCII, scalar.value > 0x20, !scalar.properties.isAlphabetic, !("0"..."9").contains(scalar) else {
        position -= 1
        throw refused("\"\\\(scalar)\"")
      }
      return .scalars([scalar.value])
    }
  }

  private mutating func property(isNegated: Bool) throws -> CharacterClass {
    guard take("{"), let end = scalars[position...].firstIndex(of: "}") else {
      throw refused("a property without braces")
    }
    var name = ""
    name.unicodeScalars.append(contentsOf: scalars[position..<end])
    guard let categories = CategorySet(named: name) else { throw refused("the property \"\(name)\"") }
    position = end + 1
    return .categories(isNegated ? .everything.subtracting(categories) : categories)
  }

  private mutating func bracket() throws -> CharacterClass {
    position += 1
    var set = CharacterClass()
    set.isNegated = take("^")
    var isEmpty = true
    while let scalar = current, scalar != "]" {
      isEmpty = false
      if scalar == "[" || (scalar == "&" && position + 1 < scalars.count && scalars[position + 1] == "&") {
        throw refused("a class in a class")
      }
      let member = try bracketMember()
      guard current == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else {
        set.formUnion(member)
        continue
      }
      position += 1
      let upper = current == "[" ? CharacterClass() : try bracketMember()
      guard member.isSingle, upper.isSingle, member.ranges[0].lowerBound <= upper.ranges[0].lowerBound else {
        throw refused("a range that is not from a character to a later one")
      }
      set.ranges.append(member.ranges[0].lowerBound...upper.ranges[0].lowerBound)
    }
    guard take("]"), !isEmpty else { throw PatternError(problem: "a class without its end in the pattern") }
    return set
  }

  private mutating func bracketMember() throws -> CharacterClass {
    guard let scalar = current else { throw PatternError(problem: "a class without its end in the pattern") }
    if scalar == "\\" { return try escape() }
    position += 1
    return .scalars([scalar.value])
  }

  // MARK: Quantifiers

  private mutating func quantifier() throws -> (Int, Int)? {
    let bounds: (Int, Int)
    if take("?") {
      bounds = (0, 1)
    } else if take("*") {
      bounds = (0, .max)
    } else if take("+") {
      bounds = (1, .max)
    } else if take("{") {
      bounds = try repetition()
    } else {
      return nil
    }
    // Lazy and possessive forms, and a quantifier of a quantifier.
    if let scalar = current, "?*+{".unicodeScalars.contains(scalar) {
      throw refused("\"\(scalar)\" after a quantifier")
    }
    return bounds
  }

  /// What is between braces.
  private mutating func repetition() throws -> (Int, Int) {
    guard let least = number() else { throw refused("\"{\" without a number") }
    var most = least
    if take(",") { most = number() ?? .max }
    guard take("}"), least <= most, least <= Self.mostRepeats, most <= Self.mostRepeats || most == .max, most > 0 else {
      throw refused("this repetition")
    }
    return (least, most)
  }

  private mutating func number() -> Int? {
    var value: Int?
    while let scalar = current, ("0"..."9").contains(scalar) {
      value = min((value ?? 0) * 10 + Int(scalar.value - 0x30), Self.mostRepeats + 1)
      position += 1
    }
    return value
  }
}

extension CharacterClass {
  /// Whether it is one character that was written out.
  fileprivate var isSingle: Bool {
    categories.isEmpty && !spaces && !nonSpaces && !isNegated && ranges.count == 1
      && ranges[0].lowerBound == ranges[0].upperBound
  }
}
