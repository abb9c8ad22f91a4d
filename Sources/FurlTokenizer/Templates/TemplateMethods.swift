import FurlBase

/// The methods that Python's texts, lists and mappings have, as far as templates reach.
///
/// Source: https://docs.python.org/3/library/stdtypes.html
struct TemplateMethods {
  let run: TemplateRun

  static let ofText: Set<String> = [
    "capitalize", "count", "endswith", "find", "format", "index", "isalnum", "isalpha", "isdecimal", "isdigit",
    "islower",
    "isnumeric", "isspace", "isupper", "join", "lower", "lstrip", "partition", "removeprefix", "removesuffix",
    "replace", "rfind",
    "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper", "zfill",
    // These are there, and refused when they are called.
    "casefold", "center", "encode", "expandtabs", "format_map", "isascii", "isidentifier", "isprintable", "istitle",
    "ljust",
    "maketrans", "rindex", "rjust", "swapcase", "translate",
  ]
  static let ofList: Set<String> = [
    "count", "index", "append", "clear", "copy", "extend", "insert", "pop", "remove", "reverse", "sort",
  ]
  static let ofMapping: Set<String> = [
    "copy", "get", "items", "keys", "values", "clear", "fromkeys", "pop", "popitem", "setdefault", "update",
  ]

  /// - Throws: ``FurlError`` of kind `input` for what a template may not do, and what is not supported.
  func call(_ name: String, of receiver: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
    switch receiver {
    case .mapping(let mapping): return try self.call(name, of: mapping, receiver, call)
    case .list(let list): return try self.call(name, of: list, call)
    case .text(let text):
      try run.pay(text.utf8.count)
      return try self.call(name, of: text, call)
    default: throw refusal(name)
    }
  }

  private func refusal(_ name: String) -> FurlError { run.error("the method \(name) is not supported") }

  private func bound(_ call: TemplateCall, _ names: [String], _ method: String) throws -> [TemplateValue?] {
    try call.bound(names, "the method \(method)", run)
  }

  // MARK: Mappings and lists

  private func call(
    _ name: String, of mapping: TemplateMapping, _ receiver: TemplateValue, _ call: TemplateCall
  ) throws -> TemplateValue {
    switch name {
    case "get":
      let given = try bound(call, ["key", "default"], name)
      guard let key = given[0] else { throw run.error("get needs a key") }
      return mapping[key] ?? given[1] ?? .none
    case "items":
      _ = try bound(call, [], name)
      return try run.list(try mapping.pairs.map { try run.list([$0.key, $0.value], kind: .tuple) }, kind: .view)
    case "keys", "values":
      _ = try bound(call, [], name)
      return try run.list(name == "keys" ? mapping.keys : mapping.values, kind: .view)
    case "copy":
      _ = try bound(call, [], name)
      return receiver
    case "fromkeys": throw refusal(name)
    default: throw run.error("\(name) changes a mapping, which a chat template may not")
    }
  }

  private func call(_ name: String, of list: TemplateList, _ call: TemplateCall) throws -> TemplateValue {
    switch name {
    case "count", "index":
      guard let wanted = try bound(call, ["value"], name)[0] else { throw run.error("\(name) needs a value") }
      try run.step(list.items.count)
      let places = try list.items.indices.filter { try run.equal(list.items[$0], wanted) }
      if name == "count" { return .integer(places.count) }
      guard let first = places.first else { throw run.error("the value is not in the list") }
      return .integer(first)
    case "copy":
      _ = try bound(call, [], name)
      return .list(list)
    default: throw run.error("\(name) changes a list, which a chat template may not")
    }
  }

  // MARK: Texts

  private func argument(_ value: TemplateValue?, _ name: String) throws -> String? {
    guard let value, !value.isNone else { return nil }
    guard let text = value.string else { throw run.error("the method \(name) needs a text, not \(value.typeName)") }
    try run.pay(text.utf8.count)
    return text
  }

  private func call(_ name: String, of text: String, _ call: TemplateCall) throws -> TemplateValue {
    switch name {
    case "strip", "lstrip", "rstrip":
      let characters = try argument(try bound(call, ["chars"], name)[0], name)
      return try run.text(PythonText.strip(text, characters, left: name != "rstrip", right: name != "lstrip"))
    case "upper", "lower", "title", "capitalize":
      _ = try bound(call, [], name)
      return try run.text(TemplateMethods.recased(text, name))
    case "split", "rsplit", "splitlines", "partition", "rpartition": return try cut(name, text, call)
    case "startswith", "endswith", "removeprefix", "removesuffix": return try ends(name, text, call)
    case "find", "rfind", "index", "count": return try places(name, text, call)
    case "replace":
      let given = try bound(call, ["old", "new", "count"], name)
      guard let old = try argument(given[0], name), let new = try argument(given[1], name) else {
        throw run.error("replace needs two texts")
      }
      let found = old.isEmpty ? text.utf8.count + 1 : text.utf8.count / old.utf8.count
      try run.pay(found.multipliedReportingOverflow(by: new.utf8.count).partialValue)
      return try run.text(PythonText.replace(text, old, new, limit: given[2]?.whole ?? -1))
    case "join":
      guard let items = try bound(call, ["iterable"], name)[0] else { throw run.error("join needs a list") }
      let parts = try run.elements(items).map { item -> String in
        guard let part = item.string else { throw run.error("join is for texts, not \(item.typeName)") }
        try run.pay(part.utf8.count + text.utf8.count)
        return part
      }
      return try run.text(parts.joined(separator: text))
    case "format": return try run.text(try formatted(text, call))
    case "zfill":
      guard let width = try bound(call, ["width"], name)[0]?.whole else { throw run.error("zfill needs a width") }
      let sign = text.hasPrefix("-") || text.hasPrefix("+") ? 1 : 0
      let count = max(0, width - text.unicodeScalars.count)
      try run.pay(count)
      return try run.text(text.prefix(sign) + String(repeating: "0", count: count) + text.dropFirst(sign))
    default:
      _ = try bound(call, [], name)
      return .bool(try asks(name, text))
    }
  }

  /// `str.title` begins a word behind everything that is no letter, which the filter does not.
  private static func recased(_ text: String, _ name: String) -> String {
    switch name {
    case "upper": return text.uppercased()
    case "lower": return text.lowercased()
    case "capitalize": return PythonText.capitalize(text)
    default:
      var (result, isInWord) = ("", false)
      for scalar in text.unicodeScalars {
        let properties = scalar.properties
        result += isInWord ? properties.lowercaseMapping : properties.titlecaseMapping
        isInWord = properties.isCased
      }
      return result
    }
  }

  private func cut(_ name: String, _ text: String, _ call: TemplateCall) throws -> TemplateValue {
    switch name {
    case "splitlines":
      if let keeps = try bound(call, ["keepends"], name)[0], keeps.isTrue {
        throw run.error("keepends is not supported")
      }
      return try run.list(PythonText.lines(text).map { .text($0) })
    case "partition", "rpartition":
      guard let separator = try argument(try bound(call, ["sep"], name)[0], name), !separator.isEmpty else {
        throw run.error("\(name) needs a text")
      }
      let parts = PythonText.split(text, at: separator, limit: 1, fromRight: name == "rpartition")
      let three =
        parts.count == 2 ? [parts[0], separator, parts[1]] : name == "partition" ? [text, "", ""] : ["", "", text]
      return try run.list(three.map { .text($0) }, kind: .tuple)
    default:
      let given = try bound(call, ["sep", "maxsplit"], name)
      let limit = given[1]?.whole ?? -1
      guard let separator = try argument(given[0], name) else {
        return try run.list(PythonText.words(text, limit: limit, fromRight: name == "rsplit").map { .text($0) })
      }
      guard !separator.isEmpty else { throw run.error("\(name) needs a separator that is not empty") }
      return try run.list(
        PythonText.split(text, at: separator, limit: limit, fromRight: name == "rsplit").map { .text($0) })
    }
  }

  private func ends(_ name: String, _ text: String, _ call: TemplateCall) throws -> TemplateValue {
    guard let wanted = try bound(call, ["text"], name)[0] else { throw run.error("\(name) needs a text") }
    if name.hasPrefix("remove") {
      let part = try argument(wanted, name) ?? ""
      if name == "removeprefix" {
        guard PythonText.hasPrefix(text, part) else { return .text(text) }
        return try run.text(String(decoding: text.utf8.dropFirst(part.utf8.count), as: UTF8.self))
      }
      guard PythonText.hasSuffix(text, part) else { return .text(text) }
      return try run.text(String(decoding: text.utf8.dropLast(part.utf8.count), as: UTF8.self))
    }
    var candidates = [wanted]
    if case .list(let list) = wanted, list.kind == .tuple { candidates = list.items }
    return .bool(
      try candidates.contains { candidate in
        guard let part = try argument(candidate, name) else { throw run.error("\(name) needs a text") }
        return name == "startswith" ? PythonText.hasPrefix(text, part) : PythonText.hasSuffix(text, part)
      })
  }

  private func places(_ name: String, _ text: String, _ call: TemplateCall) throws -> TemplateValue {
    guard let part = try argument(try bound(call, ["sub"], name)[0], name) else {
      throw run.error("\(name) needs a text")
    }
    guard !part.isEmpty else { throw run.error("\(name) of an empty text is not supported") }
    if name == "count" { return .integer(PythonText.places(of: part, in: text).count) }
    let parts = PythonText.split(text, at: part, limit: 1, fromRight: name == "rfind")
    if parts.count == 2 { return .integer(parts[0].unicodeScalars.count) }
    guard name != "index" else { throw run.error("the text is not in the other one") }
    return .integer(-1)
  }

  private func asks(_ name: String, _ text: String) throws -> Bool {
    let scalars = text.unicodeScalars
    func all(_ holds: (Unicode.Scalar) -> Bool) -> Bool { !scalars.isEmpty && scalars.allSatisfy(holds) }
    func isLetter(_ scalar: Unicode.Scalar) -> Bool {
      [.uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter].contains(
        scalar.properties.generalCategory)
    }
    let hasCase = scalars.contains { $0.properties.isCased }
    switch name {
    case "isalpha": return all(isLetter)
    case "isdecimal": return all { $0.properties.numericType == .decimal }
    case "isdigit": return all { $0.properties.numericType == .decimal || $0.properties.numericType == .digit }
    case "isnumeric": return all { $0.properties.numericType != nil }
    case "isalnum": return all { isLetter($0) || $0.properties.numericType != nil }
    case "isspace": return all(PythonText.isSpace)
    case "islower": return hasCase && text.lowercased().utf8.elementsEqual(text.utf8)
    case "isupper": return hasCase && text.uppercased().utf8.elementsEqual(text.utf8)
    default: throw refusal(name)
    }
  }

  /// `str.format` with `{}`, numbers and names; forms behind a colon are refused.
  private func formatted(_ text: String, _ call: TemplateCall) throws -> String {
    var (result, field, next): (String, String?, Int) = ("", nil, 0)
    let scalars = Array(text.unicodeScalars)
    var index = 0
    while index < scalars.count {
      let scalar = scalars[index]
      let isDoubled = index + 1 < scalars.count && scalars[index + 1] == scalar
      index += 1
      if let name = field {
        guard scalar == "}" else {
          field = name + String(scalar)
          continue
        }
        field = nil
        let value =
          name.isEmpty
          ? call.positional.dropFirst(next).first
          : Int(name).map { call.positional.dropFirst(max(0, $0)).first } ?? call.named.first { $0.name == name }?.value
        if name.isEmpty { next += 1 }
        guard let value else { throw run.error("format has nothing for {\(name)}, or a form that is not supported") }
        result += try run.string(value)
      } else if scalar == "{" || scalar == "}" {
        if isDoubled {
          result.unicodeScalars.append(scalar)
          index += 1
        } else {
          guard scalar == "{" else { throw run.error("format has a single }") }
          field = ""
        }
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    guard field == nil else { throw run.error("format has a single {") }
    return result
  }
}
