import FurlBase

extension TemplateParser {
  /// Statements up to one that ends them.
  ///
  /// - Parameter ends: the names of statements that do; where there are none the template's end does.
  /// - Returns: the statements, and the name of the one that ended them, which has been read.
  mutating func body(until ends: [String]) throws -> ([TemplateStatement], String) {
    try nested { try $0.statements(until: ends) }
  }

  private mutating func statements(until ends: [String]) throws -> ([TemplateStatement], String) {
    var statements: [TemplateStatement] = []
    while true {
      switch content {
      case .data(let text):
        statements.append(.text(text))
        next()
      case .variableBegin:
        next()
        statements.append(.print(try tuple()))
        guard takes(.variableEnd) else { throw error("}} is expected, not \(described)") }
      case .blockBegin:
        next()
        let line = self.line
        let name = try self.name()
        if ends.contains(name) { return (statements, name) }
        statements.append(try statement(name, line))
      case .end:
        guard ends.isEmpty else { throw error("\(ends.last ?? "") is missing") }
        return (statements, "")
      default: throw error("text is expected, not \(described)")
      }
    }
  }

  mutating func closeTag() throws {
    guard takes(.blockEnd) else { throw error("%} is expected, not \(described)") }
  }

  private static let supported = [
    "if", "for", "set", "macro", "filter", "with", "generation", "break", "continue", "raw",
  ]
  private static let readers: Set<String> = ["include", "import", "from", "extends"]

  /// A statement behind its name.
  private mutating func statement(_ name: String, _ line: Int) throws -> TemplateStatement {
    switch name {
    case "if": return try branches()
    case "for": return try loop(line)
    case "set": return try assignment(line)
    case "macro": return try macro()
    case "filter": return try filtered(line)
    case "with": return try scope()
    case "generation":
      try closeTag()
      let (body, _) = try body(until: ["endgeneration"])
      try closeTag()
      return .scope([], body: body)
    case "break", "continue":
      guard loops > 0 else { throw error("\(name) stands outside of a loop", at: line) }
      try closeTag()
      return name == "break" ? .leaveLoop : .nextRound
    default:
      if Self.readers.contains(name) {
        throw error("{% \(name) %} reads another file, which a chat template may not", at: line)
      }
      throw error(
        "{% \(name) %} is not supported", at: line, remedy: "supported: \(Self.supported.joined(separator: ", "))")
    }
  }

  private mutating func branches() throws -> TemplateStatement {
    var branches: [(test: TemplateNode, body: [TemplateStatement])] = []
    while true {
      let test = try tuple(allowsChoice: false)
      try closeTag()
      let (body, end) = try body(until: ["elif", "else", "endif"])
      branches.append((test, body))
      if end == "elif" { continue }
      try closeTag()
      guard end == "else" else { return .branches(branches, otherwise: []) }
      let (otherwise, _) = try self.body(until: ["endif"])
      try closeTag()
      return .branches(branches, otherwise: otherwise)
    }
  }

  private mutating func loop(_ line: Int) throws -> TemplateStatement {
    let target = try target(endsAt: "in")
    try expect(word: "in")
    let items = try tuple(allowsChoice: false, endsAt: "recursive")
    let condition = takes(word: "if") ? try expression() : nil
    if content == .name("recursive") { throw error("recursive loops are not supported") }
    try closeTag()
    loops += 1
    let (body, end) = try body(until: ["endfor", "else"])
    loops -= 1
    try closeTag()
    var otherwise: [TemplateStatement] = []
    if end == "else" {
      otherwise = try self.body(until: ["endfor"]).0
      try closeTag()
    }
    return .loop(
      TemplateLoop(target: target, items: items, condition: condition, body: body, otherwise: otherwise), line: line)
  }

  /// What is assigned to: a name, an attribute of a namespace, or several of them.
  private mutating func target(endsAt word: String? = nil, allowsMembers: Bool = false) throws -> TemplateTarget {
    var targets: [TemplateTarget] = []
    var isList = false
    while true {
      if takes(mark: "(") {
        targets.append(try nested { try $0.target(allowsMembers: allowsMembers) })
        try expect(mark: ")")
      } else {
        let name = try self.name()
        guard !["true", "false", "none", "True", "False", "None"].contains(name) else {
          throw error("\(name) cannot be assigned to")
        }
        targets.append(allowsMembers && takes(mark: ".") ? .member(name, try self.name()) : .name(name))
      }
      guard takes(mark: ",") else { break }
      isList = true
      if let word, content == .name(word) { break }
      if [.mark("="), .mark(")")].contains(content) { break }
    }
    return isList ? .list(targets) : targets[0]
  }

  private mutating func assignment(_ line: Int) throws -> TemplateStatement {
    let target = try target(allowsMembers: true)
    if takes(mark: "=") {
      let value = try tuple()
      try closeTag()
      return .set(target, value)
    }
    var filter: TemplateNode?
    while takes(mark: "|") { filter = try self.filter(filter) }
    try closeTag()
    let (body, _) = try body(until: ["endset"])
    try closeTag()
    return .capture(target, filter: filter, body: body, line: line)
  }

  private mutating func macro() throws -> TemplateStatement {
    let name = try self.name()
    var parameters: [(name: String, assumed: TemplateNode?)] = []
    try expect(mark: "(")
    while content != .mark(")") {
      let parameter = try self.name()
      let assumed = takes(mark: "=") ? try expression() : nil
      if assumed == nil, let last = parameters.last, last.assumed != nil {
        throw error("\(parameter) needs a value, as the one before it has")
      }
      parameters.append((parameter, assumed))
      guard takes(mark: ",") else { break }
    }
    try expect(mark: ")")
    try closeTag()
    let (outerLoops, outerMacro) = (loops, isInMacro)
    (loops, isInMacro) = (0, true)
    let (body, _) = try body(until: ["endmacro"])
    (loops, isInMacro) = (outerLoops, outerMacro)
    try closeTag()
    return .macro(TemplateMacro(name: name, parameters: parameters, body: body))
  }

  private mutating func filtered(_ line: Int) throws -> TemplateStatement {
    var filter = try self.filter(nil)
    while takes(mark: "|") { filter = try self.filter(filter) }
    try closeTag()
    let (body, _) = try body(until: ["endfilter"])
    try closeTag()
    return .filtered(filter, body: body)
  }

  private mutating func scope() throws -> TemplateStatement {
    var values: [(TemplateTarget, TemplateNode)] = []
    while content != .blockEnd {
      let name = try self.name()
      try expect(mark: "=")
      values.append((.name(name), try expression()))
      guard takes(mark: ",") else { break }
    }
    try closeTag()
    let (body, _) = try body(until: ["endwith"])
    try closeTag()
    return .scope(values, body: body)
  }
}
