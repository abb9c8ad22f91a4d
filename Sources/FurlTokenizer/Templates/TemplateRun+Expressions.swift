import FurlBase

extension TemplateRun {
  /// - Parameter captured: what a filter without an input is put on.
  func evaluate(_ node: TemplateNode, capturing captured: String? = nil) throws -> TemplateValue {
    try step()
    line = node.line
    if case .constant(let value) = node.form { return value }
    return try deeper { try value(of: node, capturing: captured) }
  }

  private func value(of node: TemplateNode, capturing captured: String?) throws -> TemplateValue {
    switch node.form {
    case .constant(let value): return value
    case .name(let name):
      let value = lookup(name)
      if case .loop = value { throw error("loop can be asked for its attributes only") }
      return value
    case .list(let nodes, let isTuple): return try list(nodes.map { try evaluate($0) }, kind: isTuple ? .tuple : .list)
    case .mapping(let pairs): return try mapping(pairs.map { (try evaluate($0.key), try evaluate($0.value)) })
    case .attribute(let base, let name): return try attribute(name, of: try owner(base), at: node.line)
    case .item(let base, let index): return try item(try evaluate(index), of: try owner(base), at: node.line)
    case .slice(let base, let from, let to, let by):
      return try slice(
        evaluate(base), from.map { try evaluate($0) }, to.map { try evaluate($0) }, by.map { try evaluate($0) })
    case .call(let callee, let arguments): return try call(try evaluate(callee), try given(arguments), at: node.line)
    case .filter(let input, let name, let arguments):
      let value = try input.map { try evaluate($0, capturing: captured) } ?? .text(captured ?? "")
      let call = try given(arguments)
      line = node.line
      return try TemplateFilters(run: self).apply(name, to: value, call)
    case .test(let input, let name, let arguments):
      let value = try evaluate(input)
      return .bool(try TemplateTests(run: self).holds(name, of: value, try given(arguments)))
    case .not(let inner): return .bool(try !evaluate(inner).isTrue)
    case .negated(let inner): return try negated(try evaluate(inner))
    case .positive(let inner):
      let value = try evaluate(inner)
      guard value.real != nil else { throw error("+ cannot be put before \(value.typeName)") }
      return value.whole.map(TemplateValue.integer) ?? value
    case .arithmetic(let sign, let left, let right):
      let one = try evaluate(left)
      let other = try evaluate(right)
      line = node.line
      return try arithmetic(sign, one, other)
    case .joined(let nodes): return try text(try nodes.map { try string(evaluate($0)) }.joined())
    case .and(let left, let right):
      let value = try evaluate(left)
      return value.isTrue ? try evaluate(right) : value
    case .or(let left, let right):
      let value = try evaluate(left)
      return value.isTrue ? value : try evaluate(right)
    case .comparison(let first, let others): return .bool(try compares(first, others))
    case .choice(let test, let yes, let no):
      if try evaluate(test).isTrue { return try evaluate(yes) }
      return try no.map { try evaluate($0) } ?? .undefined("the condition was false, and there is no else")
    }
  }

  private static let functions: Set<String> = ["range", "dict", "namespace", "raise_exception", "strftime_now"]
  private static let unsupported: Set<String> = ["lipsum", "cycler", "joiner"]

  private func lookup(_ name: String) -> TemplateValue {
    if let value = scope.value(name) { return value }
    if Self.functions.contains(name) || Self.unsupported.contains(name) { return .function(name) }
    return .undefined("\(name) is undefined")
  }

  /// The value before a dot or a bracket, which may be a loop.
  private func owner(_ node: TemplateNode) throws -> TemplateValue {
    if case .name(let name) = node.form { return lookup(name) }
    return try evaluate(node)
  }

  private func given(_ arguments: TemplateArguments) throws -> TemplateCall {
    TemplateCall(
      positional: try arguments.positional.map { try evaluate($0) },
      named: try arguments.named.map { ($0.name, try evaluate($0.value)) })
  }

  func mapping(_ pairs: [(TemplateValue, TemplateValue)]) throws -> TemplateValue {
    try step(pairs.count)
    if let pair = pairs.first(where: { TemplateMapping.MappingKey($0.0) == nil }) {
      throw error("\(pair.0.typeName) cannot be a key")
    }
    for (key, _) in pairs { try pay(key.weight) }
    let mapping = TemplateMapping(pairs)
    try check(mapping.depth, mapping.weight)
    return .mapping(mapping)
  }

  // MARK: Parts of values

  /// `value.name`.
  func attribute(_ name: String, of value: TemplateValue, at line: Int) throws -> TemplateValue {
    self.line = line
    switch value {
    case .undefined(let reason): throw error("\(reason); it has no \(name)")
    case .mapping(let mapping):
      return TemplateMethods.ofMapping.contains(name) ? .method(value, name) : mapping[name] ?? missing(name, value)
    case .text where TemplateMethods.ofText.contains(name), .list where TemplateMethods.ofList.contains(name):
      return .method(value, name)
    case .namespace(let namespace): return namespace.values[name] ?? missing(name, value)
    case .loop(let rounds):
      if let found = rounds.attribute(name) { return found }
      guard name == "cycle" || name == "changed" else { return missing(name, value) }
      throw error("loop.\(name) is not supported")
    case .safe:
      throw error("a text that |safe has marked has no methods here", remedy: "leave |safe out of the template")
    default: return missing(name, value)
    }
  }

  private func missing(_ name: String, _ value: TemplateValue) -> TemplateValue {
    .undefined("\(value.typeName) has no \(name)")
  }

  /// `value[index]`.
  func item(_ index: TemplateValue, of value: TemplateValue, at line: Int) throws -> TemplateValue {
    self.line = line
    switch value {
    case .undefined(let reason): throw error("\(reason); it has no items")
    case .mapping(let mapping):
      if let index = index.string { try pay(index.utf8.count) }
      if let found = mapping[index] { return found }
    case .list(let list) where list.kind != .view:
      if let number = index.whole {
        let place = number < 0 ? number + list.items.count : number
        return list.items.indices.contains(place) ? list.items[place] : missing("item \(number)", value)
      }
    case .text(let text), .safe(let text):
      if let number = index.whole {
        try pay(text.utf8.count)
        let scalars = text.unicodeScalars
        let place = number < 0 ? number + scalars.count : number
        guard (0..<scalars.count).contains(place) else { return missing("item \(number)", value) }
        return .text(String(scalars[scalars.index(scalars.startIndex, offsetBy: place)]))
      }
    case .stream: throw error("\(value.typeName) has no items", remedy: "put |list behind it")
    default: break
    }
    if let name = index.string { return try attribute(name, of: value, at: line) }
    return .undefined("\(value.typeName) has no such item")
  }

  private func slice(
    _ value: TemplateValue, _ from: TemplateValue?, _ to: TemplateValue?, _ by: TemplateValue?
  ) throws -> TemplateValue {
    func bound(_ value: TemplateValue?) throws -> Int? {
      guard let value, !value.isNone else { return nil }
      guard let number = value.whole else { throw error("an index has to be an integer, not \(value.typeName)") }
      return number
    }
    let (from, to, by) = (try bound(from), try bound(to), try bound(by) ?? 1)
    guard by != 0 else { throw error("a slice cannot go in steps of 0") }
    func places(_ count: Int) -> [Int] {
      func clamped(_ index: Int?, _ assumed: Int, _ range: ClosedRange<Int>) -> Int {
        guard let index else { return assumed }
        return min(max(index < 0 ? max(index, -count - 1) + count : index, range.lowerBound), range.upperBound)
      }
      if by > 0 {
        let (start, end) = (clamped(from, 0, 0...count), clamped(to, count, 0...count))
        return start < end ? Array(stride(from: start, to: end, by: by)) : []
      }
      let (start, end) = (clamped(from, count - 1, -1...max(count - 1, -1)), clamped(to, -1, -1...max(count - 1, -1)))
      return start > end ? Array(stride(from: start, to: end, by: max(by, -count - 1))) : []
    }
    switch value {
    case .list(let list) where list.kind != .view:
      return try self.list(places(list.items.count).map { list.items[$0] }, kind: list.kind)
    case .text(let text), .safe(let text):
      try pay(text.utf8.count)
      let scalars = Array(text.unicodeScalars)
      return try self.text(PythonText.string(places(scalars.count).map { scalars[$0] }))
    case .undefined(let reason): throw error(reason)
    default: throw error("\(value.typeName) has no parts")
    }
  }

  // MARK: Calls

  private func call(_ callee: TemplateValue, _ given: TemplateCall, at line: Int) throws -> TemplateValue {
    self.line = line
    switch callee {
    case .macro(let closure): return try call(closure, given)
    case .function(let name): return try TemplateFunctions(run: self).call(name, given)
    case .method(let receiver, let name): return try TemplateMethods(run: self).call(name, of: receiver, given)
    case .undefined(let reason): throw error("\(reason) and cannot be called")
    default: throw error("\(callee.typeName) cannot be called")
    }
  }

  // MARK: Operators

  private func compares(_ first: TemplateNode, _ others: [(sign: String, other: TemplateNode)]) throws -> Bool {
    var left = try evaluate(first)
    for (sign, other) in others {
      let right = try evaluate(other)
      line = first.line
      let holds =
        switch sign {
        case "==": try equal(left, right)
        case "!=": try !equal(left, right)
        case "<": try precedes(left, right)
        case ">": try precedes(right, left)
        case "<=": try isNumberless(left, right) ? precedes(left, right) || equal(left, right) : notAbove(left, right)
        case ">=": try isNumberless(left, right) ? precedes(right, left) || equal(left, right) : notAbove(right, left)
        case "in": try contains(right, left)
        default: try !contains(right, left)
        }
      guard holds else { return false }
      left = right
    }
    return true
  }

  private func isNumberless(_ one: TemplateValue, _ other: TemplateValue) -> Bool {
    one.real == nil || other.real == nil
  }

  private func notAbove(_ one: TemplateValue, _ other: TemplateValue) -> Bool { (one.real ?? 0) <= (other.real ?? 0) }

  /// Whether a value is in another.
  func contains(_ whole: TemplateValue, _ part: TemplateValue) throws -> Bool {
    switch whole {
    case .text(let text), .safe(let text):
      guard let pattern = part.string else { throw error("\(part.typeName) cannot be looked for in a text") }
      try pay(text.utf8.count)
      return PythonText.contains(pattern, in: text)
    case .mapping(let mapping):
      if let part = part.string { try pay(part.utf8.count) }
      return mapping[part] != nil
    case .list, .stream, .undefined:
      for element in try elements(whole) {
        if try equal(element, part) { return true }
      }
      return false
    default: throw error("nothing can be looked for in \(whole.typeName)")
    }
  }

  private func negated(_ value: TemplateValue) throws -> TemplateValue {
    if let whole = value.whole {
      guard whole != .min else { throw error("the number is too large") }
      return .integer(-whole)
    }
    guard let real = value.real else { throw error("- cannot be put before \(value.typeName)") }
    return .number(-real)
  }

  private func arithmetic(_ sign: String, _ one: TemplateValue, _ other: TemplateValue) throws -> TemplateValue {
    if let left = one.whole, let right = other.whole { return try integers(sign, left, right) }
    if let left = one.real, let right = other.real { return try reals(sign, left, right) }
    switch (sign, one, other) {
    case ("+", .text(let left), .text(let right)): return try text(left + right)
    // A text that is joined to one that is safe is escaped, as markupsafe does it.
    case ("+", .safe(let left), .text(let right)): return try safe(left + PythonText.escaped(right))
    case ("+", .text(let left), .safe(let right)): return try safe(PythonText.escaped(left) + right)
    case ("+", .safe(let left), .safe(let right)): return try safe(left + right)
    case ("+", .list(let left), .list(let right)) where left.kind == right.kind && left.kind != .view:
      return try list(left.items + right.items, kind: left.kind)
    case ("*", .text(let unit), _) where other.whole != nil: return try repeated(unit, other.whole ?? 0)
    case ("*", _, .text(let unit)) where one.whole != nil: return try repeated(unit, one.whole ?? 0)
    case ("*", .list(let unit), _) where other.whole != nil && unit.kind != .view:
      let count = max(0, other.whole ?? 0)
      try step(
        unit.items.count.multipliedReportingOverflow(by: count).overflow
          ? TemplateLimits.steps : unit.items.count * count)
      return try list(Array(repeatElement(unit.items, count: count).joined()), kind: unit.kind)
    case ("%", .text, _), ("%", .safe, _): throw error("a text with % behind it is not supported")
    case (_, .undefined(let reason), _), (_, _, .undefined(let reason)): throw error(reason)
    default: throw error("\(sign) cannot stand between \(one.typeName) and \(other.typeName)")
    }
  }

  private func safe(_ text: String) throws -> TemplateValue {
    try pay(text.utf8.count)
    return .safe(text)
  }

  private func repeated(_ unit: String, _ count: Int) throws -> TemplateValue {
    let (bytes, isTooLarge) = unit.utf8.count.multipliedReportingOverflow(by: max(0, count))
    try pay(isTooLarge ? .max : bytes)
    return .text(unit.isEmpty ? "" : String(repeating: unit, count: max(0, count)))
  }

  private func integers(_ sign: String, _ one: Int, _ other: Int) throws -> TemplateValue {
    func whole(_ result: (partialValue: Int, overflow: Bool)) throws -> TemplateValue {
      guard !result.overflow else { throw error("the number has more than 64 bits, which is not supported") }
      return .integer(result.partialValue)
    }
    switch sign {
    case "+": return try whole(one.addingReportingOverflow(other))
    case "-": return try whole(one.subtractingReportingOverflow(other))
    case "*": return try whole(one.multipliedReportingOverflow(by: other))
    case "**":
      guard (0...64).contains(other) else { return try reals(sign, Double(one), Double(other)) }
      var result = 1
      for _ in 0..<other {
        guard case .integer(let next) = try whole(result.multipliedReportingOverflow(by: one)) else { break }
        result = next
      }
      return .integer(result)
    case "/": return try reals(sign, Double(one), Double(other))
    default:
      guard other != 0 else { throw error("division by zero") }
      let (quotient, isTooLarge) = one.dividedReportingOverflow(by: other)
      let rest = isTooLarge ? 0 : one % other
      let isBelow = rest != 0 && (rest < 0) != (other < 0)
      if sign == "%" { return .integer(isBelow ? rest + other : rest) }
      return try whole((isBelow ? quotient - 1 : quotient, isTooLarge))
    }
  }

  private func reals(_ sign: String, _ one: Double, _ other: Double) throws -> TemplateValue {
    switch sign {
    case "+": return .number(one + other)
    case "-": return .number(one - other)
    case "*": return .number(one * other)
    case "/":
      guard other != 0 else { throw error("division by zero") }
      return .number(one / other)
    case "**": return .number(pow(one, other))
    default: throw error("\(sign) of numbers that are not whole is not supported")
    }
  }
}
