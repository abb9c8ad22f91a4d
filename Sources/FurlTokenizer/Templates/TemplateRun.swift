import FurlBase

/// Renders a template once: what it reads, what it has written, and what it may still cost.
final class TemplateRun {
  /// How a list of statements has ended.
  enum TemplateFlow { case reached, left, nextRound }

  let file: String?
  /// What `strftime_now` says.
  let now: ClockTime
  private(set) var root: TemplateScope
  var scope: TemplateScope
  private var buffers: [[UInt8]] = [[]]
  private var steps = 0
  private var bytes = 0
  private var calls = 0
  private var loops = 0
  /// How deeply expressions and statements are being evaluated.
  private var depth = 0
  /// What could be reached from itself: emptied at the end, so that nothing keeps itself alive.
  private var namespaces: [TemplateNamespace] = []
  private var scopes: [TemplateScope] = []
  /// Of what is evaluated.
  var line = 1

  init(values: [String: TemplateValue], now: ClockTime, file: String?) {
    self.file = file
    self.now = now
    root = TemplateScope(parent: nil, values: values)
    scope = TemplateScope(parent: root)
  }

  /// - Throws: ``FurlError`` of kind `input` that names the line.
  func render(_ statements: [TemplateStatement]) throws -> String {
    defer {
      for namespace in namespaces { namespace.values = [:] }
      for scope in scopes + [root] { scope.values = [:] }
    }
    scopes.append(scope)
    _ = try execute(statements)
    return String(decoding: buffers[0], as: UTF8.self)
  }

  // MARK: Bounds

  func error(_ problem: String, remedy: String? = nil) -> FurlError {
    TemplateFault.error(file, line, problem, remedy: remedy)
  }

  func step(_ count: Int = 1) throws {
    steps += count
    guard steps <= TemplateLimits.steps else {
      throw error("the template does not end within \(TemplateLimits.steps) steps")
    }
  }

  /// Pays for a text that is made or looked through.
  func pay(_ count: Int) throws {
    bytes = TemplateList.sum(bytes, count)
    guard bytes <= TemplateLimits.bytes else {
      throw error("the template makes texts of more than \(TemplateLimits.bytes >> 20) MiB")
    }
  }

  /// Goes one level deeper for what `body` evaluates.
  func deeper<Value>(_ body: () throws -> Value) throws -> Value {
    depth += 1
    defer { depth -= 1 }
    guard depth <= TemplateLimits.depth else { throw error("the template is nested too deeply") }
    return try body()
  }

  func text(_ text: String) throws -> TemplateValue {
    try pay(text.utf8.count)
    return .text(text)
  }

  func list(_ items: [TemplateValue], kind: TemplateList.ListKind = .list) throws -> TemplateValue {
    try step(items.count)
    let list = TemplateList(items, kind: kind)
    try check(list.depth, list.weight)
    return .list(list)
  }

  func stream(_ items: [TemplateValue]) throws -> TemplateValue {
    try step(items.count)
    let list = TemplateList(items)
    try check(list.depth, list.weight)
    return .stream(TemplateStream(list))
  }

  func check(_ depth: Int, _ weight: Int) throws {
    guard depth <= TemplateLimits.nesting else { throw error("values are nested too deeply") }
    guard weight <= TemplateLimits.bytes else { throw error("a value becomes too large") }
  }

  func namespace(_ values: [String: TemplateValue]) -> TemplateValue {
    let namespace = TemplateNamespace(values)
    namespaces.append(namespace)
    return .namespace(namespace)
  }

  /// What `str` makes of a value.
  func string(_ value: TemplateValue) throws -> String {
    try pay(value.weight)
    return try PythonForm.text(value) { error($0) }
  }

  // MARK: Statements

  private func write(_ text: String) throws {
    try pay(text.utf8.count)
    buffers[buffers.count - 1] += Array(text.utf8)
  }

  /// What a body renders.
  private func captured(_ body: () throws -> Void) throws -> String {
    buffers.append([])
    let depth = buffers.count
    defer { buffers.removeLast(buffers.count - depth + 1) }
    try body()
    return String(decoding: buffers[depth - 1], as: UTF8.self)
  }

  private func within<Value>(_ inner: TemplateScope, _ body: () throws -> Value) rethrows -> Value {
    let outer = scope
    scope = inner
    defer { scope = outer }
    return try body()
  }

  func execute(_ statements: [TemplateStatement]) throws -> TemplateFlow {
    for statement in statements {
      let ending = try deeper { try execute(statement) }
      if ending != .reached { return ending }
    }
    return .reached
  }

  private func execute(_ statement: TemplateStatement) throws -> TemplateFlow {
    try step()
    switch statement {
    case .text(let text): try write(text)
    case .print(let node): try write(try string(evaluate(node)))
    case .branches(let branches, let otherwise):
      for branch in branches where try evaluate(branch.test).isTrue { return try execute(branch.body) }
      return try execute(otherwise)
    case .loop(let loop, let line): try go(through: loop, line)
    case .set(let target, let node): try assign(try evaluate(node), to: target)
    case .capture(let target, let filter, let body, let line):
      let text = try captured { _ = try within(TemplateScope(parent: scope)) { try execute(body) } }
      self.line = line
      try assign(try filtered(text, filter), to: target)
    case .macro(let macro):
      scopes.append(scope)
      scope.values[macro.name] = .macro(TemplateClosure(macro, scope))
    case .filtered(let filter, let body):
      let text = try captured { _ = try within(TemplateScope(parent: scope)) { try execute(body) } }
      try write(try string(filtered(text, filter)))
    case .scope(let values, let body):
      let inner = TemplateScope(parent: scope)
      for (target, node) in values {
        let value = try evaluate(node)
        try within(inner) { try assign(value, to: target) }
      }
      return try within(inner) { try execute(body) }
    case .leaveLoop: return .left
    case .nextRound: return .nextRound
    }
    return .reached
  }

  private func filtered(_ text: String, _ filter: TemplateNode?) throws -> TemplateValue {
    guard let filter else { return try self.text(text) }
    return try evaluate(filter, capturing: text)
  }

  private func go(through loop: TemplateLoop, _ line: Int) throws {
    self.line = line
    var items = try elements(try evaluate(loop.items))
    if let condition = loop.condition {
      items = try items.filter { item in
        try within(TemplateScope(parent: scope)) {
          try assign(item, to: loop.target)
          return try evaluate(condition).isTrue
        }
      }
    }
    if items.isEmpty {
      _ = try within(TemplateScope(parent: scope)) { try execute(loop.otherwise) }
      return
    }
    loops += 1
    defer { loops -= 1 }
    let rounds = TemplateRounds(items, depth: loops)
    for (index, item) in items.enumerated() {
      try step()
      rounds.index = index
      let ending = try within(TemplateScope(parent: scope, values: ["loop": .loop(rounds)])) {
        try assign(item, to: loop.target)
        return try execute(loop.body)
      }
      if ending == .left { break }
    }
  }

  private func assign(_ value: TemplateValue, to target: TemplateTarget) throws {
    switch target {
    case .name(let name): scope.values[name] = value
    case .member(let name, let attribute):
      guard case .namespace(let namespace) = scope.value(name) else {
        throw error("\(name).\(attribute) cannot be set: \(name) is not a namespace")
      }
      guard !attribute.hasPrefix("_") else { throw error("an attribute of a namespace may not begin with _") }
      namespace.values[attribute] = value
    case .list(let targets):
      let items = try elements(value)
      guard items.count == targets.count else {
        throw error("\(items.count) values cannot be given to \(targets.count) names")
      }
      for (item, target) in zip(items, targets) { try assign(item, to: target) }
    }
  }

  // MARK: Macros

  func call(_ closure: TemplateClosure, _ given: TemplateCall) throws -> TemplateValue {
    let macro = closure.macro
    guard calls < TemplateLimits.calls else { throw error("macros call each other too deeply") }
    let names = macro.parameters.map(\.name)
    guard given.positional.count <= names.count else {
      throw error("the macro \(macro.name) takes \(names.count) arguments, not \(given.positional.count)")
    }
    let inner = TemplateScope(parent: closure.scope)
    for (name, value) in zip(names, given.positional) { inner.values[name] = value }
    for (name, value) in given.named {
      guard names.contains(name), inner.values[name] == nil else {
        throw error("the macro \(macro.name) takes no argument \(name), or has it already")
      }
      inner.values[name] = value
    }
    calls += 1
    let (outerLine, outerLoops) = (line, loops)
    loops = 0
    defer {
      calls -= 1
      (line, loops) = (outerLine, outerLoops)
    }
    return try within(inner) {
      for parameter in macro.parameters where inner.values[parameter.name] == nil {
        inner.values[parameter.name] =
          try parameter.assumed.map { try evaluate($0) } ?? .undefined("the argument \(parameter.name) was not given")
      }
      return try text(try captured { _ = try execute(macro.body) })
    }
  }

  // MARK: Values

  /// What a loop over a value goes through.
  func elements(_ value: TemplateValue) throws -> [TemplateValue] {
    switch value {
    case .list(let list):
      try step(list.items.count)
      return list.items
    case .stream(let stream):
      let items = stream.takeAll()
      try step(items.count)
      return items
    case .mapping(let mapping):
      try step(mapping.keys.count)
      return mapping.keys
    case .text(let text), .safe(let text):
      try step(text.utf8.count)
      return text.unicodeScalars.map { .text(String($0)) }
    case .undefined: return []
    default: throw error("\(value.typeName) cannot be gone through")
    }
  }

  /// How many elements a value has.
  func length(_ value: TemplateValue) throws -> Int {
    switch value {
    case .text(let text), .safe(let text): text.unicodeScalars.count
    case .list(let list): list.items.count
    case .mapping(let mapping): mapping.keys.count
    case .undefined: 0
    case .stream: throw error("\(value.typeName) has no length", remedy: "put |list behind it")
    default: throw error("\(value.typeName) has no length")
    }
  }

  /// Whether two values are equal, as Python has it.
  func equal(_ one: TemplateValue, _ other: TemplateValue) throws -> Bool {
    try pay(min(one.weight, other.weight))
    return TemplateRun.isEqual(one, other)
  }

  private static func isEqual(_ one: TemplateValue, _ other: TemplateValue) -> Bool {
    if let one = one.whole, let other = other.whole { return one == other }
    if let one = one.real, let other = other.real { return one == other }
    if let one = one.string, let other = other.string { return one.utf8.elementsEqual(other.utf8) }
    switch (one, other) {
    case (.none, .none), (.undefined, .undefined): return true
    case (.list(let one), .list(let other)):
      return one.kind == other.kind && one.items.count == other.items.count
        && zip(one.items, other.items).allSatisfy { isEqual($0, $1) }
    case (.mapping(let one), .mapping(let other)):
      return one.keys.count == other.keys.count
        && one.pairs.allSatisfy { pair in other[pair.key].map { isEqual(pair.value, $0) } ?? false }
    case (.namespace(let one), .namespace(let other)): return one === other
    default: return false
    }
  }

  /// Whether one value comes before another.
  func precedes(_ one: TemplateValue, _ other: TemplateValue) throws -> Bool {
    if let one = one.whole, let other = other.whole { return one < other }
    if let one = one.real, let other = other.real { return one < other }
    if let one = one.string, let other = other.string {
      try pay(min(one.utf8.count, other.utf8.count))
      return PythonText.precedes(one, other)
    }
    if case .list(let one) = one, case .list(let other) = other, one.kind == other.kind {
      for (first, second) in zip(one.items, other.items) {
        try step()
        if try !equal(first, second) { return try precedes(first, second) }
      }
      return one.items.count < other.items.count
    }
    throw error("\(one.typeName) and \(other.typeName) cannot be compared")
  }
}

/// What a call is given, evaluated.
struct TemplateCall {
  var positional: [TemplateValue] = []
  var named: [(name: String, value: TemplateValue)] = []

  /// The arguments in the order of names; nil for those that are not given.
  ///
  /// - Throws: ``FurlError`` for arguments that there are none of.
  func bound(_ names: [String], _ what: String, _ run: TemplateRun) throws -> [TemplateValue?] {
    guard positional.count <= names.count else {
      throw run.error("\(what) takes \(names.count) arguments at most, not \(positional.count)")
    }
    var values: [TemplateValue?] = positional + [TemplateValue?](repeating: nil, count: names.count - positional.count)
    for (name, value) in named {
      guard let place = names.firstIndex(of: name), values[place] == nil else {
        throw run.error("\(what) takes no argument \(name), or has it already")
      }
      values[place] = value
    }
    return values
  }
}
