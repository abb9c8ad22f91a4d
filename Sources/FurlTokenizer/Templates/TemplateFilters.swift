import FurlBase

/// The filters: what they make of a value, as Jinja 3.1 documents them and, of `tojson`, transformers.
///
/// Source: https://jinja.palletsprojects.com/en/stable/templates/#list-of-builtin-filters
struct TemplateFilters {
  let run: TemplateRun

  static let names = [
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "indent", "int", "items", "join",
    "last",
    "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "safe",
    "select",
    "selectattr", "sort", "string", "sum", "title", "tojson", "trim", "unique", "upper",
  ]

  /// - Throws: ``FurlError`` of kind `input` for arguments that the filter does not take, and values that it is not for.
  func apply(_ name: String, to value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
    switch name {
    case "map", "select", "reject", "selectattr", "rejectattr": return try each(name, value, call)
    case "abs", "float", "int", "max", "min", "round", "sum": return try number(name, value, call)
    case "dictsort", "first", "items", "last", "list", "reverse", "sort", "unique", "length", "count", "join":
      return try collection(name, value, call)
    case "default", "d":
      let given = try bound(call, ["default_value", "boolean"], name)
      let isMissing = value.isUndefined || given[1]?.isTrue == true && !value.isTrue
      return isMissing ? given[0] ?? .text("") : value
    case "tojson": return try json(value, call)
    case "safe":
      _ = try bound(call, [], name)
      return .safe(try run.string(value))
    case "string":
      _ = try bound(call, [], name)
      if case .safe = value { return value }
      return try run.text(try run.string(value))
    default: return try text(name, try run.string(value), call)
    }
  }

  private func bound(_ call: TemplateCall, _ names: [String], _ filter: String) throws -> [TemplateValue?] {
    try call.bound(names, "the filter \(filter)", run)
  }

  // MARK: Texts

  private func text(_ name: String, _ text: String, _ call: TemplateCall) throws -> TemplateValue {
    switch name {
    case "trim":
      let characters = try bound(call, ["chars"], name)[0]
      return try run.text(PythonText.strip(text, characters?.string))
    case "replace":
      let given = try bound(call, ["old", "new", "count"], name)
      guard let old = given[0], let new = given[1] else { throw run.error("the filter replace needs two texts") }
      let (from, to) = (try run.string(old), try run.string(new))
      let found = from.isEmpty ? text.utf8.count + 1 : text.utf8.count / from.utf8.count
      try run.pay(TemplateList.sum(text.utf8.count, found.multipliedReportingOverflow(by: to.utf8.count).partialValue))
      return try run.text(PythonText.replace(text, from, to, limit: given[2]?.whole ?? -1))
    case "indent": return try run.text(try indented(text, call))
    case "upper": return try run.text(text.uppercased())
    case "lower": return try run.text(text.lowercased())
    case "capitalize": return try run.text(PythonText.capitalize(text))
    default: return try run.text(TemplateFilters.title(text))
    }
  }

  /// Capitals behind white space, hyphens and opening brackets.
  static func title(_ text: String) -> String {
    func capital(_ word: String) -> String {
      word.prefix(1).uppercased() + word.dropFirst().lowercased()
    }
    var (result, word) = ("", "")
    for scalar in text.unicodeScalars {
      if PythonText.isSpace(scalar) || ["-", "(", "{", "[", "<"].contains(scalar) {
        result += capital(word)
        word = ""
        result.unicodeScalars.append(scalar)
      } else {
        word.unicodeScalars.append(scalar)
      }
    }
    return result + capital(word)
  }

  private func indented(_ text: String, _ call: TemplateCall) throws -> String {
    let given = try bound(call, ["width", "first", "blank"], "indent")
    let margin: String
    if let text = given[0]?.string {
      margin = text
    } else {
      let width = given[0]?.whole ?? 4
      try run.pay(max(0, width))
      margin = String(repeating: " ", count: max(0, width))
    }
    var lines = PythonText.lines(text + "\n")
    try run.pay(lines.count.multipliedReportingOverflow(by: margin.utf8.count).partialValue)
    let indentsBlank = given[2]?.isTrue == true
    for index in lines.indices.dropFirst() where indentsBlank || !lines[index].isEmpty {
      lines[index] = margin + lines[index]
    }
    return (given[1]?.isTrue == true ? margin : "") + lines.joined(separator: "\n")
  }

  private func json(_ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
    let given = try bound(call, ["ensure_ascii", "indent", "separators", "sort_keys"], "tojson")
    var style = PythonForm.JSONStyle()
    style.escapesUnicode = given[0]?.isTrue ?? false
    style.sortsKeys = given[3]?.isTrue ?? false
    if let indent = given[1], !indent.isNone {
      if let text = indent.string {
        style.indent = text
      } else {
        guard let width = indent.whole, width <= 64 else {
          throw run.error("tojson needs an indent of 64 spaces at most")
        }
        style.indent = String(repeating: " ", count: max(0, width))
      }
      style.comma = ","
      try run.pay(value.weight.multipliedReportingOverflow(by: 8).partialValue)
    }
    if let separators = given[2], !separators.isNone {
      guard case .list(let list) = separators, list.items.count == 2, let comma = list.items[0].string,
        let colon = list.items[1].string
      else { throw run.error("tojson needs two texts as separators") }
      (style.comma, style.colon) = (comma, colon)
    }
    try run.pay(value.weight)
    return try run.text(try PythonForm.json(value, style) { run.error($0) })
  }

  // MARK: Numbers

  private func number(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
    switch name {
    case "abs":
      _ = try bound(call, [], name)
      if let whole = value.whole, whole != .min { return .integer(abs(whole)) }
      guard let real = value.real else { throw run.error("abs is not for \(value.typeName)") }
      return .number(abs(real))
    case "int": return try integer(value, call)
    case "float":
      let assumed = try bound(call, ["default"], name)[0] ?? .number(0)
      if let real = value.real { return .number(real) }
      guard let text = value.string, let number = Double(PythonText.strip(text, nil)) else { return assumed }
      return .number(number)
    case "round":
      let given = try bound(call, ["precision", "method"], name)
      guard given[0]?.whole ?? 0 == 0 else { throw run.error("round to a number of digits is not supported") }
      guard let real = value.real else { throw run.error("round is not for \(value.typeName)") }
      switch given[1]?.string ?? "common" {
      case "common": return .number(real.rounded(.toNearestOrEven))
      case "ceil": return .number(real.rounded(.up))
      case "floor": return .number(real.rounded(.down))
      default: throw run.error("round knows common, ceil and floor")
      }
    case "sum":
      let given = try bound(call, ["attribute", "start"], name)
      var sum = given[1] ?? .integer(0)
      for item in try run.elements(value) {
        let part = try given[0].map { try picked($0, item) } ?? item
        guard let one = sum.whole, let other = part.whole, !one.addingReportingOverflow(other).overflow else {
          throw run.error("sum is for integers")
        }
        sum = .integer(one + other)
      }
      return sum
    default:
      let given = try bound(call, ["case_sensitive", "attribute"], name)
      guard given[0] == nil else { throw run.error("case_sensitive of \(name) is not supported") }
      let items = try run.elements(value).map { item in
        (item, try folded(given[1].map { try picked($0, item) } ?? item))
      }
      var best = items.first
      for item in items.dropFirst() {
        guard let current = best else { break }
        if try name == "max" ? run.precedes(current.1, item.1) : run.precedes(item.1, current.1) { best = item }
      }
      return best?.0 ?? .undefined("there is no element")
    }
  }

  private func integer(_ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
    let given = try bound(call, ["default", "base"], "int")
    guard given[1]?.whole ?? 10 == 10 else { throw run.error("int of another base is not supported") }
    if let whole = value.whole { return .integer(whole) }
    var real = value.real
    if let text = value.string {
      let digits = PythonText.strip(text, nil)
      if let whole = Int(digits) { return .integer(whole) }
      real = Double(digits)
    }
    if let real, real.isFinite {
      guard let whole = Int(exactly: real.rounded(.towardZero)) else {
        throw run.error("the number has more than 64 bits, which is not supported")
      }
      return .integer(whole)
    }
    return given[0] ?? .integer(0)
  }

  // MARK: Lists

  private func collection(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
    switch name {
    case "length", "count":
      _ = try bound(call, [], name)
      if let text = value.string { try run.pay(text.utf8.count) }
      return .integer(try run.length(value))
    case "list":
      _ = try bound(call, [], name)
      return try run.list(try run.elements(value))
    case "first":
      _ = try bound(call, [], name)
      if case .stream(let stream) = value { return stream.takeFirst() ?? .undefined("there is no first element") }
      return try run.elements(value).first ?? .undefined("there is no first element")
    case "last":
      _ = try bound(call, [], name)
      if case .stream = value { throw run.error("last needs a list", remedy: "put |list before it") }
      return try run.elements(value).last ?? .undefined("there is no last element")
    case "items":
      _ = try bound(call, [], name)
      if value.isUndefined { return try run.list([]) }
      guard case .mapping(let mapping) = value else { throw run.error("items is for mappings, not \(value.typeName)") }
      return try run.stream(try mapping.pairs.map { try run.list([$0.key, $0.value], kind: .tuple) })
    case "reverse":
      _ = try bound(call, [], name)
      if let text = value.string { return try run.text(PythonText.string(text.unicodeScalars.reversed())) }
      return try run.stream(try run.elements(value).reversed())
    case "join":
      let given = try bound(call, ["d", "attribute"], name)
      let separator = try given[0].map { try run.string($0) } ?? ""
      let parts = try run.elements(value).map { item in
        try run.string(try given[1].map { try picked($0, item) } ?? item)
      }
      try run.pay(parts.count.multipliedReportingOverflow(by: separator.utf8.count).partialValue)
      return try run.text(parts.joined(separator: separator))
    case "unique":
      let given = try bound(call, ["case_sensitive", "attribute"], name)
      return try unique(value, isExact: given[0]?.isTrue == true, given[1])
    default: return try sorted(name, value, call)
    }
  }

  private func unique(_ value: TemplateValue, isExact: Bool, _ attribute: TemplateValue?) throws -> TemplateValue {
    var seen: Set<TemplateMapping.MappingKey> = []
    return try run.stream(
      try run.elements(value).filter { item in
        let found = try attribute.map { try picked($0, item) } ?? item
        guard let key = TemplateMapping.MappingKey(isExact ? found : try folded(found)) else {
          throw run.error("unique is not for \(found.typeName)")
        }
        return seen.insert(key).inserted
      })
  }

  private func sorted(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
    let isMapping = name == "dictsort"
    let given = try bound(
      call, isMapping ? ["case_sensitive", "by", "reverse"] : ["reverse", "case_sensitive", "attribute"], name)
    let isExact = given[isMapping ? 0 : 1]?.isTrue == true
    let isReversed = given[isMapping ? 2 : 0]?.isTrue == true
    var items: [(item: TemplateValue, key: TemplateValue)]
    if isMapping {
      guard case .mapping(let mapping) = value else {
        throw run.error("dictsort is for mappings, not \(value.typeName)")
      }
      let byValue = given[1]?.string == "value"
      items = try mapping.pairs.map { (try run.list([$0.key, $0.value], kind: .tuple), byValue ? $0.value : $0.key) }
    } else {
      items = try run.elements(value).map { item in (item, try given[2].map { try picked($0, item) } ?? item) }
    }
    if !isExact { items = try items.map { ($0.item, try folded($0.key)) } }
    // Python's sort keeps equal ones in their order, forwards and backwards.
    try run.step(items.count)
    let order = try items.indices.sorted { one, other in
      try run.step()
      if try run.precedes(items[isReversed ? other : one].key, items[isReversed ? one : other].key) { return true }
      if try run.precedes(items[isReversed ? one : other].key, items[isReversed ? other : one].key) { return false }
      return one < other
    }
    return try run.list(order.map { items[$0].item })
  }

  /// A text as comparisons without regard to capitals have it.
  private func folded(_ value: TemplateValue) throws -> TemplateValue {
    guard let text = value.string else { return value }
    return try run.text(text.lowercased())
  }

  /// An attribute, `a.b.0`, of an element.
  ///
  /// - Parameter assumed: what stands for each part that is not there.
  private func picked(
    _ attribute: TemplateValue, _ item: TemplateValue, or assumed: TemplateValue? = nil
  ) throws -> TemplateValue {
    if attribute.whole != nil { return try run.item(attribute, of: item, at: run.line) }
    guard let path = attribute.string else { throw run.error("an attribute has to be named by a text") }
    return try path.split(separator: ".", omittingEmptySubsequences: false).reduce(item) { value, name in
      let part = Int(name).map(TemplateValue.integer) ?? .text(String(name))
      let found = try run.item(part, of: value, at: run.line)
      return found.isUndefined ? assumed ?? found : found
    }
  }

  private func each(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
    // What counts as false, null among it, has no elements here.
    guard value.isTrue else { return try run.stream([]) }
    var rest = call
    if name == "map" {
      if let attribute = call.named.first(where: { $0.name == "attribute" })?.value {
        let assumed = call.named.first { $0.name == "default" }?.value
        guard call.positional.isEmpty, call.named.count == (assumed == nil ? 1 : 2) else {
          throw run.error("map takes an attribute and a default, or a filter")
        }
        return try run.stream(try run.elements(value).map { try picked(attribute, $0, or: assumed) })
      }
      guard let filter = rest.positional.first?.string, TemplateFilters.names.contains(filter) else {
        throw run.error("map needs an attribute or the name of a filter that is supported")
      }
      rest.positional.removeFirst()
      return try run.stream(try run.elements(value).map { try apply(filter, to: $0, rest) })
    }
    var attribute: TemplateValue?
    if name.hasSuffix("attr") {
      guard !rest.positional.isEmpty else { throw run.error("\(name) needs an attribute") }
      attribute = rest.positional.removeFirst()
    }
    var test: String?
    if !rest.positional.isEmpty {
      test = rest.positional.removeFirst().string
      guard let test, TemplateTests.names.contains(test) else {
        throw run.error("\(name) needs a test that is supported")
      }
    }
    let wanted = name.hasPrefix("select")
    let tests = TemplateTests(run: run)
    return try run.stream(
      try run.elements(value).filter { item in
        let tested = try attribute.map { try picked($0, item) } ?? item
        return try (test.map { try tests.holds($0, of: tested, rest) } ?? tested.isTrue) == wanted
      })
  }
}
