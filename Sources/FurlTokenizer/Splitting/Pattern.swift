/// A pattern that is ready to run over UTF-8 bytes.
///
/// The syntax is compiled into a graph of nodes, each of which names what follows it, and run with
/// backtracking, first alternative first, as Oniguruma does. A table by first byte leaves only the
/// alternatives that can match at all; characters below U+0080 are looked up in a table of classes.
struct Pattern: Sendable {

  private enum Node: Sendable {
    case accept
    case characters(set: Int, least: Int, most: Int, next: Int)
    case choice([Int])
    case notBefore(set: Int, next: Int)
  }

  private var nodes: [Node] = [.accept]
  private var classes: [CharacterClass] = []
  /// For every ASCII character, one bit a class.
  private var members: [UInt32] = Array(repeating: 0, count: 128)
  /// The first node of every alternative.
  private var starts: [Int] = []
  /// For every first byte, one bit for each alternative that may match.
  private var candidates: [UInt32] = Array(repeating: 0, count: 256)

  /// Digits as Rust's `char::is_numeric` has them, one at a time.
  static let digits: Pattern = {
    var set = CharacterClass.categories(CategorySet(named: "N") ?? [])
    set.version = UnicodeCategory.digitVersion
    var pattern = Pattern()
    try? pattern.compile(.characters(set, least: 1, most: 1))
    return pattern
  }()

  private init() {}

  /// - Throws: ``PatternError`` if the pattern cannot be run exactly.
  init(_ text: String) throws {
    var parser = PatternParser(text)
    try compile(try parser.parse())
  }

  /// A text that is taken as it stands. It must not be empty.
  init(literal text: String) throws {
    try compile(.sequence(text.unicodeScalars.map { .characters(.scalars([$0.value]), least: 1, most: 1) }))
  }

  // MARK: Compiling

  private mutating func compile(_ syntax: PatternSyntax) throws {
    guard !syntax.matchesEmpty else {
      throw PatternError(problem: "a pattern that matches the empty text is not supported yet")
    }
    let alternatives = if case .choice(let list) = syntax { list } else { [syntax] }
    guard alternatives.count <= 32 else {
      throw PatternError(problem: "a pattern of more than 32 alternatives is not supported yet")
    }
    for (bit, alternative) in alternatives.enumerated() {
      starts.append(try node(alternative, next: 0))
      for byte in 0..<256 where byte >= 128 || alternative.mayStart(with: UInt32(byte)) {
        candidates[byte] |= 1 << UInt32(bit)
      }
    }
  }

  /// Adds the nodes of a part and gives the first of them.
  private mutating func node(_ syntax: PatternSyntax, next: Int) throws -> Int {
    switch syntax {
    case .characters(let set, let least, let most):
      nodes.append(.characters(set: try index(of: set), least: least, most: most, next: next))
    case .notBefore(let set):
      nodes.append(.notBefore(set: try index(of: set), next: next))
    case .choice(let alternatives):
      nodes.append(.choice(try alternatives.map { try node($0, next: next) }))
    case .sequence(let parts):
      return try parts.reversed().reduce(next) { try node($1, next: $0) }
    }
    guard nodes.count <= 4096 else {
      throw PatternError(problem: "a pattern of more than 4096 parts is not supported yet")
    }
    return nodes.count - 1
  }

  private mutating func index(of set: CharacterClass) throws -> Int {
    if let index = classes.firstIndex(of: set) { return index }
    guard classes.count < 32 else {
      throw PatternError(problem: "a pattern of more than 32 classes is not supported yet")
    }
    for ascii in 0..<128 where set.contains(UInt32(ascii)) { members[ascii] |= 1 << UInt32(classes.count) }
    classes.append(set)
    return classes.count - 1
  }

  // MARK: Running

  /// The end of the match that starts at an index, or -1.
  ///
  /// - Parameters:
  ///   - bytes: well-formed UTF-8.
  ///   - start: where a scalar starts, below `end`.
  ///   - end: the text is taken to end here.
  @inline(__always)
  func match(_ bytes: [UInt8], at start: Int, end: Int) -> Int {
    var mask = candidates[Int(bytes[start])]
    while mask != 0 {
      let result = run(starts[mask.trailingZeroBitCount], bytes, start, end)
      if result >= 0 { return result }
      mask &= mask - 1
    }
    return -1
  }

  private func run(_ first: Int, _ bytes: [UInt8], _ start: Int, _ end: Int) -> Int {
    var node = first
    var position = start
    while true {
      switch nodes[node] {
      case .accept: return position
      case .notBefore(let set, let next):
        if position < end, length(of: set, bytes, position, end) > 0 { return -1 }
        node = next
      case .choice(let alternatives):
        for alternative in alternatives {
          let result = run(alternative, bytes, position, end)
          if result >= 0 { return result }
        }
        return -1
      case .characters(let set, let least, let most, let next):
        let from = position
        var count = 0
        while count < most, position < end {
          let taken = length(of: set, bytes, position, end)
          if taken == 0 { break }
          position += taken
          count += 1
        }
        if count < least { return -1 }
        node = next
        if next == 0 || count == least { continue }
        while true {
          let result = run(next, bytes, position, end)
          if result >= 0 || count == least { return result }
          position = UTF8Text.before(bytes, position, start: from)
          count -= 1
        }
      }
    }
  }

  /// The length in bytes of the character at a position if it is of a class, or 0.
  @inline(__always)
  private func length(of set: Int, _ bytes: [UInt8], _ position: Int, _ end: Int) -> Int {
    let byte = bytes[position]
    if byte < 0x80 { return Int(members[Int(byte)] >> UInt32(truncatingIfNeeded: set) & 1) }
    let (value, length) = UTF8Text.scalar(bytes, at: position, end: end)
    return classes[set].contains(value) ? length : 0
  }
}
