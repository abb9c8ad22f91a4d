import FurlBase

/// Turns the tokens of a template into statements: Jinja's grammar, less what is refused by its name.
///
/// Source: https://jinja.palletsprojects.com/en/stable/templates/ and the order in which `jinja2/parser.py` binds operators.
struct TemplateParser {
  private let tokens: [TemplateToken]
  private let file: String?
  private var place = 0
  private var depth = 0
  var loops = 0
  var isInMacro = false

  /// - Throws: ``FurlError`` of kind `input` that names the line.
  static func statements(of text: String, file: String?) throws -> [TemplateStatement] {
    var parser = TemplateParser(tokens: try TemplateLexer.tokens(of: text, file: file), file: file)
    let (statements, _) = try parser.body(until: [])
    return statements
  }

  private init(tokens: [TemplateToken], file: String?) {
    self.tokens = tokens
    self.file = file
  }

  // MARK: Tokens

  var content: TemplateToken.TokenContent { tokens[place].content }
  var line: Int { tokens[place].line }
  private var following: TemplateToken.TokenContent { tokens[min(place + 1, tokens.count - 1)].content }

  mutating func next() { place = min(place + 1, tokens.count - 1) }

  func error(_ problem: String, at line: Int? = nil, remedy: String? = nil) -> FurlError {
    TemplateFault.error(file, line ?? self.line, problem, remedy: remedy)
  }

  mutating func takes(_ content: TemplateToken.TokenContent) -> Bool {
    guard self.content == content else { return false }
    next()
    return true
  }

  mutating func takes(mark: String) -> Bool { takes(.mark(mark)) }
  mutating func takes(word: String) -> Bool { takes(.name(word)) }

  mutating func expect(mark: String) throws {
    guard takes(mark: mark) else { throw error("\"\(mark)\" is expected, not \(described)") }
  }

  mutating func expect(word: String) throws {
    guard takes(word: word) else { throw error("\"\(word)\" is expected, not \(described)") }
  }

  mutating func name() throws -> String {
    guard case .name(let name) = content else { throw error("a name is expected, not \(described)") }
    next()
    return name
  }

  var described: String {
    switch content {
    case .data: "text"
    case .name(let name): "\"\(name)\""
    case .text: "a text"
    case .integer, .number: "a number"
    case .mark(let mark): "\"\(mark)\""
    case .blockBegin: "{%"
    case .blockEnd: "%}"
    case .variableBegin: "{{"
    case .variableEnd: "}}"
    case .end: "the end of the template"
    }
  }

  /// Goes one level deeper for what `body` reads.
  mutating func nested<Value>(_ body: (inout TemplateParser) throws -> Value) throws -> Value {
    depth += 1
    defer { depth -= 1 }
    guard depth <= TemplateLimits.nesting else { throw error("is nested too deeply") }
    return try body(&self)
  }

  func node(_ form: TemplateForm, _ line: Int) throws -> TemplateNode {
    let depth = (form.parts.map(\.depth).max() ?? 0) + 1
    guard depth <= 2 * TemplateLimits.nesting else { throw error("has too long an expression", at: line) }
    return TemplateNode(form: form, line: line, depth: depth)
  }

  // MARK: Expressions

  /// An expression, or several with commas between them as one tuple.
  ///
  /// - Parameter ends: whether a token ends the tuple behind a comma.
  mutating func tuple(allowsChoice: Bool = true, endsAt word: String? = nil, inParentheses: Bool = false) throws
    -> TemplateNode
  {
    let line = self.line
    var nodes: [TemplateNode] = []
    var isTuple = false
    while true {
      if isTupleEnd(word) { break }
      nodes.append(try allowsChoice ? expression() : alternative())
      guard takes(mark: ",") else { break }
      isTuple = true
    }
    if !isTuple, let only = nodes.first { return only }
    guard isTuple || inParentheses else { throw error("an expression is expected, not \(described)") }
    return try node(.list(nodes, isTuple: true), line)
  }

  private func isTupleEnd(_ word: String?) -> Bool {
    switch content {
    case .variableEnd, .blockEnd, .mark(")"): true
    case .name(let name): name == word
    default: false
    }
  }

  mutating func expression() throws -> TemplateNode {
    try nested { parser in
      let line = parser.line
      var result = try parser.alternative()
      while parser.takes(word: "if") {
        let test = try parser.alternative()
        let no = parser.takes(word: "else") ? try parser.expression() : nil
        result = try parser.node(.choice(test, yes: result, no: no), line)
      }
      return result
    }
  }

  mutating func alternative() throws -> TemplateNode {
    let line = self.line
    var left = try conjunction()
    while takes(word: "or") { left = try node(.or(left, try conjunction()), line) }
    return left
  }

  private mutating func conjunction() throws -> TemplateNode {
    let line = self.line
    var left = try negation()
    while takes(word: "and") { left = try node(.and(left, try negation()), line) }
    return left
  }

  private mutating func negation() throws -> TemplateNode {
    let line = self.line
    guard takes(word: "not") else { return try comparison() }
    return try nested { try $0.node(.not(try $0.negation()), line) }
  }

  private mutating func comparison() throws -> TemplateNode {
    let line = self.line
    let first = try sum()
    var others: [(sign: String, other: TemplateNode)] = []
    while true {
      if case .mark(let sign) = content, ["==", "!=", "<", "<=", ">", ">="].contains(sign) {
        next()
        others.append((sign, try sum()))
      } else if takes(word: "in") {
        others.append(("in", try sum()))
      } else if content == .name("not"), following == .name("in") {
        next()
        next()
        others.append(("not in", try sum()))
      } else {
        break
      }
    }
    return others.isEmpty ? first : try node(.comparison(first, others), line)
  }

  private mutating func sum() throws -> TemplateNode {
    let line = self.line
    var left = try concatenation()
    while case .mark(let sign) = content, sign == "+" || sign == "-" {
      next()
      left = try node(.arithmetic(sign, left, try concatenation()), line)
    }
    return left
  }

  private mutating func concatenation() throws -> TemplateNode {
    let line = self.line
    var parts = [try product()]
    while takes(mark: "~") { parts.append(try product()) }
    return parts.count == 1 ? parts[0] : try node(.joined(parts), line)
  }

  private mutating func product() throws -> TemplateNode {
    let line = self.line
    var left = try power()
    while case .mark(let sign) = content, ["*", "/", "//", "%"].contains(sign) {
      next()
      left = try node(.arithmetic(sign, left, try power()), line)
    }
    return left
  }

  private mutating func power() throws -> TemplateNode {
    let line = self.line
    var left = try unary()
    while takes(mark: "**") { left = try node(.arithmetic("**", left, try unary()), line) }
    return left
  }

  private mutating func unary(withFilters: Bool = true) throws -> TemplateNode {
    let line = self.line
    var result: TemplateNode
    if takes(mark: "-") {
      result = try nested { try $0.node(.negated(try $0.unary(withFilters: false)), line) }
    } else if takes(mark: "+") {
      result = try nested { try $0.node(.positive(try $0.unary(withFilters: false)), line) }
    } else {
      result = try primary()
    }
    result = try postfix(result)
    return withFilters ? try filtersAndTests(result) : result
  }

  private mutating func primary() throws -> TemplateNode {
    let line = self.line
    let first = content
    next()
    switch first {
    case .name("true"), .name("True"): return try node(.constant(.bool(true)), line)
    case .name("false"), .name("False"): return try node(.constant(.bool(false)), line)
    case .name("none"), .name("None"): return try node(.constant(.none), line)
    case .name(let name):
      if isInMacro, ["varargs", "kwargs", "caller"].contains(name) {
        throw error("\(name) of macros is not supported", at: line)
      }
      return try node(.name(name), line)
    case .text(var text):
      while case .text(let more) = content {
        text += more
        next()
      }
      return try node(.constant(.text(text)), line)
    case .integer(let value): return try node(.constant(.integer(value)), line)
    case .number(let value): return try node(.constant(.number(value)), line)
    case .mark("("):
      let inner = try nested { try $0.tuple(inParentheses: true) }
      try expect(mark: ")")
      return inner
    case .mark("["): return try list(line)
    case .mark("{"): return try mapping(line)
    default:
      place -= 1
      throw error("an expression is expected, not \(described)")
    }
  }

  private mutating func list(_ line: Int) throws -> TemplateNode {
    var nodes: [TemplateNode] = []
    while content != .mark("]") {
      nodes.append(try expression())
      guard takes(mark: ",") else { break }
    }
    try expect(mark: "]")
    return try node(.list(nodes, isTuple: false), line)
  }

  private mutating func mapping(_ line: Int) throws -> TemplateNode {
    var pairs: [(key: TemplateNode, value: TemplateNode)] = []
    while content != .mark("}") {
      let key = try expression()
      try expect(mark: ":")
      pairs.append((key, try expression()))
      guard takes(mark: ",") else { break }
    }
    try expect(mark: "}")
    return try node(.mapping(pairs), line)
  }

  private mutating func postfix(_ first: TemplateNode) throws -> TemplateNode {
    var result = first
    while true {
      let line = self.line
      if takes(mark: ".") {
        if case .integer(let index) = content {
          next()
          result = try node(.item(result, try node(.constant(.integer(index)), line)), line)
        } else {
          result = try node(.attribute(result, try name()), line)
        }
      } else if takes(mark: "[") {
        result = try subscripted(result, line)
      } else if content == .mark("(") {
        result = try node(.call(result, try arguments()), line)
      } else {
        return result
      }
    }
  }

  private mutating func subscripted(_ base: TemplateNode, _ line: Int) throws -> TemplateNode {
    func ends(_ parser: TemplateParser) -> Bool { parser.content == .mark("]") || parser.content == .mark(":") }
    let from = ends(self) ? nil : try expression()
    if let from, takes(mark: "]") { return try node(.item(base, from), line) }
    guard takes(mark: ":") else {
      throw error(
        content == .mark(",") ? "several indices at once are not supported" : "\"]\" is expected, not \(described)")
    }
    let to = ends(self) ? nil : try expression()
    let by = takes(mark: ":") && !ends(self) ? try expression() : nil
    try expect(mark: "]")
    return try node(.slice(base, from: from, to: to, by: by), line)
  }

  mutating func arguments() throws -> TemplateArguments {
    var result = TemplateArguments()
    try expect(mark: "(")
    while content != .mark(")") {
      if content == .mark("*") || content == .mark("**") {
        throw error("arguments from a list (*, **) are not supported")
      }
      if case .name(let name) = content, following == .mark("=") {
        next()
        next()
        result.named.append((name, try expression()))
      } else {
        guard result.named.isEmpty else { throw error("an argument without a name stands behind one with a name") }
        result.positional.append(try expression())
      }
      guard takes(mark: ",") else { break }
    }
    try expect(mark: ")")
    return result
  }

  private mutating func filtersAndTests(_ first: TemplateNode) throws -> TemplateNode {
    var result = first
    while true {
      let line = self.line
      if takes(mark: "|") {
        result = try filter(result)
      } else if takes(word: "is") {
        result = try test(result, line)
      } else if content == .mark("(") {
        result = try node(.call(result, try arguments()), line)
      } else {
        return result
      }
    }
  }

  /// One filter, behind its `|`.
  mutating func filter(_ input: TemplateNode?) throws -> TemplateNode {
    let line = self.line
    let name = try self.name()
    guard TemplateFilters.names.contains(name) else {
      throw error(
        "the filter \"\(name)\" is not supported", at: line,
        remedy: "supported: \(TemplateFilters.names.joined(separator: ", "))")
    }
    return try node(.filter(input, name, content == .mark("(") ? try arguments() : TemplateArguments()), line)
  }

  private mutating func test(_ input: TemplateNode, _ line: Int) throws -> TemplateNode {
    let isNegated = takes(word: "not")
    let place = self.line
    let name = try self.name()
    guard TemplateTests.names.contains(name) else {
      throw error(
        "the test \"\(name)\" is not supported", at: place,
        remedy: "supported: \(TemplateTests.names.joined(separator: ", "))")
    }
    var arguments = TemplateArguments()
    if content == .mark("(") {
      arguments = try self.arguments()
    } else if takesArgument {
      arguments.positional = [try nested { try $0.postfix(try $0.primary()) }]
    }
    let test = try node(.test(input, name, arguments), line)
    return isNegated ? try node(.not(test), line) : test
  }

  /// Whether what comes is the one argument of a test without parentheses.
  private var takesArgument: Bool {
    switch content {
    case .name(let name):
      !["else", "or", "and", "is"].contains(name) && !["if", "in", "not", "recursive"].contains(name)
    case .text, .integer, .number, .mark("["), .mark("{"): true
    default: false
    }
  }
}
